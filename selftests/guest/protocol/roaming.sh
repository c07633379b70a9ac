#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Peers that change their addresses, source addresses that stick and let go, and devices whose
# sockets are in another namespace.
#
# kernels: uml debug
# timeout: 300
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	debug off
}

debug on
pair
sysctl_set a ipv4/conf/eth0/promote_secondaries 1
sysctl_set b ipv4/conf/eth0/promote_secondaries 1

note 'a peer moves'
check 'at home' reaches a 192.168.241.2
is 'EP-1 the peer is where it was said to be' "$(endpoint b)" 10.0.0.1:51821
at a ip addr add 10.0.0.11/24 dev eth0
at a ip addr del 10.0.0.1/24 dev eth0
check 'a has another address' reaches a 192.168.241.2
is 'EP-1 b follows' "$(endpoint b)" 10.0.0.11:51821
check 'EP-1 and answers there' reaches b 192.168.241.1
at a wg set wg0 listen-port 9999
check 'a has another port' reaches a 192.168.241.2
is 'EP-1 b follows' "$(endpoint b)" 10.0.0.11:9999
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
check 'a goes over IPv6' reaches a 192.168.241.2
is 'EP-1 b follows' "$(endpoint b)" '[fd00:aa::1]:9999'
check 'EP-1 and answers there' reaches b 192.168.241.1
at a ip addr add fd00:aa::11/64 dev eth0 nodad
at a ip addr del fd00:aa::1/64 dev eth0
check 'a has another IPv6 address' reaches a fd00::2
is 'EP-1 b follows' "$(endpoint b)" '[fd00:aa::11]:9999'
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
check 'a goes back to IPv4' reaches a fd00::2
is 'EP-1 b follows' "$(endpoint b)" 10.0.0.11:9999
at b ip addr add 10.0.0.12/24 dev eth0
at b ip addr del 10.0.0.2/24 dev eth0
check 'b moves and speaks first' reaches b 192.168.241.1
is 'EP-1 a follows, too' "$(endpoint a)" 10.0.0.12:51822
at b wg set wg0 listen-port 9998
check 'b has another port and speaks first' reaches b 192.168.241.1
is 'EP-1 a follows' "$(endpoint a)" 10.0.0.12:9998
at b wg set wg0 peer "$PUB_A" endpoint '[fd00:aa::11]:9999'
check 'b goes over IPv6' reaches b 192.168.241.1
is 'EP-1 a follows' "$(endpoint a)" '[fd00:aa::2]:9998'
before=$(endpoint b)
at a python3 -c 'import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.11", 4444))
for size in (0, 32, 64, 92, 148, 1000):
    for kind in (1, 2, 3, 4):
        s.sendto(bytes([kind]) + os.urandom(size), ("10.0.0.12", 9998))
'
check 'noise from elsewhere' reaches b 192.168.241.1
is 'EP-1 nobody follows that' "$(endpoint b)" "$before"
have_link_local() {
	[[ $(at a ip -6 -o addr show dev eth0 scope link) && ! $(at a ip -6 -o addr show dev eth0 tentative) ]]
}
eventually have_link_local
link_local=$(at a ip -6 -o addr show dev eth0 scope link | awk '{ sub("/.*", "", $4); print $4 }')
at b wg set wg0 peer "$PUB_A" endpoint "[$link_local%eth0]:9999"
check 'EP-2 a link-local endpoint' reaches b 192.168.241.1
is 'EP-2 it has its scope' "$(endpoint b)" "[$link_local%eth0]:9999"
like 'EP-2 so has what the other learned' "$(endpoint a)" '[[]fe80::*%eth0]:9998'
check 'EP-2 and that works' reaches a 192.168.241.2
untunnel

