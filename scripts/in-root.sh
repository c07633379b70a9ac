#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# in-root.sh COMMAND...: runs COMMAND in the build root (made first, if need be). The checkout and
# the cache have the paths that they have outside.

. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "usage: $0 COMMAND [ARG...]"
root=$("$WG_TOP/scripts/build-root.sh")
need_root
in_root "$root" "$@"
