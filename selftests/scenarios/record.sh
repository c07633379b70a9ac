# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What scenarios share. A scenario sources this file, sets up what it needs, takes its steps, and
# calls `the_end`. Each step prints what it changed, less all that is different in each run.

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../lib/lib.sh"

observed=()
wired=
PLANT=${WG_PLANT-}

undo() {
	debug off
}

# planted KIND: is this the difference that is asked for, in the step that is for it?
planted() {
	[[ $PLANT == "$1" ]]
}

# observe NAME DEVICE...: these devices are looked at after each step, as NAME:DEVICE.
observe() {
	local name=$1 device
	shift
	for device; do
		observed+=("$name:$device")
	done
}

# wiretap NAME DEVICE [FILTER...]: what goes over this device is printed after each step.
wiretap() {
	capture_start "$@"
	wired=yes
	echo 0 > "$TMP/seen"
}

# step WHAT COMMAND...: does it, and prints what became of it.
step() {
	local what=$1 output status one begin
	shift
	log_mark
	begin=$EPOCHREALTIME
	capture "$@"
	sleep "${SETTLE:-0.5}"
	! planted log || echo 'wireguard: wg0: planted' > /dev/kmsg
	echo "### $what"
	echo "status $status"
	[[ ! ${SHOW_OUTPUT-} ]] || printf '%s\n' "$output" | sed -E 's/, time [0-9]+ms/, time N/; s/^/output: /'
	for one in "${observed[@]}"; do
		show "${one%%:*}" "${one#*:}"
	done
	[[ ! $wired ]] || python3 "$HERE/wire.py" "$TMP/pcap" "$TMP/seen" "$begin"
	echo '--- log'
	log | sed -n 's/^\[[^]]*\] wireguard: //p' | python3 "$HERE/names.py" "$TMP/names"
}

# show NAME DEVICE: what the device is like.
show() {
	echo "--- $1 $2"
	if ! try at "$1" ip link show dev "$2"; then
		echo 'no such device'
		return
	fi
	at "$1" ip -o link show dev "$2" | sed -E 's/^[0-9]+: //'
	at_sys "$1" bash -c 'cd "/sys/class/net/$0/statistics" && grep -H . *' "$2" | grep -v ':0$' || true
	at "$1" python3 "$HERE/dump.py" "$2"
}

the_end() {
	tidy
	tap_finished=yes
	echo '### the end'
}
