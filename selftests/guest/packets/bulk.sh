#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Bulk transfers, whose packets are large on both sides of the tunnel: each message is a datagram of
# the right length once these are segmented, counted one by one, in whatever way the devices share
# the work; and what pretends to be many messages does no harm.
#
# kernels: uml debug
# timeout: 600
# slow: debug

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

# both_ways: the file, in both families and directions.
both_ways() {
	copy a b 192.168.241.2 && copy b a 192.168.241.1 && copy a b fd00::2 && copy b a fd00::1
}

# offload SETTING...: of both ends of the cable.
offload() {
	at a ethtool -K eth0 "$@" && at b ethtool -K eth0 "$@"
}

# messages: the lengths of data messages in the capture, and how often each was seen.
messages() {
	"$LIB/pcap.py" "$TMP/pcap" | awk '$9 == 4 { print $8 }' | sort -n | uniq -c |
		awk '{ print $2, $1 }'
}

# agree FIELD FIELD: what a has sent is what b has received, in packets or in bytes.
agree() {
	[[ $(stats a "$1") == "$(stats b "$2")" && $(stats b "$1") == "$(stats a "$2")" ]]
}

pair
check 'the tunnel is up' reaches a 192.168.241.2
check 'a file, with all that the devices offer' both_ways
check 'packets are counted one by one' eventually agree tx_packets rx_packets
check 'bytes are counted message by message' eventually agree tx_bytes rx_bytes
is 'nothing was refused' "$(stats a rx_errors rx_dropped) $(stats b rx_errors rx_dropped)" '0 0 0 0'

# What the wire would see: no device that takes datagrams apart.
check 'the cable takes no large datagrams' offload tx-udp-segmentation off
capture_start b eth0 -s 120 udp
check 'a file, with datagrams of their own' copy a b 192.168.241.2
capture_stop
is 'no message is longer than the MTU allows' \
	"$(messages | awk '$1 > 1452' | wc -l)" 0
holds 'most messages are as long as that' \
	"$(messages | awk '$1 == 1452 { print $2 + 0 }') > 1000"
is 'all are padded to 16 bytes, or to the MTU' \
	"$(messages | awk '$1 % 16 && $1 != 1452' | wc -l)" 0

check 'the cable merges datagrams' offload gro on
check 'a file, with datagrams merged' both_ways
check 'the cable computes no checksums' offload tx off
check 'a file, with checksums of their own' both_ways
check 'the cable does all again' offload tx on tx-udp-segmentation on gro off

at a ethtool -K wg0 tso off gso off
at b ethtool -K wg0 gro off
check 'a file, with small packets inside' both_ways
at a ethtool -K wg0 tso on gso on
at b ethtool -K wg0 gro on

# The path is too narrow: each message in fragments, as without large packets.
at a ip link set eth0 mtu 1300
at b ip link set eth0 mtu 1300
capture_start b eth0 -s 120 'ip[6:2] & 0x3fff != 0'
check 'a file, in fragments' copy a b 192.168.241.2
capture_stop
holds 'which were seen' "$(stat -c %s "$TMP/pcap") > 100000"
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
check 'and by IPv6' copy a b 192.168.241.2
at a ip link set eth0 mtu 1500
at b ip link set eth0 mtu 1500
check 'a file over IPv6' both_ways

# Bundles that no peer has sent: large datagrams of all kinds from somebody else.
cat > "$TMP/hostile.py" <<'END'
import os, random, socket, struct, sys

host, port, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
family = socket.AF_INET6 if ":" in host else socket.AF_INET
sock = socket.socket(family, socket.SOCK_DGRAM)
# As nonces.py has it.
sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 0x5747)
for _ in range(300):
    size = rng.choice([1, 4, 15, 16, 31, 32, 33, 64, 92, 148, 500, 1000, 1400])
    count = rng.randint(2, min(60, 60000 // size))
    last = rng.randint(1, size)
    index = rng.randbytes(4)
    parts = []
    for number in range(count):
        kind = rng.choice([4, 4, 4, 4, 4, 1, 2, 3, 0, 255]) if rng.random() < 0.2 else 4
        part = struct.pack("<I", kind) + (index if rng.random() < 0.9 else rng.randbytes(4))
        part = (part + rng.randbytes(size))[: size if number + 1 < count else last]
        parts.append(part)
    sock.setsockopt(socket.IPPROTO_UDP, 103, size)
    sock.sendto(b"".join(parts), (host, port))
END
for address in 10.0.0.2 fd00:aa::2; do
	check "hostile bundles to $address" at a python3 "$TMP/hostile.py" "$address" 51822 "$RANDOM"
done
is 'they count for nothing' "$(stats b rx_errors rx_dropped)" '0 0'
check 'and the tunnel works as before' both_ways

nonces_least=5000
finish
