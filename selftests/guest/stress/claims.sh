#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Initiations in the name of each of a thousand peers, by somebody who knows no more than the public
# keys, take no memory that stays.
#
# kernels: uml
# timeout: 240
# slow: uml/c

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

cable
at a ip link add wg0 type wireguard
at a ip link set wg0 up
adopt at_sys a python3 "$HERE/claims.py" "/run/netns/$RUN-b"
# There are responses, and no data.
nonces_least=0
finish
