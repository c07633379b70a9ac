#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# links.sh [DIRECTORY]: fails if a link in a comment of the three crates, such as [`Peer::stop`], names
# nothing. The crates are documented as they were built in DIRECTORY.

set -eu

top=$(realpath "$(dirname "$0")/../..")
build=$(realpath "${1:-$top/build-stock}")
cd "$build"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# document CRATE SOURCE OPTION...: what SOURCE, the crate's, says is wrong.
document() {
	local crate=$1 source=$2 command
	shift 2
	case $crate in wireguard) command=rust/wireguard/.main.o.cmd ;; *) command=rust/${crate#wg_}/.lib.o.cmd ;; esac
	command=$(sed -n '1s/^savedcmd_[^ ]* := //p' "$command")
	# What says how code is made, and where, is not for rustdoc.
	command="${command%%rustc *}rustdoc --crate-name $crate $(grep -oE -- \
		" (--(edition|target|sysroot|cfg|extern)[= ]|-L |@|-Z(allow-features|crate-attr|unstable-options))('[^']*'|[^ ])*" \
		<<<"$command" | tr -d '\n')"
	RUSTC_BOOTSTRAP=1 sh -c "$command --document-private-items -Awarnings -Drustdoc::broken_intra_doc_links \
		--output $out/doc $* $source"
}

# A link to nothing is found, with the others of its crate.
cp -r "$top/rust/proto" "$out/control"
echo '/// See [`Noon::strikes`].
const CONTROL: u32 = 12;' >>"$out/control/tai64n.rs"
errors=$(document wg_proto "$out/control/lib.rs" 2>&1) || true
grep -qF 'unresolved link to `Noon::strikes`' <<<"$errors" || { echo "$errors"; echo 'a link to nothing is not found'; exit 1; } >&2

document wg_kernel "$top/rust/kernel/lib.rs"
document wg_proto "$top/rust/proto/lib.rs"
document wireguard "$top/rust/wireguard/main.rs"
