#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# boot.sh: takes a machine through what its user does with the packages, and boots it each time: Debian with
# its kernel of series 7.3 gets the module that is built already, and changes to and fro; one of 7.2 gets
# it by DKMS, is upgraded to 7.3, and goes back. After each boot, wg-quick brings up a tunnel that has to
# pass traffic, with the driver that is expected. Takes half an hour or more. Prints TAP.

. "$(dirname "$0")/../lib.sh"

# Mounts end with this process.
if [ "${WG_TEST_PID-}" != $$ ]; then
	need_root
	WG_TEST_PID=$$ exec unshare --mount --propagation private "$BASH" "$0" "$@"
fi
unset WG_TEST_PID

cd "$WG_TOP" || exit
user_root=$(scripts/debian/root.sh user) || exit "$WG_FAILURE"
build_root=$(scripts/build-root.sh)
old=$(cat "$(scripts/prepare-kernel.sh stock-7.2)/release")
new=$(cat "$(scripts/prepare-kernel.sh stock)/release")
deb=$WG_TOP/build-deb
DEBEMAIL='' DEBFULLNAME='' scripts/debian/make-packages.sh stock stock-7.2 >&2

work=$(mktemp -d "$WG_CACHE/boot.XXXXXX")
trap 'umount --recursive "$work/root" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
mkdir "$work/root"
failed=0 count=0

result() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2 ($3 s)"
	else
		failed=$((failed + 1))
		echo "not ok $count - $2 ($3 s)"
		tail -n 60 "$work/log" | tr -d '\r' | sed 's/^/# /'
	fi
}

# user TITLE SCRIPT: what the user does, on the machine's disk.
user() {
	local title=$1 status=0 start=$SECONDS
	mount -o loop "$work/disk" "$work/root"
	in_root "$work/root" env DEBIAN_FRONTEND=noninteractive OLD="$old" NEW="$new" DEB="$deb" \
		bash -euo pipefail -c 'install() { apt-get install --yes --target-release trixie-backports "$@"; }
	'"$2" >"$work/log" 2>&1 || status=$?
	cp "$work/root/boot"/{vmlinuz,initrd.img}-* "$work/" 2>/dev/null || true
	umount "$work/root"
	result "$status" "$title" $((SECONDS - start))
}

# boots RELEASE VERSION [COMMAND [PARAMETERS]]: the machine boots that kernel, with these parameters, and
# has a tunnel with that driver, after wg-rust COMMAND.
boots() {
	local release=$1 version=$2 status=0 start=$SECONDS
	in_root "$build_root" timeout 1800 qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		-accel tcg,thread=multi -cpu max -smp 2 -m 1024 -machine q35 -serial stdio \
		-drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
		-kernel "$work/vmlinuz-$release" -initrd "$work/initrd.img-$release" \
		-append "root=/dev/vda rw console=ttyS0 net.ifnames=0 no_timer_check tsc=unstable lpj=10000000 panic=-1 systemd.show_status=0 expect=$version${3:+ also=$3}${4:+ $4}" \
		>"$work/log" 2>&1 </dev/null || status=$?
	[ "$status" -eq 0 ] && grep -q '^wg-test: ok' "$work/log" || status=1
	result "$status" "$release boots and has a tunnel with $version${3:+, after wg-rust $3}${4:+, with $4}" $((SECONDS - start))
}

