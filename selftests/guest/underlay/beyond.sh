#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# More of what egress.sh is about: what does not show from the outer device alone. Behind a pair of veth
# there may be a router, NAT may send the flow elsewhere, queues have filters or count packets, a
# datagram may not fit its route, and a card has a queue for each of its own.
#
# kernels: uml debug
# needs: card
# timeout: 300
# slow: uml/c debug

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"
. "$LIB/bundles.sh"

CARD=$TOP/target/card/$(uname -r).ko

undo() {
	rmmod card 2> /dev/null || true
}

routed_pair
check 'the tunnel is up' reaches l 192.168.241.2
counted 'to the other end' 192.168.241.2
in_large 'to the other end'

at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
counted 'to the other end by IPv6' fd00::2
in_large 'to the other end by IPv6'
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822

# Somebody at the other end looks, or takes what comes in elsewhere.
for place in 'filter hook prerouting priority mangle' 'filter hook input priority filter' \
	'nat hook prerouting priority dstnat'; do
	at b nft -f - << END
table inet t {
	chain c {
		type $place
		udp dport 1 accept
	}
}
END
	counted "there, $place" 192.168.241.2
	each_alone "there, $place"
	at b nft flush ruleset
done
at b tc qdisc add dev eth0 clsact
counted 'there, traffic control' 192.168.241.2
each_alone 'there, traffic control'
at b tc qdisc del dev eth0 clsact
counted 'to the other end again' 192.168.241.2
in_large 'to the other end again'

# A datagram that does not fit.
at a ip link set wg0 mtu 1500
at b ip link set wg0 mtu 1500
# What IP was asked to send, as each makes two fragments.
asked() {
	requests OutRequests
}
requested=$(asked)
counted 'larger than the route' 192.168.241.2
# shellcheck disable=SC2154 # counted sets it
packets=$(($(asked) - requested - inside))
each_alone 'larger than the route'
at a ip link set wg0 mtu 1420
at b ip link set wg0 mtu 1420

# Queues: with filters, of packets, one for each of the hardware.
at a tc qdisc add dev eth0 root handle 10: fq_codel
counted 'fq_codel' 192.168.241.2
in_large 'fq_codel'
# A sender of large packets of UDP, which only its buffer limits.
counting
gso 192.168.241.2 9 20
count
each_alone 'fq_codel, large packets of UDP'
# shellcheck disable=SC2086
if try at a tc filter add dev eth0 parent 10: matchall classid 10:1 $POLICE; then
	counted 'fq_codel with a filter' 192.168.241.2
	each_alone 'fq_codel with a filter'
	is 'fq_codel: its filter lets all pass' "$(policed eth0 parent 10:)" 0
	gso 10.0.0.2 9
	is 'fq_codel: but for what is large' "$(policed eth0 parent 10:)" 1
else
	skip 'fq_codel with a filter' 'this kernel has none'
fi
for queue in 'pfifo_fast' 'fq'; do
	at a tc qdisc replace dev eth0 root "$queue"
	counted "$queue" 192.168.241.2
	each_alone "$queue"
done
at a tc qdisc del dev eth0 root

# Two VLANs are more than a card takes large packets with.
if at a ip link add link eth0 name eth0.5 type vlan id 5 2> /dev/null; then
	for name in a b; do
		at "$name" ip link show dev eth0.5 > /dev/null 2>&1 ||
			at "$name" ip link add link eth0 name eth0.5 type vlan id 5
		at "$name" ip link set eth0.5 up
		at "$name" ip link add link eth0.5 name inner type vlan id 6
		at "$name" ip link set inner up
	done
	addr a inner 10.0.6.1/24
	addr b inner 10.0.6.2/24
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.6.2:51822
	counted 'two VLANs' 192.168.241.2
	each_alone 'two VLANs'
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
else
	skip 'two VLANs' 'this kernel has none'
fi