note 'source addresses that stick'
at a ip addr flush dev eth0
at b ip addr flush dev eth0
addr a eth0 10.0.0.1/24 fd00:aa::1/64
addr b eth0 10.0.0.2/24 10.0.0.22/24 fd00:aa::2/64 fd00:aa::22/64
at b ip link add dummy0 type dummy
at b ip link set dummy0 up
addr b dummy0 10.50.0.1/24 fd50::1/64
at a ip route add 10.50.0.0/24 via 10.0.0.2
at a ip route add fd50::/64 via fd00:aa::2
tunnel
for there in 10.0.0.22 10.0.0.2 10.50.0.1 '[fd00:aa::22]' '[fd00:aa::2]' '[fd50::1]'; do
	at a wg set wg0 peer "$PUB_B" endpoint "$there:51822"
	check "EP-2 b is addressed as $there" reaches a 192.168.241.2
	is "EP-2 and answers as $there" "$(endpoint a)" "$there:51822"
done
# forgets HOW COMMAND...: after it, b takes the address that its routes prefer.
forgets() {
	local how=$1
	shift
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.22:51822
	reaches a 192.168.241.2
	is "$how: b sticks to its address" "$(endpoint a)" 10.0.0.22:51822
	check "$how: goes well" at b "$@"
	reaches b 192.168.241.1
	like "$how: b has forgotten it" "$(endpoint a)" 10.0.0.2:*
}
forgets 'EP-5 the same mark again' wg set wg0 fwmark 0
forgets 'EP-5 the endpoint' wg set wg0 peer "$PUB_A" endpoint 10.0.0.1:51821
forgets 'EP-5 another port' wg set wg0 listen-port 51832
at b wg set wg0 listen-port 51822
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.22:51822
reaches a 192.168.241.2
at b wg set wg0 listen-port 51822
reaches b 192.168.241.1
is 'SET-3 the same port again: b sticks to its address' "$(endpoint a)" 10.0.0.22:51822
at b ip addr del 10.0.0.22/24 dev eth0
check 'EP-3 the address goes away' reaches b 192.168.241.1
is 'EP-3 and b takes another one' "$(endpoint a)" 10.0.0.2:51822
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::22]:51822'
reaches a 192.168.241.2
at b ip addr del fd00:aa::22/64 dev eth0
check 'EP-3 the IPv6 address goes away' reaches b 192.168.241.1
is 'EP-3 and b takes another one' "$(endpoint a)" '[fd00:aa::2]:51822'
at a wg set wg0 peer "$PUB_B" endpoint 10.50.0.1:51822
reaches a 192.168.241.2
at b ip link del dummy0
check 'EP-3 the interface goes away' reaches b 192.168.241.1
is 'EP-3 and b takes another one' "$(endpoint a)" 10.0.0.2:51822
veth a eth1 b eth1
addr a eth1 10.0.1.1/24
addr b eth1 10.0.1.2/24
sysctl_set a ipv4/conf/all/rp_filter 0
sysctl_set a ipv4/conf/eth0/rp_filter 0
sysctl_set b ipv4/conf/all/rp_filter 0
sysctl_set b ipv4/conf/eth1/rp_filter 0
at b ip route add 10.0.0.1/32 via 10.0.1.1 dev eth1 src 10.0.1.2
check 'EP-3 EP-4 another way is better' reaches b 192.168.241.1
is 'EP-3 EP-4 and b takes it, with its address' "$(endpoint a)" 10.0.1.2:51822
untunnel

note 'sockets in another namespace'
ns c
at a ip link add wg0 netns "$RUN-c" type wireguard
at b ip link add wg0 type wireguard
addr b wg0 192.168.241.2/24
at c wg set wg0 private-key "$TMP/key-a" listen-port 51821 \
	peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822
