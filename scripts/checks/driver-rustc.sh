#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# driver-rustc.sh DIRECTORY: prints the command that the driver in DIRECTORY/rust/wireguard was compiled
# with, but for what it is compiled from and to. It is to be run in DIRECTORY.

set -eu

sed -n '1s/^savedcmd_[^ ]* := //p' "$1/rust/wireguard/.main.o.cmd" |
	sed -E 's/ --crate-name [^ ]+//; s/ --emit=[^ ]+//g; s/ --out-dir [^ ]+//; s/ [^ ]+\.rs *(;.*)?$//' |
	grep ' rustc ' || { echo "$1/rust/wireguard/.main.o.cmd has no command to compile the driver" >&2; exit 1; }
