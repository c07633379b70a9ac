#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Datagrams that reach the receiver as one large packet: whoever looks at them on the way or changes
# them, all arrives as with small ones. Our driver takes them in as they are, unless told otherwise.
#
# kernels: uml debug
# timeout: 240
# slow: debug

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

# datagrams: how many the sockets of b have received, as UDP counts them, in both families.
datagrams() {
	at b cat /proc/net/snmp /proc/net/snmp6 |
		awk '$1 == "Udp:" && $2 ~ /^[0-9]/ { n += $2 } $1 == "Udp6InDatagrams" { n += $2 } END { print n }'
}

# counted CLIENT SERVER ADDRESS: copies, and sets `messages` and `seen`: messages that b received,
# and how often its socket did. Two handshakes may be among them.
counted() {
	local before=$1
	messages=$(stats b rx_packets) seen=$(datagrams)
	check "$before" copy a b "$2"
	messages=$(($(stats b rx_packets) - messages)) seen=$(($(datagrams) - seen))
}

# taken_whole WHAT, taken_apart WHAT: how these were received.
taken_whole() {
	if [[ $DRIVER == rust ]]; then
		holds "$1 in large packets" "$seen * 2 < $messages"
	else
		skip "$1 in large packets" 'the in-tree driver makes none'
	fi
}
taken_apart() {
	holds "$1 one by one" "$seen >= $messages"
}

pair
check 'the tunnel is up' reaches a 192.168.241.2
counted 'a file' 192.168.241.2
taken_whole 'it came'
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
counted 'a file by IPv6' fd00::2
taken_whole 'it came'

capture_start b eth0 -s 120 udp
counted 'a file that somebody watches' 192.168.241.2
capture_stop
taken_whole 'it came'
holds 'and was seen' "$(stat -c %s "$TMP/pcap") > 2000"

# The sender leaves no bundle whole for rules that look at it there. GRO can make large packets of
# what comes for a port without a socket.
at a ethtool -K eth0 tso off > /dev/null
at b ethtool -K eth0 gro on rx-udp-gro-forwarding on > /dev/null
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51899
at b nft -f - << 'END'
table inet t {
	counter n_large { }
	chain before {
		type nat hook prerouting priority dstnat
		udp dport 51899 dnat ip to 10.0.0.2:51822
	}
	chain in {
		type filter hook input priority filter
		ct state new udp dport 51822 accept
		ct state established udp dport 51822 meta length > 2000 counter name n_large
		udp dport 51899 drop
	}
}
END
counted 'a file to another port' 192.168.241.2
taken_whole 'it came'
if [[ $DRIVER == rust ]]; then
	holds 'netfilter has seen it before' \
		"$(at b nft list counter inet t n_large | sed -n 's/.*packets \([0-9]*\).*/\1/p') > 0"
fi
at b nft add rule inet t in udp dport 51822 meta length '> 1000' drop
refuses 'and can stop it' '*' at a ping -n -q -c 2 -W 1 -s 1300 192.168.241.2
at b nft flush ruleset
at b ethtool -K eth0 gro off rx-udp-gro-forwarding off > /dev/null
at a ethtool -K eth0 tso on > /dev/null
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822

# Large packets of UDP, and for a port that is not ours.
cat > "$TMP/large.py" << 'END'
import socket
import sys

SO_RCVBUFFORCE = 33

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if sys.argv[1] == "send":
    sock.setsockopt(socket.IPPROTO_UDP, 103, 1000)
    for number in range(20):
        sock.sendto(bytes([number]) * 20000, ("10.0.0.2", 51900))
else:
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    sock.bind(("10.0.0.2", 51900))
    print("bound", flush=True)
    sock.settimeout(60)
    sizes = [len(sock.recv(65536)) for _ in range(400)]
    print(sorted(set(sizes)))
END
: > "$TMP/sizes"
spawn b python3 "$TMP/large.py" receive > "$TMP/sizes"
eventually grep -q bound "$TMP/sizes"
check 'large packets for another socket' at a python3 "$TMP/large.py" send
check 'which gets them in datagrams' eventually grep -qxF '[1000]' "$TMP/sizes"

# As a network card does it: single datagrams, checksums that are right, and GRO. Every other one
# is longer, and has met congestion. They are held up, so as to come many at once.
for name in a b; do
	at "$name" ethtool -K eth0 tx-udp-segmentation off tx off gro on > /dev/null
