#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rust-source.sh SOURCE VERSION DIRECTORY [FILE...]: copies to DIRECTORY what rust-metadata.sh needs of a
# kernel's source: rust/ and what it includes; and each FILE of it. SOURCE is a source tree, or a .tar of
# any compression with one in a directory of its own. VERSION is that of the package that the source came
# with, or of the kernel if there is none.

set -euo pipefail

files=(rust scripts/generate_rust_target.rs scripts/rust_is_available_bindgen_libclang.h
	drivers/base/base.h drivers/android/binder/rust_binder.h
	drivers/android/binder/rust_binder_events.h)

[ $# -ge 3 ] || { echo "usage: $0 SOURCE VERSION DIRECTORY [FILE...]" >&2; exit 1; }
source=$1 version=$2 directory=$3
files+=("${@:4}")

mkdir -p "$directory"
if [ -d "$source" ]; then
	tar -C "$source" -cf - Makefile "${files[@]}" | tar -C "$directory" -xf -
else
	# From the directory that the first member is in. Reading on to the end is what takes time.
	top=$({ tar -tf "$source" 2>/dev/null || true; } | head -n 1)
	files=(Makefile "${files[@]}")
	tar -C "$directory" --strip-components 1 -xf "$source" "${files[@]/#/${top%%/*}/}"
fi
# Only the version is of interest.
sed -n -i '/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\|EXTRAVERSION\) =/p' "$directory/Makefile"
echo "$version" >"$directory/version"
