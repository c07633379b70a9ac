#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A thousand inner packets from a peer that makes them up, and hundreds of datagrams that are
# nearly messages: what each of them changes.

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/record.sh"

cable
at a ip link set eth0 mtu 9000
at b ip link set eth0 mtu 9000
at a ip link add wg0 type wireguard
SHOW_OUTPUT=yes
step 'made-up packets' at_sys a python3 "$HERE/inner.py" "/run/netns/$RUN-b"
the_end
