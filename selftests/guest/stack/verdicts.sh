#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets of others that wait in a queue of netfilter for what a program says of them (NFQUEUE), while
# interfaces come and go.  The kernel drops all that wait in a namespace when a hook there is unregistered.
#
# kernels: stock
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair
check 'the tunnel is up' reaches a 192.168.241.2
modprobe -aq nfnetlink_queue nft_queue || true
if ! at a nft -f - << 'END' 2> "$TMP/nft"; then
table ip t {
	chain in {
		type filter hook input priority filter
		iifname lo icmp type echo-request queue num 7
	}
}
END
	skip 'packets that wait for a verdict' "no NFQUEUE: $(head -n 1 "$TMP/nft")"
	finish
fi

# outlives WHAT COMMAND...: what waits while that is done passes, once it may.
outlives() {
	local what=$1 pinger reader
	shift
	rm -f "$TMP/word"
	mkfifo "$TMP/word"
	: > "$TMP/said"
	spawn a python3 "$LIB/verdicts.py" 7 5 "$TMP/word" > "$TMP/said"
	reader=$job
	eventually grep -qx bound "$TMP/said"
	spawn a ping -n -q -c 5 -i 0.2 -W 30 127.0.0.1 > "$TMP/ping"
	pinger=$job
	check "$what: five wait" eventually grep -qx held "$TMP/said"
	check "$what: goes well" "$@"
	: > "$TMP/word"
	check "$what: they are let pass" eventually grep -q passed "$TMP/said"
	is "$what: all were there" "$(grep passed "$TMP/said")" '5 passed'
	wait "$pinger" || true
	like "$what: all are answered" "$(< "$TMP/ping")" '*5 received*'
	stop "$reader"
}

outlives 'another port' at a wg set wg0 listen-port 51899
at a wg set wg0 listen-port 51821
outlives 'down' at a ip link set wg0 down
outlives 'up' at a ip link set wg0 up
check 'the tunnel is up again' reaches a 192.168.241.2
outlives 'deleted' at a ip link del wg0

finish
