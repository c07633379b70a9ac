#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The test faults in short: whatever is asked for fails cleanly or works, at some of the allocations
# that it makes, other ones in each run.  WG_SEED repeats a run.  What the kernel may report is
# explained there.
#
# kernels: debug debug-smp
# timeout: 120
# slow: yes
# reports: WARNING: lib/dynamic_debug.c:.* at ddebug_module_notify

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/failing.sh"

export WG_FAULTS=${WG_FAULTS:-60}
settings=("${settings[RANDOM % ${#settings[@]}]}")
faults_begin
one_by_one
at_random "${WG_FAULTS_SECONDS:-4}" driver both

finish
