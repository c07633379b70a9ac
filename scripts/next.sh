#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# next.sh [SUITE...]: says what of the module no longer builds, or links, with kernels that are newer than
# those that are prepared from backports: the newest of each series from the oldest supported one on that a
# SUITE has (default: sid experimental), at the mirror of the build root. A line for each error.
#
# next.sh --source DIRECTORY: the same with the source of a kernel, of whatever series.
#
# Nothing of a suite or source is installed or run but the build of the kernel's crates, with stock's
# configuration and the build root's compilers; there is nothing to boot. Undefined symbols are looked up in
# linux-headers of the same version, or, with a source, among what that says to export.
#
# The status is 1 if something does not build or link, 2 if that could not be tried, and 0 otherwise, also
# if there is nothing newer.

. "$(dirname "$0")/lib.sh"

WG_FAILURE=2

given=
if [ "${1-}" = --source ]; then
	[ $# -eq 2 ] || die "usage: $0 [SUITE...] | --source DIRECTORY"
	given=$(realpath -e "$2") || die "there is no $2"
	[[ $given != *[[:space:]:]* ]] || die "make takes no source whose name has a blank or a colon: $given"
	grep -qsx 'VERSION = [0-9]*' "$given/Makefile" || die "$given has no Makefile of a kernel"
	grep -q KBUILD_EXTMOD_OUTPUT "$given/Makefile" ||
		die "the kernel of $given is older than 6.13 and builds modules only where their source is"
	set --
	# Seen where it is.
	export WG_BINDS=$given
elif [ $# -eq 0 ]; then
	set -- sid experimental
fi
need_root
root=$("$WG_TOP/scripts/build-root.sh") || exit "$WG_FAILURE"
stock=$("$WG_TOP/scripts/prepare-kernel.sh" stock) || exit "$WG_FAILURE"
flavour=$(flavour_of stock)
build=(CC=x86_64-linux-gnu-gcc-14 HOSTCC=gcc-14)
work=$WG_CACHE/next
mkdir -p "$work"
locked "$work.lock"

# Package lists
# ---------------------------------------------------------------------------

# What a mirror that is a copy has may be old: what is there is looked at, and not installed.
apt=(-o Acquire::Check-Valid-Until=false -o "Dir::Etc::sourcelist=$work/sources.list"
	-o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists"
	-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)

# update SUITE...: has apt look what these have.
update() {
	local mirror suite
	mkdir -p "$work/lists/partial"
	mirror=$(awk '/^deb / { print $2; exit }' "$root/etc/apt/sources.list")
	for suite; do
		echo "deb $mirror $suite main"
	done >"$work/sources.list"
	step "package lists of $*" in_root "$root" apt-get "${apt[@]}" update
}

# sources APT-OPTION...: prints series, version and suite of each linux-source.
sources() {
	# shellcheck disable=SC2016
	in_root "$root" sh -c 'names=$(apt-cache "$@" pkgnames linux-source- | grep -xE "linux-source-[0-9]+\.[0-9]+")
		[ -z "$names" ] || apt-cache "$@" madison $names' sh "$@" |
		sed -n 's/^ *linux-source-\([^ ]*\) *| *\([^ ]*\) *| [^ ]* \([^ /]*\)\/.*/\1 \2 \3/p'
}

# newer A B: is upstream's version of package A newer than that of B?
newer() {
	dpkg --compare-versions "${1%-*}" gt "${2%-*}"
}

# candidates: prints series, version and suite of what is worth trying, newest first.
candidates() {
	local series version suite known best=() ours
	ours=$(sources)
	while read -r series version suite; do
		dpkg --compare-versions "$series" ge "${WG_SERIES##* }" || continue
		# The newest of a series only.
		[[ " ${best[*]} " != *" $series "* ]] || continue
		best+=("$series")
		known=$(awk -v series="$series" '$1 == series { print $2 }' <<<"$ours" | sort -rV | head -n 1)
		[ -n "$known" ] && ! newer "$version" "$known" || echo "$series $version $suite"
	done < <(sources "${apt[@]}" | sort -k 2,2rV)
}

# Trying one
# ---------------------------------------------------------------------------

# get DIRECTORY SERIES VERSION: its source, and what its kernel exports if that is there.
get() {
	local directory=$1 series=$2 version=$3 upstream=${3%-*} headers
	headers=$(in_root "$root" apt-cache "${apt[@]}" pkgnames "linux-headers-${upstream//\~/-}" |
		grep -E -- "^linux-headers-[^ ]*-$flavour\$" | sort -V | tail -n 1) || true
	need_space "$WG_CACHE" 5000
	mkdir -p "$directory"
	step "download of $version" in_root "$root" sh -c 'cd "$0" && apt-get "$@"' "$directory" "${apt[@]}" download \
		"linux-source-$series=$version" ${headers:+"$headers=$version"}
	step "source of $version" in_root "$root" sh -euc 'cd "$0"
		for deb in *.deb; do dpkg-deb -x "$deb" .; done
		rm *.deb
		tar -xf usr/src/linux-source-*.tar.xz
		mv linux-source-* source
		mkdir kdir
		cp usr/src/linux-headers-*/Module.symvers kdir/ 2>/dev/null || true
		rm -r usr' "$directory"
}

# errors LOG: prints a line for each error of a build.
errors() {
	awk '
		/^error: (aborting|could not)/ { next }
		/^error(\[E[0-9]+\])?: / { message = $0; next }
		message && /^ *--> / { sub(/^ *--> /, ""); print $0 ": " message; message = ""; next }
		# What has no place.
		message && /^$/ { print message; message = ""; next }
		/^[^ ]+:[0-9]+(:[0-9]+)?: (fatal )?error: / { print }
	' "$1" | sed "s|$WG_TOP/||; s|^\.\./rust/|rust/|" | sort -u
}

# exported SOURCE KDIR: prints the symbols that lines of the source export, whatever is configured, and those of
# the crates' helpers. Where a macro makes the name, a `*` ends what is known of it; a name that is all an
# argument of a macro (netdev_info) is not found. Those that come in a namespace, or for certain modules or
# tests, are left out.
exported() {
	local directory directories=("$2"/rust/exports_*_generated.h)
	for directory in "$1"/*/; do
		case ${directory#"$1/"} in
		arch/) directories+=("$directory/x86") ;;
		Documentation/ | samples/ | scripts/ | tools/) ;;
		*) directories+=("$directory") ;;
		esac
	done
	LC_ALL=C grep -rhF --include='*.[chS]' EXPORT_ "${directories[@]}" | sed -nE '
		/EXPORT_\w*(_NS|_FOR|_IF_)\w* ?\(/d
		/EXPORT_\w*_PM_OPS ?\(|_trace\w* ?##|^#define \w*EXPORT_/d
		s/.*EXPORT_STATIC_CALL\w* ?\((\w+).*/__SCT__\1\n__SCK__\1/p
		t
		s/.*EXPORT_TRACEPOINT_\w* ?\((\w+).*/__tracepoint_\1\n__traceiter_\1\n__SCT__tp_func_\1\n__SCK__tp_func_\1/p
		t
		s/.*EXPORT_\w* ?\( *(\w+) *(##|\\\w).*/\1*/p
		t
		s/.*EXPORT_\w* ?\( *(\w+).*/\1/p' | LC_ALL=C sort -u
}

# missing OBJECT EXPORTED: prints a line for each symbol that an object needs and no kernel exports. Those of
# Rust differ with the compiler. (modpost stops after ten.)
missing() {
	in_root "$root" nm --undefined-only --format=just-symbols "$1" | grep -v '^_R\|^__this_module$' | LC_ALL=C sort -u |
		LC_ALL=C comm -23 - "$2" | grep -vxf <(sed -n 's/\*$/.*/p' "$2") | sed 's/$/: not exported/'
}

# try WHAT SOURCE KDIR: prints what no longer works; fails if anything does not.
try() {
	local what=$1 source=$2 kdir=$3 found status=0 enter make specification
	mkdir -p "$kdir"
	cp "$stock/kdir/.config" "$kdir/.config"
	# Nothing is to write to what was given.
	# shellcheck disable=SC2016
	enter=(in_root "$root" sh -euc '[ -z "$0" ] || mount -o remount,bind,ro "$0"
		export RUST_LIB_SRC=$(echo /usr/src/rustc-*/library)
		exec make "$@"' "$given")
	make=("${enter[@]}" "${build[@]}" "-j$(nproc)" -C "$source" "O=$kdir")
	step "configuration of $what" "${make[@]}" olddefconfig
	if ! grep -qx CONFIG_RUST=y "$kdir/.config"; then
		found=$("${make[@]}" -s rustavailable 2>&1 |
			sed -n 's/^\*\*\* *\(.*[a-z].*\)/\1/p' | sed '/^Please see/,$d' | paste -sd ' ' | tr -s ' ') || true
		echo "$what: no Rust with the build root's compilers:" \
			"${found:-"what CONFIG_RUST depends on (init/Kconfig) is not in stock's configuration"}"
		return 1
	fi
	step "preparation of $what" "${make[@]}" prepare modules_prepare
	rm -rf "$WG_TOP/build-next"
	mkdir -p "$WG_TOP/build-next"
	"${enter[@]}" --no-print-directory --keep-going "KDIR=$kdir" "MO=$WG_TOP/build-next" "${build[@]}" \
		KBUILD_MODPOST_WARN=1 modules >"$work/log" 2>&1 </dev/null || status=$?
	found=$(errors "$work/log")
	if [ -n "$found" ]; then
		say "  $what: what is missing hides errors of types, and an error in a crate those of the crates above it:" \
			"there may be more than is listed"
	elif [ "$status" -eq 0 ]; then
		if [ -s "$kdir/Module.symvers" ]; then
			cut -f 2 "$kdir/Module.symvers" | LC_ALL=C sort -u
		elif [ -n "$given" ]; then
			say "  $what: exported is what the source says to export; whether it is configured was not looked at"
			exported "$source" "$kdir"
		fi >"$work/exported"
		if [ -s "$work/exported" ]; then
			found=$(missing "$WG_TOP/build-next/wireguard.o" "$work/exported")
		else
			say "  $what: there are no linux-headers that say what it exports; not linked"
		fi
	fi
	if [ -n "$found" ]; then
		sed "s|^|$what: |" <<<"$found"
		status=1
	elif [ "$status" -ne 0 ]; then
		tail -n 20 "$work/log" >&2
		die "$what: the build failed, and not by an error of the compiler; the whole log is $work/log"
	else
		echo "$what: builds and links"
	fi
	specification=$source/Documentation/netlink/specs/wireguard.yaml
	if [ -e "$specification" ]; then
		"$WG_TOP/scripts/in-root.sh" python3 scripts/checks/specification.py "$specification" || status=1
	else
		say "  $what: has no specification of netlink"
	fi
	return "$status"
}

cd "$WG_TOP" || exit
if [ -n "$given" ]; then
	version=$(sed -nE 's/^(VERSION|PATCHLEVEL|SUBLEVEL) = *//p' "$given/Makefile" | paste -sd .)
	# What was made of the same source is kept for the next time.
	[ "$(cat "$work/kdir.of" 2>/dev/null)" = "$given" ] || rm -rf "$work/kdir"
	echo "$given" >"$work/kdir.of"
	need_space "$WG_CACHE" 1000
	try "$version ($given)" "$given" "$work/kdir" || exit
	exit
fi
update "$@"
found=$(candidates)
[ -n "$found" ] || { echo "there is no newer kernel than those of backports in: $*"; exit; }
status=0
while read -r series version suite; do
	rm -rf "$work/tree"
	get "$work/tree" "$series" "$version"
	try "$version ($suite)" "$work/tree/source" "$work/tree/kdir" </dev/null || status=1
done <<<"$found"
rm -rf "$work/tree"
exit "$status"
