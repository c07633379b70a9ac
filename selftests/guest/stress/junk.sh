#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two senders of junk, each on a CPU of its own if there are so many, beside a session: data of no
# session, data that say to be of this one, initiations that do not know our key, and initiations that
# do, from thousands of addresses, which are answered by cookies.  The session goes on, junk is kept
# nowhere, and when it is over all is as before.  WG_JUNK is how many seconds each part lasts,
# WG_JUNK_SENDERS how many senders there are, WG_JUNK_KINDS what they send, and WG_JUNK_RATE how many
# messages a second each of them makes; 0 is as many as it can.
#
# kernels: uml
# timeout: 120

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

seconds=${WG_JUNK:-2}
rate=${WG_JUNK_RATE:-100000}
count=${WG_JUNK_SENDERS:-2}

# slab: what the kernel has allocated, in kB.
slab() {
	awk '$1 == "Slab:" { print $2 }' /proc/meminfo
}

# taken: the datagrams that a's sockets have handed to the driver; several at once may count as one.
taken() {
	at a nstat -asz UdpInDatagrams | awk '$1 == "UdpInDatagrams" { print $2 }'
}

# measure WHAT: packets through the tunnel, and a transfer beside them; sets lost, p99, moved,
# grown and came.
measure() {
	local bytes before begun load passed
	bytes=$(received a)
	spawn b python3 "$LIB/junk.py" load 192.168.241.1
	load=$job
	# It takes a while until it runs.
	moves() {
		(($(received a) > bytes + 100000))
	}
	eventually moves
	bytes=$(received a) came=$(taken) before=$(slab) begun=${EPOCHREALTIME/./}
	at b ping -n -i 0.01 -c $((seconds * 100)) -W 2 192.168.241.1 > "$TMP/ping" || true
	passed=$((${EPOCHREALTIME/./} - begun))
	grown=$(($(slab) - before))
	moved=$((($(received a) - bytes) * 1000 / passed))
	came=$((($(taken) - came) * 1000000 / passed))
	stop_busy "$1" "$load"
	lost=$(sed -n 's/.* \([0-9]*\)[.0-9]*% packet loss.*/\1/p' "$TMP/ping")
	# In microseconds.
	p99=$(sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$TMP/ping" | sort -n |
		awk '{ t[NR] = $1 } END { print NR ? int(t[int((NR - 1) * 0.99) + 1] * 1000) : 10 ^ 9 }')
	note "$1: $moved kB/s, $lost % of pings lost, p99 $p99 us, slab $grown kB more," \
		"$came datagrams taken a second"
}

# junk KIND: senders of it; sets senders.
junk() {
	local n before
	before=$(taken)
	senders=()
	for ((n = 0; n < count; n++)); do
		spawn b python3 "$LIB/junk.py" "$1" 10.0.0.1 51821 "$((n % $(nproc)))" "$rate"
		senders+=("$job")
	done
	arrives() {
		# Those who forge have to see the session first.
		at b ping -n -q -c 1 -W 1 192.168.241.1 > /dev/null || true
		(($(taken) > before + 100))
	}
	eventually arrives
}

pair
check 'the tunnel is up' reaches b 192.168.241.1
measure 'no junk'
free=$moved free_p99=$p99 free_came=$came
# What cookies are sent to.
at b ip route add local 10.1.0.0/16 dev lo
at a ip route add 10.1.0.0/16 via 10.0.0.2
for kind in ${WG_JUNK_KINDS:-data forged initiations cookies}; do
	# What says to be of the session waits with what is.
	limit=5
	[[ $DRIVER != c || $kind != forged ]] || limit=40
	junk "$kind"
	measure "$kind"
	stop_busy "$kind" "${senders[@]}"
	holds "$kind: there is much of it" "$came > $free_came + 500"
	holds "$kind: packets come through" "$lost <= $limit"
	holds "$kind: in time" "$p99 < 100000 + 5 * $free_p99"
	holds "$kind: the transfer goes on" "$moved * 4 > $free"
	holds "$kind: none of it is kept" "$grown < 1024"
done
measure 'junk is over'
holds 'when it is over, packets come through' "$lost <= 1"
holds 'when it is over, the transfer is as fast as before' "$moved * 3 > $free"

# A peer that has forgotten all has to begin anew.
at b wg set wg0 peer "$PUB_A" remove
at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128 endpoint 10.0.0.1:51821
before=$(at a wg show wg0 latest-handshakes | cut -f2)
later() {
	(($(at a wg show wg0 latest-handshakes | cut -f2) > before))
}
check 'when it is over, packets come through by a new session' reaches b 192.168.241.1
check 'when it is over, a handshake takes place' eventually later

finish
