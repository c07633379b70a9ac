# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# CPUs that a real-time task has for good, for tests of what waits for them. To be sourced after lib.sh.

# Nothing but the hog is to run where the hog runs: neither by the allowance that the scheduler
# keeps back from real-time tasks, nor by the one that it gives to all others.
declare -A hog_saved=()
hogs=()

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

# hog_cpu: prints the last CPU that can be taken: not the one that has the interrupt of the guest's file
# system, as nothing can be read then.
hog_cpu() {
	local cpu=$(($(nproc --all) - 1)) file
	for file in /proc/irq/*/virtio*requests*; do
		[[ ! -e $file || $(< "${file%/*}/effective_affinity_list") != "$cpu" ]] || cpu=$((cpu - 1))
	done
	echo "$cpu"
}

# hog [CPU...]: takes these CPUs, or that one.
hog() {
	local one n
	for one in "${@:-$(hog_cpu)}"; do
		chrt -f 50 taskset -c "$one" sh -c 'while :; do :; done' > /dev/null 2>&1 &
		hogs+=($!)
	done
	for one in "${hogs[@]}"; do
		for ((n = 0; n < 100; n++)); do
			! is_real_time "$one" || break
			sleep 0.1
		done
		is_real_time "$one" || not_ok 'a task has a CPU for good' "$(chrt -p "$one" 2>&1)"
	done
	# And on its CPU.
	sleep 0.2
}

is_real_time() {
	[[ $(chrt -p "$1" 2>&1) == *SCHED_FIFO* ]]
}

# hogged: is any CPU taken?
hogged() {
	((${#hogs[@]}))
}

# unhog: gives them back.
unhog() {
	! hogged || stop_busy 'the hog' "${hogs[@]}"
	hogs=()
}

# hog_end: all is as it was.
hog_end() {
	local one file
	for one in "${hogs[@]}"; do
		stop "$one"
	done
	for file in "${!hog_saved[@]}"; do
		echo "${hog_saved[$file]}" > "$file"
	done
}
