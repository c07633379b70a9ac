#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One CPU is taken from the driver's workers by a task that never lets go of it: handshakes are
# answered as ever, before a flood, and when it is over; and packets that other CPUs are to encrypt
# and decrypt do not wait for that one.  WG_HOGGED is how many seconds each part lasts.
#
# kernels: uml
# timeout: 120
# slow: uml/c
# module: own

. "${BASH_SOURCE[0]%/*}/lib.sh"

# Nothing but the hog is to run where the hog runs: neither by the allowance that the scheduler
# keeps back from real-time tasks, nor by the one that it gives to all others.
declare -A saved=()
runtime=$(< /proc/sys/kernel/sched_rt_runtime_us)

undo() {
	[[ -d /sys/module/wireguard ]] || module_load
	echo "$runtime" > /proc/sys/kernel/sched_rt_runtime_us
	local file
	for file in "${!saved[@]}"; do
		echo "${saved[$file]}" > "$file"
	done
}

mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
echo -1 > /proc/sys/kernel/sched_rt_runtime_us
for file in /sys/kernel/debug/sched/fair_server/cpu*/runtime; do
	[[ -e $file ]] || continue
	saved[$file]=$(< "$file")
	echo 0 > "$file" 2> /dev/null || true
done

cable
at a ip link add wg0 type wireguard
at a ip link set wg0 up
if (($(nproc) > 1)); then
	adopt at_sys a python3 "$HERE/hogged.py" "/run/netns/$RUN-b" "${WG_HOGGED:-2}"
	ns_del a b
	module_unload
	# Everything is a job for another CPU, then.
	if [[ $DRIVER == rust ]]; then module_load parallel=2; else module_load; fi
	pair
	check 'the tunnel' reaches a 192.168.241.2
	at a chrt -f 50 taskset -c "$(($(nproc) - 1))" sh -c 'while :; do :; done' &
	hog=$!
	sleep 0.2
	at a ping -n -q -i 0.01 -c 300 -W 1 192.168.241.2 > "$TMP/ping" || true
	stop "$hog"
	note "$(grep -E 'received|rtt' "$TMP/ping")"
	lost=$(sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' "$TMP/ping")
	holds 'with one CPU hogged, packets come through' "${lost%.*} <= 3"
else
	skip 'handshakes with one CPU hogged' 'there is but one CPU'
fi

finish
