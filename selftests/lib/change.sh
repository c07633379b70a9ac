# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests of wg-rust share: both drivers where packages install them, interfaces with all that is to be
# kept, and what is seen of them.

release=$(uname -r)
OURS=/lib/modules/$release/updates/wireguard.ko

# both_installed: as the packages do it, where modprobe finds it, and the kernel's own beside it. Ours is loaded.
both_installed() {
	modprobe -r wireguard
	rm -f /etc/modprobe.d/wireguard.conf
	mkdir -p "${OURS%/*}"
	cp "$WG_MODULE" "$OURS"
	depmod "$release"
	modprobe wireguard
}

# prefers RELEASE: prints the version of the driver that modprobe would load there.
prefers() {
	modinfo -k "$1" -F version wireguard
}

wg_rust() {
	"$TOP/scripts/debian/wg-rust" "$@"
}

driver_is() {
	grep -q "$1" /sys/module/wireguard/version
}

# furnished_pair: a tunnel with addresses, routes and settings of many kinds, and in a third namespace wg1,
# which was made elsewhere, where its socket is.
furnished_pair() {
	pair
	at a ip address add 10.7.0.1 peer 10.7.0.2 dev wg0
	at a ip address add fd00:7::1/64 dev wg0 nodad noprefixroute
	at a ip address add fd00:8::1/64 dev wg0 nodad preferred_lft 0
	at a ip -6 route add fd00:9::/64 dev wg0
	at a ip route add 10.9.0.0/16 dev wg0 metric 77
	at a ip route add 10.8.0.0/16 dev wg0 table 123
	at a ip route add 10.8.0.0/16 dev wg0 table 2550
	# What is listed before that through which it goes.
	at a ip route add 10.5.0.9 dev wg0
	at a ip route add 10.0.5.0/24 via 10.5.0.9 dev wg0
	at a ip link set wg0 mtu 1333 group 7 txqueuelen 0
	at a ethtool -K wg0 gso off tx-udp-segmentation off
	at a sysctl --quiet --write net.ipv4.conf.wg0.rp_filter=2 net.ipv4.conf.wg0.log_martians=1 net.ipv6.conf.wg0.accept_ra=0
	ns c
	at a ip link add wg1 type wireguard
	at a wg set wg1 private-key "$TMP/key-c" listen-port 5555
	at a ip link set wg1 netns "$RUN-c"
	at c ip link set wg1 up
	before=$(everything)
}

everything() {
	local side
	for side in a b; do
		at "$side" wg showconf wg0
		at "$side" ip link show wg0
		at "$side" ip address show dev wg0 | grep inet
		at "$side" ethtool -k wg0
		at "$side" ip route show table all dev wg0
		at "$side" ip -6 route show table all dev wg0
		at "$side" ip route show table all type unreachable
		at "$side" ip -6 route show table all type unreachable
		at "$side" grep -rs . /proc/sys/net/ipv{4,6}/conf/wg0 || true
	done
	ports a
	at c wg showconf wg1
}

# same: as when furnished_pair was called.
same() {
	diff <(echo "$before") <(echo "$(everything)")
}
