#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A device under load: who is answered with a cookie, what a cookie is good for, how many are
# answered per address, and how many messages wait.
#
# kernels: uml debug
# timeout: 180
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

cable
addr a eth0 fd00:bb::1/64
addr b eth0 10.0.0.3/24 fd00:aa::3/64 fd00:bb::2/64
ns c
at a ip link add wg0 type wireguard
at a ip link add wg1 type wireguard
at a ip link set wg1 up
adopt at_sys a python3 "$HERE/load.py" "/run/netns/$RUN-b" "/run/netns/$RUN-c" "$@"

finish
