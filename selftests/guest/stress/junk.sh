#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two senders of junk, each on a CPU of its own if there are so many, beside a session: data of no
# session, data that say to be of this one, initiations that do not know our key, and initiations that
# do, from thousands of addresses, which are answered by cookies.  Each comes in large packets, as between
# namespaces, and in single datagrams, as from a card.  The session goes on, junk is kept nowhere, and
# when it is over all is as before.  WG_JUNK is how many seconds each part lasts,
# WG_JUNK_SENDERS how many senders there are, WG_JUNK_KINDS what they send, and WG_JUNK_RATE how many
# messages a second each of them makes; 0 is as many as it can.
#
# kernels: uml
# slow: uml/c
# timeout: 300

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/bundles.sh"

seconds=${WG_JUNK:-2}
rate=${WG_JUNK_RATE:-100000}
count=${WG_JUNK_SENDERS:-2}
# How many messages a large packet of junk holds, and how many a second there are to be at least.
batch=60
least=20000

# slab: what the kernel has allocated, in kB.
slab() {
	awk '$1 == "Slab:" { print $2 }' /proc/meminfo
}

# taken: the datagrams that a's sockets have handed to the driver; several at once may count as one.
taken() {
	at a nstat -asz UdpInDatagrams | awk '$1 == "UdpInDatagrams" { print $2 }'
}

# polls: how often the threads have run that poll a's tunnel.
polls() {
	awk '$1 == "Name:" { ours = $2 ~ /^napi\/wg0/ }
		$1 == "voluntary_ctxt_switches:" && ours { sum += $2 }
		END { print sum + 0 }' "${WG_ALL_PROCESSES:-/proc}"/[0-9]*/status 2> /dev/null || true
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
# beside KIND WHAT MESSAGES: the session beside that; what counts as one datagram holds so many messages.
beside() {
	local kind=$1 what=$2 messages=$3 limit=5
	# What says to be of the session waits with what is.
	[[ $DRIVER != c || $kind != forged ]] || limit=40
	junk "$kind"
	measure "$what"
	stop_busy "$what" "${senders[@]}"
	# Without the session's own, of which there may be fewer now.
	messages=$(((came - free_came * moved / free) * messages))
	note "$what: $messages messages of it a second"
	holds "$what: there is much of it" "$messages > $least"
	holds "$what: packets come through" "$lost <= $limit"
	holds "$what: in time" "$p99 < 100000 + 5 * $free_p99"
	holds "$what: the transfer goes on" "$moved * 4 > $free"
	holds "$what: none of it is kept" "$grown < 1024"
}
for kind in ${WG_JUNK_KINDS:-data forged initiations cookies}; do
	# The in-tree driver has UDP segment what comes in.
	beside "$kind" "$kind" "$([[ $DRIVER == rust ]] && echo "$batch" || echo 1)"
	card b
	beside "$kind" "$kind one by one" 1
	pass b
done
measure 'junk is over'
holds 'when it is over, packets come through' "$lost <= 1"
holds 'when it is over, the transfer is as fast as before' "$moved * 3 > $free"

# Data of no session end where they come in, and wake nobody.
at_sys a sh -c 'echo 1 > /sys/class/net/wg0/threaded'
before=$(polls)
check 'with threads, packets come through' at b ping -n -q -i 0.01 -c 50 192.168.241.1
holds 'those that poll are seen' "$(polls) >= $before + 20"
card b
before=$(polls) came=$(taken)
junk data
sleep 1
stop_busy 'data that wake nobody' "${senders[@]}"
before=$(($(polls) - before)) came=$(($(taken) - came))
note "$came datagrams of no session, and those that poll have run $before times"
holds 'data that wake nobody: there are many' "$came > $least"
holds 'data of no session wake nobody' "$before < 200"
pass b
at_sys a sh -c 'echo 0 > /sys/class/net/wg0/threaded'

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
