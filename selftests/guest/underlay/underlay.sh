#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# More of what egress.sh is about: traffic control that rewrites or polices, iptables, other queues,
# devices upon others, IPsec around the tunnel, and offloads that are switched while something is sent.
#
# kernels: uml debug
# timeout: 300
# slow: uml/c debug

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"
. "$LIB/bundles.sh"

# goodput: megabits per second from a to b, for some seconds.
goodput() {
	iperf a b 192.168.241.2 -t 5 -J > "$TMP/iperf"
	python3 -c 'import json, sys
print(int(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e6))' < "$TMP/iperf"
}

# large on|off: whether the stack may hand large packets to a's tunnel. If not, ours sends as the
# in-tree driver does.
large() {
	at a ethtool -K wg0 gso "$1" tso "$1" > /dev/null
}

# looks DEVICE, looks_away DEVICE: somebody looks at what leaves by it, or no longer.
looks() {
	at a tc qdisc add dev "$1" clsact
}
looks_away() {
	at a tc qdisc del dev "$1" clsact
}

pair
check 'the tunnel is up' reaches a 192.168.241.2

# Traffic control rewrites each datagram, with its checksum.
card a b
wants_bytes
looks eth0
at a tc filter add dev eth0 egress protocol ip u32 \
	match ip protocol 17 0xff match ip dport 51822 0xffff \
	action pedit munge offset 29 u8 set 0x0a munge offset 30 u8 set 0x0b munge offset 31 u8 set 0x0c pipe \
	action csum ip4h and udp
rewritten 'pedit'
looks_away eth0
at b nft flush ruleset
pass a b

# A policer with room for twenty datagrams. Large packets would not get through at all.
counted 'and without' 192.168.241.2
in_large 'and without'
looks eth0
at a tc filter add dev eth0 egress matchall \
	action police rate 20mbit burst 30k conform-exceed drop
at b tc qdisc add dev eth0 root netem delay 10ms
gso 10.0.0.2 9
is 'a policer: what is large does not pass' "$(policed eth0 egress)" 1
counted 'a policer' 192.168.241.2
each_alone 'a policer'
fast=$(goodput)
large off
plain=$(goodput)
large on
note "through a policer: $fast Mbit/s, without large packets $plain"
holds 'a policer: large packets inside cost nothing' "$fast * 2 > $plain"
at b tc qdisc del dev eth0 root
looks_away eth0

# Queues that are somebody's plan.
for queue in 'cake bandwidth 1gbit' 'tbf rate 1gbit burst 100k latency 50ms' 'netem delay 1ms'; do
	# shellcheck disable=SC2086
	at a tc qdisc replace dev eth0 root $queue
	counted "${queue%% *}" 192.168.241.2
	each_alone "${queue%% *}"
done
at a tc qdisc del dev eth0 root

# on DEVICE ADDRESS WHAT: the tunnel goes that way, and who looks below sees single messages.
on() {
	at a wg set wg0 peer "$PUB_B" endpoint "$2:51822"
	check "$3: the tunnel" reaches a 192.168.241.2
	looks "$1"
	counted "$3 upon what looks" 192.168.241.2
	each_alone "$3 upon what looks"
	looks_away "$1"
	check "$3: a file" copy a b 192.168.241.2
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
}

# Devices of which it is not known where they lead. The messages fit them.
for name in a b; do
	at "$name" ip link set eth0 mtu 1600
done
# tunnelled KIND NUMBER OPTION...: a device of the kind at both ends, which IP carries.
tunnelled() {
	local kind=$1 name
	at a ip link add upper type "$kind" local 10.0.0.1 remote 10.0.0.2 "${@:3}"
	at b ip link add upper type "$kind" local 10.0.0.2 remote 10.0.0.1 "${@:3}"
	for name in a b; do
		at "$name" ip link set upper mtu 1500 up
	done
	addr a upper "10.0.$2.1/24"
	addr b upper "10.0.$2.2/24"
	takes_none "$kind" upper "10.0.$2.2"
	for name in a b; do
		at "$name" ip link del upper
	done
}
tunnelled vxlan 11 id 5 dstport 4789
tunnelled gretap 12
for name in a b; do
	at "$name" ip link set eth0 mtu 1500
done
python3 "$HERE/relay.py" "/run/netns/$RUN-a" "/run/netns/$RUN-b" upper > "$TMP/relay" &
relay=$!
eventually grep -q ready "$TMP/relay"
for name in a b; do
	at "$name" ip link set upper up
done
addr a upper 10.0.13.1/24
addr b upper 10.0.13.2/24
takes_none 'a tap' upper 10.0.13.2
stop "$relay"
# By a VRF, whose device looks for a route of its own, and by a device that is in it.
at a ip link add upper type vrf table 200
at a ip link set upper up
veth a eth2 b eth2
at a ip link set eth2 master upper
addr a eth2 10.0.14.1/24
addr b eth2 10.0.14.2/24
sysctl_set a ipv4/udp_l3mdev_accept 1
at a ip route add 10.0.14.0/24 dev upper
takes_none 'a VRF' upper 10.0.14.2
at a ip route del 10.0.14.0/24 dev upper
at a ip route add 10.0.14.0/24 dev eth2
takes_none 'a device in a VRF' eth2 10.0.14.2
at a ip link del upper
at a wg set wg0 peer "$PUB_B" endpoint 10.0.14.2:51822
check 'in no VRF: the tunnel' reaches a 192.168.241.2
counted 'in no VRF' 192.168.241.2
in_large 'in no VRF'
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
at a ip link del eth2

