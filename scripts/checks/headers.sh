#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module that is built with nothing but Debian's headers and metadata that rust-metadata.sh made is
# that which the whole prepared source gives: the same symbols, the same code. The KDIR is left with what
# distributions ship that ship metadata, without the kernel's rust/. A source of another version is
# refused, and so is a compiler. Takes some minutes. Prints TAP.

. "$(dirname "$0")/../lib.sh"

cd "$WG_TOP" || exit
find_kernel stock
packaging_root=$(scripts/debian/root.sh)
scripts/kbuild.sh stock modules >&2

work=$WG_TOP/build-headers
headers=$work/usr/src/linux-headers-$release
failed=0 count=0

# result STATUS TITLE
result() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		failed=$((failed + 1))
		echo "not ok $count - $2"
	fi
}

# refused TEXT COMMAND...: COMMAND ends with 77, and one line that has TEXT.
refused() {
	local text=$1 status=0 output
	shift
	output=$("$@" 2>&1) || status=$?
	[ "$status" -eq 77 ] && [ "$(wc -l <<<"$output")" -eq 1 ] && [[ $output == *"$text"* ]] ||
		{ echo "# status $status: $output"; return 1; }
}

metadata() {
	in_root "$root" scripts/rust-metadata.sh "$@"
}

# what MODULE: prints what has to be the same, symbols and code without the place it was built at.
what() {
	in_root "$root" sh -euc '
		nm "$1" | sed "s/^[0-9a-f ]*//" | sort
		for section in .text .init.text .data; do
			objcopy -O binary -j "$section" "$1" "$1.section"
			sha256sum <"$1.section"
			rm "$1.section"
		done' what "$1"
}

rm -rf "$work"
mkdir -p "$work"
for deb in "$packaging_root"/var/cache/apt/archives/linux-{headers-"${release%-cloud-*}",kbuild-"${release%-cloud-*}"}*.deb; do
	in_root "$root" dpkg-deb -x /dev/stdin "$work" <"$deb"
done
version=$(sed -n 's/^#define LINUX_PACKAGE_ID " Debian \(.*\)"$/\1/p' "$headers/include/generated/package.h")
scripts/rust-source.sh "$kdir/source" "$version" "$work/rust"
scripts/rust-source.sh "$kdir/source" "$version.1" "$work/near"

refused "they have to be the same" metadata --check "$headers" "$work/near" && status=0 || status=1
result "$status" "rust/ of a near version is refused"

cp -al "$headers" "$headers-rustc"
sed --in-place=.orig '/^CONFIG_RUSTC_VERSION_TEXT/s/rustc [0-9.]*/rustc 1.85.0/' "$headers-rustc/.config"
refused "was built with rustc 1.85.0" metadata --check "$headers-rustc" "$work/rust" && status=0 || status=1
result "$status" "another rustc is refused"

sed '/^CONFIG_RUST=y/d' "$headers/.config" >"$headers-rustc/.config"
refused "without Rust" metadata --check "$headers-rustc" "$work/rust" && status=0 || status=1
result "$status" "a kernel without Rust is refused"

metadata "$headers" "$work/rust" "$work/kdir" >"$work/log" 2>&1 && status=0 || status=1
[ "$status" -eq 0 ] || tail -n 20 "$work/log" | sed 's/^/# /'
result "$status" "metadata: $(tail -n 1 "$work/log")"

rm -rf "$work/kdir/source/rust" "$work/rust"
in_root "$root" make "KDIR=$work/kdir" "MO=$work/module" modules >"$work/log" 2>&1 &&
	diff <(what "$objects/wireguard.ko") <(what "$work/module/wireguard.ko") && status=0 || status=1
[ "$status" -eq 0 ] || tail -n 20 "$work/log" | sed 's/^/# /'
result "$status" "the module has the symbols and code of the one from the whole source"

echo "1..$count"
[ "$failed" -eq 0 ]
