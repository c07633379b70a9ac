#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The driver and boringtun, through all that takes minutes, too.
#
# kernels: uml
# timeout: 800
# slow: yes
# needs: boringtun

PATIENCE=150
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/interoperate.sh"

meet boringtun
# Keepalives last, since after them it is boringtun that begins.
interoperate echo file roam rekey loss keepalive # IOP-1 IOP-2 IOP-3 IOP-4 IOP-5 IOP-6
part

finish
