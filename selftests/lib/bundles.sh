# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Whether datagrams leave one by one or in large packets, for tests of what lies between a tunnel and
# the wire. To be sourced after lib.sh and flows.sh.

# Bytes that the server of b wants in the reserved field of every message, and takes out again.
MARK=0x0a0b0c
# More than any packet with one message has.
LARGE=1600

# card NAME...: eth0 behaves as nearly all network cards: what leaves is one datagram.
card() {
	local name
	for name; do
		at "$name" ethtool -K eth0 tx-udp-segmentation off tso off gso off > /dev/null
	done
}

# pass NAME...: eth0 lets large packets pass.
pass() {
	local name
	for name; do
		at "$name" ethtool -K eth0 tx-udp-segmentation on tso on gso on > /dev/null
	done
}

# others: how many packets the devices of a that are not below the tunnel were given to send, which are
# those inside the tunnel, and those to the host behind a. As IP counts them, large ones as one.
others() {
	local count
	echo >& "${OTHERS[1]}"
	read -r count <& "${OTHERS[0]}"
	echo "$count"
}

# Sockets that see what leaves by a device, and have no room for it.
COUNT_OTHERS='
import ctypes, socket, struct, sys

# Accept what is outgoing, and of IP.
CODE = [(0x28, 0, 0, 0xFFFFF000), (0x15, 1, 0, 0x0800), (0x15, 0, 3, 0x86DD),
        (0x30, 0, 0, 0xFFFFF004), (0x15, 0, 1, 4), (0x06, 0, 0, 1), (0x06, 0, 0, 0)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in CODE))
socks = []
for _, name in socket.if_nameindex():
    if name in sys.argv[1:]:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", len(CODE), ctypes.addressof(code)))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.bind((name, 3))
        socks.append(sock)
total = 0
for _ in sys.stdin:
    total += sum(struct.unpack("II", sock.getsockopt(263, 6, 8))[0] for sock in socks)
    print(total, flush=True)
'

# requests COUNTER: how many packets IP was given to send at a.
requests() {
	at a cat /proc/net/snmp /proc/net/snmp6 |
		awk -v counter="$1" '$1 == "Ip:" && f { sum += $f }
			$1 == "Ip:" { for (i = 2; i <= NF; i++) if ($i == counter) f = i }
			$1 == "Ip6" counter { sum += $2 }
			END { print sum }'
}

# Messages that a's tunnel has made, be they dropped below it.
made() {
	echo $(($(stats a tx_packets tx_dropped tx_errors | tr ' ' +)))
}

# counting: what is sent from here on counts. What is sent meanwhile counts as a packet, if at all.
counting() {
	[[ ${OTHERS_PID-} ]] || coproc OTHERS { at a python3 -c "$COUNT_OTHERS" wg0 lan; }
	packets=$(requests OutTransmits) messages=$(made) inside=$(others)
}

# count: sets `messages` that a has made since then, and `packets` that it sent for them.
count() {
	inside=$(($(others) - inside)) messages=$(($(made) - messages))
	packets=$(($(requests OutTransmits) - packets - inside))
}

# counted WHAT ADDRESS [CLIENT [SIZE]]: copies to b, and counts.
counted() {
	counting
	check "$1" copy "${3-a}" b "$2" "${4-2M}"
	count
}

each_alone() {
	holds "$1: each message by itself" "$packets >= $messages"
}

in_large() {
	if [[ $DRIVER == rust ]]; then
		holds "$1: in large packets" "$packets * 2 < $messages"
	else
		skip "$1: in large packets" 'the in-tree driver makes none'
	fi
}

