#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# prepare-kernel.sh KERNEL: makes a kernel for guests and what a module is built against, and prints the
# directory:
#
#	release		the kernel's release name
#	image		what boots: vmlinuz, or User-mode Linux's executable
#	kdir/		KDIR for building modules
#	modroot/	the kernel's own modules, as a layer over a root file system
#
# prepare-kernel.sh --list: says what kernels there are.
#
# stock is Debian's cloud kernel, the newest of a supported series or of the one named (stock-SERIES),
# unchanged; stock-FLAVOUR is another of Debian's. The status is 3 if the archive has none. For all but
# stock itself, KDIR is made from headers (rust-metadata.sh), and there is
#
#	source/		what there is of the source, which elsewhere is kdir/source
#
# stock has all of the source, since those that are built here are made from it.
#
# uml is User-mode Linux of the same source, with uml.config of qemu-test/kernels. debug has debug.config
# in addition and is built with clang: it looks for errors of memory, locks and RCU. bench is for
# measurements. These two have some of the patches there, which say what they are for. debug-smp is for
# QEMU and looks for the same errors as debug, on several CPUs: what both of these have, and
# debug-smp.config. kcsan is for QEMU as well and looks for data races, in Rust too, by one of the patches.

. "$(dirname "$0")/lib.sh"

SERIES=$WG_SERIES
# What those that are built here are made from.
FLAVOUR=$(flavour_of stock)

SPECIFICATION=Documentation/netlink/specs/wireguard.yaml

# Configurations and patches.
KERNELS=$WG_TOP/qemu-test/kernels

kernel=${1-}
case $kernel in
--list) kernel_list; exit ;;
'') die "usage: $0 $(kernel_usage)" ;;
esac
flavour=$(flavour_of "$kernel") || die "there is no kernel $kernel; there are: $(kernel_usage)"
machine=$(machine_of "$kernel")
if [ "$flavour" != - ]; then
	FLAVOUR=$flavour
	base=$(base_of "$kernel")
	if [ "$kernel" != "$base" ]; then
		[[ " $SERIES " == *" ${kernel#"$base-"} "* ]] ||
			die "series ${kernel#"$base-"} is not supported; these are: $SERIES"
		SERIES=${kernel#"$base-"}
	fi
	kernel=stock
fi
# The functions that make it.
getter=download maker=make_$kernel
[ "$kernel" != stock ] || [ "$1" = stock ] || getter=download_light maker=make_light

root=$(root_for "$machine")

COMPILER=(CC=x86_64-linux-gnu-gcc-14 HOSTCC=gcc-14)
# In the large code model, clang would put variables of the kernel where neither lockdep nor kmemleak
# looks. Modules must have theirs there, as they are loaded far away. The vDSO is not in that model,
# and there clang would take the option that prevents it for a mistake.
[ "$kernel" != debug ] ||
	COMPILER=(LLVM=1 "CFLAGS_KERNEL=-mlarge-data-threshold=2147483647 -Wno-unused-command-line-argument")
case $kernel in debug-smp | kcsan) COMPILER=(LLVM=1) ;; esac
[ "$machine" != arm64 ] || COMPILER=("${WG_BUILD_ARM64[@]}")
MAKE=(make "${COMPILER[@]}" KBUILD_BUILD_USER=rust-wireguard KBUILD_BUILD_HOST=localhost)

# The compilers and tools, with their versions. A root that differs in others makes the same kernels.
TOOLS=$(sed -n '/^# Kernel and module/,/^$/p' "$WG_TOP/scripts/packages" | recipe | xargs \
	chroot "$root" dpkg-query --show | key)

# Packages
# ---------------------------------------------------------------------------

DEBS=$WG_CACHE/debs-$(echo "$TOOLS $SERIES $FLAVOUR" | key)
# What is of that machine, and apt would not look for.
FOREIGN=
if [ "$machine" != x86_64 ]; then
	FOREIGN=:$machine
	TOOLS+=$(sed -n '/^# Kernel and module/,/^$/p' "$WG_TOP/scripts/$machine/root-packages" | recipe | xargs \
		chroot "$root" dpkg-query --show | key)
fi
[ "$getter" = download ] || DEBS=$WG_CACHE/debs-$machine-$({
	echo "$TOOLS $SERIES $FLAVOUR"
	recipe "$WG_TOP/scripts/rust-source.sh"
} | key)

# Prints the newest release of a supported series that has its source in the archive too.
newest() {
	local series release version
	for series in $SERIES; do
		version=$(version_of "linux-source-$series")
		for release in $(chroot "$root" apt-cache pkgnames "linux-image-$series." |
			sed -n "s/^linux-image-\($series\.[0-9]*+deb[0-9]*-$FLAVOUR\)\$/\1/p" | sort -rV); do
			[ "$(version_of "linux-image-$release")" = "$version" ] || continue
			echo "$series $release"
			return
		done
	done
}

