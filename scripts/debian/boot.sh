#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# boot.sh: takes a machine through what its user does with the packages, and boots it each time: Debian with
# its kernel of series 7.3 gets the module that is built already, and changes to and fro; one of 7.2 gets
# it by DKMS, is upgraded to 7.3, and goes back. After each boot, wg-quick brings up a tunnel that has to
# pass traffic, with the driver that is expected. Takes half an hour or more. Prints TAP.
#
# boot.sh arm64: the same with a machine of arm64, as far as modules are built already: one of 7.2 changes to
# and fro, is upgraded to 7.3, first without our module for that, and goes back. Takes an hour or more.

. "$(dirname "$0")/../lib.sh"

# Mounts end with this process.
if [ "${WG_TEST_PID-}" != $$ ]; then
	need_root
	WG_TEST_PID=$$ exec unshare --mount --propagation private "$BASH" "$0" "$@"
fi
unset WG_TEST_PID

cd "$WG_TOP" || exit
case $* in
'')
	machine=x86_64 kernel=stock which=(user) limit=1800
	# Nothing may be measured against the emulator's timer: qemu-test/launch.
	hardware=(-machine q35 -cpu max)
	parameters="console=ttyS0 no_timer_check tsc=unstable lpj=10000000"
	;;
arm64)
	machine=arm64 kernel=stock-arm64 which=(user arm64) limit=5400
	hardware=(-machine "virt,gic-version=3" -cpu cortex-a76)
	# Beside others it is slower than what systemd takes for dead.
	parameters="console=ttyAMA0 systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900"
	parameters+=" systemd.service_watchdogs=0"
	;;
*) die "usage: $0 [arm64]" ;;
esac

# prepare KERNEL: prints its release. The status is 3 if the archive has none.
prepare() {
	local directory
	directory=$(scripts/prepare-kernel.sh "$1") && cat "$directory/release"
}

status=0
new=$(prepare "$kernel") || status=$?
if [ "$status" -eq 3 ] && [ "$machine" != x86_64 ]; then
	echo "ok 1 - a machine of $machine # SKIP the mirror has nothing for it"
	echo 1..1
	exit
fi
[ "$status" -eq 0 ] || exit "$WG_FAILURE"
kernels=("$kernel")
old=$(prepare "$kernel-7.2") || status=$?
case $status in
0) kernels+=("$kernel-7.2") ;;
3) old= ;;
*) exit "$WG_FAILURE" ;;
esac
user_root=$(scripts/debian/root.sh "${which[@]}") || exit "$WG_FAILURE"
build_root=$(scripts/build-root.sh)
emulator_root=$(root_for "$machine")
deb=$WG_TOP/build-deb
DEBEMAIL='' DEBFULLNAME='' scripts/debian/make-packages.sh "${kernels[@]}" >&2

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

# What users' scripts have in common.
USER='
export DEBIAN_FRONTEND=noninteractive
begin() {
	systemctl enable wg-test
	printf "%s\n" virtio_blk virtio_pci ext4 >>/etc/initramfs-tools/modules
}
install() {
	apt-get install --yes --target-release trixie-backports "$@"
}
nothing_left() {
	local left
	left=$(dpkg --audit
		find /usr /etc /var/lib -path "*wireguard-rust*" -o -name "wg-rust*" -o -path "*/modules/*/updates/*")
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}
'

# in_machine COMMAND...: runs a command of the machine's, on its disk.
in_machine() {
	local status=0
	if [ "$machine" = x86_64 ]; then
		mount -o loop "$work/disk" "$work/root"
		in_root "$work/root" "$@" || status=$?
		umount "$work/root"
		return "$status"
	fi
	# It takes a guest of that kind.
	qemu-test/vm --kernel "$kernel" --driver none --mem 2G --timeout "$limit" --share "$work" \
		--qemu "-drive file=/mnt/share/disk,format=raw,if=virtio,cache=unsafe" -- bash -euc '
			modprobe --all virtio_blk ext4
			mount /dev/vda /media
			for directory in dev proc sys; do mount --rbind "/$directory" "/media/$directory"; done
			mkdir -p "/media$PWD"
			mount --bind . "/media$PWD"
			status=0
			chroot /media "$@" || status=$?
			umount --recursive /media
			exit "$status"
		' bash "$@"
}

# user TITLE SCRIPT: what the user does.
user() {
	local title=$1 status=0 start=$SECONDS
	in_machine env OLD="$old" NEW="$new" DEB="$deb" bash -euxo pipefail -c "$USER$2" >"$work/log" 2>&1 || status=$?
	mount -o loop "$work/disk" "$work/root"
	cp "$work/root/boot"/{vmlinuz,initrd.img}-* "$work/" 2>/dev/null || true
	umount "$work/root"
	result "$status" "$title" $((SECONDS - start))
}

