#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Peers with little to be sent to beside one with far more than can be sent: what is for them leaves.
# All is forwarded, in GSO packets, to a device that takes single datagrams only, so that it is left to
# workers.
#
# kernels: stock uml
# timeout: 400

# What waits in the end takes as long as the machine takes to encrypt it.
PATIENCE=200

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/bundles.sh"

light=(1 2 3)
umask 077

# peers: of a, each a device of b; 0 is the heavy one.
peers() {
	local n
	at a ip link add wg0 type wireguard
	at a wg set wg0 private-key "$TMP/key-a" listen-port 51821
	addr a wg0 192.168.241.1/24
	at a ip link set wg0 up
	for n in 0 "${light[@]}"; do
		wg genkey > "$TMP/key-$n"
		at b ip link add "wg$n" type wireguard
		at b wg set "wg$n" private-key "$TMP/key-$n" listen-port "5183$n" peer "$PUB_A" \
			allowed-ips 0.0.0.0/0
		addr b "wg$n" "192.168.241.1$n/32"
		at b ip link set "wg$n" up
		at a wg set wg0 peer "$(wg pubkey < "$TMP/key-$n")" allowed-ips "192.168.241.1$n/32" \
			endpoint "10.0.0.2:5183$n"
	done
	for n in 0 "${light[@]}"; do
		at a ping -n -q -c 1 -W 1 "192.168.241.1$n" > /dev/null || true
	done
	check 'sessions' becomes 4 sessions
	# It is a that is looked at: b is to spend no time on what comes.
	for n in 0 "${light[@]}"; do
		at b ip link set "wg$n" down
	done
}

sessions() {
	at a wg show wg0 latest-handshakes | awk '$2 { n++ } END { print n + 0 }'
}

# sent_to: what was sent to each, the heavy one first.
sent_to() {
	local n
	for n in 0 "${light[@]}"; do
		transfer a "$(wg pubkey < "$TMP/key-$n")" | cut -d' ' -f2
	done
}

# rests: no more is sent.
rests() {
	local before
	before=$(sent_to)
	sleep 0.5
	[[ $(sent_to) == "$before" ]]
}

# For so many seconds: GSO packets to the heavy one, and few to each of the light ones, from 192.168.241.10
# on. Prints how many datagrams each was sent.
SEND='
import socket, sys, time

UDP_SEGMENT = 103
HEAVY, LIGHT = 40, 10
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
size, seconds, lights = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
heavy, light = bytes(size * HEAVY), bytes(size * LIGHT)
counts = [0] * (1 + len(lights))
end, rounds = time.monotonic() + seconds, 0
while time.monotonic() < end:
    rounds += 1
    for _ in range(20):
        sock.sendto(heavy, ("192.168.241.10", 9))
        counts[0] += HEAVY
    # Not before there is too much of it.
    if time.monotonic() > end - seconds / 2:
        for n, address in enumerate(lights, 1):
            sock.sendto(light, (address, 9))
            counts[n] += LIGHT
print(*counts)
'

cable
lan
card a
peers

size=100
addresses=()
for n in "${light[@]}"; do
	addresses+=("192.168.241.1$n")
done
mapfile -t before < <(sent_to)
read -r -a wanted < <(at l python3 -c "$SEND" "$size" "${WG_UPLOADS:-4}" "${addresses[@]}")
eventually rests
mapfile -t after < <(sent_to)
# Payload, headers inside, padding, message.
message=$(((size + 28 + 15) / 16 * 16 + 32))
for n in 0 "${light[@]}"; do
	share[n]=$(((${after[n]} - ${before[n]}) * 100 / message / ${wanted[n]}))
	note "peer $n: ${share[n]} % of ${wanted[n]} datagrams were sent"
done
holds 'there was more for the heavy one than could be sent' "${share[0]} < 90"
for n in "${light[@]}"; do
	holds "what was for peer $n was sent" "${share[n]} >= 95"
done

finish
