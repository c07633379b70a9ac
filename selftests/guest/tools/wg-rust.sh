#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wg-rust: changes from one driver to the other and back, and interfaces are what they were, in all
# namespaces, with their traffic. (What comes between is in wg-rust-killed.)
# kernels: uml
# drivers: rust
# timeout: 400

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
# shellcheck source=../../lib/change.sh
. "$LIB/change.sh"

both_installed
# A kernel for the next boot.
next=/lib/modules/9.9-next
mkdir -p "$next"/{updates,kernel/drivers/net/wireguard}
cp "$OURS" "$next/updates/"
cp "/lib/modules/$release/kernel/drivers/net/wireguard"/wireguard.ko* "$next/kernel/drivers/net/wireguard/"
touch "$next"/modules.{order,builtin}
depmod 9.9-next
check 'the driver in Rust is loaded' driver_is '.-rust$'
check 'and status says so' grep -q 'loaded:.*Rust' <(wg_rust status)
furnished_pair
# A process's socket with the port that wg1 has elsewhere.
at c ncat --udp --listen 5555 >"$TMP/ncat" &
# A namespace that is neither a process's nor has a name, at two places, one of which has something else upon it.
touch "$TMP/else 1where" "$TMP/upon"
unshare --net="$TMP/else 1where" true
mount --bind "$TMP/else 1where" "$TMP/upon"
mount --bind /etc/passwd "$TMP/upon"
undo() {
	umount "$TMP/upon"
	umount "$TMP/upon"
	umount "$TMP/else 1where"
}
nsenter --net="$TMP/else 1where" ip link add wg8 type wireguard
check 'b answers' at b ping -c 1 -W 10 192.168.241.1
for step in back switch; do
	check "wg-rust $step succeeds" wg_rust "$step"
	case $step in
	back) check 'the in-tree driver is loaded' driver_is '^[0-9.]*$' ;;
	switch) check 'the driver in Rust is loaded again' driver_is '.-rust$' ;;
	esac
	is 'it will be by other kernels' "$(prefers 9.9-next)" "$(cat /sys/module/wireguard/version)"
	check 'interfaces are what they were' same
	check 'b answers over them' at b ping -c 1 -W 10 192.168.241.1
	check 'so is one in a namespace that is mounted elsewhere' nsenter --net="$TMP/else 1where" ip link show wg8
	check 'nothing is left' test ! -e /run/wg-rust
done

# Whatever is refused is so before anything is changed.
check 'modules of others can be looked at by all' test -z "$(find "$next" -name 'modules.*' ! -perm -444)"
unshare --net sleep 600 &
nameless=$!
elsewhere() {
	[[ ! /proc/$nameless/ns/net -ef /proc/self/ns/net ]]
}
eventually elsewhere
nsenter --net="/proc/$nameless/ns/net" ip link add wg7 type wireguard
refuses 'an interface in a namespace without a name' '*wg7 is in a network namespace without a name*' wg_rust back
kill "$nameless"
wait "$nameless" || true
for name in 'wg*' 'wg[0]' 'wg@x' "wg'"; do
	at a ip link add "$name" type wireguard
	refuses "an interface called $name" '*has other characters*' wg_rust back
	at a ip link del "$name"
done
# A name that is no pattern.
at a ip link add w.0 type wireguard
at a ip link add wx0 type wireguard
if try at a ip link add vx0 type vxlan id 7 remote 192.168.241.2 dstport 4789 dev w.0; then
	refuses 'an interface upon one with a dot' '*another interface is on top of w.0*' wg_rust back
	at a ip link del vx0
fi
at a ip link del w.0
at a ip link del wx0
if try at a ip route add 10.77.0.0/16 nexthop dev wg0 nexthop dev eth0; then
	refuses 'a route over several' '*wg0 has a part in a route of several*' wg_rust back
	at a ip route del 10.77.0.0/16
else
	skip 'a route over several' 'the kernel has none'
fi
if try at a ip nexthop add id 12 via 192.168.241.2 dev wg0; then
	at a ip route add 10.78.0.0/16 nhid 12
	refuses 'a nexthop object' '*wg0 has nexthop objects*' wg_rust back
	at a ip route del 10.78.0.0/16
	at a ip nexthop del id 12
else
	skip 'a nexthop object' 'the kernel has none'
fi
if try at a ip link add vx0 type vxlan id 7 remote 192.168.241.2 dstport 4789 dev wg0; then
	refuses 'an interface upon it' '*another interface is on top of wg0*' wg_rust back
	at a ip link del vx0
else
	skip 'an interface upon it' 'the kernel has no VXLAN'
fi
check 'interfaces are what they were' same
check 'nothing is left' test ! -e /run/wg-rust

# One is enough.
exec 8>/run/wg-rust.lock
flock 8
refuses 'two changes at once are not' '*a change is going on*' wg_rust back
exec 8>&-
check 'the driver is the one before' driver_is '.-rust$'
modprobe -r wireguard
finish
