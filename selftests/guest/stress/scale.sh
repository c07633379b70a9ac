#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Many peers: they are added, shown, removed, and cost nobody else anything.  WG_PEERS is how many.
# How long it takes and how much memory is printed; what is checked is that it works, and that a peer of ours
# takes little.
#
# kernels: uml
# timeout: 900
# slow: yes

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# With the in-tree driver, each has a thread.
[[ $DRIVER == c ]] && peers=${WG_PEERS:-3000} || peers=${WG_PEERS:-20000}
removed=$((peers / 3 < 1000 ? peers / 3 : 1000))
scale=$HERE/scale.py

# A thread per peer, if the driver has such, must not be what the machine has too few of.
echo 4000000 > /proc/sys/kernel/pid_max
echo 3000000 > /proc/sys/kernel/threads-max

# timed WHAT COMMAND...: checks that it succeeds, and says how long it took.
timed() {
	local what=$1 start=${EPOCHREALTIME/./}
	shift
	check "$what" "$@"
	note "$what: $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
}

# memory_free: in kB, once all that can be freed is.
memory_free() {
	sync
	echo 3 > /proc/sys/vm/drop_caches
	sleep 1
	awk '/^MemFree/ { print $2 }' /proc/meminfo
}

# memory_used: what the kernel has allocated in small pieces, in kB.
memory_used() {
	awk '/^SUnreclaim/ { print $2 }' /proc/meminfo
}

threads() {
	find "${WG_ALL_PROCESSES:-/proc}" -maxdepth 1 -name '[0-9]*' | wc -l
}

# speed: Mbit/s of a TCP stream through the tunnel, the best of three.
speed() {
	local best=0 now
	for _ in 1 2 3; do
		spawn b iperf3 -s -1 --forceflush > "$TMP/server" 2>&1
		eventually grep -q listening "$TMP/server"
		at a iperf3 -c 192.168.241.2 -t 2 -J > "$TMP/client"
		wait "$job"
		now=$(python3 -c 'import json, sys
print(int(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e6))' < "$TMP/client")
		((now <= best)) || best=$now
	done
	echo "$best"
}

# idle: what the machine does in two seconds, as context switches.
idle() {
	local before after
	before=$(awk '/^ctxt/ { print $2 }' /proc/stat)
	sleep 2
	after=$(awk '/^ctxt/ { print $2 }' /proc/stat)
	echo $((after - before))
}

pair
reaches a 192.168.241.2
note "speed with one peer: $(speed) Mbit/s"
note "context switches in 2 s with one peer: $(idle)"
threads_before=$(threads)

cat > "$TMP/conf" << END
[Interface]
PrivateKey = $KEY_A
ListenPort = 51821
[Peer]
PublicKey = $PUB_B
AllowedIPs = 192.168.241.2/32, fd00::2/128
Endpoint = 10.0.0.2:51822
END
"$scale" config 1 "$peers" >> "$TMP/conf"
free_before=$(memory_free)
used_before=$(memory_used)

spawn a "$scale" hold > "$TMP/hold"
hold=$job
timed "$peers peers are added" at a wg setconf wg0 "$TMP/conf"
kill "$hold"
wait "$hold" || true
note "RTNL was held for $(< "$TMP/hold") ms at most"

free_after=$(memory_free)
memory=$((($(memory_used) - used_before) * 1024 / peers))
note "memory per peer: $memory bytes in slabs, $(((free_before - free_after) * 1024 / peers)) in all"
[[ $DRIVER == c ]] || ((peers < 20000)) || holds 'a peer takes little memory' "$memory < 1000"
note "threads: $threads_before before, $(threads) after"

timed 'they are shown' at a "$scale" count
is 'all of them, with their prefixes' "$(at a "$scale" count)" "$((peers + 1)) $((peers + 2))"
check 'one of them answers' reaches a 192.168.241.2
note "speed with $peers peers: $(speed) Mbit/s"
note "context switches in 2 s with $peers peers: $(idle)"
if [[ $DRIVER == rust ]]; then
	holds 'peers need no threads' "$(threads) < $threads_before + 20"
fi

timed "$removed are removed by one message" at a "$scale" remove 1 "$removed"
is 'the others are left' "$(at a "$scale" count)" \
	"$((peers + 1 - removed)) $((peers + 2 - removed))"
check 'the one still answers' reaches a 192.168.241.2

spawn a "$scale" hold > "$TMP/hold"
hold=$job
timed 'the device is deleted' at a ip link del wg0
kill "$hold"
wait "$hold" || true
note "RTNL was held for $(< "$TMP/hold") ms at most"
free_end=$(memory_free)
note "memory that did not come back: $((free_before - free_end)) kB"
finish
