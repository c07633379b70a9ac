#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What lies between a tunnel and the wire: rules and programs that rewrite or count datagrams, queues
# that count packets, devices that cannot take large ones apart. They all find what the in-tree driver
# sends: datagrams of one message each. Where nothing of that is, ours may send large packets.
#
# kernels: stock uml debug
# timeout: 960
# slow: uml/c debug stock/c stock-7.2

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"
. "$LIB/bundles.sh"

# Hooks of devices, and of bridges. Debian's kernels have them, and are emulated: all else is left to those
# that are not.
looks_at() {
	at "$1" nft -f - << END
table $2 t {
	counter n_large { }
	chain c {
		type filter hook $3 priority filter
		udp dport 51822 meta length > $LARGE counter name n_large
	}
}
END
	counted "$2, $3" 192.168.241.2 a 100K
	each_alone "$2, $3"
	sees_none "$2, $3" "$1" "$2" "$4"
	at "$1" nft flush ruleset
}
if [[ ${WG_KERNEL-} == stock* ]]; then
	pair
	check 'the tunnel is up' reaches a 192.168.241.2
	looks_at a netdev 'egress device eth0' 10.0.0.2
	looks_at b netdev 'ingress device eth0' 10.0.0.2
	veth a eth1 b eth1
	at a ip link add upper type bridge
	at a ip link set eth1 master upper
	at a ip link set upper up
	addr a upper 10.0.9.1/24
	addr b eth1 10.0.9.2/24
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.9.2:51822
	check 'a bridge: the tunnel' reaches a 192.168.241.2
	counted 'a bridge' 192.168.241.2 a 100K
	in_large 'a bridge'
	for place in output postrouting; do
		looks_at a bridge "$place" 10.0.9.2
	done
	finish
fi

routed_pair
check 'the tunnel is up' reaches l 192.168.241.2

# Nothing on the way, and what looks at the flow alone.
counted 'a plain link' 192.168.241.2
in_large 'a plain link'
at a nft -f - << 'END'
table inet t {
	chain post {
		type nat hook postrouting priority srcnat
		udp dport 51822 ct state new accept
	}
	chain out {
		type nat hook output priority dstnat
		ct state new accept
	}
}
END
counted 'connection tracking and NAT' 192.168.241.2
in_large 'connection tracking and NAT'
at a nft flush ruleset
counted 'forwarded, a plain link' 192.168.241.2 l
in_large 'forwarded, a plain link'

# A device that cannot take them apart.
at a ethtool -K eth0 tx-udp-segmentation off > /dev/null
counted 'no segmentation below' 192.168.241.2
each_alone 'no segmentation below'
at a ethtool -K eth0 tx-udp-segmentation on > /dev/null
# So little that not even two messages are taken as one.
at a ip link set eth0 gso_ipv4_max_size 1500
counted 'little segmentation below' 192.168.241.2
each_alone 'little segmentation below'
at a ip link set eth0 gso_ipv4_max_size 65536
counted 'segmentation below again' 192.168.241.2
in_large 'segmentation below again'
# packets_of_40 WHAT large|alone: ten large packets of UDP, each of which becomes forty messages of 1072 bytes,
# 42880 in all; with headers of IPv4 and of Ethernet, with a tag, 42926.
packets_of_40() {
	counting
	gso 192.168.241.2 9 10
	count
	holds "$1: all are sent" "$messages >= 400"
	if [[ $2 == large ]]; then
		in_large "$1"
	else
		each_alone "$1"
	fi
}
packets_of_40 'no limit' large
at a ip link set eth0 gso_max_segs 39
packets_of_40 'one segment too many' alone
at a ip link set eth0 gso_max_segs 40
packets_of_40 'as many segments as may be' large
at a ip link set eth0 gso_max_segs 65535
at a ip link set eth0 gso_ipv4_max_size 42926
packets_of_40 'one byte too many' alone
at a ip link set eth0 gso_ipv4_max_size 42927
packets_of_40 'as many bytes as may be' large
# The other limit is that for IPv6, and sets this one if it is that small.
at a ip link set eth0 gso_max_size 42946
at a ip link set eth0 gso_ipv4_max_size 65536
packets_of_40 'the limit for IPv6' large
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
check 'by IPv6: the tunnel' reaches a 192.168.241.2
packets_of_40 'one byte too many by IPv6' alone
at a ip link set eth0 gso_max_size 42947
packets_of_40 'as many bytes as may be by IPv6' large
at a ip link set eth0 gso_max_size 65536
at a ip link set eth0 gso_ipv4_max_size 1500
packets_of_40 'the limit for IPv4, by IPv6' large
at a ip link set eth0 gso_ipv4_max_size 65536
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822

# What the stack gives the tunnel is segmented before, or not: the switch of who runs it. IP counts one packet
# either way, so all is counted at eth0, which takes large ones here.
# below WHAT COMMAND...
below() {
	# What is sent between these counts as a packet, and not as a message.
	packets=$(sysfs a eth0/statistics/tx_packets) messages=$(stats a tx_packets)
	check "$@"
	messages=$(($(stats a tx_packets) - messages))
	packets=$(($(sysfs a eth0/statistics/tx_packets) - packets))
	holds "$1: all are sent" "$messages >= 400"
}
# given on|off FEATURE...
given() {
	local feature
	for feature in "${@:2}"; do
		at a ethtool -K wg0 "$feature" "$1" > /dev/null
	done
}
given off gso tso
below 'segmented above' copy a b 192.168.241.2
each_alone 'segmented above'
below 'segmented above, IPv6' copy a b fd00::2
each_alone 'segmented above, IPv6'
below 'segmented above, but not UDP' gso 192.168.241.2 9 10
in_large 'segmented above, but not UDP'
given off tx-udp-segmentation
below 'segmented above, and UDP' gso 192.168.241.2 9 10
each_alone 'segmented above, and UDP'
given on gso tso tx-udp-segmentation
below 'segmented above no more' copy a b 192.168.241.2
in_large 'segmented above no more'
below 'segmented above no more, UDP' gso 192.168.241.2 9 10
in_large 'segmented above no more, UDP'

