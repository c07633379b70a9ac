#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that come to the device, or leave it, by ways of their own: tc's redirections and mirrors,
# flow tables, lightweight tunnels, copies.
#
# kernels: uml debug
# timeout: 240
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

# A host c behind a, whose packets the tunnel takes to b.
pair
ns c
veth c eth0 a lan
addr c eth0 10.9.0.2/24 fd00:9::2/64
addr a lan 10.9.0.1/24 fd00:9::1/64
at c ip route add default via 10.9.0.1
at c ip -6 route add default via fd00:9::1
at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128,10.9.0.0/24,fd00:9::/64
at b ip route add 10.9.0.0/24 dev wg0
at b ip -6 route add fd00:9::/64 dev wg0
sysctl_set a ipv4/conf/all/forwarding 1
sysctl_set a ipv6/conf/all/forwarding 1
# What was forwarded by a needs no resolution of addresses when it is taken past the stack.
check 'forwarded by a' reaches c 192.168.241.2
check 'over IPv6' reaches c fd00::2

note 'tc: redirected to the device'
at a tc qdisc add dev lan clsact
at a tc filter add dev lan ingress protocol ip pref 1 flower dst_ip 192.168.241.2 \
	action mirred egress redirect dev wg0
at a tc filter add dev lan ingress protocol ipv6 pref 2 flower dst_ip fd00::2 \
	action mirred egress redirect dev wg0
sysctl_set a ipv4/conf/all/forwarding 0
sysctl_set a ipv6/conf/all/forwarding 0
before=$(received b)
# packets DEVICE COUNTER: of a.
packets() {
	sysfs a "$1/statistics/$2"
}
at c ping -n -q -c 10 -i 0.01 -W 1 192.168.241.2 > /dev/null || true
at c ping -n -q -c 10 -i 0.01 -W 1 fd00::2 > /dev/null || true
arrived() {
	(($(received b) >= before + 20 * 128))
}
check 'MODE-11 arrive at the peer' eventually arrived
at a tc filter del dev lan ingress pref 1
at a tc filter del dev lan ingress pref 2
sysctl_set a ipv4/conf/all/forwarding 1
sysctl_set a ipv6/conf/all/forwarding 1

note 'tc: from the device, mirrored'
at a ip link add mon type dummy
at a ip link set mon up
sysctl_set a ipv6/conf/mon/disable_ipv6 1
at a tc qdisc add dev wg0 clsact
at a tc filter add dev wg0 ingress protocol all pref 1 matchall action mirred egress mirror dev mon
before=$(packets mon tx_packets)
check 'MODE-12 echoes' pings c 192.168.241.2
is 'MODE-12 what arrives is seen' "$(($(packets mon tx_packets) - before))" 10
at a tc filter add dev wg0 egress protocol all pref 1 matchall action mirred egress mirror dev mon
before=$(packets mon tx_packets)
check 'MODE-12 echoes' pings c fd00::2
is 'MODE-12 and so is what is sent' "$(($(packets mon tx_packets) - before))" 20
check 'MODE-12 a file' copy c b 192.168.241.2
check 'MODE-12 a file, back' copy b c fd00:9::2
at a tc filter del dev wg0 egress pref 1
at a tc filter del dev wg0 ingress pref 1

note 'tc: from the device, redirected'
# To the host behind a, without a's routing: with a header for Ethernet made by tc.
at a tc filter add dev wg0 ingress protocol ip pref 1 flower dst_ip 10.9.0.2 \
	action mirred egress redirect dev mon
before=$(packets mon tx_packets)
refuses 'MODE-12 nothing comes back' '*' at c ping -n -q -c 3 -i 0.1 -W 1 192.168.241.2
is 'MODE-12 because it went elsewhere' "$(($(packets mon tx_packets) - before))" 3
at a tc filter del dev wg0 ingress pref 1
at a tc filter add dev wg0 egress protocol ip pref 1 matchall action drop
before=$(stats a tx_packets)
refuses 'MODE-12 dropped on the way out' '*' at c ping -n -q -c 3 -i 0.1 -W 1 192.168.241.2
is 'MODE-12 is not sent' "$(($(stats a tx_packets) - before))" 0
at a tc filter del dev wg0 egress pref 1
at a tc qdisc del dev wg0 clsact
check 'MODE-12 as it was' reaches c 192.168.241.2

note 'tc: queues on the device'
at a tc qdisc add dev wg0 root netem delay 20ms
like 'MODE-13 a delay' "$(at c ping -n -q -c 3 -i 0.2 -W 10 192.168.241.2)" '*rtt min/avg/max/mdev = [2-9][0-9].*'
at a tc qdisc replace dev wg0 root fq
check 'MODE-13 fair queueing' copy c b 192.168.241.2
at a tc qdisc replace dev wg0 root tbf rate 20mbit burst 64kb latency 100ms
check 'MODE-13 a token bucket, which takes packets apart' copy c b fd00::2
at a tc qdisc del dev wg0 root

note 'a flow table'
at a nft -f - << 'END'
table inet filter {
	flowtable fast {
		hook ingress priority 0
		devices = { lan, wg0 }
	}
	chain forward {
		type filter hook forward priority 0
		meta l4proto tcp flow add @fast
	}
}
END
for run in 1 2; do
	check "MODE-14 a file, $run" copy c b 192.168.241.2
	check "MODE-14 a file, back, $run" copy b c 10.9.0.2
	check "MODE-14 a file over IPv6, $run" copy c b fd00::2
	check "MODE-14 a file over IPv6, back, $run" copy b c fd00:9::2
done
spawn b iperf3 -s -1 -B 192.168.241.2 > /dev/null
server=$job
eventually listening b 5201
spawn c iperf3 -c 192.168.241.2 -t 3 > /dev/null
client=$job
offloaded() {
	[[ $(at a conntrack -L -p tcp 2> /dev/null) == *'[OFFLOAD]'* ]]
}
check 'MODE-14 they are in the flow table' eventually offloaded
wait "$client" "$server"
at a nft flush ruleset
check 'MODE-14 without it' copy c b 192.168.241.2

note 'copies and tunnels of routes'
at a ip6tables -t mangle -A PREROUTING -i lan -j TEE --gateway fd00::2
at a iptables -t mangle -A PREROUTING -i lan -j TEE --gateway 192.168.241.2
before=$(stats a tx_packets)
check 'MODE-15 each packet and a copy of it' pings c 192.168.241.2
is 'MODE-15 are sent' "$(($(stats a tx_packets) - before))" 20
check 'MODE-15 a file and a copy of it' copy c b 192.168.241.2
check 'MODE-15 over IPv6, too' copy c b fd00::2
at a iptables -t mangle -F
at a ip6tables -t mangle -F
check 'MODE-15 a route with metadata for tunnels' at a ip route replace 192.168.241.2/32 \
	encap ip id 7 dst 10.0.0.2 dev wg0
check 'MODE-15 is a route like others' pings a 192.168.241.2
check 'MODE-15 and a file' copy a b 192.168.241.2

finish