# NAT sends it by another device: to the same end, where somebody looks, and where some is dropped.
veth a eth1 b eth1
addr a eth1 10.0.9.1/24 fd00:9::1/64
addr b eth1 10.0.9.2/24 fd00:9::2/64
# The one that is left is one of the other end, too, so that large packets get as far as that.
addr b eth0 10.0.0.9/24 fd00:aa::9/64
at a nft -f - << 'END'
table inet t {
	chain out {
		type nat hook output priority dstnat
		ip daddr 10.0.0.9 udp dport 51822 dnat ip to 10.0.9.2
		ip6 daddr fd00:aa::9 udp dport 51822 dnat ip6 to fd00:9::2
	}
	chain post {
		type nat hook postrouting priority srcnat
		oifname eth1 masquerade
	}
}
END
# translated ENDPOINT ADDRESS NEIGHBOUR WHAT
translated() {
	at a wg set wg0 peer "$PUB_B" endpoint "$1"
	check "$4: the tunnel" reaches a "$2"
	counted "$4 to the other end" "$2"
	in_large "$4 to the other end"
	polices eth1
	counted "$4 to where somebody looks" "$2"
	each_alone "$4 to where somebody looks"
	polices_none "$4" eth1 "$3"
	# What is lost is counted one by one, as it was sent.
	at a tc filter replace dev eth1 egress pref 1 handle 1 matchall \
		action police rate 1mbit burst 9k conform-exceed drop
	local lost
	lost=$(made) lost=$((lost - $(stats a tx_packets)))
	gso "$2" 9 2
	lost=$(($(made) - $(stats a tx_packets) - lost))
	is "$4: as many lost as were dropped" "$lost" "$(policed eth1 egress)"
	holds "$4: some of them" "$lost > 20 && $lost < 80"
	at a tc qdisc del dev eth1 clsact
}
translated 10.0.0.9:51822 192.168.241.2 10.0.9.2 'DNAT'
translated '[fd00:aa::9]:51822' fd00::2 fd00:9::2 'DNAT by IPv6'
at a nft flush ruleset
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822

# Devices that hand on to others, and the one that leads back.
for kind in bond bridge; do
	at a ip link add upper type "$kind"
	[[ $kind != bond ]] || at a ip link set upper type bond mode active-backup
	at a ip link set eth1 down
	at a ip addr flush dev eth1
	at a ip link set eth1 master upper
	at a ip link set upper up
	at a ip link set eth1 up
	addr a upper 10.0.9.1/24
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.9.2:51822
	check "$kind: the tunnel" reaches a 192.168.241.2
	counted "$kind" 192.168.241.2
	in_large "$kind"
	# One with a port that may lead anywhere.
	if [[ $kind == bridge ]]; then
		at a ip link add port type dummy
		at a ip link set port master upper up
		counted "$kind with a port of its own kind" 192.168.241.2
		each_alone "$kind with a port of its own kind"
		at a ip link del port
	fi
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
	at a ip link del upper
done
ns c
at a ip link add wg1 type wireguard
at a wg set wg1 private-key "$TMP/key-c" listen-port 51823 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32 endpoint 127.0.0.1:51821
at a ip link set wg1 netns "$RUN-c"
at c ip link set wg1 name wg0 up
addr c wg0 192.168.241.3/24
at a wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.3/32 endpoint 127.0.0.1:51823
check 'lo: the tunnel' reaches a 192.168.241.3
counting
check 'lo' copy a c 192.168.241.3
count
in_large 'lo'

