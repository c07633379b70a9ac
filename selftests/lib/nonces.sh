# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# That no nonce is used twice, in all that leaves the namespaces of a test; lib.sh does all of this.
# A test in which it is to be otherwise says so:
#
#	nonces=unwatched	before any namespaces are made: they end at once, or the test is of
#				the debug kernel's memory
#	nonces_leave a		what comes now is to be sent twice
#	nonces_least=N		so many messages are sent; if it does not say so, one is, by each test in
#				which devices that are left have sent more than some handshakes

nonces=watched
nonces_pid=
nonces_least=1
HANDSHAKES=100

# nonces_ask WHAT...: prints the answer.
nonces_ask() {
	local line
	echo "$*" >&"$nonces_to" || return 0
	while IFS= read -r line <&"$nonces_from" && [[ $line ]]; do
		echo "$line"
	done
}

# nonces_watch NAME: from now on.
nonces_watch() {
	[[ $nonces == watched ]] || return 0
	if [[ ! $nonces_pid ]]; then
		mkfifo "$TMP/nonces-to" "$TMP/nonces-from"
		python3 "$LIB/nonces.py" < "$TMP/nonces-to" > "$TMP/nonces-from" 2> "$TMP/nonces-log" &
		nonces_pid=$!
		# Nobody waits for it, and it is nobody's job.
		disown
		exec {nonces_to}> "$TMP/nonces-to" {nonces_from}< "$TMP/nonces-from"
		nonces_ask control >> "$TMP/nonces-wrong"
	fi
	nonces_ask watch "$1" "/run/netns/$RUN-$1" >> "$TMP/nonces-wrong"
}

# nonces_sent: packets that devices have sent that are still there.
nonces_sent() {
	local name
	for name in "${namespaces[@]}"; do
		at "$name" ip -j -s link show type wireguard
	done | grep -o '"tx":{[^}]*' | sed -n 's/.*"packets":\([0-9]*\).*/\1/p' | awk '{ sum += $1 } END { print sum + 0 }'
}

# nonces_leave NAME: no longer, so that it can end.
nonces_leave() {
	[[ ! $nonces_pid ]] || nonces_ask leave "$1"
}

# nonces_judge: one check, of all that there was.
nonces_judge() {
	[[ $nonces_pid ]] || return 0
	local found messages repeated unnoted
	(($(nonces_sent) > HANDSHAKES || nonces_least > 1)) || nonces_least=0
	found=$(nonces_ask report)
	read -r messages repeated unnoted <<< "$found" || true
	kill "$nonces_pid" 2> /dev/null || true
	nonces_pid=
	note "nonces of ${messages:-no} messages were looked at${unnoted:+, $unnoted not noted}"
	if [[ ${repeated-} == 0 && $unnoted == 0 && ! -s $TMP/nonces-wrong ]] && ((messages >= nonces_least)); then
		ok 'no nonce is used twice'
	else
		not_ok 'no nonce is used twice' "$found, of $nonces_least at least" \
			"$(cat "$TMP/nonces-wrong" "$TMP/nonces-log")"
	fi
}
