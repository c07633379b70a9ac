#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two thousand damaged requests: the answer to each, and what the device is like then.

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/record.sh"

ns a
at a ip link add wg0 type wireguard
SHOW_OUTPUT=yes
step 'flipped bits' at a python3 "$HERE/requests.py"
observe a wg0
step 'what is left' true
the_end
