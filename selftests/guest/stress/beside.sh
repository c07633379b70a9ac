#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Light sessions beside a heavy one: what comes by them is not to wait until the messages of the heavy
# one are decrypted.  Several are looked at, as a session has one of the device's queues, by its index.
# WG_BESIDE is how many seconds each part lasts.
#
# kernels: uml
# timeout: 180

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/hog.sh"

undo() {
	hog_end
	[[ -d /sys/module/wireguard ]] || module_load
}

seconds=${WG_BESIDE:-2}
light=(1 2 3)
umask 077

# peers: wg0 in a with four peers, which are wg0 to wg3 in b; wg0 is the heavy one.
peers() {
	local n
	at a ip link add wg0 type wireguard
	at a wg set wg0 private-key "$TMP/key-a" listen-port 51821
	addr a wg0 192.168.241.1/24
	at a ip link set wg0 up
	for n in 0 "${light[@]}"; do
		wg genkey > "$TMP/key-$n"
		at a wg set wg0 peer "$(wg pubkey < "$TMP/key-$n")" allowed-ips "192.168.241.1$n/32"
		at b ip link add "wg$n" type wireguard
		at b wg set "wg$n" private-key "$TMP/key-$n" peer "$PUB_A" allowed-ips 0.0.0.0/0 \
			endpoint 10.0.0.1:51821
		addr b "wg$n" "192.168.241.1$n/32"
		at b ip link set "wg$n" up
		at b ip route add default dev "wg$n" table "10$n"
		eventually at b ping -n -q -c 1 -W 2 -I "192.168.241.1$n" 192.168.241.1
	done
}

# index N: what a calls its session with wgN by, as the messages to it say.
INDEX='
import socket, struct, subprocess, sys

port, *command = sys.argv[1:]
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as tap:
    tap.settimeout(20)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    while True:
        packet = tap.recv(2048)
        udp = packet[(packet[0] & 15) * 4 :]
        if packet[9] == 17 and udp[:2] == struct.pack("!H", int(port)) and udp[8:12] == struct.pack("<I", 4):
            break
print(struct.unpack_from("<I", udp, 12)[0])
'
index() {
	at b python3 -c "$INDEX" "$(at b wg show "wg$1" listen-port)" \
		ping -n -q -c 1 -W 2 -I "192.168.241.1$1" 192.168.241.1
}

# shares N: the session of wgN has the same queue as the heavy one, in a driver that has one for each CPU.
shares() {
	local possible
	possible=$(sed 's/.*-//' /sys/devices/system/cpu/possible)
	((($(index "$1") - $(index 0)) % (possible + 1) == 0))
}

# share: one of the light sessions does; each handshake has another index.
share() {
	[[ $DRIVER == rust ]] || return 0
	again() {
		if ! shares 1; then
			at b ip link set wg1 down
			at b ip link set wg1 up
			at b ip route add default dev wg1 table 101
			at b ping -n -q -c 1 -W 2 -I 192.168.241.11 192.168.241.1
			false
		fi
	}
	check 'a light session shares the queue of the heavy one' eventually again
}

# taken: what the heavy session has brought.
taken() {
	transfer a "$(wg pubkey < "$TMP/key-0")" | cut -d' ' -f1
}

# measure: echoes by all light sessions at once; sets lost, and p50 and p99 in microseconds.
measure() {
	local n jobs=()
	for n in "${light[@]}"; do
		spawn b ping -n -i 0.01 -c $((seconds * 100)) -W 2 -I "192.168.241.1$n" 192.168.241.1 \
			> "$TMP/ping-$n"
		jobs+=("$job")
	done
	for job in "${jobs[@]}"; do
		wait "$job" || true
	done
	read -r lost p50 p99 <<< "$(sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$TMP"/ping-[1-9] | sort -n |
		awk -v sent=$((${#light[@]} * seconds * 100)) '{ t[NR] = $1 } END {
			print int((sent - NR) * 100 / sent), int(t[int((NR - 1) * 0.5) + 1] * 1000),
				int(t[int((NR - 1) * 0.99) + 1] * 1000) }')"
}

# heavy WHAT [COMMAND]: the same while the heavy session has as much to receive as its sender can send, and
# after COMMAND.
heavy() {
	local load bytes begun
	bytes=$(taken)
	spawn b taskset -c 0 python3 "$LIB/junk.py" load 192.168.241.1 192.168.241.10 0
	load=$job
	moves() {
		(($(taken) > bytes + 1000000))
	}
	eventually moves
	"${2-:}"
	bytes=$(taken) begun=${EPOCHREALTIME/./}
	measure
	moved=$(((($(taken) - bytes)) * 1000 / (${EPOCHREALTIME/./} - begun)))
	stop_busy "$1" "$load"
	note "$1: $lost % lost, p50 $p50 us, p99 $p99 us; $moved kB/s beside"
}

cable
for n in 0 "${light[@]}"; do
	at b ip rule add from "192.168.241.1$n" table "10$n"
done
peers
share
measure
note "alone: $lost % lost, p50 $p50 us, p99 $p99 us"
alone=$p99
heavy 'beside a heavy session'
holds 'beside a heavy session, packets come through' "$lost <= 5"
holds 'beside a heavy session, in time' "$p99 < 50000 + 5 * $alone"

# The same when a CPU that has some of the heavy session's messages gets to none of them.
if (($(nproc) > 1)); then
	at a ip link del wg0
	for n in 0 "${light[@]}"; do
		at b ip link del "wg$n"
	done
	module_unload
	# Everything is a job for another CPU, then.
	if [[ $DRIVER == rust ]]; then module_load parallel=2; else module_load; fi
	peers
	share
	hog_rules
	# What this test runs must not be waiting there.
	taskset -pc 0 $$ > /dev/null
	heavy 'beside one that is stuck' hog
	unhog
	if [[ $DRIVER == c ]]; then
		skip 'beside one that is stuck, packets come through' "the in-tree driver waits for the CPU: $lost % lost"
	else
		holds 'beside one that is stuck, packets come through' "$lost <= 5"
		holds 'beside one that is stuck, in time' "$p99 < 200000"
	fi
	for n in "${light[@]}"; do
		check "light session $n is as ever" eventually at b ping -n -q -c 1 -W 2 -I "192.168.241.1$n" 192.168.241.1
	done
fi

finish
