#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A handshake for which there is no memory, at one of the places where either side takes some. It is
# as if the message were lost: there is another one after five seconds, and nobody has to ask for it.
#
# kernels: debug
# excuse: no
# timeout: 600
# slow: yes

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# Where the kernel follows its references, each of them takes memory, too.
places=40

undo() {
	quiet
}

# handshaken NAME: it has completed a handshake.
handshaken() {
	[[ $(at "$1" wg show wg0 latest-handshakes | cut -f2) != 0 ]]
}

cable
mapfile -t text < <(module_text)
knob failslab stacktrace-depth=32 require-start="0x${text[0]}" require-end="0x${text[1]}" \
	ignore-gfp-wait=N verbose=0 space=0

# What is counted for `interval` goes on from one time to the next, and is a multiple of the last one
# after a failure.
counted=0
mattered=0
for ((nth = 1; nth <= places; nth++)); do
	tunnel
	interval=$((counted + nth))
	knob failslab interval="$interval" times=1 probability=100
	began=$SECONDS
	at a ping -n -q -c 1 -W 1 192.168.241.2 > /dev/null || true
	check "allocation $nth: there is a handshake" eventually handshaken a
	mattered=$((mattered + (SECONDS - began >= 4)))
	unspent=$(< "$faults/failslab/times")
	quiet
	untunnel
	((unspent == 0)) || break
	# An interval of 1 is not counted.
	((interval == 1)) || counted=$interval
done
note "$((nth - 1)) allocations, and $mattered times a message was not sent"
check 'some were of handshakes' test "$mattered" -gt 2

note 'packets that wait for a session together'
# Each is seen by somebody, so that it is copied before it is encrypted. One allocation of some twenty fails.
tunnel
lost=0
for round in {1..15}; do
	at a ip link set wg0 down
	at a ip link set wg0 up
	capture_start a wg0 icmp
	knob failslab interval=1 times=1 probability=5
	at a ping -n -q -l 20 -c 20 -W 12 192.168.241.2 > "$TMP/waited" || true
	quiet
	capture_stop
	received=$(sed -n 's/.* transmitted, \([0-9]*\) received.*/\1/p' "$TMP/waited")
	lost=$((lost + 20 - received))
	if [[ $DRIVER == rust ]]; then
		holds "round $round: one packet is lost at most" "$received >= 19"
	else
		skip "round $round: one packet is lost at most" 'all that wait are'
	fi
done
holds 'packets were lost' "$lost > 0"
untunnel

note 'keepalives'
# grows SECONDS: something is sent in so many, which is to be less than the other timers take.
grows() {
	local before until=$((SECONDS + $1))
	before=$(sent a)
	until (($(sent a) > before)); do
		((SECONDS < until)) || return 1
		sleep 0.1
	done
}
if [[ $DRIVER == rust ]]; then
	tunnel
	knob failslab interval=1
	at a wg set wg0 peer "$PUB_B" persistent-keepalive 3
	check 'a keepalive begins a handshake' eventually handshaken a
	knob failslab times=-1 probability=100
	sleep 7
	quiet
	check 'persistent ones go on when there is memory again' grows 6
	at a wg set wg0 peer "$PUB_B" persistent-keepalive 0
	knob failslab times=-1 probability=100
	at a wg set wg0 peer "$PUB_B" persistent-keepalive 60
	quiet
	check 'one that could not be made is tried again' grows 13
else
	skip 'they go on when there is memory again' 'nobody arms the timer again'
fi

finish