# Devices upon others.
at a ip link add upper link eth0 type macvlan mode bridge
at a ip link set upper up
addr a upper 10.0.6.1/24
addr b eth0 10.0.6.2/24
takes_none 'macvlan' upper 10.0.6.2
on eth0 10.0.6.2 'macvlan'
at a ip link del upper
veth a eth1 b eth1
at a ip link add upper type bond mode active-backup
at a ip link set eth1 down
at a ip link set eth1 master upper
at a ip link set upper up
addr a upper 10.0.7.1/24
addr b eth1 10.0.7.2/24
on eth1 10.0.7.2 'a bond'
at a ip link del upper
at a ip link add upper type bridge
at a ip link set eth1 master upper
at a ip link set eth1 up
at a ip link set upper up
addr a upper 10.0.7.1/24
on eth1 10.0.7.2 'a bridge'
at a ip link del upper

# IPsec around it.
at a ip link set wg0 mtu 1300
at b ip link set wg0 mtu 1300
for name in a b; do
	at "$name" ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 1 mode transport \
		enc 'cipher_null' '' auth 'hmac(sha256)' 0x0102030405060708090a0b0c0d0e0f10
	at "$name" ip xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 2 mode transport \
		enc 'cipher_null' '' auth 'hmac(sha256)' 0x0102030405060708090a0b0c0d0e0f10
done
policy() {
	at "$1" ip xfrm policy add src "$2" dst "$3" dir "$4" tmpl src "$2" dst "$3" proto esp mode transport
}
policy a 10.0.0.1 10.0.0.2 out
policy a 10.0.0.2 10.0.0.1 in
policy b 10.0.0.2 10.0.0.1 out
policy b 10.0.0.1 10.0.0.2 in
check 'IPsec: the tunnel' reaches a 192.168.241.2
counted 'IPsec' 192.168.241.2
each_alone 'IPsec'
for name in a b; do
	at "$name" ip xfrm policy flush
	at "$name" ip xfrm state flush
done
at a ip link set wg0 mtu 1420
at b ip link set wg0 mtu 1420
counted 'and without' 192.168.241.2
in_large 'and without'

# Offloads that come and go meanwhile.
# shellcheck disable=SC2016
spawn a bash -c '
while :; do
	for value in off on; do
		ethtool -K wg0 gso "$value" tso "$value"
		ethtool -K eth0 tx-udp-segmentation "$value"
		ethtool -K wg0 tx-udp-segmentation "$value"
		ethtool -K eth0 gso "$value" tso "$value"
		ethtool -K eth0 tx "$value" && echo "$value"
	done
done' > "$TMP/switched" 2>&1
for _ in 1 2 3; do
	check 'a file while offloads are switched' copy a b 192.168.241.2
	check 'and by IPv6' copy a b fd00::2
done
# shellcheck disable=SC2154 # spawn sets it
stop_busy 'switching' "$job"
holds 'they were switched' "$(grep -c '^on$' "$TMP/switched") > 2"
is 'nothing was refused' "$(stats a tx_errors) $(stats b rx_errors rx_dropped)" '0 0 0'
at a ethtool -K eth0 tx on > /dev/null
pass a
large on
at a ethtool -K wg0 tx-udp-segmentation on > /dev/null
counted 'and when all are on' 192.168.241.2
in_large 'and when all are on'

# Rules of iptables count, and limit. The last, as the hooks of a table stay when its rules are gone.
for place in 'filter OUTPUT' 'mangle POSTROUTING'; do
	table=${place% *} chain=${place#* }
	at a iptables -t "$table" -A "$chain" -p udp --dport 51822 -m length --length "$LARGE:65535" -j DROP
	at a iptables -t "$table" -A "$chain" -p udp --dport 51822 -m limit --limit 1/hour --limit-burst 1 -j ACCEPT
	at a iptables -t "$table" -A "$chain" -p udp --dport 51822 -j ACCEPT
	counted "iptables, $place" 192.168.241.2
	each_alone "iptables, $place"
	rules=$(at a iptables -t "$table" -nvxL "$chain" | awk 'NR > 2 { print $1 }' | xargs)
	note "packets counted: $rules"
	read -r huge limited others <<< "$rules"
	is "iptables, $place: none is large" "$huge" 0
	# The one for the first handshake may have passed before.
	holds "iptables, $place: all are counted" "$limited + $others >= $messages"
	gso 10.0.0.2 51822
	is "iptables, $place: but what is large" \
		"$(at a iptables -t "$table" -nvxL "$chain" | awk 'NR == 3 { print $1 }')" 1
	at a iptables -t "$table" -F
done

finish
