#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vmfork.sh KERNEL...: builds the module that pretends that the virtual machine was forked,
# selftests/vmfork, for those of the kernels that are virtual machines' own, and puts it into the
# checkout, target/vmfork/, where guests find it by their release.

. "$(dirname "$0")/lib.sh"

need_root
mkdir -p "$WG_TOP/target/vmfork"
for kernel; do
	case $kernel in stock*) ;; *) continue ;; esac
	find_kernel "$kernel"
	(
		cd "$WG_TOP/selftests/vmfork"
		log=$(MO=$objects-vmfork "$WG_TOP/scripts/kbuild.sh" "$kernel" modules 2>&1 </dev/null) ||
			die "the module does not build:"$'\n'"$log"
	)
	cp --update "$objects-vmfork/vmfork.ko" "$WG_TOP/target/vmfork/$release.ko"
done
