#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The generic netlink interface, asked directly: which request is refused with which error and
# which words, what is done of a request that fails half way, how dumps are cut into messages,
# and what happens when something changes while one is read.
#
# kernels: stock uml debug
# timeout: 300

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

ns a
for device in wg0 wg1 wg2; do
	at a ip link add "$device" type wireguard
done
at a wg set wg1 listen-port 51821
at a ip link set wg1 up
at a ip link set wg2 up
adopt at a python3 "$HERE/errors.py"

finish
