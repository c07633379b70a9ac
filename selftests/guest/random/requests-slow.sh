#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The same as in `requests`, with a stream that is longer, and another one each time: to have it again,
# set the WG_SEED that it prints.
#
# kernels: uml debug
# timeout: 900
# slow: yes
# excuse: no

export WG_SEED=${WG_SEED:-$SRANDOM} WG_MESSAGES=${WG_MESSAGES:-40000}
exec "${BASH_SOURCE[0]%/*}/requests.sh"
