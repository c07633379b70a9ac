#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Which peer a packet goes to, compared with what a plain list of prefixes says. Peers without an
# endpoint say in a debug message that they were asked.
#
# kernels: uml debug
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	debug off
}

ns a
debug on
log_mark
at a ip link add wg0 type wireguard
at a ip link set wg0 up
addr a wg0 192.168.241.1/32 fd00::1/128
at a ip route add default dev wg0 src 192.168.241.1
at a ip -6 route add default dev wg0 src fd00::1
adopt at a python3 "$HERE/allowed.py"

finish
