#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Floods of messages of every kind, on top of an established session: it goes on, answers stay
# within bounds, and when the flood is over a new handshake is answered as ever.  WG_FLOOD is how
# many seconds each lasts.
#
# kernels: uml debug
# timeout: 200
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

cable
at a ip link add wg0 type wireguard
addr a wg0 192.168.241.1/24
at a ip link set wg0 up
adopt at_sys a python3 "$HERE/flood.py" "/run/netns/$RUN-b" "${WG_FLOOD:-4}"

finish
