#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# systemd-networkd, unmodified: an interface and its peers from .netdev and .network files, changed
# by a reload, and gone with them.
#
# networkd runs by itself in a network namespace, as it does in a container: with /sys read-only, it
# waits for no udev.
#
# kernels: uml
# timeout: 240

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

far_end

# networkd may not write where root's temporary files are, but it has to read there.
chmod 755 "$TMP"
mkdir -p "$TMP/run/systemd" "$TMP/etc"
install -m 644 "$TMP/key-a" "$TMP/etc/key"
cat > "$TMP/etc/wg0.netdev" << END
[NetDev]
Name=wg0
Kind=wireguard
MTUBytes=1380

[WireGuard]
PrivateKeyFile=/etc/systemd/network/key
ListenPort=51821
FirewallMark=0x51
RouteTable=main

[WireGuardPeer]
PublicKey=$PUB_B
PresharedKey=$PSK
AllowedIPs=192.168.241.2/32,fd00::2/128,198.51.100.0/24
Endpoint=10.0.0.2:51822
PersistentKeepalive=25

[WireGuardPeer]
PublicKey=$PUB_C
AllowedIPs=192.168.99.0/24
END
cat > "$TMP/etc/wg0.network" << END
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

networkd > "$TMP/log" 2>&1 &
job=$!
check 'WQ-3 the interface appears, with addresses and routes' eventually configured
[[ ${tap_failures} == 0 ]] || note "$(cat "$TMP/log")"
is 'WQ-3 the MTU' "$(sysfs a wg0/mtu)" 1380
is 'WQ-3 it is up' "$(sysfs a wg0/flags)" 0x91
is 'WQ-3 the private key, from a file' "$(at a wg show wg0 private-key)" "$KEY_A"
is 'WQ-3 the port' "$(at a wg show wg0 listen-port)" 51821
is 'WQ-3 the mark' "$(at a wg show wg0 fwmark)" 0x51
# networkd sends the last prefix first.
is 'WQ-3 the peers' "$(at a wg show wg0 allowed-ips | sort)" "$(printf '%s\t%s\n' \
	"$PUB_B" '198.51.100.0/24 fd00::2/128 192.168.241.2/32' "$PUB_C" 192.168.99.0/24 | sort)"
is 'WQ-3 the preshared key' "$(at a wg show wg0 preshared-keys | grep "^$PUB_B" | cut -f2)" "$PSK"
is 'WQ-3 the endpoint' "$(endpoint a "$PUB_B")" 10.0.0.2:51822
is 'WQ-3 the keepalive' "$(at a wg show wg0 persistent-keepalive | grep "^$PUB_B" | cut -f2)" 25
check 'WQ-3 the peer is there' reaches a 192.168.241.2
check 'WQ-3 over IPv6, too' reaches a fd00::2
check 'WQ-3 and what is behind it' reaches a 198.51.100.1

note 'another configuration'
stop "$job"
is 'WQ-3 the interface outlives networkd' "$(at a wg show wg0 listen-port)" 51821
check 'WQ-3 and works' reaches a 192.168.241.2
sed -i '/PersistentKeepalive/s/25/7/; /99.0/s/99/98/' "$TMP/etc/wg0.netdev"
networkd > "$TMP/log2" 2>&1 &
job=$!
check 'WQ-3 networkd adopts it' eventually configured
check 'WQ-3 it still works' reaches a 192.168.241.2
at a ip link del wg0
stop "$job"
networkd > "$TMP/log3" 2>&1 &
job=$!
check 'WQ-3 made anew' eventually configured
is 'WQ-3 with the new peers' "$(at a wg show wg0 allowed-ips | grep "^$PUB_C" | cut -f2)" 192.168.98.0/24
is 'WQ-3 and the new keepalive' "$(at a wg show wg0 persistent-keepalive | grep "^$PUB_B" | cut -f2)" 7
check 'WQ-3 the peer is there' reaches a 192.168.241.2
stop "$job"

finish