# takes_none WHAT DEVICE ADDRESS [SIZE]: the tunnel goes by a's DEVICE to b's ADDRESS. Nothing about the
# device but its kind speaks against large packets.
takes_none() {
	at a tc qdisc replace dev "$2" root noqueue
	like "$1: it offers segmentation" "$(at a ethtool -k "$2" | grep tx-udp-segmentation)" '*: on*'
	at a wg set wg0 peer "$PUB_B" endpoint "$3:51822"
	check "$1: the tunnel" reaches a 192.168.241.2
	counted "$1" 192.168.241.2 a "${4-2M}"
	each_alone "$1"
	at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
}

# counter NAME TABLE COUNTER: packets that a rule has counted, in family inet or netdev.
counter() {
	at "$1" nft list counter "$2" t "$3" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

# rewritten WHAT: a copy in each family arrives, with the mark on all messages.
rewritten() {
	check "$1: a file" copy a b 192.168.241.2
	is "$1: no message without the bytes" "$(counter b inet n_bare)" 0
}

# largest: the largest packet that a queue of a's eth0 had, as fq_codel says.
largest() {
	at a tc -s qdisc show dev eth0 | sed -n 's/.*maxpacket \([0-9]*\).*/\1/p' | sort -n | tail -n 1
}

# wants_bytes: the server at b takes no message without the mark, and takes that out.
wants_bytes() {
	at b nft -f - << END
table inet t {
	counter n_bare { }
	chain before {
		type filter hook prerouting priority mangle
		udp dport 51822 @th,72,24 != $MARK counter name n_bare drop
		udp dport 51822 @th,72,24 set 0 udp checksum set 0
	}
}
END
}

# gso ADDRESS PORT [TIMES]: datagrams of UDP at a, that are sent as one large packet, and by no tunnel.
# What looks for large packets must see it.
gso() {
	at a python3 - "$@" << 'END'
import socket
import sys
import time

address, port, *times = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
sock = socket.socket(family, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_UDP, 103, 1000)
for _ in range(int(*times or [1])):
    try:
        sock.sendto(bytes(40000), (address, int(port)))
    except PermissionError:
        # A rule on the way out has dropped it.
        pass
    time.sleep(0.02)
END
}

# A policer that has room for some messages, and again for the next one before that is there, but never
# for many at once. It does not find a packet that stands for them too long for its `mtu`.
POLICE='action police rate 10gbit burst 10k conform-exceed drop'

# polices DEVICE: such a policer looks at what leaves by a's DEVICE.
polices() {
	at a tc qdisc add dev "$1" clsact
	# shellcheck disable=SC2086
	at a tc filter add dev "$1" egress matchall $POLICE
}

# policed DEVICE [PARENT]: how many it has dropped, or one that is a filter of a queue.
policed() {
	at a tc -s filter show dev "$1" "${@:2}" | sed -n 's/.*dropped \([0-9]*\),.*/\1/p' | head -n 1
}

# polices_none WHAT DEVICE ADDRESS: that one has dropped nothing, and drops what is large.
polices_none() {
	is "$1: a policer lets all pass" "$(policed "$2" egress)" 0
	gso "$3" 9
	is "$1: but for what is large" "$(policed "$2" egress)" 1
}

# sees_none WHAT NAME FAMILY ADDRESS: the rule of a namespace that counts large packets has seen none, and
# sees one.
sees_none() {
	is "$1: no rule sees more than one" "$(counter "$2" "$3" n_large)" 0
	gso "$4" 51822
	is "$1: but what is large" "$(counter "$2" "$3" n_large)" 1
}

# routed_pair: a pair, and l, a host behind a, whose packets a forwards.
routed_pair() {
	pair
	routed
}

# lan: l, a host behind a, whose packets a forwards.
lan() {
	ns l
	veth l eth0 a lan
	addr l eth0 10.1.0.2/24
	addr a lan 10.1.0.1/24
	at l ip route add default via 10.1.0.1
	sysctl_set a ipv4/ip_forward 1
}

# routed: there is one at l in a tunnel that is there.
routed() {
	lan
	at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128,10.1.0.0/24
	at b ip route add 10.1.0.0/24 dev wg0
}