# Of the machine: a tunnel to a peer in a namespace, configured by wg-quick's service.
furnish() {
	local root=$1 a b
	a=$(in_root "$build_root" wg genkey)
	b=$(in_root "$build_root" wg genkey)
	mkdir -p "$root/etc/wireguard"
	cat >"$root/etc/wireguard/wg0.conf" <<-END
		[Interface]
		PrivateKey = $a
		Address = 10.7.0.1/24
		ListenPort = 51820
		[Peer]
		PublicKey = $(in_root "$build_root" wg pubkey <<<"$b")
		AllowedIPs = 10.7.0.2/32
		Endpoint = 10.1.0.2:51820
	END
	cat >"$root/etc/wireguard/b" <<-END
		[Interface]
		PrivateKey = $b
		ListenPort = 51820
		[Peer]
		PublicKey = $(in_root "$build_root" wg pubkey <<<"$a")
		AllowedIPs = 10.7.0.1/32
		Endpoint = 10.1.0.1:51820
	END
	cat >"$root/usr/local/sbin/wg-test" <<-'END'
		#!/bin/bash
		exec >/dev/ttyS0 2>&1
		word() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" /proc/cmdline; }
		trap 'systemctl poweroff --force' EXIT
		set -ex
		[ "$(modinfo -F version wireguard)" = "$(word expect)" ] || [ -n "$(word also)$(word module.sig_enforce)" ]
		ip netns add b
		ip link add v0 type veth peer name v1 netns b
		ip address add 10.1.0.1/24 dev v0
		ip link set v0 up
		ip -n b address add 10.1.0.2/24 dev v1
		ip -n b link set v1 up
		ip -n b link add wg1 type wireguard
		ip netns exec b wg setconf wg1 /etc/wireguard/b
		ip -n b address add 10.7.0.2/24 dev wg1
		ip -n b link set wg1 up
		systemctl start wg-quick@wg0
		ping -c 3 -W 20 10.7.0.2
		if [ -n "$(word also)" ]; then wg-rust "$(word also)"; ping -c 3 -W 20 10.7.0.2; fi
		! command -v wg-rust || wg-rust status
		[ "$(cat /sys/module/wireguard/version)" = "$(word expect)" ]
		systemctl is-active wg-quick@wg0
		systemctl stop wg-quick@wg0
		! dmesg | grep -E 'BUG:|WARNING:|Oops'
		echo "wg-test: ok"
	END
	chmod +x "$root/usr/local/sbin/wg-test"
	cat >"$root/etc/systemd/system/wg-test.service" <<-END
		[Service]
		Type=simple
		ExecStart=/usr/local/sbin/wg-test
		[Install]
		WantedBy=multi-user.target
	END
}

truncate -s 5G "$work/disk"
step "the machine's disk" mkfs.ext4 -q -d "$user_root" "$work/disk"
mount -o loop "$work/disk" "$work/root"
furnish "$work/root"
umount "$work/root"

user "a machine with Linux $new" '
	systemctl enable wg-test
	systemctl mask serial-getty@ttyS0
	printf "%s\n" virtio_blk virtio_pci ext4 >>/etc/initramfs-tools/modules
	install "linux-image-$NEW"'
user "with the module as it was built" '
	install "$DEB"/wireguard-rust-{tools,modules-"$NEW",modules-cloud-amd64}_*.deb'
boots "$new" 1.0.0-rust
# As with Secure Boot: the module is not signed.
boots "$new" 1.0.0 "" module.sig_enforce=1
boots "$new" 1.0.0 back
boots "$new" 1.0.0-rust switch
user "and without it again" '
	apt-get purge --yes "wireguard-rust-*"
	[ -z "$(dpkg --audit)" ]'
boots "$new" 1.0.0
user "a machine with Linux $old, and with DKMS" '
	apt-get purge --yes "linux-*-$NEW"
	# Not those of backports, which are newer than what the kernel was built with.
	apt-get install --yes bindgen clang dkms rust-src rustc
	install "linux-image-$OLD" "linux-headers-$OLD" "$DEB"/wireguard-rust-{dkms,tools}_*.deb
	dkms status | grep "$OLD.*installed"'
boots "$old" 1.0.0-rust
user "that builds for the kernel that it is upgraded to" '
	install "linux-image-$NEW" "linux-headers-$NEW"
	dkms status | grep "$NEW.*installed"'
boots "$new" 1.0.0-rust
user "and goes back to the one before" '
	apt-get purge --yes "linux-*-$NEW"'
boots "$old" 1.0.0-rust
user "without the package" '
	apt-get purge --yes "wireguard-rust-*"
	[ -z "$(dpkg --audit)" ]'
boots "$old" 1.0.0

echo "1..$count"
[ "$failed" -eq 0 ]
