#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own selftest for WireGuard, tools/testing/selftests/wireguard/netns.sh, as it is in
# the source of the kernel that runs ($WG_KERNEL_SOURCE).  Its last check, the balance of what was
# created and destroyed, needs debug messages, all of them and no older ones.  The kernel's log is
# too small for that, so the script is given a /dev/kmsg with just the lines that it looks for.
#
# kernels: uml
# timeout: 1200
# slow: yes

. "${BASH_SOURCE[0]%/*}/lib.sh"

undo() {
	debug off
}

release=$(uname -r)
series=$(cut -d. -f1,2 <<< "$release")
for source in ${WG_KERNEL_SOURCE:+"$WG_KERNEL_SOURCE"} "/lib/modules/$release/source" \
	"/usr/src/linux-source-$series"; do
	script=$source/tools/testing/selftests/wireguard/netns.sh
	[[ ! -r $script ]] || break
done
[[ -r $script ]]
debug on
mkfifo "$TMP/kmsg"
exec 8<> "$TMP/kmsg"
{
	stdbuf -oL dmesg --follow-new | grep --line-buffered -E 'wg[0-9]+: [A-Z].* (created|destroyed)' |
		tee "$TMP/objects" >&8
} 8>&8 &
start=$SECONDS
# shellcheck disable=SC2016
if unshare --mount bash -c 'mount --bind "$1" /dev/kmsg && exec bash "$2"' -- \
	"$TMP/kmsg" "$script" > "$TMP/out" 2>&1; then
	ok "the kernel's netns.sh"
else
	not_ok "the kernel's netns.sh" "$(tail -n 40 "$TMP/out")"
fi
note "it took $((SECONDS - start)) s; $(wc -l < "$TMP/objects") objects came and went"
check 'it came to its end' grep -q 'Objects that were created were also destroyed' "$TMP/out"
for object in 'Interface' 'Peer [0-9]+' 'Keypair [0-9]+'; do
	check "${object%% *}: one was created" grep -qE "wireguard: wg0: $object created" "$TMP/objects"
	check "${object%% *}: one was destroyed" grep -qE "wireguard: wg0: $object (.*)?destroyed" "$TMP/objects"
done

finish