# Somebody who looks at single datagrams, at each place where that is possible.
for place in 'output' 'postrouting'; do
	at a nft -f - << END
table inet t {
	counter n_large { }
	chain out {
		type filter hook $place priority filter
		udp dport 51822 meta length > $LARGE counter name n_large
	}
}
END
	counted "$place" 192.168.241.2
	each_alone "$place"
	is "$place: no rule sees more than one" "$(counter a inet n_large)" 0
	at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
	counted "$place by IPv6" fd00::2
	each_alone "$place by IPv6"
	sees_none "$place by IPv6" a inet fd00:aa::2
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
	at a nft flush ruleset
done
# Somebody who rewrites each of them, as some servers want it.
card a b
wants_bytes
for place in 'output priority mangle' 'postrouting priority mangle'; do
	at a nft -f - << END
table inet t {
	chain out {
		type filter hook $place
		udp dport 51822 @th,72,24 set $MARK
	}
}
END
	rewritten "$place"
	at a nft flush ruleset
done
at b nft flush ruleset
pass a b
polices eth0
counted 'traffic control' 192.168.241.2
each_alone 'traffic control'
polices_none 'traffic control' eth0 10.0.0.2
at a tc qdisc del dev eth0 clsact
# A program without a qdisc.
spawn a python3 "$HERE/tcx.py" eth0 > "$TMP/tcx"
# shellcheck disable=SC2154 # spawn sets it
program=$job
eventually grep -q attached "$TMP/tcx"
counted 'a program of BPF' 192.168.241.2
each_alone 'a program of BPF'
stop "$program"
counted 'no program any more' 192.168.241.2
in_large 'no program any more'

# Queues.
at a tc qdisc add dev eth0 root fq_codel
counted 'forwarded into a queue' 192.168.241.2 l
each_alone 'forwarded into a queue'
at a tc qdisc replace dev eth0 root handle 1: htb default 1
at a tc class add dev eth0 parent 1: classid 1:1 htb rate 100mbit quantum 1514
at a tc qdisc add dev eth0 parent 1:1 fq_codel
counted 'into a queue made of others' 192.168.241.2
each_alone 'into a queue made of others'
holds 'nothing in it is larger than a message' "$(largest) < $LARGE"
gso 10.0.0.2 9
holds 'but for what is large' "$(largest) > $LARGE"
at a tc qdisc del dev eth0 root

# A device upon another.
if at a ip link add link eth0 name eth0.5 type vlan id 5 2> /dev/null; then
	at b ip link add link eth0 name eth0.5 type vlan id 5
	addr a eth0.5 10.0.5.1/24
	addr b eth0.5 10.0.5.2/24
	at a ip link set eth0.5 up
	at b ip link set eth0.5 up
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.5.2:51822
	counted 'a VLAN' 192.168.241.2
	in_large 'a VLAN'
	at a tc qdisc add dev eth0 clsact
	counted 'a VLAN upon what looks' 192.168.241.2
	each_alone 'a VLAN upon what looks'
	at a tc qdisc del dev eth0 clsact
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
else
	skip 'a VLAN' 'this kernel has none'
fi

# A cable that takes single datagrams: one after the other in a queue for each CPU, or, with GRO, in a ring of
# 256 places, which must be emptied while it is filled. A machine that is busy with something else may lose
# some with any driver, or have TCP send again what is only late: so there is a second run for whom the first
# one did not go well.
card a b
# much GRO THREADED STREAMS
much() {
	local what="$3 streams, gro=$1, threaded=$2" dropped sent again late segments
	measure "$3"
	well || measure "$3"
	holds "$what: overflow no ring" "$drops"
	holds "$what: hardly reordered" "$order"
	holds "$what: hardly anything is sent again" "$repeats"
}
drops='dropped * 1000 < sent'
order='late < 10 || late * 2000 < segments'
repeats='again < 10 + 2 * dropped || again * 2000 < segments'
well() {
	((drops)) && ((order)) && ((repeats))
}
# measure STREAMS: what became of the datagrams of a, and the segments in them.
measure() {
	dropped=$(sysfs a eth0/statistics/tx_dropped) sent=$(sysfs a eth0/statistics/tx_packets)
	again=$(segments a RetransSegs) late=$(reordered a) segments=$(segments a OutSegs)
	check "much at once, $what" iperf a b 192.168.241.2 -P "$1" -n 100M
	dropped=$(($(sysfs a eth0/statistics/tx_dropped) - dropped))
	sent=$(($(sysfs a eth0/statistics/tx_packets) - sent))
	again=$(($(segments a RetransSegs) - again)) late=$(($(reordered a) - late))
	segments=$(($(segments a OutSegs) - segments))
	note "$dropped of $sent datagrams lost; of $segments segments, $again sent again; $late times in another order"
}
for gro in off on; do
	for name in a b; do
		at "$name" ethtool -K eth0 gro "$gro" > /dev/null
	done
	for threaded in 0 1; do
		# Acknowledgements, to which TCP answers with more, come by a softirq or by a thread.
		# shellcheck disable=SC2016
		at_sys a sh -c 'echo "$1" > /sys/class/net/wg0/threaded' -- "$threaded"
		for streams in 1 4; do
			much "$gro" "$threaded" "$streams"
		done
	done
done

finish
