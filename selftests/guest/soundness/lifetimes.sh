#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What ends while something else refers to it: the namespace of a device's sockets right after, or
# while, all that has routes or hooks in it is changed or goes.  What must hold is that the kernel has
# nothing to complain about: nothing may be released in a namespace that is gone, nor be freed while
# another subsystem looks at it.  WG_ROUNDS is how often each case is tried, WG_KINDS which routes are
# (plain4 plain6 exception esp4 esp6, or hooks in place of them), WG_CASES what is done with them, and
# WG_MOST how many peers are replaced by one request.
#
# kernels: stock uml debug debug-smp kcsan
# excuse: no
# timeout: 600
# append: slub_debug=FZPU rcu_nocbs=all
# slow: uml/c stock/c stock-7.2 debug-smp kcsan

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# Nothing but what is tried is to keep a namespace.
nonces=unwatched

rounds=${WG_ROUNDS:-1}
# How many peers one request removes once, each with a route of its own. 10,000 take that long that the end
# comes in the midst of it; the in-tree driver takes minutes to add as many, QEMU to send to them.
most=400
case ${WG_KERNEL-}/$DRIVER in
uml/rust) most=10000 ;;
uml/*) most=1000 ;;
esac
most=${WG_MOST-$most}

# a has the sockets of devices that are in b; r routes between it and c, where the peer is.
#
#	a: eth0 10.1.0.1/24 fd01::1/64 - r: eth0 .2, eth1 10.2.0.2/24 fd02::2/64 - c: eth0 .1
#
# All of fd03::/48 is at c, too.
ns b r c d
veth r eth1 c eth0
addr r eth1 10.2.0.2/24 fd02::2/64
addr c eth0 10.2.0.1/24 fd02::1/64
sysctl_set r ipv4/ip_forward 1
sysctl_set r ipv6/conf/all/forwarding 1
at c ip route add default via 10.2.0.2
at c ip route add default via fd02::2
at c ip -6 route add local fd03::/48 dev lo
at r ip route add fd03::/48 via fd02::1

# watched COMMAND...: it succeeds, and the kernel has nothing to complain about meanwhile.  After log_mark.
watched() {
	"$@"
	! log | troubles
}

# --- Hooks --------------------------------------------------------------------------------------

modprobe -aq nfnetlink_hook nf_tables || true
# Whoever lists them may be interrupted anywhere.
preemption=/sys/kernel/debug/sched/preempt
preempt() {
	[[ ! -w $preemption ]] || echo "$1" > "$preemption"
}
usual_preemption=$(sed 's/.*(\(.*\)).*/\1/' "$preemption" 2> /dev/null) || true
list_hooks() {
	at a python3 "$LIB/hooks.py" 0.1
}
has_hook() {
	at a nft list hooks | grep -q '\[wireguard\]'
}
come_and_go() {
	local seconds=$((rounds < 4 ? 15 : 60)) listers=() job
	local until=$((SECONDS + seconds))
	local lister
	for ((lister = 0; lister <= $(nproc); lister++)); do
		spawn a python3 "$LIB/hooks.py" "$seconds" > /dev/null
		listers+=("$job")
	done
	while ((SECONDS < until)); do
		at a ip link add wg0 type wireguard
		at a ip link set wg0 up
		module_unload
		module_load
	done
	wait "${listers[@]}"
}
try_hooks() {
	note 'hooks are listed while the module comes and goes'
	preempt full
	ns a o
	# Others have a hook as well, so that ours come and go without the kernel's code being changed.
	at o nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }' || true
	log_mark
	if try list_hooks; then
		if [[ $DRIVER == rust ]]; then
			at a ip link add wg0 type wireguard
			at a ip link set wg0 up
			check 'ours is among them' has_hook
			at a ip link set wg0 down
			check 'and stays, as packets may wait for others' has_hook
			at a ip link del wg0
		fi
		check 'nothing happens to those that list them' watched come_and_go
	else
		skip 'hooks' 'the kernel does not list hooks'
	fi
	ns_del a o
	preempt "$usual_preemption"
}
[[ " ${WG_KINDS-hooks} " != *' hooks '* ]] || try_hooks

# --- Routes -------------------------------------------------------------------------------------

at c ip link add wg0 type wireguard
addr c wg0 192.168.241.2/24
at c wg set wg0 private-key "$TMP/key-c" listen-port 51820 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32
at c ip link set wg0 up

# can_transform: whether what a sends can be encrypted, by ESP.
can_transform() {
	local version
	modprobe -aq xfrm_user esp4 esp6 || true
	for version in '10.1.0.1 dst 10.2.0.1' 'fd01::1 dst fd02::1'; do
		at c ip xfrm state add src $version proto esp spi 0x100 mode transport \
			enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f \
			auth 'hmac(sha256)' 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f ||
			return
	done > "$TMP/transform" 2>&1
}

# kinds: plain4 plain6 exception esp4 esp6
kinds=(plain4 plain6 exception)
if can_transform; then
	kinds+=(esp4 esp6)
else
	skip 'routes with transformations' "the kernel has no ESP: $(tail -n 1 "$TMP/transform")"
fi
# Where most peers are, that is what is looked at; other kinds are tried elsewhere.
((most < 10000)) || kinds=(exception)

# What waits for several grace periods, one after the other, is to be late.  With callbacks offloaded to
# threads (rcu_nocbs) it is, as most of these are not in a hurry; where that cannot be, idle CPUs are
# looked at later than usual.
fqs=/sys/module/rcutree/parameters/jiffies_till_first_fqs
usual=$(< "$fqs")
late=$usual
[[ ${WG_KERNEL-} == stock* ]] || late=10

undo() {
	echo "$usual" > "$fqs"
	preempt "$usual_preemption"
	! can_fail || quiet
}

# Without memory for the driver, a namespace ends or what was cached is forgotten, in the cases starved*.
if can_fail; then
	mapfile -t text < <(module_text)
	quiet
	knob failslab stacktrace-depth=32 require-start="0x${text[0]}" require-end="0x${text[1]}" \
		ignore-gfp-wait=N verbose=0 interval=1 space=0
fi

cases=(removed lives replaced roamed marked rekeyed deleted several moved taken_down flooded)
! can_fail || cases+=(starved starved_before)
tries=()
for kind in ${WG_KINDS-"${kinds[@]}"}; do
	[[ $kind != hooks ]] || continue
	for case in ${WG_CASES-"${cases[@]}"}; do
		tries+=("$kind:$case")
	done
done
# The likeliest of all, once more.
[[ " ${tries[*]-} " != *' exception:removed '* ]] || tries+=(exception:removed:3)
if ((${#tries[@]})); then
	note "the namespace of the sockets ends, $rounds times each"
	export TROUBLE KNOWN_RACES
	adopt python3 "$HERE/lifetimes.py" "$RUN" "$rounds" "$most" "$late" "${tries[@]}"
fi

finish
