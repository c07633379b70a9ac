# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Memory that runs out, for the test faults. Sourced after lib.sh.

# The kernel tells where vmalloc() failed; that it does is what this is about.
TROUBLE=${TROUBLE/|Call Trace/}

# The settings of the module to test with.
settings=(default)
[[ $DRIVER != rust ]] || settings=(parallel=0 parallel=2)

undo() {
	quiet
	anyone
	[[ -d /sys/module/wireguard ]] || module_load
}

# faults_begin: nothing fails yet; what may wait can fail as well, and not a word of each.
faults_begin() {
	local kind
	quiet
	for kind in failslab fail_page_alloc; do
		knob "$kind" ignore-gfp-wait=N verbose=0 times=-1 interval=1 space=0
	done
	knob fail_page_alloc min-order=0 ignore-gfp-highmem=N
	knob fail_skb_realloc verbose=0 times=-1 interval=1
	anyone
}

# ours: only what the driver asks for can fail, itself or by way of whom it calls. anyone: all can.
ours() {
	local text kind
	mapfile -t text < <(module_text)
	for kind in failslab fail_page_alloc; do
		knob "$kind" stacktrace-depth=32 require-start="0x${text[0]}" require-end="0x${text[1]}"
	done
}

anyone() {
	local kind
	for kind in failslab fail_page_alloc; do
		knob "$kind" require-start=0x0 require-end=0xffffffffffffffff
	done
	knob failslab cache-filter=N
}

# packets_fail: only what packets are made of can fail.
packets_fail() {
	local cache
	for cache in skbuff_head_cache skbuff_fclone_cache skbuff_small_head; do
		echo 1 > "/sys/kernel/slab/$cache/failslab"
	done
	knob failslab cache-filter=Y
}

# reload [PARAMETER=VALUE...]
reload() {
	[[ ! -d /sys/module/wireguard ]] || module_unload
	module_load "$@"
}

# part COMMAND...: what it finds, and how long that takes. WG_PARTS may say which of them are all.
part() {
	[[ ! ${WG_PARTS-} || " $WG_PARTS " == *" $5 "* ]] || return 0
	local begin=$SECONDS
	parts_run=yes
	adopt "$@"
	note "$5: $((SECONDS - begin)) s"
}

# one_by_one: each of the allocations of whatever can be asked for fails, or every WG_FAULTS-th.
one_by_one() {
	local file=${WG_MODULE:-$(modinfo -n wireguard)} part parallel
	note 'one after the other'
	ns f
	module_unload
	for part in insmod rmmod; do
		part at f python3 "$HERE/faults.py" "$part" "$file"
	done
	reload
	for part in device three_peers configuration; do
		part at f python3 "$HERE/faults.py" "$part"
	done
	debug on
	part at f python3 "$HERE/faults.py" leftovers
	ours
	part at f python3 "$HERE/faults.py" exits
	anyone
	debug off
	cable
	for parallel in "${settings[@]}"; do
		reload ${parallel#default}
		tunnel
		check "$parallel: a tunnel" reaches a 192.168.241.2
		part at a python3 "$HERE/faults.py" send 192.168.241.2
		check "$parallel: it works" reaches a 192.168.241.2
		ours
		part at a python3 "$HERE/faults.py" handshake 192.168.241.2 "/run/netns/$RUN-b"
		anyone
		check "$parallel: it works, both ways" reaches b 192.168.241.1
		untunnel
	done
}

# unregistrable: somebody else refuses to have a device registered.
unregistrable() {
	local error=${faults:?}/notifier-error-inject/netdev/actions/NETDEV_REGISTER/error
	note 'a device that cannot be registered'
	modprobe netdev-notifier-error-inject
	for _ in {1..5}; do
		echo -12 > "$error"
		refuses 'the notifier says no' '*Cannot allocate memory*' at f ip link add wg0 type wireguard
		echo 0 > "$error"
		check 'then it does not' at f ip link add wg0 type wireguard
		at f ip link del wg0
	done
	rmmod netdev-notifier-error-inject
	is 'nothing pins the module' "$(< /sys/module/wireguard/refcnt)" 0
}

# life SECONDS: a tunnel lives, one renewal of sessions after the other.
life() {
	local end=$((SECONDS + $1)) pings=()
	spawn a ping -n -q -i 0.01 -s 1300 192.168.241.2 > /dev/null 2>&1
	pings+=("$job")
	spawn b ping -n -q -i 0.01 fd00::1 > /dev/null 2>&1
	pings+=("$job")
	# Many in one packet.
	# shellcheck disable=SC2016
	spawn a bash -c 'while :; do "$0" send 192.168.241.2 240; done' "$LIB/datagrams.py" > /dev/null 2>&1
	pings+=("$job")
	while ((SECONDS < end)); do
		sleep 0.5
		at a wg set wg0 peer "$PUB_B" persistent-keepalive 1 endpoint 10.0.0.2:51822 || true
		at b ip link set wg0 down || true
		at b ip link set wg0 up || true
		at b ip addr replace fd00::2/112 dev wg0 nodad || true
		sleep 0.5
		at a wg set wg0 private-key "$TMP/key-c" || true
		at a wg set wg0 private-key "$TMP/key-a" peer "$PUB_C" remove || true
	done 2> /dev/null
	for job in "${pings[@]}"; do
		stop "$job"
	done
}

survives() {
	at b ip addr replace fd00::2/112 dev wg0 nodad
	at a wg set wg0 private-key "$TMP/key-a" peer "$PUB_B" endpoint 10.0.0.2:51822
	at b ip link set wg0 up
	check "$1" reaches a 192.168.241.2
	check "$1, both ways" reaches b fd00::1
}

# failed KIND: some has failed.
plenty=1000000000
failed() {
	(($(< "$faults/$1/times") < plenty))
}

# at_random SECONDS KIND...: for as long, allocations fail at random: those of the driver, or of packets; or
# whoever may move a packet does, and what still points into the old one is found out; or both.
at_random() {
	local parallel kind kinds=("${@:2}") each each_of
	each=$(($1 / ${#settings[@]} / ${#kinds[@]}))
	for parallel in "${settings[@]}"; do
		note "at random, $parallel: ${kinds[*]}, $each s each"
		reload ${parallel#default}
		tunnel
		ours
		for kind in "${kinds[@]}"; do
			for each_of in failslab fail_page_alloc fail_skb_realloc; do
				knob "$each_of" times="$plenty"
			done
			case $kind in
			driver) knob failslab probability=20; knob fail_page_alloc probability=20 ;;
			packets) anyone; packets_fail; knob failslab probability=5 ;;
			moves) knob fail_skb_realloc probability=100 ;;
			both)
				ours
				knob failslab probability=5
				knob fail_page_alloc probability=5
				knob fail_skb_realloc probability=50
				;;
			esac
			life "$each"
			quiet
			anyone
			case $kind in
			moves | both) check "$parallel, $kind: packets moved" failed fail_skb_realloc ;;&
			driver | packets | both) check "$parallel, $kind: there was no memory" failed failslab ;;
			esac
			survives "$parallel, $kind: memory is there again"
			ours
		done
		anyone
		untunnel
	done
}
