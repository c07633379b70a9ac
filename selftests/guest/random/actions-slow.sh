#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The same as in `actions`, with more of them, and others each time: to have them again, set the WG_SEED that
# it prints.
#
# kernels: uml debug debug-smp stock
# timeout: 900
# slow: yes
# excuse: no

export WG_SEED=${WG_SEED:-$SRANDOM} WG_ACTIONS=${WG_ACTIONS:-60000} WG_SECONDS=${WG_SECONDS:-240}
exec "${BASH_SOURCE[0]%/*}/actions.sh"
