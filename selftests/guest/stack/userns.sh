#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A user who is root in namespaces of his own has tunnels there, and only there.
#
# kernels: uml debug
# timeout: 90
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# What an ordinary user does: all that follows is his.
cat > "$TMP/as-user" << 'END'
set -euo pipefail
# Two network namespaces, this one and that of a process.
unshare --net sleep 1000 &
other=$!
trap 'kill $other' EXIT
until [[ $(readlink /proc/$other/ns/net) != $(readlink /proc/self/ns/net) ]]; do sleep 0.1; done
b() {
	nsenter --target "$other" --net -- "$@"
}
ip link set lo up
ip link add eth0 type veth peer name eth0 netns "$other"
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
b ip addr add 10.0.0.2/24 dev eth0
b ip link set eth0 up
ip link add wg0 type wireguard
b ip link add wg0 type wireguard
wg set wg0 private-key "$TMP/key-a" listen-port 51821 fwmark 7 \
	peer "$PUB_B" preshared-key "$TMP/psk" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822
b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
	peer "$PUB_A" preshared-key "$TMP/psk" allowed-ips 192.168.241.1/32
ip addr add 192.168.241.1/24 dev wg0
b ip addr add 192.168.241.2/24 dev wg0
ip link set wg0 up
b ip link set wg0 up
echo "ok - a user makes and configures devices in his namespaces"
for _ in {1..50}; do
	! ping -n -q -c 1 -W 2 192.168.241.2 > /dev/null || break
done
ping -n -q -c 10 -i 0.01 -W 5 192.168.241.2 > /dev/null && echo "ok - they have a tunnel" ||
	echo "not ok - they have a tunnel"
[[ $(wg show wg0 fwmark) == 0x7 ]] && echo "ok - with a mark" || echo "not ok - with a mark"
ip link set wg0 mtu 9000
ip link set wg0 netns "$other" name wg1
b wg set wg1 private-key /dev/null && echo "ok - one can be moved" || echo "not ok - one can be moved"
b wg set wg1 listen-port 5 && echo "ok - and his are the sockets where it came from" ||
	echo "not ok - and his are the sockets where it came from"
b ip link del wg1
echo "ok - and deleted"
exit 0
END
switch=/proc/sys/kernel/unprivileged_userns_clone
[[ ! -e $switch ]] || echo 1 > "$switch"
chmod 755 "$TMP"
chmod 644 "$TMP"/*
export TMP
modprobe wireguard
adopt setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all \
	unshare --user --map-root-user --net --mount bash "$TMP/as-user"

note 'a device that is not his'
ns a
at a ip link add wg0 type wireguard
at a wg set wg0 private-key "$TMP/key-a"
# user COMMAND...: root of a user namespace, in the network namespace of another.
user() {
	at a setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all \
		unshare --user --map-root-user -- "$@"
}
refuses 'he may not read it' '*Operation not permitted*' user wg show wg0
refuses 'nor its private key' '*Operation not permitted*' user wg show wg0 private-key
refuses 'nor set it' '*Operation not permitted*' user wg set wg0 private-key /dev/null
refuses 'nor add a peer' '*Operation not permitted*' user wg set wg0 peer "$PUB_B"
refuses 'nor make one' '*Operation not permitted*' user ip link add wg1 type wireguard
refuses 'nor delete it' '*Operation not permitted*' user ip link del wg0
is 'it is as it was' "$(at a wg show wg0 dump)" "$KEY_A	$PUB_A	0	off"

note 'many, and gone with him'
# shellcheck disable=SC2016
check 'forty devices in namespaces that end' setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all \
	unshare --user --map-root-user --net bash -ec 'ip link set lo up
	for i in {1..40}; do
		ip link add "w$i" type wireguard
		ip link set "w$i" up
	done
	wg show interfaces | wc -w | grep -qx 40'
unused() {
	[[ $(cat /sys/module/wireguard/refcnt) == 0 ]]
}
check 'the module is unused then' eventually unused

finish
