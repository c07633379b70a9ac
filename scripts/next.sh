#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# next.sh [SUITE...]: says what of the module no longer builds, or links, with kernels that are newer than
# those that are prepared from backports: the newest of each series from the oldest supported one on that a
# SUITE has (default: sid experimental), at the mirror of the build root. A line for each error.
#
# Nothing of a suite is installed or run but the build of its kernel's crates, with stock's configuration
# and the build root's compilers; there is nothing to boot. Undefined symbols are looked up in
# linux-headers of the same version.
#
# The status is 1 if something does not build or link, 2 if that could not be tried, and 0 otherwise, also
# if there is nothing newer.

. "$(dirname "$0")/lib.sh"

WG_FAILURE=2

[ $# -gt 0 ] || set -- sid experimental
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
mkdir -p "$work/lists/partial"
mirror=$(awk '/^deb / { print $2; exit }' "$root/etc/apt/sources.list")
for suite; do
	echo "deb $mirror $suite main"
done >"$work/sources.list"
step "package lists of $*" in_root "$root" apt-get "${apt[@]}" update

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
		/^[^ ]+:[0-9]+(:[0-9]+)?: (fatal )?error: / { print }
	' "$1" | sed "s|$WG_TOP/||" | sort -u
}

# missing OBJECT SYMVERS: prints a line for each symbol that an object needs and no kernel exports. Those of
# Rust differ with the compiler. (modpost stops after ten.)
missing() {
	in_root "$root" nm --undefined-only --format=just-symbols "$1" | grep -v '^_R\|^__this_module$' | LC_ALL=C sort -u |
		LC_ALL=C comm -23 - <(cut -f 2 "$2" | LC_ALL=C sort -u) | sed 's/$/: not exported/'
}

# try SERIES VERSION SUITE: prints what no longer works; fails if anything does not.
try() {
	local series=$1 version=$2 suite=$3 directory=$work/tree found status=0 make
	rm -rf "$directory"
	get "$directory" "$series" "$version"
	cp "$stock/kdir/.config" "$directory/kdir/.config"
	# shellcheck disable=SC2016
	make=(in_root "$root" sh -c 'export RUST_LIB_SRC=$(echo /usr/src/rustc-*/library); exec make "$@"' sh "${build[@]}"
		"-j$(nproc)" -C "$directory/source" "O=$directory/kdir")
	step "configuration of $version" "${make[@]}" olddefconfig
	if ! grep -qx CONFIG_RUST=y "$directory/kdir/.config"; then
		echo "$version ($suite): no Rust with the build root's compilers:" \
			"$("${make[@]}" -s rustavailable 2>&1 | sed -n 's/^\*\*\* \(.*[a-z].*\)/\1/p' | head -n 1)"
		return 1
	fi
	step "preparation of $version" "${make[@]}" prepare modules_prepare
	rm -rf "$WG_TOP/build-next"
	mkdir -p "$WG_TOP/build-next"
	in_root "$root" make --no-print-directory --keep-going "KDIR=$directory/kdir" "MO=$WG_TOP/build-next" "${build[@]}" \
		KBUILD_MODPOST_WARN=1 modules >"$work/log" 2>&1 </dev/null || status=$?
	found=$(errors "$work/log")
	if [ ! -s "$directory/kdir/Module.symvers" ]; then
		say "  $version: there are no linux-headers that say what it exports; not linked"
	elif [ -z "$found" ] && [ "$status" -eq 0 ]; then
		found=$(missing "$WG_TOP/build-next/wireguard.o" "$directory/kdir/Module.symvers")
	fi
	if [ -n "$found" ]; then
		sed "s|^|$version ($suite): |" <<<"$found"
		return 1
	elif [ "$status" -ne 0 ]; then
		tail -n 20 "$work/log" >&2
		die "$version ($suite): the build failed, and not by an error of the compiler; the whole log is $work/log"
	fi
	echo "$version ($suite): builds and links"
	"$WG_TOP/scripts/in-root.sh" python3 scripts/checks/specification.py \
		"$directory/source/Documentation/netlink/specs/wireguard.yaml"
}

cd "$WG_TOP" || exit
found=$(candidates)
[ -n "$found" ] || { echo "there is no newer kernel than those of backports in: $*"; exit; }
status=0
while read -r series version suite; do
	try "$series" "$version" "$suite" </dev/null || status=1
done <<<"$found"
rm -rf "$work/tree"
exit "$status"
