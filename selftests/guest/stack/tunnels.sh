#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tunnels in tunnels, what else is in tunnels (VXLAN in a bridge, GRE), and tunnels that lead into
# themselves.
#
# kernels: uml debug
# timeout: 240
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

pair
check 'the tunnel' reaches a 192.168.241.2

note 'tunnels in a tunnel'
# nest LEVEL A B: wg$LEVEL between the addresses A and B.
nest() {
	local level=$1
	at a ip link add "wg$level" mtu $((1420 - 80 * level)) type wireguard
	at b ip link add "wg$level" mtu $((1420 - 80 * level)) type wireguard
	at a wg set "wg$level" private-key "$TMP/key-a" listen-port $((52000 + level)) \
		peer "$PUB_B" allowed-ips "10.$level.0.2/32,fd00:$level::2/128" endpoint "$3:$((53000 + level))"
	at b wg set "wg$level" private-key "$TMP/key-b" listen-port $((53000 + level)) \
		peer "$PUB_A" allowed-ips "10.$level.0.1/32,fd00:$level::1/128" endpoint "$2:$((52000 + level))"
	addr a "wg$level" "10.$level.0.1/24"
	addr b "wg$level" "10.$level.0.2/24"
	at a ip link set "wg$level" up
	at b ip link set "wg$level" up
	((level > 1)) || {
		addr a "wg$level" "fd00:$level::1/64"
		addr b "wg$level" "fd00:$level::2/64"
	}
}
nest 1 192.168.241.1 192.168.241.2
check 'MODE-7 two: an echo' reaches a 10.1.0.2
check 'MODE-7 two: a file' copy a b 10.1.0.2
check 'MODE-7 two: over IPv6' copy b a fd00:1::1
nest 2 10.1.0.1 10.1.0.2
nest 3 10.2.0.1 10.2.0.2
nest 4 10.3.0.1 10.3.0.2
check 'MODE-7 five: an echo' reaches b 10.4.0.1
check 'MODE-7 five: large ones' pings a 10.4.0.2 -s 20000
check 'MODE-7 five: a file' copy a b 10.4.0.2
check 'MODE-7 five: a file, back' copy b a 10.4.0.1
for level in 4 3 2 1; do
	at a ip link del wg$level
	at b ip link del wg$level
done
nest 1 '[fd00::1]' '[fd00::2]'
check 'MODE-7 in IPv6: a file' copy a b fd00:1::2
at a ip link del wg1
at b ip link del wg1

note 'Ethernet through the tunnel'
ns c d
for pair in a:c:1 b:d:2; do
	IFS=: read -r router host number <<< "$pair"
	veth "$router" lan "$host" eth0
	addr "$host" eth0 "10.9.0.$number/24" "fd00:9::$number/64"
	at "$host" ip link set eth0 mtu 1370
	at "$router" ip link add br0 type bridge
	at "$router" ip link add vx0 type vxlan id 7 local "192.168.241.$number" \
		remote "192.168.241.$((3 - number))" dstport 4789 dev wg0
	at "$router" ip link set vx0 master br0
	at "$router" ip link set lan master br0
	at "$router" ip link set vx0 up
	at "$router" ip link set br0 up
done
check 'MODE-8 VXLAN in a bridge: an echo' reaches c 10.9.0.2
check 'MODE-8 VXLAN in a bridge: IPv6' reaches d fd00:9::1
check 'MODE-8 VXLAN in a bridge: a file' copy c d 10.9.0.2
check 'MODE-8 VXLAN in a bridge: a file, back' copy d c fd00:9::1
at c ethtool -K eth0 tso off gso off tx off > /dev/null
at d ethtool -K eth0 tso off gso off tx off > /dev/null
check 'MODE-8 VXLAN in a bridge: a file without offloads' copy c d fd00:9::2
for router in a b; do
	at "$router" ip link del vx0
	number=$([[ $router == a ]] && echo 1 || echo 2)
	at "$router" ip link add gre1 type gretap local "192.168.241.$number" remote "192.168.241.$((3 - number))"
	at "$router" ip link set gre1 master br0 up
done
check 'MODE-8 GRE in a bridge: an echo' reaches c 10.9.0.2
check 'MODE-8 GRE in a bridge: a file' copy c d fd00:9::2
check 'MODE-8 GRE in a bridge: a file, back' copy d c 10.9.0.1
at c ethtool -K eth0 tso on gso on tx on > /dev/null
check 'MODE-8 GRE in a bridge: a file with offloads' copy c d 10.9.0.2

note 'devices on top'
refuses 'MODE-9 it is no port of a bridge' '*' at a ip link set wg0 master br0
refuses 'MODE-9 nor of a macvlan' '*' at a ip link add link wg0 name mv0 type macvlan
modprobe bonding max_bonds=0
at a ip link add bond0 type bond mode active-backup
at a ip link set wg0 down
check 'MODE-9 but of a bond' at a ip link set wg0 master bond0
at a ip link del bond0
at a ip link set wg0 up
addr a wg0 fd00::1/112
check 'the tunnel is as before' reaches a 192.168.241.2

note 'into itself'
# The endpoint is reached through the tunnel: all that is sent comes back, 32 bytes and headers more.
at a ip route add 10.99.0.0/24 dev wg0
at a wg set wg0 peer "$PUB_C" allowed-ips 10.99.0.0/24 endpoint 10.99.0.1:51999
before=$(stats a tx_bytes)
at a ping -n -q -c 5 -i 0.1 -W 1 10.99.0.1 > /dev/null || true
sleep 1
holds 'MODE-10 nothing is let loose' "$(stats a tx_bytes) - $before < 70000"
check 'MODE-10 and others get through' reaches a 192.168.241.2
at a wg set wg0 peer "$PUB_C" remove
# Two that need each other.
at a ip link add wg1 type wireguard
at a wg set wg1 private-key "$TMP/key-a" peer "$PUB_B" allowed-ips 10.98.0.0/24 endpoint 10.97.0.1:1
at a ip link set wg1 up
at a ip route add 10.98.0.0/24 dev wg1
at a wg set wg0 peer "$PUB_C" allowed-ips 10.97.0.0/24 endpoint 10.98.0.1:1
at a ip route add 10.97.0.0/24 dev wg0
at a ping -n -q -c 5 -i 0.1 -W 1 10.98.0.1 > /dev/null || true
sleep 1
holds 'MODE-10 two that lead into each other: nothing is let loose' \
	"$(stats a tx_bytes) + $(sysfs a wg1/statistics/tx_bytes) - $before < 140000"
check 'MODE-10 and others get through' reaches a 192.168.241.2

finish
