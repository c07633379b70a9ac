#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A route to a peer that is to be forgotten while there is no memory: it is not taken any more, and
# after the peer's next message there is one to be kept again.
#
# kernels: debug
# timeout: 120

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

TRACE=/sys/kernel/tracing
EVENT=$TRACE/events/fib/fib_table_lookup
undo() {
	quiet
	echo 0 > $EVENT/enable
}
mountpoint -q $TRACE || mount -t tracefs tracefs $TRACE

# marked MARK: it is set while there is no memory for the driver, which asks for some.
marked() {
	local many=1000000 result=0
	knob failslab times=$many probability=100
	at b wg set wg0 fwmark "$1" || result=$?
	quiet
	((result == 0 && $(< "$faults/failslab/times") < many))
}
# outer: how many packets b has sent to the peer.
outer() {
	at b nft list counter inet t outer | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}
# looks_up COUNT: how often a route to the peer is looked up for so many echoes.
looks_up() {
	echo > $TRACE/trace
	echo 1 > $EVENT/enable
	at b ping -n -q -c "$1" -i 0.02 -W 10 192.168.241.1 > /dev/null
	echo 0 > $EVENT/enable
	# Whether what has come in could be answered by the same way is looked up as well, without a port.
	grep -c 'table 254 .* iif 1 .*-> 10\.0\.0\.1/51821 ' $TRACE/trace || true
}
# route_is_kept: so that there is no need to, but now and then. A peer gets another cache after 100 ms.
route_is_kept() {
	sleep 0.2
	at b ping -n -q -c 1 -W 10 192.168.241.1 > /dev/null
	holds 'its route is kept' "$(looks_up 50) <= 5"
}

mapfile -t text < <(module_text)
quiet
knob failslab stacktrace-depth=32 require-start="0x${text[0]}" require-end="0x${text[1]}" \
	ignore-gfp-wait=N verbose=0 interval=1 space=0
pair
at b ip route add blackhole default table 77
at b ip rule add fwmark 7 table 77
at b nft -f - << 'EOF'
table inet t {
	counter outer { }
	chain out {
		type filter hook output priority 0
		oifname "eth0" meta l4proto udp counter name outer
	}
}
EOF
check 'echoes' reaches b 192.168.241.1
route_is_kept
check 'a mark is set' marked 7
before=$(outer)
at b ping -n -q -c 5 -i 0.1 -W 1 192.168.241.1 > /dev/null || true
is 'nothing takes the route of the old one' "$(outer)" "$before"
check 'it is set back' marked 0
holds 'a route is looked up' "$(looks_up 1) > 0"
route_is_kept

finish
