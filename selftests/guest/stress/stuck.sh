#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that were given to a CPU that a real-time task has for good: the last ones of a burst, after
# which nothing comes; so many that no more may be under way; and those that it was about to work on
# when the task came. Other CPUs are to do what it does not get to, and nothing is to wait for it.
# The in-tree driver waits, which is not counted against it.
#
# On stock, which preempts, the task may come between the end of a job and what is to be done after it: one
# time in eight or so, if nothing kept it from that. Uml has no such place.
#
# kernels: uml stock
# timeout: 480
# slow: uml/c stock

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/hog.sh"

rounds=${WG_ROUNDS:-4}

undo() {
	hog_end
	[[ -d /sys/module/wireguard ]] || module_load
}

# come_through WHAT EXPRESSION
come_through() {
	if [[ $DRIVER == c ]] && ((!($2))); then
		skip "$1" "the in-tree driver may wait for the CPU: $2"
	else
		holds "$1" "$2"
	fi
}

# echoes COUNT: sets `echoes` to how many come back.
echoes() {
	at a ping -n -q -i 0.02 -c "$1" -W 1 192.168.241.2 > "$TMP/ping" || true
	echoes=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$TMP/ping")
}

# drained: waits until what was sent before has gone, of which the sender's CPU may have much to do; and no
# longer than until it is certain that something else is waited for.
drained() {
	local until=$((SECONDS + 3))
	until at a ping -n -q -c 1 -W 0.2 192.168.241.2 > /dev/null || ((SECONDS > until)); do :; done
}

if (($(nproc) < 2)); then
	skip 'a CPU that is hogged' 'there is only one'
	finish
fi
cable
module_unload
# Everything is a job for another CPU, then.
if [[ $DRIVER == rust ]]; then module_load parallel=2; else module_load; fi
tunnel
check 'the tunnel is up' reaches a 192.168.241.2
# One job for each datagram.
at a ethtool -K wg0 tx-udp-segmentation off > /dev/null
hog_rules

note 'the tail of a burst'
for ((round = 1; round <= rounds; round++)); do
	hog
	spawn b "$LIB/datagrams.py" count 192.168.241.2 1.5 > "$TMP/counted"
	sleep 0.5
	at a "$LIB/datagrams.py" send 192.168.241.2 40
	# shellcheck disable=SC2154 # spawn sets it
	wait "$job"
	unhog
	come_through "round $round: all of a burst arrive" "$(< "$TMP/counted") == 40"
	check 'the tunnel is as ever' reaches a 192.168.241.2
done

note 'as many as may be under way'
hog
at a "$LIB/datagrams.py" send 192.168.241.2 6000
echoes 50
unhog
come_through 'echoes after them' "$echoes >= 48"
check 'the tunnel is as ever' reaches a 192.168.241.2

note 'what a CPU was about to do'
# The senders have another one.
free=$(($(hog_cpu) == 0))
arrivals=$((2 * rounds))
[[ ${WG_KERNEL-} != stock* ]] || arrivals=$((6 * rounds))
at a ethtool -K wg0 tx-udp-segmentation on > /dev/null
for ((round = 1; round <= arrivals; round++)); do
	spawn a taskset -c "$free" "$LIB/datagrams.py" send 192.168.241.2 900 0.6
	sleep 0.3
	hog
	wait "$job"
	drained
	echoes 20
	unhog
	come_through "round $round: echoes" "$echoes >= 19"
done

finish
