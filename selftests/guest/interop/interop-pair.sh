#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The drivers of two guests; side a is the one that has results. Takes other columns as arguments.
#
# pairs: rust,c
# timeout: 300

# On a busy host, the other guest may start minutes later.
PATIENCE=240
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/interoperate.sh"

if [[ ${WG_SIDE:?} == b ]]; then
	serve
	ok 'the other side has ended'
else
	[[ $# -gt 0 ]] || set -- echo file roam keepalive
	meet pair
	interoperate "$@"
	part
fi

finish
