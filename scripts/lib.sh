# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts share: the cache, progress, locks, and entering the build root.
# Sourced by bash scripts.

set -euo pipefail

# The checkout.
WG_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# Everything that is made once lives here, each piece named by a hash of what it is made from.
WG_CACHE=${RUST_WIREGUARD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/rust-wireguard}

# Supported series of the kernel, in order of preference.
WG_SERIES="7.3 7.2"

# Kernels by name: the name, the flavour that it is of Debian's kernels, or - if it is built here, and what
# it is. There is no other list of them.
WG_KERNELS="
stock cloud-amd64 Debian's for virtual machines, in QEMU
stock-amd64 amd64 Debian's for other machines, in QEMU
stock-rt rt-amd64 Debian's with PREEMPT_RT, in QEMU
stock-arm64 arm64 Debian's for arm64, in QEMU
stock-arm64-16k arm64-16k the same with pages of 16 KiB
stock-cloud-arm64 cloud-arm64 the same for virtual machines
stock-rt-arm64 rt-arm64 the same with PREEMPT_RT
uml - User-mode Linux of the same source
debug - uml with checks of memory, locks and RCU
debug-smp - a kernel with these checks on several CPUs, in QEMU
kcsan - a kernel that watches for data races, in QEMU
bench - uml with patches, to measure on
"

# How kernels of arm64, and modules for them, are built here.
WG_BUILD_ARM64=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC=aarch64-linux-gnu-gcc-14 HOSTCC=gcc-14)

# The status of a script that cannot go on.
WG_FAILURE=1

# What guests and builds see as their environment; nothing of the caller's leaks in.
WG_ENV=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}")

say() {
	printf '%s\n' "$*" >&2
}

die() {
	printf '%s: error: %s\n' "${0##*/}" "$*" >&2
	exit "$WG_FAILURE"
}

for name in http_proxy https_proxy no_proxy; do
	[ -z "${!name-}" ] || WG_ENV+=("$name=${!name}")
done
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
	WG_ENV+=(SSL_CERT_FILE=/run/certificates.crt CARGO_HTTP_CAINFO=/run/certificates.crt)
fi

# Hashes standard input to a short key.
key() {
	sha256sum | cut -c 1-12
}

# Prints files without comments and blank lines: their wording is no input.
recipe() {
	sed -e '/^[[:space:]]*#/d' -e '/^[[:space:]]*$/d' "$@"
}

# step TITLE COMMAND...: runs COMMAND with its output in a log, and prints how long it took.
# Shows the end of the log if it fails.
step() {
	local title=$1 log start=$SECONDS status=0
	shift
	log=$(mktemp "${TMPDIR:-/tmp}/rust-wireguard.XXXXXX.log")
	printf '  %-52s' "$title" >&2
	# In the background, so that a signal is acted on at once.
	"$@" </dev/null >"$log" 2>&1 &
	wait $! || status=$?
	if [ "$status" -ne 0 ]; then
		printf ' failed\n' >&2
		tail -n 40 "$log" >&2
		die "$title: failed with status $status; the whole log is $log"
	fi
	rm -f "$log"
	printf '%5d s\n' $((SECONDS - start)) >&2
}

# locked FILE: holds a lock until the shell (or subshell) ends.
locked() {
	exec 9>"$1"
	flock --nonblock 9 && return
	say "  waiting for another run that holds $1"
	flock 9
}

# cached DIRECTORY FUNCTION: has FUNCTION make DIRECTORY unless it is there. FUNCTION gets a
# temporary name, which an interrupted run leaves for the next one to go on with or to clear.
cached() {
	local directory=$1 make=$2
	[ ! -d "$directory" ] || return 0
	mkdir -p "$WG_CACHE"
	(
		locked "$directory.lock"
		[ ! -d "$directory" ] || exit 0
		"$make" "$directory.part"
		mv "$directory.part" "$directory"
	)
}

