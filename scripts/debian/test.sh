#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh [--slow]: makes the packages, installs them in a copy of the packaging root, and removes them.
# Kernels that the module cannot be built for must leave dpkg content, and a fault of ours must not. With
# --slow, DKMS builds it, twice at once, packages are upgraded, those for Debian's other kernels are made and
# installed, and those for arm64 in a guest, too.
# Prints TAP.

. "$(dirname "$0")/../lib.sh"

# Mounts end with this process.
if [ "${WG_TEST_PID-}" != $$ ]; then
	need_root
	WG_TEST_PID=$$ exec unshare --mount --propagation private "$BASH" "$0" "$@"
fi
unset WG_TEST_PID

cd "$WG_TOP" || exit
slow=${1-}
packaging_root=$(scripts/debian/root.sh) || exit "$WG_FAILURE"
out=$WG_TOP/build-deb
release=$(cat "$(scripts/prepare-kernel.sh stock)/release")
failed=0 count=0
others=()
[ "$slow" != --slow ] || others=(stock-amd64 stock-rt)

keys=$(mktemp -d "$WG_CACHE/key.XXXXXX")
work=$(mktemp -d "${TMPDIR:-/tmp}/wg-packages.XXXXXX")
trap 'umount --recursive "$work" 2>/dev/null || true; rm -rf --one-file-system "$work" "$keys"' EXIT
in_root "$packaging_root" openssl req -new -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=wg-test/ \
	-keyout "$keys/private" -outform DER -out "$keys/certificate" >/dev/null 2>&1
export MODULE_KEY=$keys/private MODULE_CERT=$keys/certificate
DEBEMAIL='' DEBFULLNAME='' scripts/debian/make-packages.sh stock "${others[@]}" >&2

mount -t tmpfs tmpfs "$work"
mkdir "$work"/{upper,work,root}
mount -t overlay -o "lowerdir=$packaging_root,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"

# test_that TITLE SCRIPT: runs SCRIPT in the copy.
test_that() {
	result "$1" in_root "$work/root" env DEBIAN_FRONTEND=noninteractive INITRD=No RELEASE="$release" OUT="$out" \
		bash -euo pipefail -c "$FUNCTIONS
$2"
}

# result TITLE COMMAND...
result() {
	local title=$1 status=0 start=$SECONDS
	shift
	count=$((count + 1))
	"$@" >"$work/log" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $count - $title"
	else
		failed=$((failed + 1))
		echo "not ok $count - $title"
		tail -n 40 "$work/log" | sed 's/^/# /'
	fi
	echo "# took $((SECONDS - start)) s"
}

# other KERNEL: the module made for it, where there is as much of it as depmod needs.
other() {
	local directory release modules
	directory=$(scripts/prepare-kernel.sh "$1")
	release=$(cat "$directory/release")
	modules=/usr/lib/modules/$release
	mkdir -p "$work/root$modules/kernel/drivers/net"
	cp -a "$directory/modroot$modules"/modules.{order,builtin*} "$work/root$modules/"
	cp -a "$directory/modroot$modules/kernel/drivers/net/wireguard" "$work/root$modules/kernel/drivers/net/"
	test_that "the module made for $1 installs, and goes" '
		packages=("$OUT"/wireguard-rust-modules-{"$RELEASE","${RELEASE#*+*-}"}_*_amd64.deb)
		apt-get install --simulate --target-release trixie-backports "${packages[@]}" | grep "^Inst linux-modules-$RELEASE "
		depmod "$RELEASE"
		taken 1.0.0
		dpkg --force-depends --install "${packages[@]}"
		taken 1.0.0-rust
		signed
		dpkg --purge wireguard-rust-modules-{"$RELEASE","${RELEASE#*+*-}"}
		taken 1.0.0'
}

