#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel whose IPv6 was disabled when it was started.
#
# kernels: uml debug
# timeout: 60
# slow: debug
# append: ipv6.disable=1

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

ns a b
veth a eth0 b eth0
addr a eth0 10.0.0.1/24
addr b eth0 10.0.0.2/24
for name in a b; do
	at "$name" ip link add wg0 type wireguard
done
addr a wg0 192.168.241.1/24
addr b wg0 192.168.241.2/24
at a wg set wg0 private-key "$TMP/key-a" listen-port 51821 \
	peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822
at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32
is 'SK-3 there is no IPv6' "$(ls -d /proc/sys/net/ipv6 2> /dev/null)" ''
check 'SK-3 a device goes up' at a ip link set wg0 up
check 'SK-3 another one, too' at b ip link set wg0 up
is 'SK-3 with an IPv4 socket' "$(at a ss -uanH | awk '{ sub(/.*:/, "", $4); print $4 }')" 51821
check 'SK-3 over which it works' reaches a 192.168.241.2
before=$(transfer a)
counted=$(stats a tx_packets tx_bytes tx_errors tx_dropped)
check 'SK-3 an IPv6 endpoint can be set' at a wg set wg0 peer "$PUB_B" endpoint '[fd00::2]:51822'
is 'SK-3 and is shown' "$(endpoint a)" '[fd00::2]:51822'
at a ping -n -q -c 3 -i 0.2 -W 1 192.168.241.2 > /dev/null || true
is 'SK-3 what is sent there is lost, silently' "$(transfer a)" "$before"
is 'SK-3 and counted nowhere' "$(stats a tx_packets tx_bytes tx_errors tx_dropped)" "$counted"
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
check 'SK-3 back to IPv4' reaches a 192.168.241.2
check 'SK-3 IPv6 prefixes can be set' at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::/8
is 'SK-3 and are shown' "$(at a wg show wg0 allowed-ips)" "$PUB_B"$'\t192.168.241.2/32 fd00::/8'
check 'SK-3 down and up' at a ip link set wg0 down
check 'SK-3 up' at a ip link set wg0 up
check 'SK-3 it works' reaches a 192.168.241.2

finish
