#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# MTUs from nothing to the largest: what is padded, what gets through, and that the device lives on.
#
# kernels: uml debug
# timeout: 240
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

pair
check 'the tunnel' reaches a 192.168.241.2

# inject VERSION SIZE...: packets of these sizes to b's wg0, redirected there from a cable, so that
# neither a route nor a socket has a say in how large they may be.
at b ip link add x0 mtu 9000 type veth peer name x1 mtu 9000
at b ip link set x0 up
at b ip link set x1 up
at b tc qdisc add dev x1 clsact
at b tc filter add dev x1 ingress protocol all pref 1 matchall action mirred egress redirect dev wg0
inject() {
	at b python3 -c 'import socket, struct, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
for size in map(int, sys.argv[2:]):
    if sys.argv[1] == "4":
        packet = struct.pack("!BBHIBBH4s4s", 0x45, 0, size, 0, 64, 253, 0,
            socket.inet_aton("192.168.241.2"), socket.inet_aton("192.168.241.1"))
        protocol = 0x0800
    else:
        packet = struct.pack("!IHBB16s16s", 6 << 28, size - 40, 253, 64,
            socket.inet_pton(socket.AF_INET6, "fd00::2"), socket.inet_pton(socket.AF_INET6, "fd00::1"))
        protocol = 0x86dd
    raw.sendto(packet.ljust(size, b"\1"), ("x0", protocol, 0, 0, b"\xff" * 6))
' "$@"
}

# weights VERSION SIZE...: what such packets weigh on the wire, without header and tag.
weights() {
	capture_start a eth0 udp and src host 10.0.0.2
	inject "$@"
	capture_stop
	python3 "$LIB/pcap.py" "$TMP/pcap" | awk '$9 == 4 && $8 > 32 { print $8 - 32 }' | xargs
}

# mtu SIZE: on both sides, with the addresses that a small one takes away. Routes remember for ten
# minutes how small the MTU has been.
mtu() {
	local name
	for name in a b; do
		at "$name" ip link set wg0 mtu "$1"
		at "$name" ip route flush cache
	done
	((${1} < 68)) || {
		at a ip addr replace 192.168.241.1/24 dev wg0
		at b ip addr replace 192.168.241.2/24 dev wg0
	}
	((${1} < 1280)) || {
		at a ip addr replace fd00::1/112 dev wg0 nodad
		at b ip addr replace fd00::2/112 dev wg0 nodad
	}
}

note 'what is padded'
mtu 0
is 'MODE-17 MTU 0: to sixteen, whatever the size' "$(weights 4 20 32 33 100 1000)" '32 32 48 112 1008'
is 'MODE-17 MTU 0: IPv6, too' "$(weights 6 40 48 49)" '48 48 64'
mtu 1
is 'MODE-17 MTU 1: not at all' "$(weights 4 20 32 33 100 1000)" '20 32 33 100 1000'
mtu 17
is 'MODE-17 MTU 17: what is left over' "$(weights 4 20 33 34 35 40)" '33 33 34 50 50'
mtu 576
is 'MODE-17 MTU 576: up to the MTU, and past it what is left over' "$(weights 4 560 561 575 576 577 1151 1152)" \
	'560 576 576 576 592 1152 1152'
mtu 1281
is 'MODE-17 MTU 1281: not past the MTU' "$(weights 6 1264 1265 1280 1281)" '1264 1280 1280 1281'

note 'what gets through'
for size in 68 576 1280 9000 65535 65536 2147483552; do
	mtu "$size"
	# The buffer of ping's socket is made for fewer fragments than this may be.
	check "MODE-16 MTU $size: echoes" pings b 192.168.241.1 -s 2000 -S 400000
	# No file in packets of fifty fragments each: on a busy machine, TCP may wait for minutes for one.
	((size > 9000)) || check "MODE-16 MTU $size: a file" copy a b 192.168.241.2 100K
	((size < 1280 || size > 9000)) || check "MODE-16 MTU $size: a file over IPv6" copy b a fd00::1 100K
done
mtu 65535
at a ip link set eth0 mtu 65535
at b ip link set eth0 mtu 65535
# With its header and ours the datagram may have 65535 bytes; padding is no reason for more.
check 'MODE-16 MTU 65535: the largest echo that fits' at b ping -n -q -c 1 -W 10 -s 65440 192.168.241.1
refuses 'MODE-16 MTU 65535: one that does not' '*' at b ping -n -q -c 1 -W 1 -s 65507 192.168.241.1
check 'MODE-16 MTU 65535: and the next is fine' pings b 192.168.241.1
is 'MODE-16 no errors of receiving' "$(stats a rx_errors rx_length_errors rx_frame_errors)" '0 0 0'
at a ip link set eth0 mtu 1500
at b ip link set eth0 mtu 1500

note 'while packets go'
spawn a ping -n -q -f -s 1000 192.168.241.2 > /dev/null
flood=$job
for size in 1420 100 0 68 1420 2147483552 1 1280 65535; do
	at b ip link set wg0 mtu "$size"
	at a ip link set wg0 mtu "$((size < 68 ? 68 : size))"
	sleep 0.1
done
stop_busy 'the packets' "$flood"
mtu 1420
check 'MODE-18 the tunnel has lived through it' pings b 192.168.241.1

finish
