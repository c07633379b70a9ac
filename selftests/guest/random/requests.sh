#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Streams of netlink requests from a grammar, many of them broken: each answer, and each dump between
# them, is what a model of the rules says and, on the debug kernel, also the same with both drivers;
# then several processes at once. WG_SEED and WG_MESSAGES say which stream, and how long it is.
#
# kernels: uml debug
# timeout: 120
# slow: uml/c
# excuse: no

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

seed=${WG_SEED:-1}
messages=${WG_MESSAGES:-3000}

# stream WHAT ARGUMENT...: with the driver that is loaded, in a new namespace.
stream() {
	ns a
	adopt at a python3 "$HERE/requests.py" "$@"
	ns_del a
}

undo() {
	[[ -d /sys/module/wireguard ]] || module_load
}

note "WG_SEED=$seed WG_MESSAGES=$messages"
stream alone "$seed" "$messages" "$TMP/ours"
stream beside "$seed" "$messages"
# With several CPUs, the in-tree driver takes ten times as long, since it waits for a grace period for
# each peer that is removed.
if [[ $DRIVER == rust && $(nproc) == 1 ]]; then
	module_unload
	modprobe --ignore-install wireguard
	is 'the in-tree driver' "$(< /sys/module/wireguard/version)" 1.0.0
	stream alone "$seed" "$messages" "$TMP/theirs"
	module_unload
	module_load
	check 'there is something to compare' test -s "$TMP/ours" -a -s "$TMP/theirs"
	is 'both drivers answer the same' "$(diff <(zcat "$TMP/theirs") <(zcat "$TMP/ours") | head -n 20)" ''
fi

nonces_least=0
finish
