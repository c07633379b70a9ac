#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# As secrets.sh: each moment in either role, and more than once; and nine minutes of silence, after
# which keys are to be gone by themselves.
#
# kernels: stock
# excuse: no
# outside: secrets
# timeout: 2700
# slow: yes

exec "${BASH_SOURCE[0]%/*}/secrets.sh" long
