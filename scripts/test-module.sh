#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test-module.sh NAME KERNEL: builds the module that is in selftests/NAME for a kernel, and puts it into
# the checkout, target/NAME/, where guests find it by their release.

. "$(dirname "$0")/lib.sh"

[ $# -eq 2 ] || die "usage: $0 NAME KERNEL"
name=$1
need_root
find_kernel "$2"
mkdir -p "$WG_TOP/target/$name"
(
	cd "$WG_TOP/selftests/$name"
	log=$(MO=$objects-$name "$WG_TOP/scripts/kbuild.sh" "$2" modules 2>&1 </dev/null) ||
		die "the module $name does not build for $2:"$'\n'"$log"
)
cp --update "$objects-$name/$name.ko" "$WG_TOP/target/$name/$release.ko"
