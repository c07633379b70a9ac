#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A task of high priority beside a stream both ways through a tunnel: how late it wakes up, and how long it takes to
# send by way of the loopback device and of the tunnel.  Where tasks are preempted in the kernel, with PREEMPT_RT,
# none of that waits for others' packets to be decrypted.  There is one CPU, to which each instruction is a nanosecond,
# be the host busy or not.  WG_LATENCY is how many seconds each part lasts.
#
# kernels: stock-rt
# timeout: 600
# slow: stock-rt
# qemu: -icount shift=0,sleep=off -smp 1

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

seconds=${WG_LATENCY:-2}

# measured WHAT: what it takes is left in $TMP/WHAT.
measured() {
	at a python3 "${BASH_SOURCE[0]%/*}/latency.py" "$seconds" 192.168.241.2 > "$TMP/$1"
	sed "s/^/# $1: /" "$TMP/$1"
}

# figure WHAT KIND COLUMN
figure() {
	awk -v kind="$2" -v column="$3" '$1 == kind { print $column }' "$TMP/$1"
}

pair
reaches a 192.168.241.2
note 'microseconds: median, 99th percentile, maximum; and how many'
measured alone
bulk_begin
measured beside
bulk_end
for what in alone beside; do
	for kind in wake-up loopback tunnel; do
		period=$([[ $kind == tunnel ]] && echo 10 || echo 2)
		holds "$what, $kind: it was measured" "$(figure "$what" "$kind" 5) > $seconds * 1000 / $period / 2"
	done
done
for kind in wake-up loopback tunnel; do
	holds "$kind: half of the times it takes as long as without the stream, or twice that" \
		"$(figure beside "$kind" 2) <= 2 * $(figure alone "$kind" 2)"
done
# How much of a stream is decrypted at a time; one poll of threads that others' are in.
holds 'loopback: it never waits for long' "$(figure beside loopback 4) < 6000"
check 'the tunnel works' reaches a 192.168.241.2

finish
