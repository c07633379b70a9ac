#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two copies of a virtual machine go on beside it: none of them may use a nonce that another one does. The
# peer is a script outside of the guest, forked.py, which has the copies made, and looks at all that leaves
# any of them. This end does as it is told.
#
# kernels: stock
# slow: yes
# excuse: no
# outside: forked
# qemu: -device vmgenid,guid=77670000-0000-4000-8000-000000000001 -qmp unix:/run/qmp.sock,server=on,wait=off
# timeout: 400

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

adopt python3 "$HERE/secrets_agent.py" forked

finish
