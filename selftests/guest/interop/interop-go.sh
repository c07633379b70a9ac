#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The driver and wireguard-go.
#
# kernels: uml
# timeout: 300

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/interoperate.sh"

meet go
interoperate echo file roam keepalive # IOP-1 IOP-2 IOP-3 IOP-4
part

finish
