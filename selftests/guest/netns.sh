#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own selftest for WireGuard, tools/testing/selftests/wireguard/netns.sh, as it is in
# the source of the kernel that runs ($WG_KERNEL_SOURCE).  Debug messages are switched on, so that
# its last check, the balance of what was created and destroyed, has something to look at.
#
# kernels: stock uml
# timeout: 1200

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/lib.sh"

undo() {
	debug off
}

version=$(uname -r)
version=${version%%.*}.$(cut -d. -f2 <<< "$version")
source=${WG_KERNEL_SOURCE:-/usr/src/linux-source-$version}
script=$source/tools/testing/selftests/wireguard/netns.sh
[[ -r $script ]]
debug on
log_mark
start=$SECONDS
if bash "$script" > "$TMP/out" 2>&1; then
	ok "the kernel's netns.sh"
else
	not_ok "the kernel's netns.sh" "$(tail -n 40 "$TMP/out")"
fi
note "it took $((SECONDS - start)) s, and the kernel said $(log | wc -l) lines"
like 'it came to its end' "$(tail -n 1 "$TMP/out")" '*Objects that were created were also destroyed.*'
check 'there were objects' bash -c "dmesg | grep -q 'wireguard: wg0: Peer .* destroyed'"

finish
