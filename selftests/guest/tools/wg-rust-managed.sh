#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wg-rust with interfaces that systemd-networkd and NetworkManager have made and watch, which sees them go and
# come back while neither does anything wrong.
# kernels: uml
# drivers: rust
# timeout: 400
# slow: yes

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
# shellcheck source=../../lib/change.sh
. "$LIB/change.sh"

both_installed
far_end
chmod 755 "$TMP"
mkdir -p "$TMP/etc"
install -m 644 "$TMP/key-a" "$TMP/etc/key"
cat >"$TMP/etc/wg0.netdev" <<END
[NetDev]
Name=wg0
Kind=wireguard
[WireGuard]
PrivateKeyFile=/etc/systemd/network/key
ListenPort=51821
RouteTable=main
[WireGuardPeer]
PublicKey=$PUB_B
PresharedKey=$PSK
AllowedIPs=192.168.241.2/32,fd00::2/128,198.51.100.0/24
Endpoint=10.0.0.2:51822
END
cat >"$TMP/etc/wg0.network" <<END
[Match]
Name=wg0
[Network]
Address=192.168.241.1/24
Address=fd00::1/112
IPv6AcceptRA=no
END
networkd() {
	# shellcheck disable=SC2016
	exec ip netns exec "$RUN-a" bash -euc '
		mount -o remount,ro,bind /sys
		mount -t tmpfs -o mode=755 tmpfs /run
		mkdir /run/systemd
		mount --bind "$0/etc" /etc/systemd/network
		exec env SYSTEMD_LOG_LEVEL=info SYSTEMD_LOG_TARGET=console /usr/lib/systemd/systemd-networkd' "$TMP"
}
configured() {
	[[ $(at a ip -6 addr show dev wg0 scope global) == *fd00::1/112* && $(at a ip route) == *198.51.100.0/24* ]]
}

# as_before WHO: a change is made, and nothing is different some seconds later.
as_before() {
	local step before
	for step in back switch; do
		reaches a 198.51.100.1
		before=$(all)
		check "$1: wg-rust $step succeeds" wg_rust "$step"
		sleep 3
		is "$1: all is as it was" "$(all)" "$before"
		check "$1: the peer answers" reaches a 192.168.241.2
		check "$1: what is behind it does" reaches a 198.51.100.1
	done
}

all() {
	at a wg showconf wg0
	at a ip address show dev wg0 | sed 's/^[0-9]*: //'
	at a ip route show table all dev wg0
	at a ip -6 route show table all dev wg0
	at a ip route show table all type unreachable
	at a ip -6 route show table all type unreachable
}

networkd >"$TMP/log" 2>&1 &
job=$!
check 'networkd has configured it' eventually configured
as_before networkd
((tap_failures == 0)) || note "$(tail -n 20 "$TMP/log")"
stop "$job"
at a ip link delete wg0

cat >"$TMP/NetworkManager.conf" <<END
[main]
plugins=keyfile
dns=none
rc-manager=unmanaged
auth-polkit=false
no-auto-default=*
[device]
match-device=interface-name:eth0
managed=0
[connectivity]
enabled=false
[logging]
level=INFO
END
mkdir "$TMP/connections"
cat >"$TMP/connections/tunnel.nmconnection" <<END
[connection]
id=tunnel
type=wireguard
interface-name=wg0
[wireguard]
listen-port=51821
private-key=$KEY_A
[wireguard-peer.$PUB_B]
endpoint=10.0.0.2:51822
preshared-key=$PSK
preshared-key-flags=0
allowed-ips=192.168.241.2/32;fd00::2/128;198.51.100.0/24;
[ipv4]
address1=192.168.241.1/24
method=manual
[ipv6]
address1=fd00::1/112
method=manual
END
chmod 600 "$TMP/connections/tunnel.nmconnection"
manager() {
	# shellcheck disable=SC2016
	exec ip netns exec "$RUN-a" bash -euc '
		mount -o remount,ro,bind /sys
		mount -t tmpfs -o mode=755 tmpfs /run
		mkdir /run/dbus
		mount --bind "$0/connections" /etc/NetworkManager/system-connections
		dbus-uuidgen --ensure=/etc/machine-id
		dbus-daemon --system --nofork --nopidfile &
		echo $! > "$0/dbus"
		until [ -S /run/dbus/system_bus_socket ]; do sleep 0.1; done
		exec NetworkManager --no-daemon --config="$0/NetworkManager.conf" --config-dir=/var/empty \
			--intern-config="$0/intern" --state-file="$0/state"' "$TMP"
}
manager >"$TMP/log" 2>&1 &
manager=$!
undo() {
	kill "$(cat "$TMP/dbus")"
}
check 'NetworkManager has configured it' eventually configured
as_before NetworkManager
((tap_failures == 0)) || note "$(tail -n 60 "$TMP/log")"
stop "$manager"
finish