done
at a nft -f - << 'END'
table ip t {
	chain post {
		type filter hook postrouting priority mangle
		udp dport 51822 ip length 348 ip ecn set ce
	}
}
END
cat > "$TMP/ecn.py" << 'END'
import socket
import sys

SO_RCVBUFFORCE = 33

COUNT, LENGTHS = 1000, (200, 260)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if sys.argv[1] == "send":
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)
    for number in range(COUNT):
        payload = number.to_bytes(4, "big") * (LENGTHS[number % 2] // 4)
        sock.sendto(payload, ("192.168.241.2", 51900))
else:
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    sock.bind(("192.168.241.2", 51900))
    print("bound", flush=True)
    sock.settimeout(60)
    marks, numbers = [], []
    for _ in range(COUNT):
        data, ancillary, _, _ = sock.recvmsg(2048, 64)
        numbers.append(int.from_bytes(data[:4], "big"))
        marks.append(ancillary[0][2][0] & 3)
    print("in order" if numbers == sorted(numbers) else numbers)
    print("alternating" if marks == [2, 3] * (COUNT // 2) else marks)
END
: > "$TMP/marks"
spawn b python3 "$TMP/ecn.py" receive > "$TMP/marks"
eventually grep -q bound "$TMP/marks"
at a tc qdisc add dev eth0 root netem delay 50ms limit 10000
check 'packets, every other of which meets congestion' at a python3 "$TMP/ecn.py" send
check 'they arrive in order' eventually grep -qx 'in order' "$TMP/marks"
check 'with their own marks each' eventually grep -qx alternating "$TMP/marks"
at a tc qdisc del dev eth0 root
at a nft flush ruleset
check 'a file, chained by GRO' copy a b 192.168.241.2
check 'and by IPv6' copy a b fd00::2
check 'and back' copy b a 192.168.241.1
for name in a b; do
	at "$name" ethtool -K eth0 gro off tx on tx-udp-segmentation on > /dev/null
done

# Up and down, and several devices that share what each of them needs.
at b ip link add wg1 type wireguard
at b wg set wg1 listen-port 51833
at b ip link set wg1 up
at b ip link set wg0 down
at b ip link set wg0 up
check 'the tunnel is up again' eventually reaches a 192.168.241.2
at b ip link del wg1
counted 'a file, with another device gone' 192.168.241.2
taken_whole 'it came'

# again PARAMETER: a tunnel by the module loaded with that.
again() {
	at a ip link del wg0
	at b ip link del wg0
	module_unload
	module_load "$1"
	tunnel
	check "$1: the tunnel is up" reaches a 192.168.241.2
}

if [[ $DRIVER == rust ]]; then
	again outer_gro=0
	counted 'a file' 192.168.241.2
	taken_apart 'it came'

	# Only when asked to, GRO makes large packets of single ones.
	for name in a b; do
		at "$name" ethtool -K eth0 tx-udp-segmentation off tso off gro on > /dev/null
	done
	again outer_gro=1
	counted 'a file in single datagrams' 192.168.241.2
	taken_apart 'it came'
	again outer_gro=2
	counted 'a file in single datagrams, merged' 192.168.241.2
	taken_whole 'it came'
	at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
	counted 'a file by IPv6, merged' fd00::2
	taken_whole 'it came'
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
	for name in a b; do
		at "$name" ethtool -K eth0 tx off > /dev/null
	done
	counted 'a file with checksums, merged' 192.168.241.2
	taken_whole 'it came'
	at b ethtool -K eth0 rx-gro-list on > /dev/null
	counted 'a file with lists of packets allowed, merged' 192.168.241.2
	taken_whole 'it came'
	check 'and back' copy b a 192.168.241.1
	at a ping -q -c 50 -i 0.002 -s 1000 -W 20 192.168.241.2 > "$TMP/echoes"
	like 'no echo is lost' "$(< "$TMP/echoes")" '*, 50 received*'
	# A port that changes makes new sockets.
	at b wg set wg0 listen-port 51823
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51823
	counted 'a file to another port, merged' 192.168.241.2
	taken_whole 'it came'
	at b ethtool -K eth0 gro off > /dev/null
	counted 'a file without GRO below' 192.168.241.2
	taken_apart 'it came'
fi

finish