at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 peer "$PUB_A" allowed-ips 192.168.241.1/32
# arrive NAME: gives back what a device loses when it is moved.
arrive() {
	addr "$1" wg0 192.168.241.1/24
	at "$1" ip link set wg0 up
}
arrive c
at b ip link set wg0 up
is 'LNK-3 made for another namespace: sockets stay' "$(ports a) $(ports c)" $'v4 51821\nv6 51821 '
check 'LNK-3 it works' reaches c 192.168.241.2
at c ip link set wg0 netns "$RUN-a"
arrive a
is 'LNK-4 moved home: the same sockets' "$(ports a)" $'v4 51821\nv6 51821'
check 'LNK-4 it works' reaches a 192.168.241.2
at a ip link set wg0 netns "$RUN-c"
arrive c
is 'LNK-4 and away again' "$(ports a) $(ports c)" $'v4 51821\nv6 51821 '
check 'LNK-4 it works' reaches c 192.168.241.2
check 'SET-5 the port can be changed from there' at c wg set wg0 listen-port 51831
is 'SET-5 it is changed where the sockets are' "$(ports a) $(ports c)" $'v4 51831\nv6 51831 '
check 'SET-5 it works' reaches c 192.168.241.2
at c ip link del wg0
check 'LNK-3 link-netns' at c ip link add wg0 link-netns "$RUN-a" type wireguard
at c wg set wg0 private-key "$TMP/key-a" listen-port 51841 \
	peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822
arrive c
is 'LNK-3 says where the sockets are' "$(ports a) $(ports c)" $'v4 51841\nv6 51841 '
check 'LNK-3 it works' reaches c 192.168.241.2

note 'a namespace that dies'
log_mark
ns_del a
no_carrier() {
	[[ $(sysfs c wg0/carrier) == 0 ]]
}
check 'EV-1 no carrier' eventually no_carrier
like 'EV-1 the log says why' "$(log)" '*wg0: Creating namespace exiting*'
refuses 'EV-1 nothing comes through' '*' at c ping -n -q -c 1 -W 1 192.168.241.2
check 'GET-7 wg shows it' at c wg show wg0
refuses 'SET-1 no port' '*Operation not permitted*' at c wg set wg0 listen-port 1
refuses 'SET-1 no mark' '*Operation not permitted*' at c wg set wg0 fwmark 1
check 'SET-1 but peers' at c wg set wg0 peer "$PUB_B" persistent-keepalive 1
at c ip link set wg0 down
refuses 'UP-2 not up again' '*Machine is not on the network*' at c ip link set wg0 up
at b ip link del wg0
check 'it can be moved' at c ip link set wg0 netns "$RUN-b"
check 'it can be deleted' at b ip link del wg0
ns d e
at d ip link add wg3 type wireguard
at e ip link add wg4 type wireguard
at d ip link set wg3 netns "$RUN-e"
at e ip link set wg4 netns "$RUN-d"
at e ip link set wg3 up
at d ip link set wg4 up
log_mark
ns_del d e
both_gone() {
	local text
	text=$(log)
	[[ $text == *'wg3: Interface destroyed'* && $text == *'wg4: Interface destroyed'* ]]
}
check 'EV-1 namespaces with the sockets of each other go' eventually both_gone
ns d e
veth d eth0 e eth0
addr d eth0 fd00:aa::1/64
addr e eth0 fd00:aa::2/64
at d ip -6 route add default via fd00:aa::2
at e ip -6 route add default via fd00:aa::1
for side in 'd A B 1 2' 'e B A 2 1'; do
	read -r name own other here there <<< "$side"
	other=PUB_$other
	at "$name" ip link add "wg5$name" type wireguard
	at "$name" wg set "wg5$name" private-key "$TMP/key-${own,}" listen-port "$here" \
		peer "${!other}" allowed-ips "192.168.9.$there/32" endpoint "[fd00:aa::$there]:$there"
	addr "$name" "wg5$name" "192.168.9.$here/24"
	at "$name" ip link set "wg5$name" up
done
check 'routes are cached' reaches d 192.168.9.2
log_mark
ns_del d e
routes_gone() {
	local text
	text=$(log)
	[[ $text == *'wg5d: Interface destroyed'* && $text == *'wg5e: Interface destroyed'* ]]
}
check 'EV-1 namespaces with cached routes go' eventually routes_gone

finish
