#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Traffic through a tunnel, and what it looks like on the wire: both families inside and out,
# exact counters, MTUs, padding, fragments, ECN, marks, offloads.
#
# kernels: uml debug stock stock-amd64 stock-rt stock-arm64 stock-arm64-16k stock-cloud-arm64 stock-rt-arm64
# timeout: 600
# slow: debug stock stock-amd64 stock-rt stock-arm64-16k stock-cloud-arm64 stock-rt-arm64

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

# through: all kinds of traffic, both ways.
through() {
	local how=$1
	check "$how: ping v4 a to b" pings a 192.168.241.2
	check "$how: ping v4 b to a" pings b 192.168.241.1
	check "$how: ping v6 a to b" pings a fd00::2
	check "$how: ping v6 b to a" pings b fd00::1
	check "$how: large ping v4" pings a 192.168.241.2 -s 5000
	check "$how: large ping v6" pings b fd00::1 -s 20000
	check "$how: TCP v4 a to b" iperf a b 192.168.241.2 -n 4M
	check "$how: TCP v6 b to a" iperf b a fd00::1 -n 4M
	check "$how: TCP v4 two streams, reversed" iperf a b 192.168.241.2 -n 4M -R -P 2
	check "$how: UDP v4 b to a" iperf b a 192.168.241.1 -u -b 0 -n 2M -l 1200
	check "$how: UDP v6 a to b" iperf a b fd00::2 -u -b 0 -n 2M -l 1200
	check "$how: a file arrives unharmed" copy b a 192.168.241.1
}

# wire: the datagrams of the last capture.
wire() {
	python3 "$LIB/pcap.py" "$TMP/pcap"
}

pair

note 'counters, to the byte'
# Ten echoes of 84 bytes, padded to 96, cost 128 each; an initiation 148 and a response 92.  The
# initiator may confirm the key with a keepalive of 32 before its first packet does.
check 'CNT-1 ten echoes' pings b 192.168.241.1
read -r rx tx < <(transfer b)
holds 'CNT-1 the initiator received 1372 bytes' "$rx == 1372"
holds 'CNT-4 it sent 1428 or 1460' "$tx == 1428 || $tx == 1460"
keepalives=$(((tx - 1428) / 32))
is 'CNT-4 the responder received and sent as much' "$(transfer a)" "$tx $rx"
is "CNT-4 the initiator's device counts the same" "$(stats b rx_bytes tx_bytes rx_packets tx_packets)" \
	"$rx $tx 11 $((11 + keepalives))"
is "CNT-4 and the responder's" "$(stats a rx_bytes tx_bytes rx_packets tx_packets)" \
	"$tx $rx $((11 + keepalives)) 11"
is 'CNT-7 no errors' "$(stats a rx_errors tx_errors rx_dropped tx_dropped) $(stats b rx_errors tx_errors rx_dropped tx_dropped)" \
	'0 0 0 0 0 0 0 0'
now=$(date +%s)
holds 'TM-11 the initiator knows when' "$now - $(at b wg show wg0 latest-handshakes | cut -f2) < 60"
holds 'TM-11 the responder too' "$now - $(at a wg show wg0 latest-handshakes | cut -f2) < 60"

note 'traffic'
through 'v4 outside'
big_mtu=$((34816 - 80))
at a ip link set wg0 mtu $big_mtu
at b ip link set wg0 mtu $big_mtu
through "v4 outside, MTU $big_mtu"
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
at b wg set wg0 peer "$PUB_A" endpoint '[fd00:aa::1]:51821'
through "v6 outside, MTU $big_mtu"
at a ip link set wg0 mtu 1420
at b ip link set wg0 mtu 1420
through 'v6 outside'
note 'offloads'
for off in 'tso off' 'gso off' 'sg off' 'tx off' 'gro off' 'rx off' 'tx on sg on tso on gso on rx on gro on'; do
	# shellcheck disable=SC2086
	at a ethtool -K wg0 $off > /dev/null
	check "$off: a sends a file" copy a b 192.168.241.2
	check "$off: and receives one" copy b a fd00::1
