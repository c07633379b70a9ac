#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Everything at once: dumps that are resumed when their peers are gone, keys and peers that change
# under a flood of packets, small ones and bulk, sessions made and lost on both sides at the same time,
# devices and namespaces that come and go.  What must hold is that the kernel has nothing to complain
# about, that no packet is left of those under way, and that a tunnel works when it is over.  WG_STORM is
# how many seconds each of them lasts.
#
# kernels: uml debug debug-smp kcsan stock stock-amd64 stock-rt stock-arm64 stock-arm64-16k stock-cloud-arm64 stock-rt-arm64
# timeout: 800
# slow: uml debug-smp kcsan stock stock-amd64 stock-rt stock-arm64 stock-arm64-16k stock-cloud-arm64 stock-rt-arm64

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

seconds=${WG_STORM:-4}

undo() {
	[[ -d /sys/module/wireguard ]] || module_load
}

jobs=()

# flood NAME ADDRESS: echoes as fast as they go, in the background.
flood() {
	# Those that fail at once are begun again.
	# shellcheck disable=SC2016
	spawn "$1" bash -c 'trap "kill %% 2> /dev/null; exit" TERM
		while :; do ping -n -q -f "$0" > /dev/null 2>&1 & wait; sleep 0.1; done' "$2"
	jobs+=("$job")
}

# again COMMAND...: in the background, over and over; whether it succeeds does not matter.
again() {
	{
		trap 'exit 0' TERM
		trap - ERR
		set +eE
		while :; do
			"$@"
		done
	} > /dev/null 2>&1 &
	jobs+=("$!")
}

# calm: ends what runs in the background.
calm() {
	local one
	for one in "${jobs[@]}"; do
		stop "$one"
	done
	jobs=()
}

# works WHAT: the tunnel is as it was, and carries echoes both ways.
works() {
	calm
	if [[ ${bulk[*]-} ]]; then
		bulk_large "$1"
		bulk_end
	fi
	repair
	check "$1: the tunnel works" reaches a 192.168.241.2
	check "$1: both ways" reaches b fd00::1
}

repair() {
	at a wg set wg0 private-key "$TMP/key-a" listen-port 51821 \
		peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822 \
		persistent-keepalive 0
	at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
		peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128 endpoint 10.0.0.1:51821 \
		persistent-keepalive 0
	at a ip link set wg0 up
	at b ip link set wg0 up
	at a ip addr replace fd00::1/112 dev wg0 nodad
	at b ip addr replace fd00::2/112 dev wg0 nodad
}

keys() {
	at a wg set wg0 private-key /dev/null
	at a wg set wg0 private-key "$TMP/key-b"
	at a wg set wg0 private-key "$TMP/key-a" \
		peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822
	at b wg set wg0 private-key "$TMP/key-c"
	at b wg set wg0 private-key "$TMP/key-b"
	at a wg set wg0 peer "$PUB_B" preshared-key "$TMP/psk"
	at a wg set wg0 peer "$PUB_B" preshared-key /dev/null
	sleep 0.05
}

peers() {
	at a wg set wg0 peer "$PUB_B" remove
	at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822
	at a wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.2/32
	sleep 0.1
	at b wg set wg0 peer "$PUB_A" remove
	at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128 endpoint 10.0.0.1:51821
	at a wg set wg0 peer "$PUB_C" remove
	at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128
	sleep 0.1
}

ups() {
	at "$1" ip link set wg0 down
	at "$1" ip link set wg0 up
	sleep "0.0$((RANDOM % 10))"
}

# sockets: they are replaced while packets come in, and cannot be now and then.
sockets() {
	at a wg set wg0 listen-port "$((51821 + RANDOM % 3))" fwmark "$((RANDOM % 2))"
	at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
	at a ip addr del fd00:aa::1/64 dev eth0
	at a ip addr add fd00:aa::1/64 dev eth0 nodad
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
}

