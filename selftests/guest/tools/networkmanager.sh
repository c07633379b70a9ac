#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# NetworkManager, unmodified: a connection made, changed, exported to and imported from wg-quick's
# format by nmcli.
#
# NetworkManager and a D-Bus of its own run in a network namespace. With /sys read-only, as in a
# container, it waits for no udev.
#
# kernels: uml
# timeout: 240

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

far_end

cat > "$TMP/NetworkManager.conf" << END
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
manager > "$TMP/log" 2>&1 &
manager=$!
# Where its D-Bus is.
nm() {
	nsenter --target "$manager" --mount --net -- nmcli "$@"
}
undo() {
	kill "$(cat "$TMP/dbus")"
}
# state DEVICE: what NetworkManager thinks of it.
state() {
	nm -t -f DEVICE,STATE device | sed -n "s/^$1://p"
}

check 'WQ-4 NetworkManager runs' becomes running nm -t -f RUNNING general
((tap_failures == 0)) || note "$(tail -n 20 "$TMP/log")"
check 'WQ-4 a connection is made' nm connection add type wireguard con-name tunnel ifname wg0 autoconnect no \
	ipv4.method manual ipv4.addresses 192.168.241.1/24 ipv6.method manual ipv6.addresses fd00::1/112 \
	wireguard.private-key "$KEY_A" wireguard.listen-port 51821 wireguard.mtu 1390
# nmcli has no words for peers but those of the file.
cat >> "$TMP/connections/tunnel.nmconnection" << END

[wireguard-peer.$PUB_B]
endpoint=10.0.0.2:51822
preshared-key=$PSK
preshared-key-flags=0
persistent-keepalive=25
allowed-ips=192.168.241.2/32;fd00::2/128;198.51.100.0/24;
END
check 'WQ-4 it is given a peer' nm connection load /etc/NetworkManager/system-connections/tunnel.nmconnection
check 'WQ-4 up' nm --wait 30 connection up tunnel
is 'WQ-4 it is connected' "$(state wg0)" connected
is 'WQ-4 the private key' "$(at a wg show wg0 private-key)" "$KEY_A"
is 'WQ-4 the port' "$(at a wg show wg0 listen-port)" 51821
is 'WQ-4 the MTU' "$(sysfs a wg0/mtu)" 1390
is 'WQ-4 the peer' "$(at a wg show wg0 allowed-ips)" "$PUB_B"$'\t192.168.241.2/32 fd00::2/128 198.51.100.0/24'
is 'WQ-4 the preshared key' "$(at a wg show wg0 preshared-keys | cut -f2)" "$PSK"
is 'WQ-4 the keepalive' "$(at a wg show wg0 persistent-keepalive | cut -f2)" 25
check 'WQ-4 the peer is there' reaches a 192.168.241.2
check 'WQ-4 over IPv6, too' reaches a fd00::2
check 'WQ-4 and what is behind it' reaches a 198.51.100.1

note 'changed while it is up'
check 'WQ-4 another port' nm connection modify tunnel wireguard.listen-port 51831
check 'WQ-4 is applied' nm --wait 30 device reapply wg0
is 'WQ-4 to the device' "$(at a wg show wg0 listen-port)" 51831
check 'WQ-4 the peer is there' reaches a 192.168.241.2
check 'WQ-4 down' nm --wait 30 connection down tunnel
refuses 'WQ-4 the device is gone' '*does not exist*' at a ip link show wg0
check 'WQ-4 up again' nm --wait 30 connection up tunnel
check 'WQ-4 the peer is there' reaches a 192.168.241.2
check 'WQ-4 deleted' nm --wait 30 connection delete tunnel
# nmcli waits for the connection to go, not for the device.
gone() {
	! at a ip link show wg0
}
check 'WQ-4 the device is gone, too' eventually gone

note "wg-quick's files"
cat > "$TMP/wg9.conf" << END
[Interface]
Address = 192.168.241.1/24, fd00::1/112
PrivateKey = $KEY_A
[Peer]
PublicKey = $PUB_B
PresharedKey = $PSK
AllowedIPs = 192.168.241.2/32, fd00::2/128
Endpoint = 10.0.0.2:51822
END
check 'WQ-4 imported' nm connection import type wireguard file "$TMP/wg9.conf"
check 'WQ-4 up' nm --wait 30 connection up wg9
check 'WQ-4 the peer is there' reaches a fd00::2
is 'WQ-4 with a port of its own' "$(($(at a wg show wg9 listen-port) > 0))" 1
check 'WQ-4 down' nm --wait 30 connection down wg9

stop "$manager"
finish
