#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Hours: twenty devices, each a peer of all others, with traffic of all kinds between them, and something
# that changes again and again: keys, peers, ports, addresses, namespaces of sockets, and so on. Whatever
# the kernel counts of memory, threads and sockets must not grow, be it by half an object for each change.
# In the end all reach all, and the module can be unloaded. WG_MINUTES is how long that is looked at, some minutes
# unless it says so, WG_SEED what has happened, if it is to happen again, and WG_SAMPLES a file for what was counted.
#
# kernels: stock uml
# timeout: 2400
# slow: yes
# append: slab_nomerge

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# Namespaces end and come back, and soak.py looks at nonces itself.
nonces=unwatched
devices=20 groups=5
# So many that there are enough handshakes.
minutes=4
[[ ${WG_KERNEL-} != stock* ]] || minutes=15

# What watches how memory is used keeps books of it, which grow and shrink.
damon=/sys/module/damon_stat/parameters/enabled
damon_set() {
	[[ ! -e $damon ]] || echo "$1" > "$damon"
}

undo() {
	damon_set Y
	[[ -d /sys/module/wireguard ]] || module_load
}

damon_set N
ns hub
for ((n = 0; n < groups; n++)); do ns "u$n"; done
for ((n = 0; n < devices; n++)); do ns "n$n"; done
adopt python3 "$HERE/soak.py" "$RUN" "$devices" "$groups" "${WG_MINUTES:-$minutes}" "${WG_SEED:-0}"
module_unload
ok 'nothing keeps the module'

finish