# boots RELEASE VERSION [COMMANDS [PARAMETERS]]: the machine boots that kernel, with these parameters, and
# has a tunnel with that driver, after wg-rust COMMAND for each of these, which have a comma between them. One
# that has "killed-" before it is killed by SIGKILL when the driver is gone.
boots() {
	local release=$1 version=$2 status=0 start=$SECONDS
	in_root "$emulator_root" timeout "$limit" "qemu-system-${machine/arm/aarch}" -nodefaults -no-user-config \
		-display none -no-reboot -accel tcg,thread=multi -smp 2 -m 1024 "${hardware[@]}" -serial stdio \
		-drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
		-kernel "$work/vmlinuz-$release" -initrd "$work/initrd.img-$release" \
		-append "root=/dev/vda rw net.ifnames=0 $parameters panic=-1 systemd.show_status=0 systemd.getty_auto=0 expect=$version${3:+ also=$3}${4:+ $4}" \
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
		exec >/dev/console 2>&1
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
		for command in $(word also | tr , ' '); do
			before=$(cat /sys/module/wireguard/version)
			case $command in
			killed-*)
				# What systemd starts when it is.
				printf '%s\n' '#!/bin/sh' 'rm "$0"' 'cp /proc/$PPID/cgroup /run/killed' 'kill -KILL $PPID' \
					>/usr/local/sbin/modprobe
				chmod +x /usr/local/sbin/modprobe
				! wg-rust "${command#killed-}" || exit 1
				grep -q '/wg-rust.service$' /run/killed
				[ "$(cat /sys/module/wireguard/version)" = "$before" ]
				[ ! -e /run/wg-rust ]
				;;
			*)
				wg-rust "$command"
				[ "$(cat /sys/module/wireguard/version)" != "$before" ]
				;;
			esac
			ping -c 3 -W 20 10.7.0.2
		done
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

# What users do
# ---------------------------------------------------------------------------

on_x86_64() {
	user "a machine with Linux $new" '
		begin
		# With that, wg-rust is a unit of systemd.
		apt-get install --yes dbus
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
		nothing_left'
	boots "$new" 1.0.0
	[ -n "$old" ] || return 0
	user "a machine with Linux $old, and with DKMS" '
		apt-get purge --yes "linux-*-$NEW"
		# Not those of backports, which are newer than what the kernel was built with.
		apt-get install --yes bindgen clang dkms rust-src rustc
		install "linux-image-$OLD" "linux-headers-$OLD" "$DEB"/wireguard-rust-{dkms,tools}_*.deb
		dkms status | grep "$OLD.*installed"'
	boots "$old" 1.0.0-rust
	# Nor is that signed with a key that the kernel knows; and what DKMS has moved away is there.
	boots "$old" 1.0.0 "" module.sig_enforce=1
	boots "$old" 1.0.0-rust back,killed-switch,switch
	user "that builds for the kernel that it is upgraded to" '
		install "linux-image-$NEW" "linux-headers-$NEW"
		dkms status | grep "$NEW.*installed"'
	boots "$new" 1.0.0-rust
	user "and goes back to the one before" '
		apt-get purge --yes "linux-*-$NEW"'
	boots "$old" 1.0.0-rust
	user "without the package" '
		apt-get purge --yes "wireguard-rust-*"
		nothing_left'
	boots "$old" 1.0.0
}

# What takes minutes here, such as depmod, is done as few times as will do.
on_arm64() {
	user "a machine with Linux ${old:-$new}, and the module as it was built" '
		begin
		# The other choice that Debian has, and the one that does not take a quarter of an hour.
		echo MODULES=dep >/etc/initramfs-tools/conf.d/driver-policy
		install "linux-image-${OLD:-$NEW}"
		install "$DEB"/wireguard-rust-{tools,modules-"${OLD:-$NEW}"}_*.deb'
	boots "${old:-$new}" 1.0.0-rust back,switch
	if [ -n "$old" ]; then
		user "is upgraded to Linux $new, for which it has none" '
			install "linux-image-$NEW"'
		boots "$new" 1.0.0
		user "and gets it" '
			install "$DEB"/wireguard-rust-modules-{"$NEW",arm64}_*.deb'
		boots "$new" 1.0.0-rust
		user "and goes back to the one before" '
			apt-get purge --yes "linux-*-$NEW"'
		boots "$old" 1.0.0-rust
	fi
	user "without the packages" '
		apt-get purge --yes "wireguard-rust-*"
		nothing_left'
	boots "${old:-$new}" 1.0.0
}

"on_$machine"
if [ -z "$old" ]; then
	count=$((count + 1))
	echo "ok $count - a machine of series 7.2, which is upgraded # SKIP not in the archive"
fi
echo "1..$count"
[ "$failed" -eq 0 ]
