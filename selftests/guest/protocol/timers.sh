#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a device sends of itself, and when: a number of peers that each want something else, all
# at once.
#
# kernels: uml
# timeout: 150
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

cable
at a ip link add wg0 type wireguard
adopt at_sys a python3 "$HERE/timers.py" "/run/netns/$RUN-b" "$@"

finish
