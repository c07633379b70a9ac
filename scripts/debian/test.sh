#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh [--slow]: installs what make-packages.sh made, in a copy of the packaging root, as a user would, and
# removes it. Kernels that it cannot be built for must leave dpkg content; with --slow it is also
# built by DKMS. Prints TAP.

. "$(dirname "$0")/../lib.sh"

cd "$WG_TOP" || exit
slow=${1-}
out=$WG_TOP/build-deb
packaging_root=$(scripts/debian/root.sh)
release=$(cat "$(scripts/prepare-kernel.sh stock)/release")
module=wireguard-rust-modules-$release
failed=0 count=0
[ -e "$out/wireguard-rust-dkms_1.0.0_all.deb" ] || scripts/debian/make-packages.sh stock >&2

# test_that TITLE SCRIPT: runs SCRIPT in the copy.
test_that() {
	local title=$1 status=0
	count=$((count + 1))
	in_root "$copy" env DEBIAN_FRONTEND=noninteractive RELEASE="$release" OUT="$out" MODULE="$module" \
		bash -euo pipefail -c "$FUNCTIONS
$2" >"$work/log" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $count - $title"
	else
		failed=$((failed + 1))
		echo "not ok $count - $title"
		tail -n 40 "$work/log" | sed 's/^/# /'
	fi
}

FUNCTIONS='
src=/usr/src/wireguard-rust-1.0.0
log=/var/tmp/log

install() {
	apt-get install --yes --target-release trixie-backports "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
	cat "$log"
}

# The log has one line with TEXT that says that a kernel keeps its driver, each time that DKMS was run.
skipped() {
	local lines
	lines=$(grep "^wireguard-rust: .*keeps its own driver" "$log") || { echo "nothing was skipped"; return 1; }
	[ "$(wc -l <<<"$lines")" -eq "$(grep -c "^Autoinstall of module" "$log")" ] ||
		{ echo "too many lines"; return 1; }
	[[ $lines == *"$1"* ]] || { echo "not because of $1: $lines"; return 1; }
}

autoinstall() {
	dkms autoinstall -k "$RELEASE" >"$log" 2>&1 || { cat "$log"; return 1; }
	cat "$log"
}

taken() {
	local have
	have=$(modinfo -k "$RELEASE" -F version wireguard)
	[ "$have" = "$1" ] || { echo "modprobe would take $have"; return 1; }
}

# Nothing of a package and nothing that it made is left.
clean() {
	local left
	left=$(find /usr/src /var/lib/dkms /usr/lib/modules -path "*wireguard-rust*" -o -path "*/updates/*" -name "wireguard.ko*")
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}
'

work=$out/test
mkdir -p "$out"
umount "$work/root" 2>/dev/null || true
rm -rf --one-file-system "$work"
mkdir -p "$work"/{upper,work,root}
mount -t overlay -o "lowerdir=$packaging_root,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
trap 'umount "$work/root" && rm -rf --one-file-system "$work"' EXIT
copy=$work/root

test_that "the package installs where there is no kernel" '
	install "$OUT"/wireguard-rust-dkms_1.0.0_all.deb "$OUT"/wireguard-rust-tools_1.0.0_all.deb
	wg-rust status'

test_that "headers of a kernel without Rust install" '
	install "$(cd /var/cache/apt/archives && ls linux-headers-6.*-cloud-amd64_*.deb | sed "s/_.*//;q")"
	skipped "without Rust"'

test_that "headers whose rust/ is not known install" '
	mv $src/linux-rust.versions /var/tmp/
	touch $src/linux-rust.versions
	install "linux-headers-$RELEASE"
	skipped "is neither in this package"'

test_that "a compiler of another version is no failure" '
	mv /var/tmp/linux-rust.versions $src/
	printf "#!/bin/sh\necho rustc 1.84.0\n" >/var/tmp/rustc
	chmod +x /var/tmp/rustc
	mount --bind /var/tmp/rustc "$(readlink -e /usr/bin/rustc)"
	autoinstall
	skipped "and this is rustc 1.84.0"'

test_that "short memory is no failure" '
	printf "MemAvailable: 900000 kB\nSwapFree: 100000 kB\n" >/var/tmp/meminfo
	mount --bind /var/tmp/meminfo /proc/meminfo
	autoinstall
	skipped "MB of memory"'

test_that "an error of the package is a failure" '
	cp -p $src/scripts/rust-metadata.sh /var/tmp/
	printf "#!/bin/sh\necho planted >&2\nexit 1\n" >$src/scripts/rust-metadata.sh
	! autoinstall || { echo "nothing failed"; exit 1; }
	mv /var/tmp/rust-metadata.sh $src/scripts/
	grep planted "$log" || grep planted /var/lib/dkms/wireguard-rust/1.0.0/build/make.log'

test_that "the module made for a kernel installs, and is what modprobe takes" '
	install "linux-modules-$RELEASE"
	taken 1.0.0
	install "$OUT/${MODULE}"_*.deb "$OUT"/wireguard-rust-modules-cloud-amd64_*.deb
	depmod "$RELEASE"
	taken 1.0.0-rust
	wg-rust status'

test_that "and with it gone modprobe takes the kernel's own" '
	apt-get purge --yes "wireguard-rust-modules-*"
	depmod "$RELEASE"
	taken 1.0.0'

if [ "$slow" = --slow ]; then
	test_that "headers of a kernel that is known have DKMS build and install the module" '
		install --reinstall "linux-headers-$RELEASE"
		dkms status | grep "wireguard-rust/1.0.0, $RELEASE.*installed"
		taken 1.0.0-rust
		modinfo -k "$RELEASE" -F filename wireguard | grep updates/dkms
		modinfo -k "$RELEASE" -F signer wireguard | grep .'

	test_that "the package can be installed again" '
		apt-get install --yes --reinstall "$OUT"/wireguard-rust-dkms_1.0.0_all.deb
		taken 1.0.0-rust'

	test_that "headers can be removed" '
		apt-get remove --yes "linux-headers-$RELEASE"'
fi

test_that "removed or purged, the packages leave nothing" '
	apt-get remove --yes wireguard-rust-tools
	apt-get purge --yes wireguard-rust-dkms
	depmod "$RELEASE"
	taken 1.0.0
	clean'

echo "1..$count"
[ "$failed" -eq 0 ]
