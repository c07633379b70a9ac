#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that move: whoever may move a packet's data does so each time, and a pointer into it that
# was kept is one into freed memory.  All of the protocol passes by, malformed, cut, fragmented and
# cloned, and what is sent is padded with zeros as ever.
#
# kernels: debug
# excuse: no
# timeout: 400

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

knobs=/sys/kernel/debug/fail_skb_realloc

undo() {
	echo 0 > "$knobs/probability"
	stop "$watcher"
}

cable
at a ip link set eth0 mtu 9000
at b ip link set eth0 mtu 9000
at a ip link add wg0 type wireguard
# Somebody who watches has clones of all that comes by, so that nothing may be written in place.
spawn a tcpdump -Z root -n -i any -w /dev/null 2> /dev/null
watcher=$job
echo -1 > "$knobs/times"
echo 0 > "$knobs/verbose"
echo 100 > "$knobs/probability"
adopt at_sys a python3 "$HERE/../protocol/wire.py" "/run/netns/$RUN-b" malformed raw data sending
echo 0 > "$knobs/probability"

finish
