#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kbuild.sh KERNEL|PATH [ARG...]: runs `make ARG...` (default: modules) in the build root for one of the
# prepared kernels, or for a kernel's image in its build directory. Objects go to build-KERNEL/, or where
# MO says.

. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || die "usage: $0 $(kernel_usage)|PATH [ARG...]"
need_root
find_kernel "$1"
shift
[ $# -gt 0 ] || set -- modules

objects=${MO:-$objects}
mkdir -p "$objects"
(
	locked "$objects/.lock"
	in_root "$root" make --no-print-directory "KDIR=$kdir" "MO=$objects" "${build[@]}" "$@"
)
