#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Handshakes are answered beside messages with a bad first MAC.  One CPU is taken from the driver's
# workers by a task that never lets go of it: handshakes are answered as ever, before a flood, and when
# it is over; packets that other CPUs are to encrypt and decrypt do not wait for that one; and nor does
# the end of an interface, of a peer or of the module, after which no keys are left.  The in-tree driver
# waits for that CPU in the end, with RTNL held, if anything was to be done there, which is not counted
# against it.  WG_HOGGED is how many seconds each part lasts.
#
# kernels: uml stock
# timeout: 300
# slow: uml/c stock

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/hog.sh"

# waits: what tasks wait for without being interruptible.
waits() {
	local state
	for state in /proc/[0-9]*/stat; do
		[[ $(cat "$state" 2> /dev/null) == *') D '* ]] || continue
		cat "${state%stat}comm" "${state%stat}stack" 2> /dev/null || true
	done
}

# bounded WHAT COMMAND...: it comes back soon.  If it does not, the CPU is given back.
bounded() {
	local what=$1 start=${EPOCHREALTIME/./} job until=$((SECONDS + 20)) took waiting
	shift
	[[ $DRIVER == rust ]] || until=$((SECONDS + 5))
	"$@" &
	job=$!
	while kill -0 "$job" 2> /dev/null && ((SECONDS < until)); do sleep 0.05; done
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	if kill -0 "$job" 2> /dev/null; then
		waiting=$(waits)
		unhog
		if [[ $DRIVER == c ]]; then
			skip "with one CPU hogged, $what" 'the in-tree driver waits for it'
		elif [[ $waiting =~ synchronize_s?rcu[^$'\n']*$'\n'[^$'\n']*rtnl_link_unregister ]]; then
			skip "with one CPU hogged, $what" 'the kernel waits for it, whatever kind of link is unregistered'
		else
			not_ok "with one CPU hogged, $what" "has not come back in $took ms:" "$waiting"
		fi
		wait "$job" || true
		return
	fi
	note "$what: $took ms"
	check "with one CPU hogged, $what" wait "$job"
}

# burst: a few packets each way, which are a job each.
burst() {
	at a ping -n -q -i 0.002 -c "${1:-8}" -W 1 192.168.241.2 > /dev/null || true
}

# left WHAT: no key pair that was made since the log was marked is left, on either side.
left() {
	count() {
		log | grep -cE "wg0: Keypair [0-9]+ $1" || true
	}
	none() {
		(($(count created) > 0 && $(count created) == $(count destroyed)))
	}
	if ! hogged; then
		skip "no keys are left $1" 'no CPU is hogged any more'
	elif eventually none; then
		ok "no keys are left $1"
	else
		not_ok "no keys are left $1" "$(count created) were made, $(count destroyed) are gone"
	fi
}

undo() {
	hog_end
	debug off
	[[ -d /sys/module/wireguard ]] || module_load
}

hog_rules

cable
at a ip link add wg0 type wireguard
at a ip link set wg0 up
if (($(nproc) > 1)); then
	adopt at_sys a python3 "$HERE/hogged.py" "/run/netns/$RUN-b" "${WG_HOGGED:-2}" \
		"$(hog_cpu)"
	ns_del a b
	module_unload
	# Everything is a job for another CPU, then.
	if [[ $DRIVER == rust ]]; then module_load parallel=2; else module_load; fi
	pair
	check 'the tunnel' reaches a 192.168.241.2
	hog
	at a ping -n -q -i 0.01 -c 300 -W 1 192.168.241.2 > "$TMP/ping" || true
	unhog
	note "$(grep -E 'received|rtt' "$TMP/ping")"
	lost=$(sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' "$TMP/ping")
	if [[ $DRIVER == c ]] && ((${lost%.*} > 3)); then
		skip 'with one CPU hogged, packets come through' 'the in-tree driver may wait for it'
	else
		holds 'with one CPU hogged, packets come through' "${lost%.*} <= 3"
	fi

	# From jobs that others have done, and from jobs that nobody has begun.
	for wait in 200 4; do
		untunnel
		debug on
		log_mark
		tunnel
		check 'the tunnel again' reaches a 192.168.241.2
		hog
		burst "$wait"
		bounded 'an interface goes down' at a ip link set wg0 down
		bounded 'another one does' at b ip link set wg0 down
		[[ $DRIVER == c ]] || left 'when both are down'
		unhog
		log_mark
		at a ip link set wg0 up
		at b ip link set wg0 up
		check 'the tunnel after that' reaches a 192.168.241.2
		hog
		burst "$wait"
		bounded 'a peer is removed' at a wg set wg0 peer "$PUB_B" remove
		! hogged || bounded 'another one is' at b wg set wg0 peer "$PUB_A" remove
		[[ $DRIVER == c ]] || left 'when both peers are removed'
		unhog
		at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822
		at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32
		check 'the tunnel with new peers' reaches a 192.168.241.2
		hog
		burst "$wait"
		bounded 'an interface is deleted' at a ip link del wg0
		unhog
		at b ip link del wg0
		tunnel
		check 'the tunnel made anew' reaches a 192.168.241.2
		hog
		burst "$wait"
		bounded 'the module is unloaded' module_unload
		unhog
		if [[ $DRIVER == rust ]]; then module_load parallel=2; else module_load; fi
		tunnel
	done
else
	skip 'handshakes with one CPU hogged' 'there is only one CPU'
fi

finish
