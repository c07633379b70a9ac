#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# When a packet cannot be sent its source is told, also if that is behind NAT; and when not.
#
# kernels: uml debug
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# A host h behind a router a, whose wg0 leads to b; a hides h.
cable
tunnel
ns h
veth h eth0 a eth1
addr h eth0 10.1.0.2/24 fd01::2/64
addr a eth1 10.1.0.1/24 fd01::1/64
at h ip route add default via 10.1.0.1
at h ip -6 route add default via fd01::1
sysctl_set a ipv4/ip_forward 1
sysctl_set a ipv6/conf/all/forwarding 1
at a nft -f - << 'END'
table inet nat {
	chain after {
		type nat hook postrouting priority 100
		oifname "wg0" masquerade
	}
}
END
# unreachable: ICMP and ICMPv6 messages of that kind that a has sent.
unreachable() {
	at a nstat -asz IcmpOutDestUnreachs Icmp6OutDestUnreachs | awk '/Icmp/ { print $2 }' | xargs
}
check 'TX-5 NET-14 the host reaches b' reaches h 192.168.241.2
check 'TX-5 and over IPv6' reaches h fd00::2
before=$(unreachable)
errors=$(stats a tx_errors)
refuses 'TX-2 TX-5 NET-14 no peer: the host is told' '*From 10.1.0.1 *Destination Host Unreachable*' \
	at h ping -n -c 1 -W 5 192.168.241.77
refuses 'TX-2 TX-5 no peer, IPv6' '*From fd01::1 *Destination unreachable: Address unreachable*' \
	at h ping -n -c 1 -W 5 fd00::77
at a wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.3/32,fd00::3/128
refuses 'TX-3 TX-5 NET-14 no endpoint: the host is told' '*From 10.1.0.1 *Destination Host Unreachable*' \
	at h ping -n -c 1 -W 5 192.168.241.3
refuses 'TX-3 TX-5 no endpoint, IPv6' '*From fd01::1 *Destination unreachable: Address unreachable*' \
	at h ping -n -c 1 -W 5 fd00::3
is 'TX-2 four errors' "$(stats a tx_errors)" $((errors + 4))
is 'TX-2 two messages of each kind' "$(unreachable)" "$((${before% *} + 2)) $((${before#* } + 2))"

note 'what nobody is told'
before=$(unreachable)
at a wg set wg0 peer "$PUB_C" endpoint 10.0.0.99:9
at a ip route add blackhole 10.0.0.99/32
refuses 'TX-6 a handshake in vain' '*100% packet loss*' at h ping -n -q -c 3 -i 0.2 -W 1 192.168.241.3
at h python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(300):
    s.sendto(b"x" * 100, ("192.168.241.3", 1))
'
dropped() {
	(($(stats a tx_dropped) >= 100))
}
check 'TX-6 more than can wait' eventually dropped
at a ip link set eth0 down
refuses 'TX-6 a session, and no route' '*100% packet loss*' at h ping -n -q -c 3 -i 0.2 -W 1 192.168.241.2
is 'TX-6 not a word of all that' "$(unreachable)" "$before"
is 'TX-6 nor an error' "$(stats a tx_errors)" $((errors + 4))

finish
