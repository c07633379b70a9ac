# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests have to do with the kernel: the driver, the log, faults that it injects. lib.sh has this.

# shellcheck source=judges.sh
. "${BASH_SOURCE[0]%/*}/judges.sh"

# --- The driver ---------------------------------------------------------------------------------

# module_load [PARAMETER=VALUE...], module_unload, module_info: the driver under test.
module_load() {
	if [[ -f ${WG_MODULE-} ]]; then
		insmod "$WG_MODULE" "$@"
	else
		modprobe wireguard "$@"
	fi
}

module_unload() {
	rmmod wireguard
}

module_info() {
	modinfo "$@" "${WG_MODULE:-wireguard}"
}

# module_text: where the driver's code is, from and to.
module_text() {
	awk '$4 == "[wireguard]" && tolower($2) == "t" { print $1 }' /proc/kallsyms | sort | sed -n '1p; $p'
}

# --- The log --------------------------------------------------------------------------------------

# log_begin: the first mark.
log_begin() {
	log_marker="selftest $RUN ${0##*/} begins"
	echo "$log_marker" > /dev/kmsg
}

# log_mark: `log` shows what comes after it.
log_mark() {
	log_marker="selftest $RUN ${0##*/} $((log_marks += 1))"
	echo "$log_marker" > /dev/kmsg
}

log_marks=0

# log: the kernel's messages since the last mark, or all that it still has.
log() {
	dmesg | awk -v mark="$log_marker" 'index($0, mark) { n = 0; next } { line[n++] = $0 }
		END { for (i = 0; i < n; i++) print line[i] }'
}

# What a healthy kernel does not say; a test that has it complain says what is left of this.
TROUBLE='WARNING:|BUG:|Oops|general protection|Call Trace|unregister_netdevice: waiting|rcu.*stall|blocked for more than|still has objects|KASAN|suspicious RCU|possible .*deadlock|refcount_t'

# What is said for a reason that the test at hand gives, in its header `reports`.
EXCUSED=$(sed -n '1,/^[^#]/s/^# reports: *//p' "$0")

# Races that are the kernel's own.
KNOWN_RACES=$(listed races | paste -sd '|')
KNOWN_RACES=${KNOWN_RACES:-^$}

# troubles: the lines that are, of a log.
troubles() {
	grep -vE "${EXCUSED:-^$}" | grep -vE "$KNOWN_RACES" | grep -E "$TROUBLE"
}

# log_judge: a check that nothing of that was said since the test began. All of that time must be in the
# log still.
log_judge() {
	local trouble
	log_marker="selftest $RUN ${0##*/} begins"
	if [[ $(dmesg) == *"$log_marker"* ]]; then
		trouble=$(log | troubles) || true
	else
		trouble='its log does not go back to where the test began'
	fi
	is 'the kernel has nothing to complain about' "$trouble" ''
}

# debug on|off: the driver's debug messages, in the kernel's log, every one of them.
debug() {
	local flag=+p
	if [[ $1 == off ]]; then
		flag=-p
		echo 5 > /proc/sys/net/core/message_cost
	else
		echo 0 > /proc/sys/net/core/message_cost
	fi
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	echo "module wireguard $flag" > /sys/kernel/debug/dynamic_debug/control
}

# --- Faults -------------------------------------------------------------------------------------

faults=/sys/kernel/debug

# can_fail: whether the kernel can have allocations fail.
can_fail() {
	[[ -d $faults/failslab ]]
}

# knob DIRECTORY NAME=VALUE...: settings of one kind of fault.
knob() {
	local directory=$1 setting
	shift
	for setting; do
		echo "${setting#*=}" > "$faults/$directory/${setting%%=*}"
	done
}

# quiet: nothing fails at random.
quiet() {
	local kind
	for kind in failslab fail_page_alloc fail_skb_realloc; do
		knob "$kind" probability=0
	done
	knob fail_skb_realloc devname=
}