done
for off in 'tx-udp-segmentation off tx-gso-list off' 'tso off' 'gso off' 'gro on' 'tx off'; do
	# shellcheck disable=SC2086
	at a ethtool -K eth0 $off
	check "outside $off: a sends a file" copy a b 192.168.241.2
	check "outside $off: and receives one" copy b a fd00::1
done
is 'CNT-7 not one packet was found wrong' \
	"$(stats a rx_errors rx_frame_errors rx_length_errors tx_errors) $(stats b rx_errors rx_frame_errors rx_length_errors tx_errors)" \
	'0 0 0 0 0 0 0 0'

note 'on the wire'
untunnel
tunnel
capture_start a eth0 udp or ip6
at b ping -n -q -c 1 -W 10 192.168.241.1 > /dev/null
for tos in 0x01 0x02 0x03 0xb8 0xff; do
	at b ping -n -q -c 1 -W 10 -Q "$tos" 192.168.241.1 > /dev/null
done
at b ping -n -q -c 1 -W 10 -Q 0x2b fd00::1 > /dev/null
capture_stop
is 'TX-14 SK-7 an initiation, 148 bytes, DSCP AF41, DF clear' "$(wire | sed -n 1p)" 'v4 88 0 10.0.0.2 51822 10.0.0.1 51821 148 1'
is 'TX-14 SK-7 a response, 92 bytes, DSCP AF41, DF clear' "$(wire | sed -n 2p)" 'v4 88 0 10.0.0.1 51821 10.0.0.2 51822 92 2'
is 'TX-14 only the ECN bits are copied, CE as ECT(0)' "$(wire | awk '$9 == 4 && $4 == "10.0.0.2" && $8 > 32 { print $2 }' | xargs)" \
	'00 01 02 02 00 02 02'
is 'TX-14 the same with the answers' "$(wire | awk '$9 == 4 && $4 == "10.0.0.1" && $8 > 32 { print $2 }' | xargs | cut -d' ' -f1-6)" \
	'00 01 02 02 00 02'
is 'SK-7 DF is clear on every packet' "$(wire | awk '{ print $3 }' | sort -u)" 0

fragments='do'
# sizes FROM SIZE...: what packets of these sizes weigh on the wire.
sizes() {
	local size
	capture_start a eth0 udp and src host "$1"
	shift
	for size; do
		at b ping -n -q -c 1 -W 10 -M "$fragments" -s $((size - 28)) 192.168.241.1 > /dev/null
	done
	capture_stop
	wire | awk '$9 == 4 && $8 > 32 { printf "%s%s", sep, $8 - 32; sep = " " } END { print "" }'
}
is 'TX-12 padded to sixteen, but never past the MTU' "$(sizes 10.0.0.2 28 29 32 33 47 48 49 1399 1400 1408 1409 1419 1420)" \
	'32 32 32 48 48 48 64 1408 1408 1408 1420 1420 1420'
at b ip link set wg0 mtu 1300
is 'TX-12 the same with another MTU' "$(sizes 10.0.0.2 1280 1281 1295 1296 1297 1300)" '1280 1296 1296 1296 1300 1300'
at b ip link set wg0 mtu 1280
is 'TX-12 an MTU that is a multiple of sixteen' "$(sizes 10.0.0.2 1264 1265 1280)" '1264 1280 1280'
at b ip link set wg0 mtu 1420
at b ip route replace 192.168.241.1/32 dev wg0 mtu 1299
is "ND-15 TX-12 the route's MTU counts" "$(sizes 10.0.0.2 1297 1299)" '1299 1299'
fragments='dont'
is 'TX-12 and the fragments it makes' "$(sizes 10.0.0.2 1400)" '1296 128'
fragments='do'
at b ip route del 192.168.241.1/32 dev wg0 mtu 1299

note 'the smallest MTU'
at b ip link set wg0 mtu 0
before=$(received a)
capture_start a eth0 udp and src host 10.0.0.2
at b wg set wg0 peer "$PUB_A" persistent-keepalive 1
more() {
	(($(received a) > before + 64))
}
check 'TX-12 MTU 0: keepalives go on' eventually more
capture_stop
is 'TX-12 MTU 0: they are 32 bytes' "$(wire | awk '$9 == 4 { print $8 }' | sort -u)" 32
at b wg set wg0 peer "$PUB_A" persistent-keepalive 0
at b ip link set wg0 mtu 68
addr b wg0 192.168.241.2/24
check 'MTU 68: echoes in fragments' pings b 192.168.241.1 -s 100
check 'MTU 68: a file' copy b a 192.168.241.1 100K
at b ip link set wg0 mtu 1420

