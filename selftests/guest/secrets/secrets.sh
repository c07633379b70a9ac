#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is left of keys in memory, when there was an end of what they were for. The peer is a script
# outside of the guest, secrets.py, which therefore knows the secrets of each handshake, and reads all
# of the guest's memory. This end does as it is told.
#
# kernels: stock
# slow: stock-7.2
# excuse: no
# outside: secrets
# timeout: 400

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

adopt python3 "$HERE/secrets_agent.py" "${1:-short}"

finish
