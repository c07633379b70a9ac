#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One CPU is taken from the driver's workers by a task that never lets go of it: handshakes are
# answered as ever, before a flood, and when it is over.  WG_HOGGED is how many seconds each part
# lasts.
#
# kernels: uml
# timeout: 120

. "${BASH_SOURCE[0]%/*}/lib.sh"

# Nothing but the hog is to run where the hog runs: neither by the allowance that the scheduler
# keeps back from real-time tasks, nor by the one that it gives to all others.
declare -A saved=()
runtime=$(< /proc/sys/kernel/sched_rt_runtime_us)

undo() {
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
else
	skip 'handshakes with one CPU hogged' 'there is but one CPU'
fi

finish
