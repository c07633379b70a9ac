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

# requests: how many packets IP was given to send at a.
requests() {
	at a cat /proc/net/snmp /proc/net/snmp6 |
		awk '$1 == "Ip:" && f { sum += $f }
			$1 == "Ip:" { for (i = 2; i <= NF; i++) if ($i == "OutTransmits") f = i }
			$1 == "Ip6OutTransmits" { sum += $2 }
			END { print sum }'
}

# counted WHAT ADDRESS [CLIENT]: copies to b, and sets `messages`, and `packets` that a sent for them.
counted() {
	local what=$1
	messages=$(stats a tx_packets) packets=$(requests)
	check "$what" copy "${3-a}" b "$2"
	messages=$(($(stats a tx_packets) - messages)) packets=$(($(requests) - packets))
}

each_alone() {
	holds "$1: each message by itself" "$packets >= $messages"
}

# Much fewer would do, but acknowledgements that are forwarded count, too.
in_large() {
	if [[ $DRIVER == rust ]]; then
		holds "$1: in large packets" "$packets * 4 < $messages * 3"
	else
		skip "$1: in large packets" 'the in-tree driver makes none'
	fi
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

# routed_pair: a pair, and l, a host behind a, whose packets a forwards.
routed_pair() {
	pair
	routed
}

# routed: there is one at l in a tunnel that is there.
routed() {
	ns l
	veth l eth0 a lan
	addr l eth0 10.1.0.2/24
	addr a lan 10.1.0.1/24
	at l ip route add default via 10.1.0.1
	sysctl_set a ipv4/ip_forward 1
	at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128,10.1.0.0/24
	at b ip route add 10.1.0.0/24 dev wg0
}
