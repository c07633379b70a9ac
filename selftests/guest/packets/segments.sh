#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# GSO packets of so many segments that no ring, and no backlog, below the tunnel holds their messages.
#
# kernels: uml debug
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair
reaches a 192.168.241.2
# What comes out is counted, and so must not be merged.
at b ethtool -K wg0 gro off
adopt python3 "$HERE/segments.py" "$RUN"

nonces_least=16000
finish