# need_space DIRECTORY MEGABYTES
need_space() {
	local free
	free=$(df --output=avail --block-size=1M "$1" | tail -n 1)
	[ "$free" -ge "$2" ] ||
		die "$1 has $free MB free and $2 MB are needed; make room, or set RUST_WIREGUARD_CACHE to another place"
}

need_root() {
	[ "$(id -u)" -eq 0 ] ||
		die "must run as root (it makes mounts and a Debian root); try it with sudo"
	setpriv --pdeathsig KILL unshare --mount --pid --fork true 2>/dev/null ||
		die "may not make mount and PID namespaces; in a container, start it with: --privileged"
}

# need_command COMMAND PACKAGE: installs PACKAGE if COMMAND is missing and apt is there.
need_command() {
	! command -v "$1" >/dev/null || return 0
	command -v apt-get >/dev/null ||
		die "$1 is missing, and there is no apt-get to install it with; install the package $2"
	step "apt-get install $2" sh -c '
		export DEBIAN_FRONTEND=noninteractive
		apt-get install --yes --no-install-recommends "$1" ||
			{ apt-get update && apt-get install --yes --no-install-recommends "$1"; }' sh "$2"
	command -v "$1" >/dev/null || die "$1 is missing; try: apt-get install $2"
}

# Runs as PID 1 of new namespaces: $1 root, $2 checkout, $3 cache, $4 working directory, command.
# The paths are the same inside as outside. Everything ends when this shell does.
# shellcheck disable=SC2016
WG_ENTER='
	set -eu
	root=$1 top=$2 cache=$3 directory=$4
	shift 4
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
	mount -t tmpfs tmpfs "$root/run"
	for path in "$cache" "$top" ${WG_BINDS:-}; do
		mkdir -p "$root$path"
		mount --bind "$path" "$root$path"
	done
	# The way to the network, and whom to trust there, is as on the host.
	for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
		[ -e "$file" ] || continue
		target=$root$file
		case $file in *.crt) target=$root/run/certificates.crt ;; esac
		touch "$target"
		mount --bind "$file" "$target"
	done
	trap "exit 130" INT
	trap "exit 143" TERM
	chroot "$root" /usr/bin/env -i "$@" <&0 &
	wait $! && exit 0 || exit $?
'

