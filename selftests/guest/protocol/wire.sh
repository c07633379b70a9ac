#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The protocol on the wire, against a second implementation of it: malformed datagrams,
# handshakes in both roles, every way to get them wrong, data with every kind of bad inside, and
# after each the counters, the endpoint, and whether anything came back.
#
# kernels: uml debug
# timeout: 600
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

cable
# The C driver drops what was reassembled from more than two dozen fragments.
at a ip link set eth0 mtu 9000
at b ip link set eth0 mtu 9000
at a ip link add wg0 type wireguard
adopt at_sys a python3 "$HERE/wire.py" "/run/netns/$RUN-b" "$@"

finish
