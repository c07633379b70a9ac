#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ifupdown, unmodified: an interface of its own from /etc/network/interfaces, as many have it.
#
# kernels: uml debug
# timeout: 90
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

cable
at b ip link add wg0 type wireguard
at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128
addr b wg0 192.168.241.2/24 fd00::2/112
at b ip link set wg0 up

cat > "$TMP/wg0.conf" << END
[Interface]
PrivateKey = $KEY_A
ListenPort = 51821
[Peer]
PublicKey = $PUB_B
AllowedIPs = 192.168.241.2/32, fd00::2/128
Endpoint = 10.0.0.2:51822
END
cat > "$TMP/interfaces" << END
auto wg0
iface wg0 inet static
	address 192.168.241.1/24
	mtu 1400
	pre-up ip link add \$IFACE type wireguard
	pre-up wg setconf \$IFACE $TMP/wg0.conf
	post-down ip link del \$IFACE
iface wg0 inet6 static
	address fd00::1/112
	dad-attempts 0
END
# The state is that of this machine, not of a namespace.
mkdir -p /run/network
up_down() {
	at_sys a "$1" --interfaces="$TMP/interfaces" "${@:2}"
}
undo() {
	rm -rf /run/network
}

check 'ifup' up_down ifup wg0
is 'the state' "$(up_down ifquery --state)" 'wg0=wg0'
is 'the address' "$(at a ip -4 -o addr show dev wg0 | awk '{ print $4 }')" 192.168.241.1/24
is 'the other one' "$(at a ip -6 -o addr show dev wg0 | awk '{ print $4 }')" fd00::1/112
is 'the MTU' "$(sysfs a wg0/mtu)" 1400
is 'the port' "$(at a wg show wg0 listen-port)" 51821
check 'the peer is there' reaches a 192.168.241.2
check 'over IPv6, too' reaches a fd00::2
check 'ifdown' up_down ifdown wg0
refuses 'the device is gone' '*does not exist*' at a ip link show wg0
check 'up with all that is auto' up_down ifup -a
check 'the peer is there again' reaches a 192.168.241.2
check 'and down' up_down ifdown -a

finish
