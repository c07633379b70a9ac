#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Memory that runs out: whatever is asked for fails cleanly or works, at each of the allocations
# that it makes, and nothing is lost.  Then, with allocations failing at random and packets that
# move whenever they may, a tunnel goes on as well as it can and works when that is over.
# WG_FAULTS is a step: with 1, each single allocation of a request is made to fail.
# WG_FAULTS_SECONDS is how long the rest takes.  WG_PARTS names the only requests that are to fail.  The
# kernel itself warns when there is no memory for a module's table of debug messages.
#
# kernels: debug
# timeout: 900
# slow: yes
# reports: WARNING: lib/dynamic_debug.c:.* at ddebug_module_notify

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/failing.sh"

faults_begin
one_by_one
unregistrable
[[ ${parts_run-} ]] || not_ok "WG_PARTS=${WG_PARTS-} names a part"
[[ ${WG_PARTS-} ]] || at_random "${WG_FAULTS_SECONDS:-1800}" driver packets moves both

finish