# arm64: the module made for it, on its kernel.
arm64() {
	DEBEMAIL='' DEBFULLNAME='' scripts/debian/make-packages.sh stock stock-arm64 >&2
	# Its root has no list of packages, and so none that these depend on.
	result "the module made for arm64 installs on its kernel, changes places with the other, and goes" \
		qemu-test/vm --kernel stock-arm64 --driver c --timeout 3600 -- bash -euxc '
			taken() { [ "$(modinfo -F version wireguard)" = "$1" ]; }
			runs() { [ "$(cat /sys/module/wireguard/version)" = "$1" ]; }
			mkdir -p /var/lib/dpkg/{info,updates,triggers}
			touch /var/lib/dpkg/{status,available}
			taken 1.0.0
			dpkg --force-depends --install build-deb/wireguard-rust-{modules-*_arm64,tools_*_all}.deb
			taken 1.0.0-rust
			ip link add wg0 type wireguard
			runs 1.0.0
			wg-rust switch
			runs 1.0.0-rust
			ip link show wg0
			wg-rust back
			runs 1.0.0
			packages=$(dpkg-query --show --showformat "\${Package} " "wireguard-rust-*")
			dpkg --force-depends --purge $packages
			taken 1.0.0
			! find /usr /etc /var/lib -path "*wireguard-rust*" -o -name "wg-rust*" | grep .'
}