version_of() {
	chroot "$root" apt-cache show --no-all-versions "$1" 2>/dev/null |
		sed -n 's/^Version: //p' | head -n 1
}

# source_of VERSION: prints the directory of another flavour's packages that has the source of that version, all
# of it or as much as is needed.
source_of() {
	local directory
	for directory in "$WG_CACHE"/debs-????????????; do
		! grep -qsF " Debian $1\"" "$directory"/usr/src/linux-headers-*/include/generated/package.h || {
			echo "$directory/source"
			return
		}
	done
	[ "$getter" = download_light ] || return 0
	for directory in "$WG_CACHE"/debs-*-????????????; do
		[ -e "$directory/source/$SPECIFICATION" ] || continue
		! grep -qxF "$1" "$directory/source/version" || {
			echo "$directory/source"
			return
		}
	done
}

# find_release: sets the series, release and version of the kernel, and `other`, where its source is already.
find_release() {
	step "package lists" update_lists "$root"
	read -r series release <<<"$(newest)" || true
	[ -n "$release" ] || {
		WG_FAILURE=3
		die "the archive has no linux-image-*-$FLAVOUR with its linux-source of series $SERIES; it has:" \
			"$(chroot "$root" apt-cache pkgnames linux-source- | tr '\n' ' ')"
	}
	version=$(version_of "linux-image-$release$FOREIGN")
	other=$(source_of "$version")
}

# get DIRECTORY PACKAGE...: these, unpacked.
get() {
	local directory=$1
	shift
	step "download of $release" in_root "$root" sh -c 'cd "$0" && apt-get download "$@"' "$directory" "$@"
	step "packages of $release" in_root "$root" sh -eu -c 'cd "$0"
		for deb in *.deb; do dpkg-deb -x "$deb" .; done
		rm *.deb' "$directory"
}

download() {
	local directory=$1 series release version other packages
	find_release
	mkdir -p "$directory"
	packages=(linux-{base,binary,modules,headers}-"$release")
	[ -n "$other" ] || packages+=("linux-source-$series")
	need_space "$WG_CACHE" "$([ -n "$other" ] && echo 2000 || echo 5000)"
	get "$directory" "${packages[@]}"
	rm -rf "$directory/source"
	if [ -n "$other" ]; then
		# It is only read, and takes no room again.
		step "source of $release" cp -al "$other" "$directory/source"
	else
		step "source of $release" in_root "$root" sh -eu -c 'cd "$0"
			tar -xf usr/src/linux-source-*.tar.xz
			rm usr/src/linux-source-*.tar.xz
			mv linux-source-* source' "$directory"
	fi
	echo "$release" >"$directory/release"
}

# The same for one whose crates are made from headers: of its source, no more than that takes, the kernel's
# own test, and its specification of the netlink family. Tools of the headers are those for this machine.
download_light() {
	local directory=$1 series release version other common packages
	find_release
	mkdir -p "$directory"
	# What flavours have in common.
	common=${release%"-$FLAVOUR"}
	packages=(linux-{base,binary,modules,headers}-"$release$FOREIGN"
		"linux-headers-$common-common" "linux-kbuild-$common")
	[ -n "$other" ] || packages+=("linux-source-$series")
	need_space "$WG_CACHE" 1500
	get "$directory" "${packages[@]}"
	rm -rf "$directory/source"
	[ -n "$other" ] || other=$(echo "$directory"/usr/src/linux-source-*.tar.xz)
	step "source of $release, as far as it is needed" in_root "$root" "$WG_TOP/scripts/rust-source.sh" \
		"$other" "$version" "$directory/source" tools/testing/selftests/wireguard "$SPECIFICATION"
	rm -f "$directory"/usr/src/linux-source-*.tar.xz
	echo "$release" >"$directory/release"
}

cached "$DEBS" "$getter"
release=$(cat "$DEBS/release")
source=$DEBS/source

# Applies patches to a copy of the source, made of hard links. patch replaces files and does not write to
# them, so the others stay as they are.
patch_source() {
	rm -rf "$1"
	step "copy of the source" cp -al "$DEBS/source" "$1"
	local patch
	for patch in "${PATCHES[@]}"; do
		step "${patch##*/}" in_root "$root" patch --directory "$1" --strip 1 --no-backup-if-mismatch \
			--input "$patch"
	done
}

