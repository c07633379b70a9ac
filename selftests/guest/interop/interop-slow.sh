#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The driver and wireguard-go: what takes minutes, which is loss, and renewal of sessions.
#
# kernels: uml
# timeout: 800
# slow: yes

PATIENCE=150
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/interoperate.sh"

meet go
interoperate echo rekey loss # IOP-1 IOP-5 IOP-6
part

finish