FUNCTIONS='
src=$(echo /usr/src/wireguard-rust-*)
version=${src#*-rust-}
headers=/usr/src/linux-headers-$RELEASE
series=$(cut -d . -f 1,2 <<<"$RELEASE")
log=/var/tmp/log
state=/var/lib/dkms/wireguard-rust/$version

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
	# Whoever asks dpkg finds nothing half installed.
	[ -z "$(dpkg --audit)" ]
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

# linux_source VERSION: makes a package as linux-source is, with no more than is used of it.
linux_source() {
	rm -rf /var/tmp/source
	mkdir -p /var/tmp/source/DEBIAN /var/tmp/source/usr/src
	tar -C /var/tmp/source -xf $src/linux-rust.tar.xz
	mv /var/tmp/source/linux-rust/$series.* /var/tmp/source/linux-source
	tar -C /var/tmp/source -cJf /var/tmp/source/usr/src/linux-source-$series.tar.xz linux-source
	rm -r /var/tmp/source/linux-{rust,source}
	printf "%s\n" "Package: linux-source-$series" "Version: $1" "Architecture: all" "Maintainer: nobody <nobody@example.org>" \
		"Description: source" >/var/tmp/source/DEBIAN/control
	dpkg-deb -b /var/tmp/source /var/tmp/linux-source.deb
}

# built_already: DKMS takes the module of the other package for what it has built, until $src/scripts/dkms.sh is
# put back from /var/tmp.
built_already() {
	dpkg-deb --fsys-tarfile "$OUT"/wireguard-rust-modules-"$RELEASE"_*_amd64.deb | tar -C /var/tmp -xf - ./usr/lib/modules
	xz -dc "/var/tmp/usr/lib/modules/$RELEASE/updates/wireguard.ko.xz" >/var/tmp/wireguard.ko
	cp -p $src/scripts/dkms.sh /var/tmp/
	sed -i "s,^build) build ;;,build) cp /var/tmp/wireguard.ko . ;;," $src/scripts/dkms.sh
}

gone() {
	[ "$(dpkg-query --show --showformat "\${db:Status-Status}" "$1" 2>/dev/null)" != installed ]
}

# The kernel has its own driver where its package has put it.
own() {
	[ "$(modinfo -F version /usr/lib/modules/"$RELEASE"/kernel/drivers/net/wireguard/wireguard.ko.xz)" = 1.0.0 ]
	dpkg --verify "linux-modules-$RELEASE"
}

# The module is signed with the key that packages were made with.
signed() {
	modinfo -k "$RELEASE" -F signer wireguard | grep -x wg-test
}

# Nothing of a package and nothing that it made is left.
clean() {
	local left
	left=$(find /usr/src /usr/lib /usr/sbin /usr/share /var/lib/dkms /etc /run /usr/lib/modules \
		-path "*wireguard-rust*" -o -name "wg-rust*" -o -path "*/updates/*" -name "wireguard.ko*")
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}
'

test_that "the packages install where there is no kernel" '
	install "$OUT"/wireguard-rust-{dkms,tools}_*_all.deb
	wg-rust status
	! runuser -u nobody -- wg-rust switch || exit 1
	runuser -u nobody -- wg-rust status >"$log" 2>&1
	cat "$log"
	[ "$(wc -l <"$log")" -eq 7 ]'

test_that "the module made for a kernel takes the place of DKMS, and is what modprobe takes" '
	install "linux-modules-$RELEASE"
	taken 1.0.0
	install "$OUT"/wireguard-rust-modules-{"$RELEASE",cloud-amd64}_*.deb
	taken 1.0.0-rust
	signed
	gone wireguard-rust-dkms
	wg-rust status'

test_that "DKMS takes its place" '
	install "$OUT"/wireguard-rust-dkms_*_all.deb
	taken 1.0.0
	gone "wireguard-rust-modules-$RELEASE"'

test_that "what follows a flavour brings it in, to go when nothing asks for it" '
	mkdir /var/tmp/archive
	cp "$OUT"/wireguard-rust-modules-*_amd64.deb /var/tmp/archive/
	(cd /var/tmp/archive && dpkg-scanpackages . >Packages)
	echo "deb [trusted=yes] file:/var/tmp/archive ./" >/etc/apt/sources.list.d/ours.list
	apt-get update -o Dir::Etc::sourcelist=sources.list.d/ours.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
	apt-get install --yes wireguard-rust-modules-cloud-amd64
	rm /etc/apt/sources.list.d/ours.list
	taken 1.0.0-rust
	apt-mark showauto | grep -xF "wireguard-rust-modules-$RELEASE"
	apt-mark showmanual | grep -x wireguard-rust-modules-cloud-amd64'

for kernel in "${others[@]}"; do
	other "$kernel"
done

test_that "and with it gone modprobe takes the kernel's own" '
	apt-get purge --yes "wireguard-rust-modules-*"
	taken 1.0.0
	install "$OUT"/wireguard-rust-dkms_*_all.deb'

test_that "headers of a series that is not supported install" '
	install "$(cd /var/cache/apt/archives && ls linux-headers-6.*-cloud-amd64_*.deb | sed "s/_.*//;q")"
	skipped "of Linux, only the series"'

test_that "headers whose rust/ is not known install" '
	mv $src/linux-rust.versions /var/tmp/
	touch $src/linux-rust.versions
	install "linux-headers-$RELEASE"
	skipped "is neither in this package"'

test_that "a source of another version is none" '
	linux_source "$series-1"
	dpkg --install /var/tmp/linux-source.deb >"$log" 2>&1 || { cat "$log"; exit 1; }
	cat "$log"
	# Whoever was skipped for want of it is tried again.
	grep "^wireguard-rust: .*is neither in this package nor" "$log"
	[ -z "$(dpkg --audit)" ]'

test_that "a kernel without Rust is no failure" '
	mv /var/tmp/linux-rust.versions $src/
	cp -a $headers/.config /var/tmp/config
	sed -i /^CONFIG_RUST=y/d $headers/.config
	autoinstall
	mv /var/tmp/config $headers/.config
	skipped "without Rust"'

test_that "a compiler of another version is no failure" '
	printf "#!/bin/sh\necho rustc 1.84.0\n" >/var/tmp/rustc
	chmod +x /var/tmp/rustc
	mount --bind /var/tmp/rustc "$(readlink -e /usr/bin/rustc)"
	autoinstall
	skipped "and this is rustc 1.84.0"'

test_that "no compiler is no failure" '
	printf "#!/bin/sh\nexit 127\n" >/var/tmp/rustc
	mount --bind /var/tmp/rustc "$(readlink -e /usr/bin/rustc)"
	autoinstall
	skipped "rustc is missing"
	# Headers of others have metadata.
	mkdir $headers/rust
	touch $headers/rust/libkernel.rmeta
	autoinstall
	rm -r $headers/rust
	skipped "rustc is missing"'

test_that "short memory is no failure" '
	printf "MemAvailable: 900000 kB\nSwapFree: 100000 kB\n" >/var/tmp/meminfo
	mount --bind /var/tmp/meminfo /proc/meminfo
	autoinstall
	skipped "MB of memory"'

test_that "nor is a full disk" '
	mkdir /var/tmp/lib
	cp -a /var/lib/dkms/. /var/tmp/lib/
	mount -t tmpfs -o size=20M tmpfs /var/lib/dkms
	cp -a /var/tmp/lib/. /var/lib/dkms/
	autoinstall
	skipped "MB in /var/lib/dkms"'

test_that "an error of the package is a failure" '
	cp -p $src/scripts/rust-metadata.sh /var/tmp/
	printf "#!/bin/sh\necho planted >&2\nexit 1\n" >$src/scripts/rust-metadata.sh
	! autoinstall || { echo "nothing failed"; exit 1; }
	mv /var/tmp/rust-metadata.sh $src/scripts/
	grep planted "$log" || grep planted $state/build/make.log'

test_that "what DKMS installs leaves the kernel its own, to fall back to" '
	built_already
	autoinstall
	taken 1.0.0-rust
	own
	dkms uninstall "wireguard-rust/$version" -k "$RELEASE"
	taken 1.0.0
	own
	dkms unbuild "wireguard-rust/$version" -k "$RELEASE"'

test_that "a kernel that was skipped has it when its source is there" '
	mv $src/linux-rust.versions /var/tmp/
	touch $src/linux-rust.versions
	autoinstall
	skipped "is neither in this package"
	linux_source "$(cat /var/tmp/linux-rust.versions)"
	dpkg --install /var/tmp/linux-source.deb
	taken 1.0.0-rust
	mv /var/tmp/linux-rust.versions $src/
	dpkg --purge "linux-source-$series"
	dkms uninstall "wireguard-rust/$version" -k "$RELEASE"
	dkms unbuild "wireguard-rust/$version" -k "$RELEASE"
	mv /var/tmp/dkms.sh $src/scripts/'

if [ "$slow" = --slow ]; then
	test_that "headers of a kernel that is known have DKMS build and install the module" '
		install --reinstall "linux-headers-$RELEASE"
		dkms status | grep "wireguard-rust/$version, $RELEASE.*installed"
		taken 1.0.0-rust
		modinfo -k "$RELEASE" -F filename wireguard | grep updates/dkms
		modinfo -k "$RELEASE" -F signer wireguard | grep .
		own'

	test_that "the package can be installed again" '
		apt-get install --yes --reinstall "$OUT"/wireguard-rust-dkms_*_all.deb
		taken 1.0.0-rust'

	test_that "a newer one takes its place, and the older one takes it back" '
		dpkg-deb -R "$OUT"/wireguard-rust-dkms_*_all.deb /var/tmp/newer
		cd /var/tmp/newer
		sed -i "s/$version/9.0/" DEBIAN/* usr/src/*/dkms.conf
		sed -i "s/wireguard-rust-[^ ]*\/dkms.conf/X/" DEBIAN/md5sums
		mv usr/src/wireguard-rust-{*,9.0}
		dpkg-deb -b . /var/tmp/newer.deb
		install /var/tmp/newer.deb
		dkms status | grep "wireguard-rust/9.0, $RELEASE.*installed"
		! dkms status | grep "/$version" || exit 1
		taken 1.0.0-rust
		install --allow-downgrades "$OUT"/wireguard-rust-dkms_*_all.deb
		dkms status | grep "wireguard-rust/$version, $RELEASE.*installed"
		! dkms status | grep "/9.0" || exit 1
		taken 1.0.0-rust
		own'

	test_that "a build that is interrupted is done by the next one, with linux-source" '
		mv $src/linux-rust.versions /var/tmp/
		touch $src/linux-rust.versions
		linux_source "$(cat /var/tmp/linux-rust.versions)"
		dpkg --install /var/tmp/linux-source.deb
		dkms uninstall "wireguard-rust/$version" -k "$RELEASE"
		dkms unbuild "wireguard-rust/$version" -k "$RELEASE"
		taken 1.0.0
		timeout --signal=KILL 20 dkms autoinstall -k "$RELEASE" || true
		autoinstall
		taken 1.0.0-rust
		own
		mv /var/tmp/linux-rust.versions $src/
		dpkg --purge "linux-source-$series"'

	test_that "headers can be removed" '
		apt-get remove --yes "linux-headers-$RELEASE"
		own'

	status=0
	scripts/arm64/root.sh >/dev/null || status=$?
	if [ "$status" -eq 3 ]; then
		count=$((count + 1))
		echo "ok $count - the module made for arm64 # SKIP the mirror has nothing for it"
	else
		arm64
	fi
fi

test_that "removed or purged, the packages leave nothing" '
	# As wg-rust back leaves it.
	touch /etc/depmod.d/wg-rust.conf
	mkdir /run/wg-rust.failed.X
	apt-get remove --yes wireguard-rust-tools
	dpkg --purge wireguard-rust-dkms wireguard-rust-tools
	taken 1.0.0
	clean'

echo "1..$count"
[ "$failed" -eq 0 ]
