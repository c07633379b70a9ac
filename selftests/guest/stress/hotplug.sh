#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# CPUs go and come back, twice a second if the machine is fast enough, while data flow both ways and
# handshakes are asked for, most of them by nobody.  When all CPUs are back, nothing is stuck: not what
# waited on a CPU that went, nor what comes after.  WG_HOTPLUG is how many seconds it lasts, WG_HZ how often
# in a second CPUs are to come and go.
#
# kernels: stock
# timeout: 400
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

seconds=${WG_HOTPLUG:-8}
pause=$(awk -v hz="${WG_HZ:-2}" 'BEGIN { print 1 / (2 * hz) }')
cpus=$(nproc)

# online CPU 0|1
online() {
	echo "$2" > "/sys/devices/system/cpu/cpu$1/online"
}

undo() {
	local cpu
	for ((cpu = 1; cpu < cpus; cpu++)); do
		online "$cpu" 1 2> /dev/null || true
	done
	[[ -d /sys/module/wireguard ]] || module_load
}

# come_and_go: all but the first, in turn; as often as it says when it is told to end.
come_and_go() {
	local cpu=1 times=0 begin=${EPOCHREALTIME/./}
	while [[ -e $TMP/running ]]; do
		online "$cpu" 0
		sleep "$pause"
		online "$cpu" 1
		sleep "$pause"
		cpu=$((cpu % (cpus - 1) + 1))
		times=$((times + 1))
	done
	echo "$times $(((${EPOCHREALTIME/./} - begin) / 1000))" > "$TMP/times"
}

# storm WHAT: the whole of it.
storm() {
	local what=$1 bytes loads=() coming times milliseconds
	pair
	ns e f
	veth e eth0 f eth0
	addr e eth0 10.0.0.1/24 fd00:aa::1/64
	addr f eth0 10.0.0.2/24 fd00:aa::2/64
	at e ip link add wg0 type wireguard
	at e ip link set wg0 up
	check "$what: the tunnel is up" reaches b 192.168.241.1
	: > "$TMP/running"
	spawn a python3 "$LIB/junk.py" load 192.168.241.2
	loads+=("$job")
	spawn b python3 "$LIB/junk.py" load 192.168.241.1
	loads+=("$job")
	come_and_go &
	coming=$!
	adopt at_sys e python3 "$HERE/hotplug.py" "/run/netns/$RUN-f" "$TMP/running" "$seconds"
	check "$what: CPUs come and go" wait "$coming"
	read -r times milliseconds < "$TMP/times"
	note "$what: they did so $times times in $milliseconds ms"
	holds "$what: more than once" "$times > 1"
	is "$what: all are back" "$(nproc)" "$cpus"
	bytes=$(($(received a) + $(received b)))
	moves() {
		(($(received a) + $(received b) > bytes + 200000))
	}
	check "$what: data flow" eventually moves
	stop_busy "$what: the load" "${loads[@]}"
	at b ping -n -q -i 0.05 -c 100 -W 5 192.168.241.1 > "$TMP/ping" || true
	note "$what: $(grep -E 'rtt' "$TMP/ping")"
	like "$what: no packet is lost any more" "$(grep received "$TMP/ping")" '*, 100 received*'
	check "$what: large packets come through" at a ping -n -q -c 5 -s 30000 -W 20 192.168.241.2
	ns_del a b e f
}

if ((cpus < 2)) || [[ ! -e /sys/devices/system/cpu/cpu1/online ]]; then
	skip 'CPUs that come and go' 'none can'
	finish
fi
storm 'as it is'
if [[ $DRIVER == rust ]]; then
	# Everything is a job for another CPU, then.
	module_unload
	module_load parallel=2
	storm parallel=2
fi
module_unload
ok 'nothing keeps the module'
module_load

finish
