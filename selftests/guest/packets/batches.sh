#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that come many at once: GSO packets to be sent, bundles of messages received, and more
# of both than there is room for.
#
# kernels: uml debug
# timeout: 240

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

cable
at a ip link add wg0 type wireguard
adopt at_sys a python3 "$HERE/batches.py" "/run/netns/$RUN-b" "$@"

finish
