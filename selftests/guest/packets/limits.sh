#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How much waits to be decrypted, or sent, while nobody gets to it, and that one session or peer leaves
# room for others.
#
# kernels: stock uml
# timeout: 400

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/hog.sh"

undo() {
	hog_end
	[[ -d /sys/module/wireguard ]] || module_load
}

# With ours, what is sent waits for other CPUs only if it is left to them.
cable
hog_rules
parts=('')
[[ $DRIVER != rust ]] || parts=('short long goes_on' 'sent goes_on')
for part in "${parts[@]}"; do
	[[ $part != sent* ]] || { module_unload; module_load parallel=2; }
	at a ip link add wg0 type wireguard
	# shellcheck disable=SC2086
	adopt at_sys a python3 "$HERE/limits.py" "/run/netns/$RUN-b" $part
	at a ip link del wg0
done

finish