# A card, which has a queue for each of its own.
at a ip link del eth1
insmod "$CARD"
ip link set card0 netns "$RUN-a" name eth1
ip link set card1 netns "$RUN-b" name eth1
at a ip link set eth1 up
at b ip link set eth1 up
addr a eth1 10.0.9.1/24
addr b eth1 10.0.9.2/24
at a wg set wg0 peer "$PUB_B" endpoint 10.0.9.2:51822
check 'a card: the tunnel' reaches a 192.168.241.2
# leaves KIND...: the queues of the card's queues.
leaves() {
	at a tc qdisc replace dev eth1 root handle 1: mq
	local kind i=0
	for kind; do
		at a tc qdisc replace dev eth1 parent "1:$((i += 1))" "$kind"
	done
}
for kind in pfifo fq_codel 'fq_codel pfifo' 'pfifo fq_codel'; do
	read -r first second <<< "$kind"
	leaves "$first" "${second:-$first}"
	counted "a card with $kind" 192.168.241.2
	if [[ $kind == fq_codel ]]; then
		in_large "a card with $kind"
		counted "forwarded to a card with $kind" 192.168.241.2 l
		each_alone "forwarded to a card with $kind"
	else
		each_alone "a card with $kind"
	fi
done
# What a card without a queue has no room for is lost.
at a tc qdisc replace dev eth1 root noqueue
counted 'a card without a queue' 192.168.241.2
each_alone 'a card without a queue'
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
rmmod card

# Somebody who looks at single datagrams, with a priority by which others are known that do not.
for what in 'where none is tracked' 'where connections are tracked'; do
	counted "nobody looks, $what" 192.168.241.2
	in_large "nobody looks, $what"
	at a insmod "$CARD" watched=1
	seen=$(< /sys/module/card/parameters/large)
	counted "a hook without a name, $what" 192.168.241.2
	each_alone "a hook without a name, $what"
	is "a hook without a name, $what, sees none" "$(< /sys/module/card/parameters/large)" "$seen"
	rmmod card
	[[ $what != *none* ]] || at a nft -f - << 'END'
table inet t {
	chain in {
		type nat hook input priority srcnat
		ct state new accept
	}
}
END
done
at a nft flush ruleset

# A router behind the cable, with a narrow uplink of which the queue counts packets.
ns r
veth a eth2 r dn0
veth r up0 b eth2
addr a eth2 10.5.0.2/24
addr r dn0 10.5.0.1/24
addr r up0 10.6.0.1/24
addr b eth2 10.6.0.2/24
at a ip route add 10.6.0.0/24 via 10.5.0.1
at b ip route add 10.5.0.0/24 via 10.6.0.1
sysctl_set r ipv4/ip_forward 1
at r ethtool -K up0 tx-udp-segmentation off tso off gso off > /dev/null
at a wg set wg0 peer "$PUB_B" endpoint 10.6.0.2:51822
check 'a router: the tunnel' reaches l 192.168.241.2
at r nft -f - << END
table inet t {
	counter n_large { }
	chain pass {
		type filter hook forward priority filter
		udp dport 51822 meta length > $LARGE counter name n_large
	}
}
END
for from in a l; do
	counted "a router, from $from" 192.168.241.2 "$from"
	each_alone "a router, from $from"
done
sees_none 'a router' r inet 10.6.0.2
at r nft flush ruleset
at r tc qdisc add dev up0 root handle 1: htb default 10
at r tc class add dev up0 parent 1: classid 1:10 htb rate 10mbit ceil 10mbit quantum 1514
at r tc qdisc add dev up0 parent 1:10 pfifo limit 100
spawn b iperf3 -s -1 -B 192.168.241.2 > /dev/null
eventually listening b 5201
spawn a iperf3 -c 192.168.241.2 -t 8 > /dev/null
# shellcheck disable=SC2154 # spawn sets it
client=$job
sleep 2
waits=0 held=0
for _ in {1..30}; do
	read -r bytes packets <<< "$(at r tc -s qdisc show dev up0 |
		awk '$1 == "qdisc" { leaf = $2 == "pfifo" } leaf && $1 == "backlog" { print $2 + 0, $3 + 0 }')"
	((packets <= waits)) || waits=$packets
	((bytes <= held)) || held=$bytes
	sleep 0.1
done
wait "$client" || :
note "in the queue of a router: $held bytes in $waits packets"
holds 'a router: its queue was in use' "$waits > 20"
holds 'a router: its queue holds no more than packets of one message' "$held <= 100 * $LARGE"

finish
