#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# own-aead.sh KERNEL: builds the driver with faults in its own code for ChaCha20-Poly1305, and puts it into
# the checkout, target/own-aead/, where guests find it by their release: seal-RELEASE.ko encrypts eight
# messages at a time to wrong ones, open-RELEASE.ko takes none of eight messages for authentic, and neither
# tests that when it is loaded; tested-RELEASE.ko is as the latter, and does.

. "$(dirname "$0")/../../scripts/lib.sh"

[ $# -eq 1 ] || die "usage: $0 KERNEL"
need_root
find_kernel "$1"
tree=$WG_TOP/target/own-aead/$1
code=rust/kernel/crypto/chacha20poly1305

# change FILE FROM TO: in the first line that has FROM.
change() {
	grep -qF -- "$2" "$tree/$1" || die "$1 has no line with: $2"
	awk -v from="$2" -v to="$3" '!done && (at = index($0, from)) {
		$0 = substr($0, 1, at - 1) to substr($0, at + length(from)); done = 1 } { print }' \
		"$WG_TOP/$1" >"$tree/$1.new"
	mv "$tree/$1.new" "$tree/$1"
}

# build NAME
build() {
	local log
	log=$(cd "$tree" && MO=$tree/build "$WG_TOP/scripts/kbuild.sh" "$kernel" modules 2>&1 </dev/null) ||
		die "the driver with the fault $1 does not build:"$'\n'"$log"
	cp "$tree/build/wireguard.ko" "$WG_TOP/target/own-aead/$1-$release.ko"
}

kernel=$1
mkdir -p "$tree"
cp -r --update "$WG_TOP/Kbuild" "$WG_TOP/Makefile" "$WG_TOP/rust" "$tree/"
change $code/several.rs 'self_test::run()?;' 'let _ = self_test::run;'
change $code/x8-x86_64.S $'crypt\t\t0' $'crypt\t\t0; vpxorq\t\tH0, H0, H0'
build seal
change $code/x8-x86_64.S $'andl\t\t%r10d, %eax' $'xorl\t\t%eax, %eax'
build open
cp "$WG_TOP/$code/several.rs" "$tree/$code/"
build tested
