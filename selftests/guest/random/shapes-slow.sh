#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The same as in `shapes`, with more packets, and others each time: to have them again, set the WG_SEED
# that it prints.
#
# kernels: uml debug
# timeout: 900
# slow: yes
# excuse: no

most=60000
[[ ${WG_KERNEL-} != debug ]] || most=2000
export WG_SEED=${WG_SEED:-$SRANDOM} WG_SENDS=${WG_SENDS:-$most}
exec "${BASH_SOURCE[0]%/*}/shapes.sh"
