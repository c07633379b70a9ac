#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Memory that runs out: whatever is asked for fails cleanly or works, at each of the allocations
# that it makes, and nothing is lost.  Then, with allocations failing at random and packets that
# move whenever they may, a tunnel goes on as well as it can and works when that is over.
# WG_FAULTS is a step: with 1, each single allocation of a request is made to fail.
#
# kernels: debug
# timeout: 600
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# The kernel tells where vmalloc() failed; that it does is what this is about.
TROUBLE=${TROUBLE/|Call Trace/}

undo() {
	quiet
	[[ -d /sys/module/wireguard ]] || module_load
}

quiet
for kind in failslab fail_page_alloc; do
	# Those that may wait fail as well, and not a word of each.
	knob "$kind" ignore-gfp-wait=N verbose=0 times=-1 interval=1 space=0
done
knob fail_page_alloc min-order=0 ignore-gfp-highmem=N
knob fail_skb_realloc verbose=0 times=-1 interval=1

note 'one after the other'
ns f
module_unload
adopt at f python3 "$HERE/faults.py" module "${WG_MODULE:-$(modinfo -n wireguard)}"
[[ -d /sys/module/wireguard ]] || module_load
adopt at f python3 "$HERE/faults.py" device
adopt at f python3 "$HERE/faults.py" configuration
debug on
adopt at f python3 "$HERE/faults.py" leftovers
debug off

note 'a device that cannot be registered'
modprobe netdev-notifier-error-inject
error=$faults/notifier-error-inject/netdev/actions/NETDEV_REGISTER/error
for _ in {1..5}; do
	echo -12 > "$error"
	refuses 'the notifier says no' '*Cannot allocate memory*' at f ip link add wg0 type wireguard
	echo 0 > "$error"
	check 'then it does not' at f ip link add wg0 type wireguard
	at f ip link del wg0
done
rmmod netdev-notifier-error-inject
is 'nothing pins the module' "$(< /sys/module/wireguard/refcnt)" 0

note 'at random'
cable
# life SECONDS: a tunnel lives, one renewal of sessions after the other.
life() {
	local end=$((SECONDS + $1)) pings=()
	spawn a ping -n -q -i 0.01 -s 1300 192.168.241.2 > /dev/null 2>&1
	pings+=("$job")
	spawn b ping -n -q -i 0.01 fd00::1 > /dev/null 2>&1
	pings+=("$job")
	while ((SECONDS < end)); do
		sleep 0.5
		at a wg set wg0 peer "$PUB_B" persistent-keepalive 1 endpoint 10.0.0.2:51822 || true
		at b ip link set wg0 down || true
		at b ip link set wg0 up || true
		at b ip addr replace fd00::2/112 dev wg0 nodad || true
		sleep 0.5
		at a wg set wg0 private-key "$TMP/key-c" || true
		at a wg set wg0 private-key "$TMP/key-a" peer "$PUB_C" remove || true
	done 2> /dev/null
	for job in "${pings[@]}"; do
		stop "$job"
	done
}
survives() {
	at b ip addr replace fd00::2/112 dev wg0 nodad
	at a wg set wg0 private-key "$TMP/key-a" peer "$PUB_B" endpoint 10.0.0.2:51822
	at b ip link set wg0 up
	check "$1" reaches a 192.168.241.2
	check "$1, both ways" reaches b fd00::1
}
for parallel in ${parallels:-$([[ $DRIVER == rust ]] && echo 'parallel=0 parallel=2' || echo '')}; do
	module_unload
	module_load "$parallel"
	tunnel
	mapfile -t text < <(module_text)
	knob failslab stacktrace-depth=32 require-start="0x${text[0]}" require-end="0x${text[1]}" \
		probability=20
	life 15
	quiet
	survives "$parallel: memory is there again"
	untunnel
done
knob failslab require-start=0x0 require-end=0xffffffffffffffff
tunnel
# Whoever may move a packet does: what still points into the old one is found out.
knob fail_skb_realloc probability=100
life 5
survives 'packets move all the time'
quiet
untunnel

finish
