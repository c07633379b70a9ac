#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# IPv6 switched off by sysctl, in the tunnel and outside of it, and endpoints with scopes.
#
# kernels: uml debug
# timeout: 180
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

pair
check 'the tunnel' reaches a 192.168.241.2

note 'IPv6 off in the tunnel'
sysctl_set a ipv6/conf/wg0/disable_ipv6 1
is 'MODE-4 no IPv6 address' "$(at a ip -6 addr show dev wg0)" ''
check 'MODE-4 IPv4 goes on' pings a 192.168.241.2
refuses 'MODE-4 IPv6 does not' '*' at b ping -n -q -c 2 -i 0.2 -W 1 fd00::1
is 'MODE-4 that is no error of the device' "$(stats a rx_errors rx_frame_errors rx_length_errors)" '0 0 0'
at a ip link set wg0 down
at a ip link set wg0 up
check 'MODE-4 not after down and up either' reaches a 192.168.241.2
sysctl_set a ipv6/conf/wg0/disable_ipv6 0
addr a wg0 fd00::1/112
check 'MODE-4 on again' reaches a fd00::2
sysctl_set a ipv6/conf/wg0/addr_gen_mode 0
at a ip link set wg0 down
at a ip link set wg0 up
is 'MODE-4 no address of its own, even if it shall have one' "$(at a ip -6 addr show dev wg0 scope link)" ''
addr a wg0 fd00::1/112

note 'IPv6 off outside'
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
check 'MODE-5 over IPv6' reaches a 192.168.241.2
sysctl_set a ipv6/conf/eth0/disable_ipv6 1
refuses 'MODE-5 no way' '*' at a ping -n -q -c 2 -i 0.2 -W 1 192.168.241.2
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
check 'MODE-5 over IPv4' reaches a 192.168.241.2
sysctl_set a ipv6/conf/eth0/disable_ipv6 0
addr a eth0 fd00:aa::1/64
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
check 'MODE-5 over IPv6 again' reaches a 192.168.241.2
untunnel
sysctl_set a ipv6/conf/all/disable_ipv6 1
sysctl_set a ipv6/conf/default/disable_ipv6 1
at a ip link add wg0 type wireguard
at a wg set wg0 private-key "$TMP/key-a" listen-port 51821 \
	peer "$PUB_B" allowed-ips 0.0.0.0/0,::/0 endpoint 10.0.0.2:51822
addr a wg0 192.168.241.1/24
check 'MODE-5 off everywhere: the device comes up' at a ip link set wg0 up
is 'MODE-5 off everywhere: there are both sockets' "$(ports a)" $'v4 51821\nv6 51821'
at b ip link add wg0 type wireguard
at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 peer "$PUB_A" allowed-ips 192.168.241.1/32
addr b wg0 192.168.241.2/24
at b ip link set wg0 up
check 'MODE-5 off everywhere: IPv4' reaches a 192.168.241.2
check 'MODE-5 off everywhere: a file' copy b a 192.168.241.1
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
is 'MODE-5 off everywhere: an IPv6 endpoint can be set' "$(endpoint a)" '[fd00:aa::2]:51822'
before=$(sent a)
refuses 'MODE-5 off everywhere: but not be sent to' '*' at a ping -n -q -c 2 -i 0.2 -W 1 192.168.241.2
is 'MODE-5 off everywhere: what is not sent is not counted' "$(sent a)" "$before"
check 'MODE-5 off everywhere: until the peer is heard' reaches b 192.168.241.1
is 'MODE-5 off everywhere: where it is' "$(endpoint a)" 10.0.0.2:51822
sysctl_set a ipv6/conf/all/disable_ipv6 0
untunnel

note 'endpoints with scopes'
# Two cables, with the same addresses on both.
veth a eth1 b eth1
for name in a b; do
	for device in eth0 eth1; do
		at "$name" ip -6 addr flush dev "$device" scope link
		addr "$name" "$device" "fe80::$([[ $name == a ]] && echo 1 || echo 2)/64"
	done
done
tunnel
# counted DEVICE: packets that a sends there.
counted() {
	sysfs a "$1/statistics/tx_packets"
}
for device in eth0 eth1 eth0; do
	other=$([[ $device == eth0 ]] && echo eth1 || echo eth0)
	at a wg set wg0 peer "$PUB_B" endpoint "[fe80::2%$device]:51822"
	is "MODE-6 $device: the endpoint" "$(endpoint a)" "[fe80::2%$device]:51822"
	check "MODE-6 $device: an echo" reaches a 192.168.241.2
	before=$(counted "$device") others=$(counted "$other")
	check "MODE-6 $device: ten" pings a 192.168.241.2
	holds "MODE-6 $device: they go that way" "$(counted "$device") - $before >= 10"
	holds "MODE-6 $device: and not the other" "$(counted "$other") - $others < 10"
	is "MODE-6 $device: the peer has learned which way" "$(endpoint b)" "[fe80::1%$device]:51821"
	check "MODE-6 $device: a file" copy b a 192.168.241.1
done
at a wg set wg0 peer "$PUB_B" endpoint '[fe80::2]:51822'
check 'MODE-6 without a scope it is the route that decides' reaches a 192.168.241.2
at a wg set wg0 peer "$PUB_B" endpoint "[fe80::2%eth0]:51822"
check 'MODE-6 with it, it is' reaches a 192.168.241.2
at a ip link set eth0 down
at a ip link set eth0 name cable
at a ip link set cable up
addr a cable fe80::1/64
is 'MODE-6 a scope is not a name' "$(endpoint a)" '[fe80::2%cable]:51822'
check 'MODE-6 and so survives another' reaches a 192.168.241.2
number=$(sysfs a cable/ifindex)
at a ip link del cable
like 'MODE-6 one that is gone is a number' "$(endpoint a)" "[[]fe80::2%*$number]:51822"
refuses 'MODE-6 and leads nowhere' '*' at a ping -n -q -c 1 -W 1 192.168.241.2
check 'MODE-6 the other way still works' eventually at b bash -c "wg set wg0 peer $PUB_A endpoint '[fe80::1%eth1]:51821'
	ping -n -q -c 1 -W 2 192.168.241.1"
is 'MODE-6 and is learned' "$(endpoint a)" '[fe80::2%eth1]:51822'

finish
