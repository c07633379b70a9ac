#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets of many sizes, with each DS field, through several MTUs, over both families: what is on
# the wire.

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/record.sh"

cable
# To be seen as they are sent.
for name in a b; do
	at "$name" ethtool -K eth0 gro off tso off gso off tx-udp-segmentation off > /dev/null
done
tunnel
reaches a 192.168.241.2
wiretap b eth0 udp or ip6
SETTLE=0.3
# sizes MTU SIZE...: echoes of these sizes, one after the other.
sizes() {
	local size
	at a ip link set wg0 mtu "$1"
	shift
	for size; do
		at a ping -n -q -c 1 -W 5 -s "$size" 192.168.241.2
	done
}
fields() {
	local tos
	for ((tos = 0; tos < 256; tos += 5)); do
		at a ping -n -q -c 1 -W 5 -Q "$tos" "$1"
	done
}
gso() {
	at a python3 -c 'import socket, struct, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
for size, total in ((100, 1000), (500, 4600), (1000, 64000), (1, 60), (1372, 5000)):
    s.sendmsg([bytes(total)], [(17, 103, struct.pack("=H", size))], 0, (sys.argv[1], 9))
    time.sleep(0.1)' "$1"
}
# Nobody answers, and IPv6 sends nothing of its own accord.
quiet() {
	at "$1" nft -f - << 'END'
table inet quiet {
	chain in {
		type filter hook input priority 0
		iifname "wg0" udp dport 9 drop
	}
	chain out {
		type filter hook output priority 0
		oifname "wg0" icmpv6 type { mld-listener-report, mld2-listener-report, nd-router-solicit } drop
	}
}
END
}
quiet a
quiet b
for outside in 10.0.0.2:51822 '[fd00:aa::2]:51822'; do
	at a wg set wg0 peer "$PUB_B" endpoint "$outside"
	step "$outside: sizes" sizes 1420 0 1 3 4 5 19 20 21 35 36 100 1000 1391 1392
	step "$outside: sizes beyond the MTU" sizes 1420 1393 1400 2000 5000
	step "$outside: an MTU of 1301" sizes 1301 0 4 100 1200 1272 1273 1274 3000
	step "$outside: an MTU of 577" sizes 577 0 4 100 540 548 549 550 3000
	step "$outside: a large MTU" sizes 9000 1400 1500 4000 8972
	step "$outside: DS fields" fields 192.168.241.2
	at a ip link set wg0 mtu 1420
	addr a wg0 fd00::1/112
	step "$outside: DS fields of IPv6" fields fd00::2
	step "$outside: GSO" gso 192.168.241.2
	step "$outside: GSO of IPv6" gso fd00::2
done
observe a wg0
observe b wg0
step 'counters' true
the_end