devices() {
	at c ip link add wg1 type wireguard
	at c wg set wg1 private-key "$TMP/key-c" listen-port 0 peer "$PUB_A" allowed-ips 0.0.0.0/0 \
		endpoint 127.0.0.1:9 persistent-keepalive 1
	at c ip link set wg1 up
	at c ip link set wg1 name wg2
	at c ip link set wg2 netns "$RUN-d"
	at d ip link set wg2 up
	at d ip link set wg2 mtu "$((RANDOM % 1500))"
	at d ip link set wg2 netns "$RUN-c" name wg1
	at c ip link del wg1
}

spaces() {
	local n name
	for n in {1..8}; do
		name=$RUN-n$n
		ip netns add "$name"
		ip link add "w$n" type wireguard
		ip link set "w$n" netns "$name"
		ip -n "$name" link set lo up
		ip -n "$name" link add wg0 type wireguard
		ip -n "$name" link set wg0 netns "$RUN-d" name "v$n"
		ip -n "$name" link set "w$n" up
		at d ip link set "v$n" up
	done
	for n in {1..8}; do
		ip netns del "$RUN-n$n"
	done
	for n in {1..8}; do
		at d ip link del "v$n"
	done
}

# all KIND: the storms, one after the other.
all() {
	note "$1: keys change under a flood"
	tunnel
	bulk_begin
	flood a 192.168.241.2
	flood b fd00::1
	again keys
	sleep "$seconds"
	works "$1: keys"

	note "$1: peers are removed under a flood"
	bulk_begin
	flood a 192.168.241.2
	flood b fd00::1
	again peers
	sleep "$seconds"
	works "$1: peers"

	note "$1: both sides up and down, each greeting at once"
	at a wg set wg0 peer "$PUB_B" persistent-keepalive 1
	at b wg set wg0 peer "$PUB_A" persistent-keepalive 1
	bulk_begin
	flood a 192.168.241.2
	again ups a
	again ups b
	sleep "$seconds"
	works "$1: up and down"

	note "$1: sockets are replaced under a flood"
	bulk_begin
	flood a 192.168.241.2
	flood b 192.168.241.1
	again sockets
	sleep "$seconds"
	works "$1: sockets"

	note "$1: dumps whose peers go"
	adopt at a python3 "$HERE/storm.py" "$seconds"
	works "$1: dumps"

	note "$1: devices and namespaces come and go"
	bulk_begin
	flood a 192.168.241.2
	again devices
	again devices
	again spaces
	again at c wg show all dump
	again at d wg show all dump
	# Somebody else who wants RTNL, too.
	again at d ip link add dummy0 type dummy
	again at d ip link del dummy0
	sleep "$((2 * seconds))"
	works "$1: devices"
	untunnel
	local name
	for name in c d; do
		at "$name" ip -o link show type wireguard | awk -F': ' '{ print $2 }' | sed 's/@.*//' |
			while IFS= read -r device; do
				at "$name" ip link del "$device"
			done
	done
	for name in /run/netns/"$RUN"-n*; do
		[[ ! -e $name ]] || ip netns del "${name##*/}"
	done
	module_unload
	ok "$1: the module can be unloaded"
}

# What pings and tunnels would switch on and off all the time stays on. These are static keys, each switch of which
# patches instructions, and emulated CPUs run, now and then, the breakpoint that is there meanwhile when it is long
# over: a panic, of which the driver is no part.
stay_on() {
	exec python3 -c 'import signal, socket
SO_TIMESTAMP, UDP_GRO = 29, 104
stamped = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stamped.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
tunnel = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
tunnel.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
signal.pause()'
}
switched=
case ${WG_KERNEL-} in
uml | debug | '') ;;
*)
	stay_on &
	switched=$!
	;;
esac

cable
ns c d
kinds=('')
# What one CPU does on the spot, several do by way of queues.
[[ $DRIVER != rust ]] || kinds=('parallel=0' 'parallel=2')
for kind in "${kinds[@]}"; do
	[[ ! -d /sys/module/wireguard ]] || module_unload
	module_load $kind
	all "${kind:-default}"
done
nonces_least=$HANDSHAKES
ns_ends 'no packet is left anywhere' a b
[[ ! $switched ]] || stop_busy 'what is to stay switched on' "$switched"

finish
