#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Random actions, by a seed, on all that is around a tunnel, while packets go through it: links of many kinds
# below it, addresses, routes, rules, settings, filters, queues, sockets, namespaces, peers and keys, by several
# processes at once. A round is 40 of them. After each, what is random is removed, and the tunnel must work,
# without being configured anew where only its surroundings were changed. Where somebody looks at single
# datagrams, each message must be by itself from then on.
#
# WG_SEED and WG_ACTIONS say which actions, and how many: fewer are the beginning of more, to find the shortest
# plan that fails. WG_ROUNDS="3 7" has just these rounds of the plan, and WG_SECONDS is after how long no other
# is begun. `selftests/guest/random/actions.py plan SEED COUNT` prints a plan.
#
# kernels: uml debug
# timeout: 120
# slow: uml/c
# excuse: no

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

seed=${WG_SEED:-4}
round=40
most=$((3 * round))
[[ ${WG_KERNEL-} != debug ]] || most=$((2 * round))
actions=${WG_ACTIONS:-$most}
seconds=${WG_SECONDS:-}
# Seconds between what is sent.
pause=0.01
if [[ ${WG_KERNEL-} != uml || $DRIVER == c ]]; then
	pause=0.04
fi
export WG_PAUSE=${WG_PAUSE:-$pause} WG_TMP=$TMP WG_MODULE=${WG_MODULE-}

undo() {
	[[ -d /sys/module/wireguard ]] || module_load
}

# plan COUNT: what is to be done.
plan() {
	PYTHONHASHSEED=$RANDOM python3 "$HERE/actions.py" plan "$seed" "$1"
}

modprobe -aq vxlan macvlan ifb 8021q bonding nfnetlink_queue nft_queue sch_netem cls_bpf act_police || true
note "WG_SEED=$seed WG_ACTIONS=$actions"
plan "$actions" > "$TMP/plan"
check 'a seed means a plan' diff <(plan "$actions") "$TMP/plan"
shorter=$(plan "$((actions / 2))")
is 'which begins as a shorter one' "$(head -n "$(wc -l <<< "$shorter")" "$TMP/plan")" "$shorter"

cable
ns c r
tunnel
# There, copies are not made of what it sends itself.
nonces_leave r
adopt python3 "$HERE/actions.py" make "$RUN"
begin=$SECONDS
for ((number = 0; number * round < actions; number++)); do
	[[ ! ${WG_ROUNDS-} || " $WG_ROUNDS " == *" $number "* ]] || continue
	[[ ! $seconds ]] || ((SECONDS - begin < seconds)) || break
	adopt python3 "$HERE/actions.py" round "$RUN" "$seed" "$actions" "$number"
done
note "$number rounds in $((SECONDS - begin)) s"

nonces_least=$HANDSHAKES
for name in a b; do
	at "$name" ip link del wg0
done
check 'nothing pins the module' becomes 0 cat /sys/module/wireguard/refcnt
check 'it unloads' module_unload
ns_ends 'and nothing the namespaces' a b c r

finish