note 'fragments of outer packets'
untunnel
tunnel
capture_start a eth0
at a ip link set eth0 mtu 1280
at b ip link set eth0 mtu 1280
check 'SK-7 v4 outside' at b ping -n -q -c 3 -i 0.2 -W 10 -s 1392 -M 'do' 192.168.241.1
at b wg set wg0 peer "$PUB_A" endpoint '[fd00:aa::1]:51821'
check 'SK-7 v6 outside' at b ping -n -q -c 3 -i 0.2 -W 10 -s 1392 -M 'do' 192.168.241.1
capture_stop
is 'SK-7 two v4 fragments for each packet' "$(wire | grep -c '^v4frag .. 0 10.0.0.2 10.0.0.1')" 6
is 'SK-7 two v6 fragments for each packet' "$(wire | grep -c '^v6frag .. 0 fd00:aa::2 fd00:aa::1')" 6
check 'SK-7 a file in fragments' copy b a 192.168.241.1
at a ip link set eth0 mtu 1500
at b ip link set eth0 mtu 1500

note 'preshared keys'
at a wg set wg0 peer "$PUB_B" preshared-key "$TMP/psk"
at b wg set wg0 peer "$PUB_A" preshared-key "$TMP/psk"
at b ip link set wg0 down
at b ip link set wg0 up
addr b wg0 fd00::2/112
check 'SET-17 with the same key on both sides' reaches b 192.168.241.1
at b wg set wg0 peer "$PUB_A" preshared-key <(wg genpsk)
check 'SET-17 a change does not disturb the session' pings b 192.168.241.1
at b ip link set wg0 down
at b ip link set wg0 up
addr b wg0 fd00::2/112
refuses 'SET-17 but with different ones there is no new session' '*' at b ping -n -q -c 2 -W 1 192.168.241.1

note 'the mark'
untunnel
tunnel
at b wg set wg0 fwmark 51820
at b ip rule add fwmark 51820 blackhole
refuses 'OUT-6 TX-16 outer packets carry it: they can be routed away' '*' at b ping -n -q -c 2 -W 1 192.168.241.1
is 'OUT-6 CNT-7 TX-17 and are not counted' "$(stats b tx_packets) $(sent b)" '0 0'
at b ip rule del fwmark 51820 blackhole
at b ip rule add pref 100 fwmark 51820 to 10.0.0.0/24 lookup main
at b ip rule add pref 101 to 10.0.0.0/24 blackhole
check 'TX-16 or only they be let through' reaches b 192.168.241.1
at b ip rule del pref 101
at b ip rule del pref 100
at b wg set wg0 fwmark 0

note 'packets that wait for a handshake'
at b wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.3/32 endpoint 10.0.0.99:9
at b ip route add blackhole 10.0.0.99/32
at b python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(200):
    s.sendto(b"x" * 100, ("192.168.241.3", 1))
'
is 'OUT-4 TX-8 the oldest beyond 128 are dropped' "$(stats b tx_dropped)" 71
at b wg set wg0 peer "$PUB_C" remove
is 'CNT-5 OUT-4 and the others with the peer' "$(stats b tx_dropped)" 200
at b wg set wg0 peer "$PUB_A" remove
at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32 endpoint 10.0.0.1:9
spawn a python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.168.241.1", 7))
print(*[s.recv(100).decode() for n in range(50)])
' > "$TMP/order"
bound() {
	[[ $(ports a) == *'v4 7'* ]]
}
eventually bound
at b python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(50):
    s.sendto(b"%d" % n, ("192.168.241.1", 7))
'
at b wg set wg0 peer "$PUB_A" endpoint 10.0.0.1:51821
check 'TX-8 they all arrive once there is a session' ended "$job"
is 'TX-8 and in order' "$(cat "$TMP/order")" "$(seq -s' ' 0 49)"

finish
