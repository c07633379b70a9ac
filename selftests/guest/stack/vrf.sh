#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Virtual routing and forwarding: the tunnel in a VRF, and the way to the peer in one.
#
# kernels: uml debug
# timeout: 180
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

# vrf NAME DEVICE TABLE
vrf() {
	at "$1" ip link add "$2" type vrf table "$3"
	at "$1" ip link set "$2" up
	at "$1" ip route add unreachable default table "$3" metric 4278198272
	at "$1" ip -6 route add unreachable default table "$3" metric 4278198272
}
# echoes VRF NAME ADDRESS
echoes() {
	eventually at "$2" ping -n -q -c 3 -i 0.2 -W 2 -I "$1" "$3"
}

note 'the tunnel in a VRF'
pair
vrf a blue 100
at a ip link set wg0 master blue
# A device loses its IPv6 addresses' routes when it changes its VRF.
at a ip addr replace fd00::1/112 dev wg0 nodad
check 'MODE-1 IPv4' echoes blue a 192.168.241.2
check 'MODE-1 IPv6' echoes blue a fd00::2
refuses 'MODE-1 not outside of it' '*' at a ping -n -q -c 1 -W 1 192.168.241.2
check 'MODE-1 the peer reaches what is in it' reaches b 192.168.241.1
check 'MODE-1 over IPv6, too' reaches b fd00::1
is 'MODE-1 its routes' "$(at a ip route show vrf blue | grep -c 'dev wg0')" 1
spawn a ncat -l -p 5000 > "$TMP/outside"
outside=$job
eventually listening a 5000
refuses 'MODE-1 a server outside of it is not reached' '*' at b timeout 5 ncat -w 2 192.168.241.1 5000
stop "$outside"
sysctl_set a ipv4/tcp_l3mdev_accept 1
check 'MODE-1 one for all VRFs is' copy b a 192.168.241.1
at a ip link set wg0 nomaster
at a ip addr replace fd00::1/112 dev wg0 nodad
check 'MODE-1 out of it again' reaches a 192.168.241.2
refuses 'MODE-1 and not in it' '*' at a ping -n -q -c 1 -W 1 -I blue 192.168.241.2

note 'the way in a VRF'
vrf a red 200
at a ip link set eth0 master red
at a ip addr replace fd00:aa::1/64 dev eth0 nodad
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
refuses 'MODE-2 without further ado there is no way' '*' at a ping -n -q -c 1 -W 1 192.168.241.2
at a wg set wg0 fwmark 200
at a ip rule add fwmark 200 lookup 200 pref 500
at a ip -6 rule add fwmark 200 lookup 200 pref 500
sysctl_set a ipv4/udp_l3mdev_accept 1
check 'MODE-2 with a mark and a rule there is' reaches a 192.168.241.2
check 'MODE-2 a file goes out' copy a b 192.168.241.2
check 'MODE-2 a file comes in' copy b a 192.168.241.1
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
check 'MODE-2 IPv6 outside' reaches a fd00::2
is 'MODE-2 the peer follows' "$(endpoint b)" '[fd00:aa::1]:51821'
check 'MODE-2 a file goes out' copy a b fd00::2
check 'MODE-2 a file comes in' copy b a fd00::1
at b ip link set wg0 down
at b ip link set wg0 up
at b ip addr replace fd00::2/112 dev wg0 nodad
check 'MODE-2 the other one may begin' reaches b 192.168.241.1

note 'both, each its own'
at a ip link set wg0 master blue
at a ip addr replace fd00::1/112 dev wg0 nodad
check 'MODE-3 IPv4' echoes blue a 192.168.241.2
check 'MODE-3 IPv6' echoes blue a fd00::2
at a ip link del blue
at a ip addr replace fd00::1/112 dev wg0 nodad
check 'MODE-3 without the VRF again' reaches a 192.168.241.2
at a ip link del red
at a ip addr replace fd00:aa::1/64 dev eth0 nodad
at a wg set wg0 fwmark 0
check 'MODE-3 without the VRF of the way, too' reaches a 192.168.241.2

finish