# in_root ROOT COMMAND...: runs COMMAND in the build root, where the checkout and the cache have
# the paths that they have outside. WG_BINDS names further directories.
in_root() {
	local root=$1 directory=$PWD
	shift
	case $directory/ in "$WG_TOP"/*) ;; *) directory=$WG_TOP ;; esac
	WG_BINDS=${WG_BINDS:-} setpriv --pdeathsig KILL \
		unshare --mount --pid --fork --kill-child --propagation private \
		bash -c "$WG_ENTER" enter "$root" "$WG_TOP" "$WG_CACHE" "$directory" \
		"${WG_ENV[@]}" sh -c 'cd "$0" && exec "$@"' "$directory" "$@"
}

# update_lists ROOT: has apt look what there is. Others may want that at once.
update_lists() (
	locked "$1.lists.lock"
	in_root "$1" apt-get update
)

# Kernels
# ---------------------------------------------------------------------------

# kernels [FLAVOUR]: prints the names of all kernels, or of those that have such a flavour, a pattern.
kernels() {
	local name flavour
	while read -r name flavour _; do
		# shellcheck disable=SC2053
		[ -z "$name" ] || [[ $flavour != ${1-*} ]] || echo "$name"
	done <<<"$WG_KERNELS"
}

# kernel_usage: prints how kernels are called, in a line.
kernel_usage() {
	echo "$(kernels '??*' | xargs printf '%s[-SERIES]|')$(kernels - | paste -sd '|')"
}

# kernel_list: prints what there is to choose from.
kernel_list() {
	local name flavour about
	while read -r name flavour about; do
		[ -z "$name" ] || printf '  %-18s %s\n' "$name" "$about"
	done <<<"$WG_KERNELS"
	printf '  %-18s %s\n' "stock...-SERIES" "one of Debian's, the newest of that series: $WG_SERIES"
}

# base_of KERNEL: prints its name without the series.
base_of() {
	echo "${1%-[0-9]*.*}"
}

# flavour_of KERNEL: prints which one of Debian's it is, or - if it is none; fails if there is no such name.
flavour_of() {
	local name flavour
	while read -r name flavour _; do
		[ -n "$name" ] && [ "$name" = "$(base_of "$1")" ] || continue
		# Only Debian's come in series.
		[ "$flavour" != - ] || [ "$name" = "$1" ] || return 1
		echo "$flavour"
		return
	done <<<"$WG_KERNELS"
	return 1
}

# kind_of KERNEL: prints its name, but for all of Debian's: stock.
kind_of() {
	case $(flavour_of "$1") in - | '') base_of "$1" ;; *) echo stock ;; esac
}

# machine_of KERNEL: prints which machine it is for, as the kernel calls it.
machine_of() {
	case $(flavour_of "$1") in *arm64*) echo arm64 ;; *) echo x86_64 ;; esac
}

# root_for MACHINE: prints the root in which kernels and modules for it are built, and QEMU is run.
root_for() {
	case $1 in
	arm64) "$WG_TOP/scripts/arm64/root.sh" ;;
	*) "$WG_TOP/scripts/build-root.sh" ;;
	esac
}

# find_kernel KERNEL|PATH: sets what there is to know of a kernel. PATH is an image in the directory in
# which it was built.
find_kernel() {
	local kernel=$1 directory
	case $kernel in
	*/*)
		image=$(realpath -e "$kernel") || die "no such kernel: $kernel"
		kdir=$(dirname "$image")
		while [ ! -e "$kdir/include/config/kernel.release" ]; do
			[ "$kdir" != / ] || die "$image is not in the directory of a kernel build (no include/config/kernel.release above it)"
			kdir=$(dirname "$kdir")
		done
		release=$(cat "$kdir/include/config/kernel.release")
		objects=$WG_TOP/build-$release-$(echo "$kdir" | key)
		source=$kdir/source
		[ -d "$source/" ] || die "the source of $kdir is not where it was: $(readlink "$source")"
		WG_BINDS="$kdir $(realpath "$kdir/source")"
		export WG_BINDS
		# modules_install takes a while, and little changes.
		modroot=$WG_CACHE/modules-$release-$({
			echo "$kdir"
			stat --format %Y "$kdir/modules.order"
		} | key)
		;;
	*)
		directory=$("$WG_TOP/scripts/prepare-kernel.sh" "$kernel") || exit "$WG_FAILURE"
		image=$directory/image
		kdir=$directory/kdir
		modroot=$directory/modroot
		release=$(cat "$directory/release")
		objects=$WG_TOP/build-$kernel
		source=$kdir/source
		# What there is of it, if it is not all there.
		[ ! -e "$directory/source" ] || source=$directory/source
		;;
	esac
	machine=x86_64
	! grep -qx CONFIG_ARM64=y "$kdir/.config" || machine=arm64
	root=$(root_for "$machine") || exit "$WG_FAILURE"
	# As the kernel was built.
	build=(CC=x86_64-linux-gnu-gcc-14 HOSTCC=gcc-14)
	[ "$machine" != arm64 ] || build=("${WG_BUILD_ARM64[@]}")
	if grep -qx CONFIG_CC_IS_CLANG=y "$kdir/.config"; then
		build=(LLVM=1)
		[ "$machine" != arm64 ] || build+=(ARCH=arm64)
	fi
	! grep -qx CONFIG_UML=y "$kdir/.config" || build+=(ARCH=um)
	case $kernel in */*) cached "$modroot" install_modules ;; esac
}

# last_cpus N: the last N of this machine's processors, as a range; nothing if it has no more.
last_cpus() {
	[ "$1" -ge "$(nproc)" ] || echo "$(($(nproc) - $1))-$(($(nproc) - 1))"
}

install_modules() {
	step "modules of $release" in_root "$root" make -C "$kdir" "${build[@]}" \
		INSTALL_MOD_PATH="$1/usr" modules_install
	rm -f "$1/usr/lib/modules/$release"/{build,source}
}
