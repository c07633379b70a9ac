#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packet sockets send with bottom halves off, and past the queue with no other protection.  That is
# enough for what the driver reads under RCU, also when it has to look up the route first; but it has to
# say so, or lockdep complains.  Lockdep says once only what it thinks of a place: the first that fails
# says it for those after it.
#
# kernels: debug
# excuse: no
# timeout: 60

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# It stops looking once it has complained.
looks() {
	grep -q 'debug_locks: *1$' /proc/lockdep_stats
}

pair
check 'the tunnel' reaches a 192.168.241.2
check 'lockdep looks' looks

# cold ENDPOINT: it is known where b is and at which of our addresses it has heard from us, but nobody has
# looked up the route yet.
cold() {
	local before
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.9:1
	at b wg set wg0 peer "$PUB_A" endpoint "$2:51821"
	before=$(received a)
	# The sum of the header is wrong: nobody answers that.
	raw b 0 "4500001c0001000040110000${ADDRESS_B}${ADDRESS_A}0009000900080000"
	heard() { (($(received a) > before)); }
	eventually heard
	[[ $(endpoint a) == "$1:51822" ]]
}

ADDRESS_A=c0a8f101
ADDRESS_B=c0a8f102

# raw NAME BYPASS BYTES: sends a packet, past the queue or not.
raw() {
	at "$1" python3 - "${@:2}" << 'END'
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
    sock.setsockopt(263, 20, int(sys.argv[1]))  # PACKET_QDISC_BYPASS
    sock.bind(("wg0", 0x0800))
    sock.send(bytes.fromhex(sys.argv[2]))
END
}

# one BYPASS: an empty UDP datagram.
one() {
	raw a "$1" "4500001c00010000401166dd${ADDRESS_A}${ADDRESS_B}0009000900080000"
}

# large: a TCP segment to be cut into many.
large() {
	[[ $(at a python3 "$LIB/packet.py" wg0 192.168.241.1 192.168.241.2 14000 1,1,40,1000,20,16) == *sent ]]
}

# protected ENDPOINT OURS COMMAND...: sends by a route that is not known yet; nobody complains.
protected() {
	local before
	cold "$1" "$2"
	before=$(sent a)
	"${@:3}"
	has_sent() { (($(sent a) > before)); }
	eventually has_sent
	! log | troubles
}

for endpoint in '10.0.0.2 10.0.0.1' '[fd00:aa::2] [fd00:aa::1]'; do
	for command in 'one 1' 'one 0' large; do
		log_mark
		# shellcheck disable=SC2086 # words
		check "to ${endpoint% *}: $command" protected $endpoint $command
	done
done

check 'lockdep looks still' looks
finish
