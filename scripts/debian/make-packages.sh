#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make-packages.sh [KERNEL...]: makes Debian packages in build-deb/: wireguard-rust-dkms,
# wireguard-rust-tools, and for each KERNEL (stock, stock-rt, stock-SERIES and so on; default: stock and
# stock-7.2) wireguard-rust-modules-RELEASE with the module that it takes. wireguard-rust-modules-FLAVOUR
# follows the first of a flavour. Checks them with lintian.
#
# MODULE_KEY and MODULE_CERT name a private key (PEM) and its certificate (DER) that modules are signed
# with. DEBFULLNAME and DEBEMAIL say who makes the packages.

. "$(dirname "$0")/../lib.sh"

cd "$WG_TOP" || exit
named=$#
[ $# -gt 0 ] || set -- stock stock-7.2
# Before anything is made or removed. The archive need not have an older series any more.
kernels=()
for kernel; do
	[ "$(kind_of "$kernel")" = stock ] || die "packages are for Debian's kernels, and not for $kernel"
done
if [ -n "${MODULE_KEY-}" ]; then
	key=$(realpath -e "$MODULE_KEY") || die "no such key: $MODULE_KEY"
	certificate=$(realpath -e "${MODULE_CERT-}") || die "MODULE_KEY needs MODULE_CERT, its certificate"
fi
for kernel; do
	status=0
	scripts/prepare-kernel.sh "$kernel" >/dev/null || status=$?
	[ "$status" -ne 3 ] || [ "$named" -gt 0 ] || continue
	[ "$status" -eq 0 ] || exit "$WG_FAILURE"
	kernels+=("$kernel")
done
[ ${#kernels[@]} -gt 0 ] || die "the archive has none of: $*"

# Without an address of somebody's, one that is reserved to be nobody's.
maintainer="${DEBFULLNAME:-who made these packages} <${DEBEMAIL:-nobody@example.org}>"
[[ $maintainer =~ ^[^'<>'$'\n']+' <'[^'<>,'[:space:]]+@[^'<>,'[:space:]]+'>'$ ]] ||
	die "DEBFULLNAME and DEBEMAIL are not a name and an address: $maintainer"

here=scripts/debian
packaging_root=$("$here/root.sh") || exit "$WG_FAILURE"
out=$WG_TOP/build-deb
tree=$out/wireguard-rust
git=(git -c "safe.directory=*")

# That of the changelog, or, between releases, one before it that grows with commits.
our_version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$here/changelog")
"${git[@]}" describe --exact-match --match 'v*' >/dev/null 2>&1 ||
	our_version+=$("${git[@]}" log -1 --date=format:%Y%m%d%H%M%S --format='~git%cd.%h')

# Sources of the module, and what builds it.
copy_sources() {
	local file text series
	"${git[@]}" ls-files --cached --others --exclude-standard -- Makefile Kbuild rust \
		scripts/rust-metadata.sh scripts/rust-source.sh |
		grep -v '^rust/proto/\(tests\|benches\)/' | tar -cf - --files-from - | tar -C "$tree" -xf -
	cp "$here/dkms.sh" "$tree/scripts/"
	tr ' ' '\n' <<<"$WG_SERIES" >"$tree/linux-series"
	cp "$here"/wg-rust{,.8,.modprobe} "$tree/"
	mkdir "$tree/debian"
	cp -a "$here"/{rules,copyright,source,*.dkms,*.postinst,*.postrm} "$tree/debian/"
	# What a kernel may have been skipped for.
	for series in $WG_SERIES; do
		echo "interest-noawait /usr/src/linux-source-$series.tar.xz"
	done >"$tree/debian/wireguard-rust-dkms.triggers"
	for file in control changelog; do
		text=$(cat "$here/$file")
		text=${text/@MAINTAINER@/"$maintainer"}
		printf '%s\n' "$text" >"$tree/debian/$file"
	done
	sed -i "1s/(.*)/($our_version)/" "$tree/debian/changelog"
}

# version_of_kernel: the version of the packages that the kernel found is from.
version_of_kernel() {
	sed -n 's/^#define LINUX_PACKAGE_ID " Debian \(.*\)"$/\1/p' \
		"$(dirname "$(readlink -f "$source")")/usr/src/linux-headers-$release/include/generated/package.h"
}

# architecture MACHINE: what Debian calls it.
architecture() {
	case $1 in x86_64) echo amd64 ;; *) echo "$1" ;; esac
}

# add_source: what metadata is made of, for the package that builds on the user's machine.
add_source() {
	local version
	version=$(version_of_kernel)
	# Flavours have the same one.
	[ ! -e "$out/linux-rust/$version" ] || return 0
	scripts/rust-source.sh "$source" "$version" "$out/linux-rust/$version"
	echo "$version" >>"$tree/linux-rust.versions"
}

# sign MODULE KDIR: in place, after everything else that changes it but compression.
sign() {
	local status=0
	[ -n "${MODULE_KEY-}" ] || return 0
	mkdir "$out/key"
	cp "$key" "$out/key/private"
	cp "$certificate" "$out/key/certificate"
	in_root "$root" "$2/scripts/sign-file" sha256 "$out/key/private" "$out/key/certificate" "$1" || status=$?
	rm -r "$out/key"
	[ "$status" -eq 0 ] || die "$1 could not be signed"
}

# add_module KERNEL: its package.
add_module() {
	local kernel=$1 version module package
	version=$(version_of_kernel)
	scripts/kbuild.sh "$kernel" modules >&2
	package=wireguard-rust-modules-$release
	module=$tree/modules/$package/usr/lib/modules/$release/updates/wireguard.ko
	mkdir -p "${module%/*}"
	in_root "$root" "$([ "$machine" != arm64 ] || echo aarch64-linux-gnu-)objcopy" --strip-debug \
		--remove-section=.BTF --remove-section=.BTF.base "$objects/wireguard.ko" "$module"
	sign "$module" "$kdir"
	xz --check=crc32 --lzma2=dict=1MiB "$module"
	cat >>"$tree/debian/control" <<-END

		Package: $package
		Architecture: $(architecture "$machine")
		Depends: kmod, linux-modules-$release (= $version), wireguard-rust-tools, \${misc:Depends}
		Provides: wireguard-modules (= 1.0.0), wireguard-rust-module
		Description: WireGuard kernel module in Rust for Linux $release
		 WireGuard is a VPN in the kernel. This is its driver written in Rust, built
		 for this kernel, which takes the place of the one that is part of it: tools,
		 configurations and peers are the same. It is used from the next boot on, or
		 after wg-rust switch.
	END
	echo "$package $our_version" >>"$tree/debian/versions"
	# Nothing is loaded: what runs goes on until the next boot.
	cat >"$tree/debian/$package.postinst" <<-END
		#!/bin/sh
		set -e
		[ "\$1" != configure ] || depmod $release
		#DEBHELPER#
	END
	cat >"$tree/debian/$package.postrm" <<-END
		#!/bin/sh
		set -e
		[ "\$1" != remove ] || [ ! -e /usr/lib/modules/$release/modules.order ] || depmod $release
		#DEBHELPER#
	END
	add_meta "$release" "$version"
}

# add_meta RELEASE VERSION: the package that follows a flavour's newest kernel.
add_meta() {
	local flavour=${1#*+*-} package
	package=wireguard-rust-modules-$flavour
	! grep -q "^$package " "$tree/debian/versions" || return 0
	cat >>"$tree/debian/control" <<-END

		Package: $package
		Architecture: $(architecture "$machine")
		Depends: wireguard-rust-modules-$1 (= $our_version), \${misc:Depends}
		Enhances: linux-image-$flavour
		Description: WireGuard kernel module in Rust for the newest kernel, $flavour
		 This metapackage depends on the WireGuard driver in Rust for the newest kernel
		 that linux-image-$flavour depends on. While there is none for a kernel, that
		 kernel has its own driver.
	END
	echo "$package ${2%%-*}+$our_version" >>"$tree/debian/versions"
}

# build ARCHITECTURE: that one's packages, and with amd64's those of all.
build() {
	local options=(--build=binary)
	# Nothing is compiled any more.
	[ "$1" = amd64 ] || options=(--build=any --host-arch="$1" --no-check-builddeps)
	# Warnings are shown, errors end it.
	in_root "$packaging_root" sh -euc 'cd "$1" && shift && dpkg-buildpackage --no-sign "$@"' sh "$tree" "${options[@]}"
}

check() {
	in_root "$packaging_root" sh -euc 'cd "$1" && lintian --allow-root --fail-on error *.changes' sh "$out"
}

mkdir -p "$out"
exec 8>"$out/.lock"
flock --nonblock 8 || die "packages are being made already in $out"
rm -rf --one-file-system "${out:?}"/*
mkdir -p "$tree"
copy_sources
for kernel in "${kernels[@]}"; do
	find_kernel "$kernel"
	# Two names may be one release.
	! grep -qsF "wireguard-rust-modules-$release " "$tree/debian/versions" || continue
	add_source
	add_module "$kernel"
done
tar -C "$out" --sort=name --owner=0 --group=0 --mtime=@0 -cf - linux-rust | xz -9e >"$tree/linux-rust.tar.xz"
rm -r "$out/linux-rust"
for architecture in amd64 $(sed -n 's/^Architecture: \(arm64\)$/\1/p' "$tree/debian/control" | sort -u); do
	step "packages, $architecture" build "$architecture"
done
check
ls "$out"/*.deb
