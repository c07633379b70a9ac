#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the kernel counts as dropped by the driver, and shows to whoever watches drops: nothing of what
# is well, and not the text of what comes twice or is forged.
#
# kernels: stock
# excuse: no

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

TRACE=/sys/kernel/tracing
undo() {
	[[ ! -e $TRACE/events/skb/kfree_skb/enable ]] || echo 0 > $TRACE/events/skb/kfree_skb/enable
}

mountpoint -q $TRACE || mount -t tracefs tracefs $TRACE 2> /dev/null || true
if [[ ! -e $TRACE/events/skb/kfree_skb/enable ]]; then
	skip 'RX-24 drops are counted' 'the kernel cannot trace them'
	finish
fi

# watch: drops are noted from here on.
watch() {
	echo > $TRACE/trace
	echo 1 > $TRACE/events/skb/kfree_skb/enable
}
# dropped: those by the driver.
dropped() {
	echo 0 > $TRACE/events/skb/kfree_skb/enable
	grep -F 'kfree_skb:' $TRACE/trace | grep -F '[wireguard]' || true
}
# none WHAT: nothing was dropped since then.
none() {
	local all
	all=$(dropped)
	is "$1" "$(grep -c . <<< "$all")" 0
	[[ ! $all ]] || note "$(sed 's/.*location=//' <<< "$all" | sort | uniq -c)"
}

pair
watch
check 'RX-24 a session is made' reaches a 192.168.241.2
check 'RX-24 a file' copy a b 192.168.241.2
check 'RX-24 the other way' copy b a 192.168.241.1
check 'RX-24 by IPv6' copy a b fd00::2 100K
none 'RX-24 nothing of it is a drop'

# So that none means something.
watch
at a ping -n -q -c 3 -i 0.01 -W 1 192.168.241.9 > /dev/null || true
holds 'RX-24 what is for no peer is one' "$(dropped | grep -c .) >= 3"

# Messages too long to be put together as others are.
at a ip link set eth0 mtu 9500
at b ip link set eth0 mtu 9500
at a ip link set wg0 mtu 9400
at b ip link set wg0 mtu 9400
watch
check 'RX-24 a file in long packets' copy a b 192.168.241.2
none 'RX-24 nothing of it is a drop either'

# Each message a second time.
at a ip link set wg0 mtu 1420
at b ip link set wg0 mtu 1420
nonces_leave a
at a tc qdisc replace dev eth0 root netem duplicate 100%
before=$(received b)
watch
at a ping -n -q -c 50 -i 0.01 -s 100 -W 1 192.168.241.2 > /dev/null || true
none 'RX-24 what is refused because it came before is none'
holds 'RX-24 and all else arrives' "$(received b) > $before"
at a tc qdisc del dev eth0 root

# Messages of which something in the middle was changed on the way.
at b nft -f - << 'END'
table inet t {
	chain before {
		type filter hook prerouting priority mangle
		udp dport 51822 @th,512,32 set 0 udp checksum set 0
	}
}
END
watch
answers=$(at a ping -n -q -c 50 -i 0.01 -s 100 -W 1 192.168.241.2) || true
none 'RX-24 what is forged is none'
like 'RX-24 and is not answered' "$answers" '* 0 received*'
at b nft flush ruleset
check 'RX-24 what is not forged arrives again' reaches a 192.168.241.2

finish