case $kernel in
bench) PATCHES=("$KERNELS"/patches/uml-{lazyipi,simd}.patch) ;;
debug) PATCHES=("$KERNELS"/patches/uml-{lazyipi,stacktrace}.patch) ;;
kcsan) PATCHES=("$KERNELS/patches/kcsan-rust.patch") ;;
*) PATCHES=() ;;
esac
if [ ${#PATCHES[@]} -gt 0 ]; then
	source=$WG_CACHE/source-$release-$(cat <(echo "${DEBS##*/}") "${PATCHES[@]}" | key)
	cached "$source" patch_source
fi

# Checks
# ---------------------------------------------------------------------------

# check_rustc CONFIG: fails unless the configuration was made for the compiler in the root.
check_rustc() {
	local want have
	want=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"$/\1/p' "$1")
	have=$(chroot "$root" rustc --version)
	[ "$want" = "$have" ] ||
		die "kernel $release was built by '$want' and the build root has '$have': crates would not match; choose another kernel with stock-SERIES"
	grep -qx CONFIG_RUST=y "$1" || die "kernel $release is built without Rust (CONFIG_RUST)"
}

# Prints the configuration's symbols that may not differ for the crates to be the same.
rust_config() {
	grep -E '^CONFIG_(RUST|BINDGEN|CC_VERSION|CC_IS|GCC_VERSION|MODVERSIONS|RANDSTRUCT|LTO|CFI|KASAN|KCSAN)' "$1" |
		grep -v '^CONFIG_RUSTC_HAS\|_MODULE_SIG' | sort
}

# check_crates KDIR: fails unless the crates just built are those of the running kernel.
check_crates() {
	local theirs ours
	theirs=$(awk '$2 ~ /^_R/ && $3 == "vmlinux" { print $2 }' "$1/Module.symvers" | sort -u)
	ours=$(in_root "$root" sh -c 'nm --defined-only --format=just-symbols "$0"/rust/*.o' "$1" | sort -u)
	local all missing
	all=$(wc -l <<<"$theirs")
	missing=$(comm -23 <(echo "$theirs") <(echo "$ours") | wc -l)
	echo "$((all - missing)) of $all exported Rust symbols are the same"
	# A few are generated by the one use or the other.
	[ $((missing * 50)) -le "$all" ] || {
		echo "the crates differ from those of $release; for example:"
		comm -23 <(echo "$theirs") <(echo "$ours") | head -n 5
		return 1
	}
}

# Kernels
# ---------------------------------------------------------------------------

# kbuild KDIR TARGET...
kbuild() {
	local kdir=$1
	shift
	# shellcheck disable=SC2016
	in_root "$root" sh -c 'export RUST_LIB_SRC=$(echo /usr/src/rustc-*/library); exec "$@"' sh \
		"${MAKE[@]}" -j"$(nproc)" -C "$source" O="$kdir" "$@"
}

# finish DIRECTORY RELEASE: what is the same for all kernels, once modules are in place.
finish() {
	local part=$1 release=$2
	rm -f "$part/modroot/usr/lib/modules/$release"/{build,source}
	step "list of modules" in_root "$root" depmod -b "$part/modroot/usr" "$release"
	# KDIR's Makefile has its own path in it, which is about to change.
	sed -i "s|$part|${part%.part}|g" "$part/kdir/Makefile"
	echo "$release" >"$part/release"
}

make_stock() {
	local part=$1 kdir=$1/kdir
	local modules=$DEBS/usr/lib/modules/$release
	check_rustc "$modules/config"
	mkdir -p "$kdir" "$part/modroot/usr/lib/modules"
	cp "$modules/config" "$kdir/.config"
	cp "$DEBS/usr/src/linux-headers-$release/Module.symvers" "$kdir/"
	MAKE+=("LOCALVERSION=+${release#*+}")
	step "configuration of $release" kbuild "$kdir" olddefconfig
	diff <(rust_config "$modules/config") <(rust_config "$kdir/.config") >&2 ||
		die "the build root's compilers change the configuration of $release as shown"
	step "preparation of $release" kbuild "$kdir" prepare modules_prepare
	[ "$(cat "$kdir/include/config/kernel.release")" = "$release" ] ||
		die "the source calls itself $(cat "$kdir/include/config/kernel.release"), not $release"
	step "comparison of crates" check_crates "$kdir"
	cp "$modules/vmlinuz" "$part/image"
	cp -a "$modules" "$part/modroot/usr/lib/modules/"
	rm -f "$part/modroot/usr/lib/modules/$release"/{vmlinuz,System.map}
	finish "$part" "$release"
}

# What modules are built against is made from headers, without the whole of the source.
make_light() {
	local part=$1 modules=$DEBS/usr/lib/modules/$release
	check_rustc "$modules/config"
	rm -rf "$part"
	mkdir -p "$part/modroot/usr/lib/modules"
	step "metadata of $release" in_root "$root" "$WG_TOP/scripts/rust-metadata.sh" \
		"$DEBS/usr/src/linux-headers-$release" "$DEBS/source" "$part/kdir" "${MAKE[@]:1}" "-j$(nproc)"
	ln -s "$DEBS/source" "$part/source"
	cp "$modules/vmlinuz" "$part/image"
	cp -a "$modules" "$part/modroot/usr/lib/modules/"
	rm -f "$part/modroot/usr/lib/modules/$release"/{vmlinuz,System.map}
	finish "$part" "$release"
}

make_uml() {
	local part=$1 kdir=$1/kdir uml
	need_space "$WG_CACHE" 4000
	MAKE+=(ARCH=um "LOCALVERSION=-$kernel")
	mkdir -p "$kdir"
	step "configuration of User-mode Linux" configure_uml "$kdir"
	step "User-mode Linux, $kernel (some minutes)" kbuild "$kdir" all
	uml=$(cat "$kdir/include/config/kernel.release")
	step "modules of $uml" kbuild "$kdir" INSTALL_MOD_PATH="$part/modroot/usr" DEPMOD=true modules_install
	cp "$kdir/linux" "$part/image"
	# Building modules needs the headers, the tools and the crates.
	find "$kdir" -path "$kdir/rust" -prune -o -path "$kdir/scripts" -prune -o \
		-path "$kdir/arch/um/kernel/asm-offsets*" -prune -o \
		\( -name '*.o' -o -name '*.a' -o -name 'vmlinux*' -o -name linux \) -type f -print0 |
		xargs -0 rm -f
	finish "$part" "$uml"
}

make_bench() {
	make_uml "$@"
}

make_debug() {
	make_uml "$@"
}

make_debug-smp() {
	local part=$1 kdir=$1/kdir built
	need_space "$WG_CACHE" 8000
	MAKE+=("LOCALVERSION=-$kernel")
	mkdir -p "$kdir"
	step "configuration of $kernel" configure_uml "$kdir"
	step "$kernel (half an hour)" kbuild "$kdir" bzImage modules
	built=$(cat "$kdir/include/config/kernel.release")
	step "modules of $built" kbuild "$kdir" INSTALL_MOD_PATH="$part/modroot/usr" DEPMOD=true modules_install
	cp "$kdir/arch/x86/boot/bzImage" "$part/image"
	find "$kdir" -path "$kdir/rust" -prune -o -path "$kdir/scripts" -prune -o \
		\( -name '*.o' -o -name '*.a' -o -name '*.ko' -o -name 'vmlinux*' -o -name '*[bB]zImage' \) -type f -print0 |
		xargs -0 rm -f
	finish "$part" "$built"
}

make_kcsan() {
	make_debug-smp "$@"
}

# Sets what uml_config asks for, of those for QEMU as well, and fails if something of it did not take.
configure_uml() {
	local kdir=$1 missing
	kbuild "$kdir" defconfig
	uml_config >>"$kdir/.config"
	kbuild "$kdir" olddefconfig
	missing=$(uml_config | grep '=[ym]$' | grep -vxFf "$kdir/.config") || return 0
	echo "these options did not take:"
	echo "$missing"
	return 1
}

uml_config() {
	# The first one that names an option says what it is.
	case $kernel in
	debug-smp) recipe "$KERNELS"/{debug-smp,debug,uml}.config | awk -F = '!named[$1]++'; return ;;
	kcsan) recipe "$KERNELS"/{kcsan,debug-smp,uml}.config | awk -F = '!named[$1]++'; return ;;
	esac
	recipe "$KERNELS/uml.config"
	case $kernel in
	debug) recipe "$KERNELS/debug.config" ;;
	# What the patches make possible, and code as distributions have it compiled: not for size.
	bench) printf 'CONFIG_%s=y\n' CRYPTO_LIB_CHACHA_ARCH CRYPTO_LIB_POLY1305_ARCH CC_OPTIMIZE_FOR_PERFORMANCE ;;
	esac
}

# What a kernel is made from; checks and comments are no part of it.
inputs() {
	echo "${DEBS##*/} ${MAKE[*]}"
	case ${maker#make_} in
	stock) declare -f kbuild finish make_stock ;;
	light)
		declare -f finish make_light
		recipe "$WG_TOP"/scripts/rust-{metadata,source}.sh
		;;
	uml | debug | bench)
		declare -f kbuild finish make_uml configure_uml
		echo "${source##*/}"
		uml_config
		;;
	debug-smp | kcsan)
		declare -f kbuild finish make_debug-smp configure_uml
		echo "${source##*/}"
		uml_config
		;;
	esac
}

directory=$WG_CACHE/$kernel-$release-$(inputs | key)
cached "$directory" "$maker"
echo "$directory"
