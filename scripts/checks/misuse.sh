#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# misuse.sh [DIRECTORY]: fails unless the compiler refuses each selftests/misuse/*.rs for the
# reason that its first comment gives, as if it were a driver on top of the wg_kernel that was built in
# DIRECTORY. Two lines of that comment matter, or a third one in their place:
#
#   // refused: E0308                 the only kind of errors that there are
#   // says: expected `...`           a part of what they say
#   // compiles                       it is not refused, which shows that the rest is for their reason
#
# What the others take from wg_kernel, and the methods that they call, the one that compiles has to use as
# well, but for what it says: a name that is no longer there would be refused, too.

set -eu

top=$(realpath "$(dirname "$0")/../..")
build=$(realpath "${1:-$top/build-stock}")
cd "$build"

command=$("$top/scripts/checks/driver-rustc.sh" "$build")

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# header FILE FIELD: what the comment at the top of a file says of it.
header() {
	sed -n "/^\$/q; s/^\\/\\/ $2: //p" "$1"
}

# try FILE: compiles it, and says what is wrong with the result, if anything is.
try() {
	local file=$1 name code says codes
	name=$(basename "$file" .rs)
	code=$(header "$file" refused)
	says=$(header "$file" says)
	if RUSTC_BOOTSTRAP=1 sh -c "$command -Awarnings --crate-name misuse --emit=metadata=$out/$name.rmeta $file" \
		>"$out/$name.out" 2>&1; then
		grep -qx '// compiles' "$file" || echo "$name: compiles, but must be refused with $code"
		return
	fi
	# Errors without a number count, too.
	codes=$(sed -nE '/^error: aborting/d; s/^error(\[(E[0-9]+)\])?: .*/\2!/p' "$out/$name.out" |
		sort -u | xargs)
	if [ -z "$code" ] || [ -z "$says" ]; then
		echo "$name: does not compile"
	elif [ "$codes" != "$code!" ]; then
		echo "$name: is not refused with $code alone"
	elif ! tr '\n' ' ' <"$out/$name.out" | grep -qF -- "$says"; then
		echo "$name: is refused, but not because: $says"
	else
		return 0
	fi
	sed 's/^/    /' "$out/$name.out"
}

# names FILE: types that a file takes from wg_kernel, and methods that it calls.
names() {
	{
		sed -n '/^use wg_kernel.*;$/{p;d}; /^use wg_kernel/,/;$/p' "$1" | grep -oE '\b[A-Z][A-Za-z0-9]*\b'
		sed '/^ *\/\//d' "$1" | grep -oE '\.[a-z_0-9]+\(' | tr -d '.('
	} | sort -u
}

files=("$top"/selftests/misuse/*.rs)
control=$top/selftests/misuse/control.rs
for file in "${files[@]}"; do
	try "$file" >"$out/$(basename "$file" .rs).wrong" &
	# As many at a time as there are CPUs.
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n || true
	done
done
wait
for file in "${files[@]}"; do
	missing=$(comm -23 <(names "$file") <({ names "$control"; header "$control" 'but for' | tr ' ' '\n'; } | sort -u) | xargs)
	[ -z "$missing" ] || echo "$(basename "$control" .rs): does not use $missing, as $(basename "$file" .rs) does" >>"$out/$(basename "$file" .rs).wrong"
done
cat "$out"/*.wrong >&2
[ -z "$(cat "$out"/*.wrong)" ] || exit 1
grep -qx '// compiles' "${files[@]}" || { echo 'there is nothing in selftests/misuse that compiles' >&2; exit 1; }
echo "${#files[@]} files"
