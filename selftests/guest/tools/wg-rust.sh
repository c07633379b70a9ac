#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wg-rust: changes from one driver to the other and back, and interfaces are what they were, in all
# namespaces, with their traffic.
# kernels: uml
# drivers: rust
# timeout: 600

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# As the packages install it: where modprobe finds it, and the kernel's own beside it.
release=$(uname -r)
modprobe -r wireguard
rm -f /etc/modprobe.d/wireguard.conf
mkdir -p "/lib/modules/$release/updates"
cp "$WG_MODULE" "/lib/modules/$release/updates/wireguard.ko"
depmod "$release"

wg_rust() {
	"$TOP/scripts/debian/wg-rust" "$@"
}

driver_is() {
	grep -q "$1" /sys/module/wireguard/version
}

modprobe wireguard
check 'the driver in Rust is loaded' driver_is '.-rust$'
check 'and status says so' grep -q 'loaded:.*Rust' <(wg_rust status)
pair
at a ip address add 10.7.0.1 peer 10.7.0.2 dev wg0
at a ip address add fd00:7::1/64 dev wg0 nodad noprefixroute
at a ip -6 route add fd00:9::/64 dev wg0
at a ip route add 10.9.0.0/16 dev wg0 metric 77
at a ip route add 10.8.0.0/16 dev wg0 table 123
at a ip link set wg0 mtu 1333 group 7
at a sysctl --quiet --write net.ipv4.conf.wg0.rp_filter=2 net.ipv4.conf.wg0.log_martians=1 net.ipv6.conf.wg0.accept_ra=0

everything() {
	local side
	for side in a b; do
		at "$side" wg showconf wg0
		at "$side" ip link show wg0
		at "$side" ip address show dev wg0 | grep inet
		at "$side" ip route show table all dev wg0
		at "$side" ip -6 route show table all dev wg0
		at "$side" ip route show table all type unreachable
		at "$side" ip -6 route show table all type unreachable
		at "$side" grep -rs . /proc/sys/net/ipv{4,6}/conf/wg0 || true
	done
	ports a
	at c wg showconf wg1
}

# An interface that was made elsewhere, where its socket is.
ns c
at a ip link add wg1 type wireguard
at a wg set wg1 private-key "$TMP/key-c" listen-port 5555
at a ip link set wg1 netns "$RUN-c"
at c ip link set wg1 up

same() {
	diff <(echo "$before") <(echo "$(everything)")
}

before=$(everything)
check 'b answers' at b ping -c 1 -W 10 192.168.241.1
for step in back switch; do
	check "wg-rust $step succeeds" wg_rust "$step"
	case $step in
	back) check 'the in-tree driver is loaded' driver_is '^[0-9.]*$' ;;
	switch) check 'the driver in Rust is loaded again' driver_is '.-rust$' ;;
	esac
	check 'interfaces are what they were' same
	check 'b answers over them' at b ping -c 1 -W 10 192.168.241.1
	check 'nothing is left' test ! -e /run/wg-rust
done

# A driver that does not load.
check 'wg-rust back succeeds' wg_rust back
sed -i 's/vermagic=[0-9]/vermagic=5/' "/lib/modules/$release/updates/wireguard.ko"
refuses 'a driver that cannot be loaded is a failure' '*cannot be loaded*' wg_rust switch
check 'the one before is loaded' driver_is '^[0-9.]*$'
check 'and has its interfaces' same
check 'b answers over them' at b ping -c 1 -W 10 192.168.241.1

# Who called it is gone before it has done its work.
cp "$WG_MODULE" "/lib/modules/$release/updates/wireguard.ko"
rm -f /run/wg-rust.log
"$TOP/scripts/debian/wg-rust" switch &
caller=$!
eventually test -e /run/wg-rust.log
kill -KILL "$caller"
check 'without who called it, the driver in Rust is loaded' eventually driver_is '.-rust$'
check 'and it gets to its end' eventually test ! -e /run/wg-rust
check 'with interfaces as they were' same

# What takes the tunnel's routes is there before they are gone.
at a ip -oneline monitor route >"$TMP/routes" &
monitor=$!
sleep 1
check 'wg-rust back succeeds' wg_rust back
sleep 1
kill "$monitor"
first() {
	grep -n -m 1 "$1" "$TMP/routes" | cut -d : -f 1
}
check 'traffic of a tunnel is not sent another way' \
	test "$(first '^unreachable 10.8.0.0/16 .*table 123')" -lt "$(first '^\(Deleted \)\?10.8.0.0/16 dev wg0.*table 123')"

# One is enough.
exec 8>/run/wg-rust.lock
flock 8
refuses 'two changes at once are not' '*a change is going on*' wg_rust switch
exec 8>&-
check 'the driver is the one before' driver_is '^[0-9.]*$'

# Killed when interfaces are gone.
mkdir "$TMP/bin"
cat >"$TMP/bin/modprobe" <<-'END'
	#!/bin/sh
	kill -KILL $PPID
END
chmod +x "$TMP/bin/modprobe"
PATH=$TMP/bin:$PATH wg_rust switch || true
check 'a change that is killed leaves what it has to do' test -e /run/wg-rust/had
check 'and status says so' grep -q 'wg-rust restore' <(wg_rust status)
check 'wg-rust restore succeeds' wg_rust restore
check 'interfaces are what they were' same
check 'b answers over them' at b ping -c 1 -W 10 192.168.241.1
check 'nothing is left' test ! -e /run/wg-rust
cat >"$TMP/bin/ip" <<-'END'
	#!/bin/sh
	case "$*" in *'address add'*) kill -KILL $PPID; exit 1 ;; esac
	exec /usr/sbin/ip "$@"
END
rm "$TMP/bin/modprobe"
chmod +x "$TMP/bin/ip"
PATH=$TMP/bin:$PATH wg_rust switch || true
check 'one that is killed at half an interface does, too' test -e /run/wg-rust/had
check 'the next change begins with that' wg_rust back
check 'interfaces are what they were' same
check 'nothing is left' test ! -e /run/wg-rust
modprobe -r wireguard
finish
