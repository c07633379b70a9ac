#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets of all shapes, by a seed, into the tunnel and at its socket, while devices change: by packet
# sockets, from other devices, from sockets of the machine's own, with offload headers and sizes that
# are wrong; and from a scripted peer, in bundles, with sessions and without. What comes out must have
# gone in. On the debug kernel, whose frames are large, and where a softirq has the stack of the process
# that it interrupts, files that are sent while sockets look at both devices take nearly all of it.
# WG_SEED and WG_SENDS say which packets, and how many each of four senders sends.
#
# kernels: uml debug
# timeout: 120
# slow: uml/c
# excuse: no

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

seed=${WG_SEED:-1}
most=4000
[[ ${WG_KERNEL-} != debug ]] || most=200
sends=${WG_SENDS:-$most}

# sums_agree NAME: what peers have received is what the device has, which has sent no more than they:
# there, what could not be sent does not count.
sums_agree() {
	local received sent
	read -r received sent < <(at "$1" wg show wg0 transfer | awk '{ r += $2; s += $3 } END { print r, s }')
	[[ $received == "$(stats "$1" rx_bytes)" ]] && (($(stats "$1" tx_bytes) <= sent))
}

pair
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128
at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128,192.168.243.0/24,fd00:1::/64
for name in a b; do
	sysctl_set "$name" ipv4/ip_forward 1
	sysctl_set "$name" ipv6/conf/all/forwarding 1
done
reaches a 192.168.241.2
note "WG_SEED=$seed WG_SENDS=$sends"
adopt python3 "$HERE/shapes.py" "$RUN" "$seed" "$sends"
for name in a b; do
	at "$name" ip link set wg0 mtu 1420
	at "$name" ip link set eth0 mtu 1500
done
check 'the tunnel is as good as before' reaches a 192.168.241.2
check 'in both families' reaches b fd00::1
for name in a b; do
	note "$name: $(stats "$name" rx_packets tx_packets rx_dropped tx_dropped rx_errors tx_errors)"
	check "$name: peers' bytes are the device's" eventually sums_agree "$name"
done
note "b: $(at b wg show wg0 transfer | cut -c1-4,44-)"
received=$(at b wg show wg0 transfer | awk -v peer="$PUB_A" '$1 == peer { print $2 }')
holds 'no more is received than was sent' "$received <= $(sent a)"

nonces_least=$sends
finish
