#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# More of what egress.sh is about: what does not show from the outer device alone. Behind a pair of veth
# there may be a router, NAT may send the flow elsewhere, queues have filters or count packets, and a
# datagram may not fit its route.
#
# kernels: uml debug
# timeout: 240
# slow: debug

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"
. "$LIB/bundles.sh"

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
	at a awk '$1 == "Ip:" && f { print $f } $1 == "Ip:" { for (i = 2; i <= NF; i++) if ($i == "OutRequests") f = i }' \
		/proc/net/snmp
}
requested=$(asked)
counted 'larger than the route' 192.168.241.2
packets=$(($(asked) - requested))
each_alone 'larger than the route'
at a ip link set wg0 mtu 1420
at b ip link set wg0 mtu 1420

# Queues: with filters, of packets, one for each of the hardware.
at a tc qdisc add dev eth0 root handle 10: fq_codel
counted 'fq_codel' 192.168.241.2
in_large 'fq_codel'
# A sender of large packets of UDP, which only its buffer limits.
messages=$(stats a tx_packets) packets=$(requests)
at a python3 - << 'END'
import socket
import time

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_UDP, 103, 1000)
for _ in range(20):
    sock.sendto(bytes(40000), ("192.168.241.2", 9))
    time.sleep(0.02)
END
messages=$(($(stats a tx_packets) - messages)) packets=$(($(requests) - packets))
each_alone 'fq_codel, large packets of UDP'
if try at a tc filter add dev eth0 parent 10: matchall classid 10:1 \
	action police rate 10gbit burst 10m mtu "$LARGE" conform-exceed drop; then
	counted 'fq_codel with a filter' 192.168.241.2
	each_alone 'fq_codel with a filter'
else
	skip 'fq_codel with a filter' 'this kernel has none'
fi
for queue in 'pfifo_fast' 'fq'; do
	at a tc qdisc replace dev eth0 root "$queue"
	counted "$queue" 192.168.241.2
	each_alone "$queue"
done
at a tc qdisc del dev eth0 root
if try at a tc qdisc add dev eth0 root handle 1: mq; then
	counted 'forwarded into mq' 192.168.241.2 l
	each_alone 'forwarded into mq'
	at a tc qdisc del dev eth0 root
else
	skip 'mq' 'the device has one queue'
fi

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
fi

# NAT sends it by another device: to the same end, and where somebody looks.
veth a eth1 b eth1
addr a eth1 10.0.9.1/24
addr b eth1 10.0.9.2/24
at a nft -f - << 'END'
table inet t {
	chain out {
		type nat hook output priority dstnat
		ip daddr 10.0.0.9 udp dport 51822 dnat ip to 10.0.9.2
	}
	chain post {
		type nat hook postrouting priority srcnat
		oifname eth1 masquerade
	}
}
END
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.9:51822
check 'DNAT: the tunnel' reaches a 192.168.241.2
at a tc qdisc add dev eth1 clsact
at a tc filter add dev eth1 egress matchall \
	action police rate 10gbit burst 10m mtu "$LARGE" conform-exceed drop
counted 'DNAT to where somebody looks' 192.168.241.2
each_alone 'DNAT to where somebody looks'
like 'and lets all pass' "$(at a tc -s filter show dev eth1 egress)" '*dropped 0,*'
at a tc qdisc del dev eth1 clsact
at a nft flush ruleset
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822

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
is 'a router: no rule sees more than one' "$(counter r inet n_large)" 0
at r nft flush ruleset
at r tc qdisc add dev up0 root handle 1: htb default 10
at r tc class add dev up0 parent 1: classid 1:10 htb rate 10mbit ceil 10mbit quantum 1514
at r tc qdisc add dev up0 parent 1:10 pfifo limit 100
spawn b iperf3 -s -1 -B 192.168.241.2 > /dev/null
eventually listening b 5201
spawn a iperf3 -c 192.168.241.2 -t 8 > /dev/null
# shellcheck disable=SC2154 # spawn sets it
client=$job
sleep 3
waits=$(at r ping -q -i 0.1 -c 30 -W 5 10.6.0.2 | sed -n 's,.*= [0-9.]*/\([0-9]*\)[.].*,\1,p')
wait "$client" || :
note "an echo beside an upload by 10 Mbit/s: $waits ms"
# A hundred packets of a message each are 120 ms.
holds 'a router: its queue holds no more than packets of one message' "${waits:-9999} < 300"

finish
