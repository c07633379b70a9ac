# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What judges a kernel's log.

# listed NAME: the lines of a list in qemu-test, complaints or races.
listed() {
	sed '/^#/d; /^ *$/d' "${BASH_SOURCE[0]%/*}/../../qemu-test/$1"
}
