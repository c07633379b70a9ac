# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A CPU that a real-time task has for good, for tests of what waits for it. To be sourced after lib.sh.

# Nothing but the hog is to run where the hog runs: neither by the allowance that the scheduler
# keeps back from real-time tasks, nor by the one that it gives to all others.
declare -A hog_saved=()
hog_pid=

# hog_rules: so it is from now on, until hog_end.
hog_rules() {
	local file
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	for file in /proc/sys/kernel/sched_rt_runtime_us /sys/kernel/debug/sched/fair_server/cpu*/runtime; do
		[[ -e $file ]] || continue
		hog_saved[$file]=$(< "$file")
	done
	for file in "${!hog_saved[@]}"; do
		case $file in
			/proc/*) echo -1 > "$file" ;;
			*) echo 0 > "$file" 2> /dev/null || true ;;
		esac
	done
}

# hog, unhog: takes the last CPU, and gives it back.
hog() {
	local cpu=$(($(nproc) - 1)) policy
	chrt -f 50 taskset -c "$cpu" sh -c 'while :; do :; done' &
	hog_pid=$!
	sleep 0.2
	policy=$(chrt -p "$hog_pid" 2>&1) || true
	[[ $policy == *SCHED_FIFO* ]] || not_ok "a task has CPU $cpu for good" "$policy"
}
unhog() {
	[[ ! $hog_pid ]] || stop_busy 'the hog' "$hog_pid"
	hog_pid=
}

# hog_end: all is as it was.
hog_end() {
	local file
	[[ ! $hog_pid ]] || stop "$hog_pid"
	for file in "${!hog_saved[@]}"; do
		echo "${hog_saved[$file]}" > "$file"
	done
}
