#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kbuild.sh stock|uml [ARG...]: runs `make ARG...` (default: modules) for one of the prepared
# kernels in the build root. Objects go to build-KERNEL/, or where MO says.

. "$(dirname "$0")/lib.sh"

kernel=${1-}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- modules
directory=$("$WG_TOP/scripts/prepare-kernel.sh" "$kernel")
root=$("$WG_TOP/scripts/build-root.sh")
need_root

objects=${MO:-$WG_TOP/build-$kernel}
mkdir -p "$objects"
arguments=("KDIR=$directory/kdir" "MO=$objects" CC=x86_64-linux-gnu-gcc-14 HOSTCC=gcc-14)
[ "$kernel" != uml ] || arguments+=(ARCH=um)

(
	locked "$objects/.lock"
	in_root "$root" make --no-print-directory "${arguments[@]}" "$@"
)
