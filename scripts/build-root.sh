#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the build root, a Debian trixie with the packages of scripts/packages, and prints its path.
# It comes from the mirrors that the host's apt uses; DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR
# name others.

. "$(dirname "$0")/lib.sh"

SUITE=trixie

# Taken from backports, at whatever version they are there.
BACKPORTS="wireguard-tools"

packages=$(recipe "$WG_TOP/scripts/packages" | tr '\n' ' ')

# Prints the host's mirror for Debian ($1 empty) or for its security archive ($1 = -security).
host_mirror() {
	command -v apt-get >/dev/null || return 0
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk -v suffix="$1" '
			$2 ~ /-backports|-updates|-proposed/ { next }
			$1 !~ /\/debian(-security)?\/?$/ { next }
			($2 ~ /-security/) == (suffix != "") { print $1; exit }'
}

make_root() {
	local part=$1 mirror security
	need_root
	need_space "$WG_CACHE" 6000
	[ "$(dpkg --print-architecture 2>/dev/null || uname -m)" = amd64 ] ||
		[ "$(uname -m)" = x86_64 ] || die "only x86-64 hosts are supported so far"
	mirror=${DEBIAN_MIRROR:-$(host_mirror '')}
	[ -n "$mirror" ] ||
		die "this host's apt has no Debian mirror; name one: DEBIAN_MIRROR=http://... (directory with dists/)"
	security=${DEBIAN_SECURITY_MIRROR:-}
	[ -n "$security" ] || [ -n "${DEBIAN_MIRROR:-}" ] || security=$(host_mirror -security)
	[ -n "$security" ] || security=${mirror%/}-security
	need_command debootstrap debootstrap

	rm -rf --one-file-system "$part"
	mkdir -p "$part"
	step "Debian $SUITE" bootstrap "$part" "$mirror"
	sources "$mirror" "${security%/}" >"$part/etc/apt/sources.list"
	echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/cache"
	printf '%s\n' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' \
		'APT::Sandbox::User "root";' 'Acquire::Retries "3";' \
		>"$part/etc/apt/apt.conf.d/90cache"
	# The host's way to the network.
	if command -v apt-config >/dev/null; then
		apt-config dump | grep -iE '^Acquire::(https?|ftp)::' \
			>"$part/etc/apt/apt.conf.d/91host" || true
	fi
	if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
		echo 'Acquire::https::CAInfo "/run/certificates.crt";' \
			>>"$part/etc/apt/apt.conf.d/91host"
	fi
	step "package lists" in_root "$part" apt-get update
	# shellcheck disable=SC2086
	step "packages" in_root "$part" env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes $packages
	# shellcheck disable=SC2086
	step "packages from backports" in_root "$part" env DEBIAN_FRONTEND=noninteractive \
		apt-get install --yes --target-release "$SUITE-backports" $BACKPORTS
	step "package archives removed" in_root "$part" apt-get clean
}

bootstrap() {
	debootstrap --variant=minbase "$SUITE" "$1" "$2" || {
		grep -hE 'Failed|E:|error' "$1/debootstrap/debootstrap.log" | tail -n 5
		echo "no network, or not a Debian mirror? $2"
		return 1
	}
}

sources() {
	local suite
	for suite in "$SUITE" "$SUITE-updates" "$SUITE-backports"; do
		echo "deb $1 $suite main"
	done
	echo "deb $2 $SUITE-security main"
}

root=$WG_CACHE/root-$({
	echo "$SUITE $packages $BACKPORTS"
	declare -f make_root bootstrap sources
} | key)
cached "$root" make_root
echo "$root"
