#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A peer whose messages come from one port and another, as from behind a gateway with two uplinks, and
# one whose messages come in by another way than ours go out.  Neither costs memory for each CPU per
# message, of which the kernel has little that can be had in a softirq, and neither is lost.
#
# kernels: stock uml
# timeout: 200

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

TRACE=/sys/kernel/tracing
EVENT=$TRACE/events/percpu/percpu_alloc_percpu
undo() {
	[[ ! -e $EVENT ]] || echo 0 > $EVENT/enable
}
mountpoint -q $TRACE || mount -t tracefs tracefs $TRACE 2> /dev/null || true

# asking: from here on, it is counted how often the kernel is asked for memory for each CPU by what
# cannot wait.
asking() {
	begun=$SECONDS
	if [[ -e $EVENT ]]; then
		echo 'is_atomic == 1' > $EVENT/filter
		echo > $TRACE/trace
		echo 1 > $EVENT/enable
	fi
}

# asked_little WHAT: it was not asked for that with each of some hundreds of messages.
asked_little() {
	local asked=0
	if [[ ! -e $EVENT ]]; then
		skip "$1: memory for each CPU" 'the kernel cannot trace it'
		return
	fi
	echo 0 > $EVENT/enable
	asked=$(grep -c 'percpu_alloc_percpu:' $TRACE/trace || true)
	note "$1: asked $asked times in $((SECONDS - begun)) s; $(grep Percpu /proc/meminfo)"
	# Both sides may do so ten times a second, if they have to look for routes anew.
	holds "$1: memory for each CPU" "$asked <= ($SECONDS - $begun + 1) * 20 + 20"
}

# echoes WHAT COUNT: so many echo requests from a, of which few may be lost.
echoes() {
	local answers
	at a ping -f -c "$2" -W 2 192.168.241.2 > "$TMP/ping" || true
	answers=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$TMP/ping")
	holds "$1: answers" "${answers:-0} >= $2 - 20"
}

pair
check 'a session' reaches a 192.168.241.2

note 'a peer that comes from one port and another'
# By whether its packets have odd numbers, and without connection tracking.
at a nft -f - << 'EOF'
table ip t {
	chain out {
		type filter hook output priority mangle
		udp dport 51822 ip id & 1 == 0 udp sport set 7001
		udp dport 51822 ip id & 1 == 1 udp sport set 7002
	}
	chain in {
		type filter hook prerouting priority mangle
		udp sport 51822 udp dport { 7001, 7002 } udp dport set 51821
	}
}
EOF
moves() {
	local before
	before=$(endpoint b)
	reaches a 192.168.241.2
	[[ $before != "$(endpoint b)" ]]
}
check 'EP-1 messages move it' eventually moves
check 'EP-1 and back' eventually moves
asking
echoes 'EP-1 one port and another' 3000
asked_little 'EP-1 one port and another'

note 'a peer whose messages come in by another way than ours go out'
at a nft flush ruleset
check 'EP-1 from one port again' reaches a 192.168.241.2
veth a eth1 b eth1
addr a eth1 10.0.1.1/24
addr b eth1 10.0.1.2/24 10.0.0.22/32
for name in a b; do
	for device in all eth0 eth1; do
		sysctl_set $name ipv4/conf/$device/rp_filter 0
	done
done
# packets NAME DEVICE: how many have been received there.
packets() {
	sysfs "$1" "$2/statistics/rx_packets"
}
at b ip route add 10.0.0.1/32 via 10.0.1.1 dev eth1 src 10.0.0.2
check 'EP-3 the way back is another' reaches a 192.168.241.2
# Several messages for each that comes in, of which there are many.
at a ethtool -K wg0 gro off > /dev/null
at b ethtool -K wg0 tso off gso off > /dev/null
before=$(packets a eth1)
asking
check 'EP-3 another way back: a file' copy b a 192.168.241.1
asked_little 'EP-3 another way back'
is 'EP-3 the address is the same' "$(endpoint a)" 10.0.0.2:51822
holds 'EP-3 answers have come that way' "$(packets a eth1) - $before > 1400"

note 'the address comes back with the way'
at b ip route del 10.0.0.1/32
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.22:51822
check 'EP-2 b is addressed by another address' reaches a 192.168.241.2
is 'EP-2 and answers as that' "$(endpoint a)" 10.0.0.22:51822
at b ip route add 10.0.0.1/32 via 10.0.1.1 dev eth1 src 10.0.0.2
at a nft -f - << 'EOF'
table ip t {
	chain in {
		type filter hook prerouting priority mangle
		iifname eth1 udp dport 51821 drop
	}
}
EOF
at a ping -n -q -c 3 -i 0.2 -W 1 192.168.241.2 > "$TMP/ping" || true
like 'EP-3 answers by another way are lost' "$(< "$TMP/ping")" '*100% packet loss*'
at b ip route del 10.0.0.1/32
check 'EP-3 the way is back' reaches a 192.168.241.2
is 'EP-3 and so is the address' "$(endpoint a)" 10.0.0.22:51822

note 'an IPv6 address that is local, but no address of the machine'
at b ip -6 route add local fd00:bb::/64 dev lo
at a ip -6 route add fd00:bb::/64 via fd00:aa::2
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:bb::7]:51822'
check 'EP-3 it is reached' reaches a 192.168.241.2
# a would learn where answers come from, and ask there.
at a nft -f - << 'EOF'
table ip6 t {
	chain in {
		type filter hook prerouting priority mangle
		ip6 saddr fd00:aa::2 udp sport 51822 ip6 saddr set fd00:bb::7
	}
}
EOF
at a wg set wg0 peer "$PUB_B" endpoint '[fd00:bb::7]:51822'
check 'EP-3 it is again' reaches a 192.168.241.2
asking
check 'EP-3 an address that is none: a file' copy b a 192.168.241.1
asked_little 'EP-3 an address that is none'
is 'EP-3 a has not learned another' "$(endpoint a)" '[fd00:bb::7]:51822'

finish
