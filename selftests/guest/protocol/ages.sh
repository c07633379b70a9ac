#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sessions and cookies that grow old: what happens to them after two minutes, after three and
# after nine.
#
# kernels: uml
# timeout: 760
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	debug off
}

debug on
# Not every one of those about packets.
echo 5 > /proc/sys/net/core/message_cost
cable
at a ip link add wg0 type wireguard
adopt at_sys a python3 "$HERE/ages.py" "/run/netns/$RUN-b" "$@"

finish
