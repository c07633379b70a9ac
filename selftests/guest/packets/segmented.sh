#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# GSO packets by a seed, that go through the tunnel and past it: what comes out of either way, when all is
# segmented, is the same, byte by byte. In our driver, the tunnel segments what the kernel has made, and
# merges TCP at the other end; the kernel segments the rest.
# WG_SEED and WG_PACKETS say which packets, and how many.
#
#	a: trusted0, program0 -- wg0 ------ wg0 -- way0 - c
#	a: trusted1, program1 -- plain -- plain -- way1 - c
#
# kernels: uml debug
# timeout: 240
# needs: trusted
# excuse: no

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

seed=${WG_SEED:-1}
most=2000
[[ ${WG_KERNEL-} != debug ]] || most=200
count=${WG_PACKETS:-$most}
BACKLOG=/proc/sys/net/core/netdev_max_backlog
backlog=$(< "$BACKLOG")

undo() {
	echo "$backlog" > "$BACKLOG"
	rmmod trusted 2> /dev/null || true
}

# alone NAME DEVICE...: what leaves has been segmented, and has its sums.
alone() {
	local name=$1 device
	shift
	for device; do
		at "$name" ethtool -K "$device" tx off sg off tso off gso off tx-udp-segmentation off > /dev/null
		at "$name" ip link set "$device" mtu 1420
	done
}

# way TABLE NAME DEVICE ADDRESS...: of a table, which is for what has come in by one of those devices.
way() {
	local table=$1 name=$2 device=$3 address
	shift 3
	for address; do
		case $address in
		*:*) at "$name" ip -6 route add default via "$address" dev "$device" table "$table" ;;
		*.*) at "$name" ip route add default via "$address" dev "$device" table "$table" ;;
		*)
			at "$name" ip rule add iif "$address" lookup "$table"
			at "$name" ip -6 rule add iif "$address" lookup "$table"
			;;
		esac
	done
}

pair
ns c
veth a plain b plain
veth b way0 c way0
veth b way1 c way1
addr a plain 10.5.0.1/24 fd00:5::1/64
addr b plain 10.5.0.2/24 fd00:5::2/64
for number in 0 1; do
	addr b "way$number" "10.$((6 + number)).0.1/24" "fd00:$((6 + number))::1/64"
	addr c "way$number" "10.$((6 + number)).0.2/24" "fd00:$((6 + number))::2/64"
done
alone a plain
alone b plain way0 way1
alone c way0 way1
for name in a b; do
	sysctl_set "$name" ipv4/ip_forward 1
	sysctl_set "$name" ipv6/conf/all/forwarding 1
done
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128,192.168.244.0/24,fd00:4::/64
at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128,192.168.243.0/24,fd00:1::/64
at a ip route add 192.168.244.0/24 dev wg0
at a ip route add fd00:4::/64 dev wg0
way 100 a plain 10.5.0.2 fd00:5::2 trusted1 program1
way 200 b way0 10.6.0.2 fd00:6::2 wg0
way 201 b way1 10.7.0.2 fd00:7::2 plain
reaches a 192.168.241.2
# Neighbours are known before anything has to wait for them.
for address in 10.5.0.2 fd00:5::2; do
	reaches a "$address"
done
for address in 10.6.0.2 10.7.0.2 fd00:6::2 fd00:7::2; do
	reaches b "$address"
done
# And for good: one that is looked for again keeps packets waiting, which others overtake.
for name in a b c; do
	at "$name" ip -4 neigh show | sed -n 's/^\(.*lladdr [^ ]*\) .*/\1/p' > "$TMP/neighbours"
	at "$name" ip -6 neigh show | sed -n 's/^\(.*lladdr [^ ]*\) .*/\1/p' >> "$TMP/neighbours"
	while read -ra neighbour; do
		at "$name" ip neigh replace "${neighbour[@]}" nud permanent
	done < "$TMP/neighbours"
	holds "neighbours of $name stay" "$(wc -l < "$TMP/neighbours") >= 3"
done
echo 100000 > "$BACKLOG"
at a insmod "$TOP/target/trusted/$(uname -r).ko"
note "WG_SEED=$seed WG_PACKETS=$count"
below=$(sysfs a eth0/statistics/tx_packets) messages=$(stats a tx_packets)
adopt at_sys a python3 "$HERE/segmented.py" "$RUN" "$seed" "$count"
for name in a b; do
	is "$name: nothing was refused" "$(stats "$name" tx_errors rx_errors rx_dropped)" '0 0 0'
done
below=$(($(sysfs a eth0/statistics/tx_packets) - below)) messages=$(($(stats a tx_packets) - messages))
if [[ $DRIVER == rust ]]; then
	holds 'messages left in bundles' "$below * 4 < $messages * 3"
else
	skip 'messages left in bundles' 'the in-tree driver makes none'
fi

nonces_least=1
finish
