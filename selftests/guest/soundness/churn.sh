#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Loading and unloading, again and again, with devices, sessions and traffic in every state that
# unloading may find them in; then nothing is left of it.  WG_CHURN is how many times.
#
# kernels: uml debug debug-smp kcsan
# timeout: 1200
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# Each takes longer where all is watched, and much longer if that is emulated.
case ${WG_KERNEL-} in
debug-smp | kcsan) cycles=24 ;;
debug) cycles=100 ;;
*) cycles=200 ;;
esac
cycles=${WG_CHURN:-$cycles}

loaded() {
	[[ -d /sys/module/wireguard ]]
}

undo() {
	loaded || module_load
}

! loaded || module_unload
cable
cat > "$TMP/a" << END
[Interface]
PrivateKey = $KEY_A
ListenPort = 51821
[Peer]
PublicKey = $PUB_B
AllowedIPs = 192.168.241.2/32
Endpoint = 10.0.0.2:51822
END
cat > "$TMP/b" << END
[Interface]
PrivateKey = $KEY_B
ListenPort = 51822
[Peer]
PublicKey = $PUB_A
AllowedIPs = 192.168.241.1/32
PersistentKeepalive = 1
END
for name in a b; do
	cat > "$TMP/up-$name" <<- END
		link add wg0 type wireguard
		link add wg1 type wireguard
		addr add 192.168.241.$([[ $name == a ]] && echo 1 || echo 2)/24 dev wg0
		link set wg1 up
		link set wg0 up
	END
done

# life: devices, a session, an echo.
life() {
	local name
	for name in a b; do
		at "$name" ip -batch "$TMP/up-$name"
		at "$name" wg setconf wg0 "$TMP/$name"
	done
	reaches a 192.168.241.2
	is_unpinned
}

is_unpinned() {
	[[ $(< /sys/module/wireguard/refcnt) == 0 ]]
}

# once N: one cycle; how it ends depends on N.
once() {
	local ping=
	module_load
	case $(($1 % 6)) in
	0) # nothing was ever made
		;;
	1) # all is tidied up before
		life
		at a ip link del wg0
		at b ip link del wg0
		;;
	2) # devices are up and idle
		life
		;;
	3) # packets fly
		life
		spawn a ping -n -q -f 192.168.241.2 > /dev/null 2>&1
		ping=$job
		sleep "0.$((RANDOM % 3))"
		;;
	4) # a namespace goes at the same time
		life
		nonces_leave b
		ip netns del "$RUN-b"
		;;
	5) # a handshake is under way, and packets wait for it
		life
		at b ip link del wg0
		at a ip link set wg0 down
		at a ip link set wg0 up
		at a ip addr replace 192.168.241.1/24 dev wg0
		at a ping -n -q -c 3 -i 0.01 -W 0.01 192.168.241.2 > /dev/null || true
		;;
	esac
	# Dumps and configuration pin it for a moment.
	eventually module_unload
	[[ ! $ping ]] || stop "$ping"
	if [[ ! -e /run/netns/$RUN-b ]]; then
		ip netns add "$RUN-b"
		ip -n "$RUN-b" link set lo up
		# The far end of the cable goes with its namespace, a moment later.
		eventually gone_from_a
		veth a eth0 b eth0
		addr a eth0 10.0.0.1/24
		addr b eth0 10.0.0.2/24
	fi
}

gone_from_a() {
	! at a ip link show eth0 > /dev/null 2>&1
}

# memory: what the kernel has for itself, in kB, once it is at rest.
memory() {
	sync
	echo 3 > /proc/sys/vm/drop_caches
	sleep 2
	echo 3 > /proc/sys/vm/drop_caches
	awk '/^(SUnreclaim|Percpu|VmallocUsed|PageTables):/ { sum += $2 } END { print sum }' /proc/meminfo
}

# threads: how many there are in the whole system.
threads() {
	cut -d' ' -f4 /proc/loadavg | cut -d/ -f2
}

# Those who watch keep books, which grow; they also find what is lost. They run on emulated CPUs, too, where caches are
# not to be dropped: programs are read into other memory then without the emulator, which goes on to run what it has
# translated of that.
case ${WG_KERNEL-} in
debug* | kcsan) measured= ;;
*) measured=$((cycles - 12)) ;;
esac

done_cycles=0
before=
for ((n = 1; n <= cycles; n++)); do
	# The first ones fill the kernel's caches.
	((n != 13)) || [[ ! $measured ]] || before=$(memory) threads_before=$(threads)
	capture once "$n"
	if ((status != 0)); then
		not_ok "cycle $n of kind $((n % 6))" "status $status" "$output"
		break
	fi
	done_cycles=$n
	((n % 50)) || note "$n cycles in $SECONDS s"
done
is "$cycles times loaded and unloaded" "$done_cycles" "$cycles"
is 'it is gone' "$(ls -d /sys/module/wireguard 2>&1)" "ls: cannot access '/sys/module/wireguard': No such file or directory"
is 'no cache is left' "$(grep -E '^(wg_|allowedips|peer_cache)' /proc/slabinfo | cut -d' ' -f1 | xargs)" ''
is 'no socket is left' "$(ports a; ports b)" ''
if [[ $before ]]; then
	after=$(memory)
	note "memory: $before kB before, $after kB after $measured cycles"
	threads_after=$(threads)
	holds 'threads did not become more' "$threads_after < $threads_before + 20"
	holds 'memory did not grow by more than 4 kB a cycle' "$after - $before < 1024 + 4 * $measured"
fi

finish
