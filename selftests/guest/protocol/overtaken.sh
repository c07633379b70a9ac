#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An answer that comes before the sender is done sending. The initiation leaves by another way first,
# and is then held up by programs that egress filters run; meanwhile another CPU takes in the
# response. The handshake is complete then, and is not to be repeated.
#
# kernels: uml
# excuse: no
# timeout: 120

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

tunnels=16
programs=500

undo() {
	echo "$cpus" > /sys/devices/virtual/workqueue/cpumask
}

cpus=$(< /sys/devices/virtual/workqueue/cpumask)
cable
veth a eth1 b eth1
at b ip link set eth1 address "$(sysfs b eth0/address)"
at b ip link add wg0 type wireguard
at b wg set wg0 private-key "$TMP/key-b" listen-port 51822
at b ip link set wg0 up
at b ip route add 192.168.241.0/24 dev wg0
addr b lo 192.168.242.1/32
for ((n = 1; n <= tunnels; n++)); do
	wg genkey > "$TMP/key" 2> "$TMP/warning"
	at b wg set wg0 peer "$(wg pubkey < "$TMP/key")" allowed-ips "192.168.241.$n/32"
	at a ip link add "wg$n" type wireguard
	at a wg set "wg$n" private-key "$TMP/key" \
		peer "$PUB_B" allowed-ips 192.168.242.1/32 endpoint 10.0.0.2:51822
	addr a "wg$n" "192.168.241.$n/32"
	at a ip link set "wg$n" up
done

at a tc qdisc add dev eth0 clsact
at a tc filter add dev eth0 egress prio 1 matchall \
	action mirred egress mirror dev eth1 continue
# About as many instructions as tc can pass on; each asks for a random number.
{
	echo -n 1900
	# shellcheck disable=SC2046 # words are meant
	printf ',32 0 0 %d' $(yes 4294963256 | head -n 1899)
	echo ',6 0 0 0'
} > "$TMP/program"
for ((n = 0; n < programs; n++)); do
	echo "filter add dev eth0 egress prio 2 bpf bytecode-file $TMP/program action ok"
done > "$TMP/filters"
at a tc -batch "$TMP/filters"

# Initiations are sent by one CPU, and what comes in is left to the other. Which of them works on a
# handshake message is the driver's choice: hence each in turn. The first packet asks for a
# handshake, and once there is one it follows.
for ((n = 1; n <= tunnels; n++)); do
	echo $((1 + n % 2)) > /sys/devices/virtual/workqueue/cpumask
	at_sys b bash -c "echo $((2 - n % 2)) > /sys/class/net/eth1/queues/rx-0/rps_cpus"
	at a ping -n -q -c 1 -W 10 -I "wg$n" 192.168.242.1 > "$TMP/ping-$n" || true
done
at a tc qdisc del dev eth0 clsact
answered=$(grep -l ' 1 received' "$TMP"/ping-* | wc -l) || true
is 'each tunnel answers' "$answered" "$tunnels"
sleep 6
more=0
for ((n = 1; n <= tunnels; n++)); do
	bytes=$(at a wg show "wg$n" transfer | cut -f3)
	# And a keepalive for the echo, if that was ten seconds ago.
	((bytes == 148 + 128 || bytes == 148 + 128 + 32)) || more=$((more + 1))
	note "wg$n: $bytes bytes"
done
note "$more of $tunnels tunnels did more than a handshake and an echo"
# The in-tree driver starts the timer only when the initiation is sent; see differences.rst.
[[ $DRIVER == c ]] || is 'no handshake is repeated' "$more" 0

finish
