#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [CHECK...]: what can be said of the sources and objects without running them. Runs all
# checks, or those named, with the tools of the build root. Prints TAP.

. "$(dirname "$0")/lib.sh"

CHECKS=(rustfmt clippy-kbuild clippy-cargo shellcheck checkpatch objects secrets constant-time misuse unused links unsafe helpers specification behaviour traces tests docs subjects editor places)

cd "$WG_TOP" || exit

need_command git git
# A checkout of another user is as good, as it is only read.
git=(git -c "safe.directory=*")
"${git[@]}" ls-files --error-unmatch scripts/check.sh >/dev/null || die "$WG_TOP is no checkout of git"

# The project's files, those not yet committed too, that match a pattern.
files() {
	"${git[@]}" ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

# Formatted as the kernel is, and no file too long to be read.
check_rustfmt() {
	local long
	long=$(files '*.rs' '*.[ch]' '*.py' '*.sh' | while read -r file; do
		[ "$(wc -l <"$file")" -lt 500 ] || echo "$file has 500 lines or more"
	done)
	[ -z "$long" ] || { echo "$long"; return 1; }
	files '*.rs' | xargs scripts/in-root.sh rustfmt --check --edition 2021
}

# The four crates as the kernel lints its own.
check_clippy-kbuild() {
	MO=$WG_TOP/build-clippy scripts/kbuild.sh stock modules CLIPPY=1 W=e
}

# The protocol and its tests. As for the kernel, `precedence` is too eager before Rust 1.86.
check_clippy-cargo() {
	local manifest
	for manifest in rust/proto/Cargo.toml selftests/host/Cargo.toml selftests/aead/Cargo.toml; do
		scripts/cargo.sh clippy --manifest-path "$manifest" --all-targets -- \
			-D warnings -A clippy::precedence || return
	done
	cd selftests/fuzz || return
	../../scripts/cargo.sh clippy --release --locked -- -D warnings -A clippy::precedence
}

# Scripts, and apart from them, since they do not use all that they offer, the files they read.
check_shellcheck() {
	local scripts libraries
	scripts=$(files | xargs grep -lm 1 -E '^#!.*/(env )?(ba)?sh$')
	libraries=$(files '*.sh' | grep -vxF "$scripts") || true
	xargs scripts/in-root.sh shellcheck --severity=warning <<<"$scripts" &&
		xargs scripts/in-root.sh shellcheck --severity=warning --exclude=SC2034 <<<"$libraries"
}

# C as the kernel wants it. Helpers have no prototypes, and Rust, not C, uses them.
check_checkpatch() {
	local kernel
	kernel=$(scripts/prepare-kernel.sh stock)/kdir/source
	files '*.c' '*.h' | xargs scripts/in-root.sh perl "$kernel/scripts/checkpatch.pl" --no-tree \
		--terse --strict --show-types --summary-file --file \
		--ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG,AVOID_EXTERNS,CAMELCASE
}

# No object can panic, and no layer reaches past the one below it: compiled for speed, for size, and for
# what else was built here, as what is inlined differs. (Not debug, which has Rust's assertions.)
check_objects() {
	local kernel kernels=(stock uml) ours=() arm64=()
	for kernel in build-*/rust/wireguard/main.o; do
		kernel=${kernel%%/*}
		kernel=${kernel#build-}
		case $kernel in stock | uml | debug*) continue ;; esac
		! flavour_of "$kernel" >/dev/null || kernels+=("$kernel")
	done
	for kernel in "${kernels[@]}"; do
		scripts/kbuild.sh "$kernel" modules || return
		case $(machine_of "$kernel") in
		arm64) arm64+=("build-$kernel/rust") ;;
		*) ours+=("build-$kernel/rust") ;;
		esac
	done
	scripts/in-root.sh scripts/checks/objects.sh "${ours[@]}" || return
	[ ${#arm64[@]} -eq 0 ] ||
		in_root "$(root_for arm64)" env "${WG_BUILD_ARM64[@]}" scripts/checks/objects.sh "${arm64[@]}"
}

# No object leaves secrets where they are not wiped, compiled for speed or for size.
check_secrets() {
	local kernel
	for kernel in stock uml; do
		scripts/kbuild.sh "$kernel" modules &&
			scripts/in-root.sh scripts/checks/secrets.sh "build-$kernel/rust" || return
	done
	scripts/checks/depth.sh stock
}

# The time that code takes with secrets does not depend on them: run with secrets that have no value,
# of which valgrind, on the host, says where something depends on one.
check_constant-time() {
	local kernel out=build-stock/constant header
	need_command valgrind valgrind
	mkdir -p "$out/include/valgrind"
	for header in valgrind memcheck; do
		cp "/usr/include/valgrind/$header.h" "$out/include/valgrind/" || return
	done
	kernel=$(scripts/prepare-kernel.sh stock)/kdir/source
	scripts/kbuild.sh stock modules && scripts/in-root.sh scripts/checks/constant.sh build-stock "$kernel" "$out" &&
		valgrind --quiet --error-limit=no --log-file="$out/log" "$out/constant"
}

# What would break the kernel from safe code is refused by the compiler.
check_misuse() {
	scripts/kbuild.sh stock modules && scripts/in-root.sh scripts/checks/misuse.sh build-stock
}

# All of the protocol that is tested runs.
check_unused() {
	scripts/kbuild.sh stock modules && scripts/in-root.sh scripts/checks/unused.sh build-stock
}

# Links in comments name something.
check_links() {
	scripts/kbuild.sh stock modules && scripts/in-root.sh scripts/checks/links.sh build-stock
}

# All unsafe code of the module is in two crates, and each piece of it says why it is sound.
check_unsafe() {
	local found blocks comments
	found=$(files 'rust/*.rs' | grep -vE '^rust/(kernel|bindings)/' |
		xargs grep -nw unsafe | grep -vE 'forbid\(unsafe_code\)|:[0-9]+:[[:space:]]*//') || true
	[ -z "$found" ] || { echo "$found"; return 1; }
	blocks=$(files 'rust/kernel/*.rs' | xargs cat | grep -cE 'unsafe (\{|impl)') || true
	comments=$(files 'rust/kernel/*.rs' | xargs cat | grep -c '// SAFETY:') || true
	[ "$blocks" -gt 0 ] || { echo 'rust/kernel has no unsafe code'; return 1; }
	[ "$blocks" -le "$comments" ] || {
		echo "rust/kernel has $blocks unsafe blocks and impls, but $comments SAFETY comments"
		return 1
	}
}

# A helper has the name of the function that it makes callable, or one of its own, which begins with wg_; and
# it decides nothing.
check_helpers() {
	files 'rust/helpers/*' | xargs scripts/in-root.sh python3 scripts/checks/helpers.py
}

# The netlink family is what the kernel's specification says: that of each supported series whose source
# is there.
check_specification() {
	local specification series specifications=()
	scripts/prepare-kernel.sh stock >/dev/null || return
	for specification in "$WG_CACHE"/debs-*[0-9a-f]/source/Documentation/netlink/specs/wireguard.yaml; do
		for series in $WG_SERIES; do
			case $(cat "${specification%/source/*}/release") in "$series".*) specifications+=("$specification") ;; esac
		done
	done
	scripts/in-root.sh python3 scripts/checks/specification.py "${specifications[@]}"
}

# Each fact that is known of the in-tree driver is named by a test, and who counts them can count.
check_behaviour() {
	selftests/ids --lint && selftests/ids --self-check
}

# Each requirement names code that does it and a test of it, and these are there.
check_traces() {
	scripts/in-root.sh python3 scripts/checks/traces.py
}

# What guest tests say at their top is understood, and what they need is there.
check_tests() {
	scripts/checks/tests.sh
}

# Names in the documentation are those of something that exists.
check_docs() {
	local kernel
	kernel=$(scripts/prepare-kernel.sh stock)/kdir/source
	scripts/in-root.sh python3 scripts/checks/docs.py "$kernel"
}

# Subjects of commits are as contributing.rst says.
check_subjects() {
	scripts/checks/subjects.sh
}

# What editors are told of the crates can be made, and names files that exist.
check_editor() {
	scripts/rust-analyzer.sh stock build-stock/rust-project.checked.json
}

# The checkout can be where guests, and builds, have directories of their own.
check_places() {
	local place directory status=0
	for place in /tmp /run /mnt /dev/shm; do
		[ -w "$place" ] || continue
		directory=$(mktemp -d "$place/rust-wireguard.XXXXXX") || return
		# shellcheck disable=SC2016
		unshare --mount --propagation private sh -euc '
			mount --bind "$1" "$2"
			cd "$2"
			[ "$(scripts/in-root.sh pwd)" = "$2" ]
			[ "$(qemu-test/vm --kernel uml --driver none -- sh -c "test -e qemu-test/vm && pwd")" = "$2" ]' \
			sh "$WG_TOP" "$directory" || { echo "$place: not there"; status=1; }
		rmdir "$directory"
	done
	return "$status"
}

[ $# -gt 0 ] || set -- "${CHECKS[@]}"
count=0 failed=0
# What takes time to make is made first, where its progress is seen.
case " $* " in
*' clippy-kbuild '* | *' checkpatch '* | *' objects '* | *' secrets '* | *' constant-time '* | *' misuse '* | *' unused '* | *' links '* | *' specification '* | *' docs '* | *' editor '*)
	scripts/prepare-kernel.sh stock >/dev/null
	;;
esac
case " $* " in *' objects '* | *' secrets '* | *' places '*) scripts/prepare-kernel.sh uml >/dev/null ;; esac
echo "TAP version 13"
for check; do
	declare -F "check_$check" >/dev/null || die "no such check: $check; there are: ${CHECKS[*]}"
	count=$((count + 1))
	if output=$(set -e; "check_$check" 2>&1 </dev/null); then
		echo "ok $count - $check"
	else
		failed=$((failed + 1))
		echo "not ok $count - $check"
		tail -n 100 <<<"$output" | sed 's/^/# /'
	fi
done
echo "1..$count"
[ "$failed" -eq 0 ]
