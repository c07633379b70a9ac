#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mutants.sh [FILE...]: changes the protocol, one place at a time, and has its tests notice. FILE
# is one of rust/proto, such as mac.rs; if none is named, it is all of them, which takes hours.
#
# A mutant is a copy in which a function returns something else at once, or an operator, a guard or an
# arm of a match is another or gone. Its tests are those of rust/proto, and if these pass, those of
# selftests/host. One that passes all has survived: a test is missing, unless there is nothing to
# notice, which selftests/mutants.toml says then, with the reason.

. "$(dirname "$0")/lib.sh"

VERSION=25.3.1
# Seconds for one mutant's tests: they take less than ten, and one that does not end is noticed.
TIMEOUT=60

cd "$WG_TOP" || exit
case ${1-} in -*) sed -n '/^#$/,/^$/s/^# \{0,1\}//p' "$0"; exit 2 ;; esac
files=()
for file; do
	file=rust/proto/${file#rust/proto/}
	[ -f "$file" ] || die "no such file: $file"
	files+=(--file "$file")
done
need_command git git

tool=$WG_CACHE/cargo-mutants-$VERSION
install_tool() {
	rm -rf "$1"
	step "cargo-mutants $VERSION" scripts/cargo.sh install cargo-mutants --version "$VERSION" --locked \
		--root "$1" --target-dir "$1/target"
	rm -rf "$1/target"
}
cached "$tool" install_tool

# Mutants are made in a copy, in which both crates are one workspace, and never in the checkout.
work=$WG_TOP/target/mutants
tree=$work/tree
mkdir -p "$work"
locked "$work.lock"
rm -rf "$tree" "$work/first"
mkdir -p "$tree"
git -c "safe.directory=*" ls-files -z --cached --others --exclude-standard rust/proto selftests/host |
	xargs -0 cp --parents --target-directory "$tree"
mv "$tree/selftests/host/Cargo.lock" "$tree/"
# The profile is the workspace's: what is made anew for each mutant is quick to make, the rest to run.
sed -i '/^\[profile/,$d' "$tree/selftests/host/Cargo.toml"
cat >"$tree/Cargo.toml" <<-END
	[workspace]
	members = ["rust/proto", "selftests/host"]
	resolver = "2"

	[profile.dev]
	debug = false
	overflow-checks = true

	[profile.dev.package]
	blake2.opt-level = 2
	chacha20.opt-level = 2
	curve25519-dalek.opt-level = 2
	poly1305.opt-level = 2
	wg_proto.opt-level = 1
	wg_selftests.opt-level = 1
END

# Those that need not be noticed.
mkdir "$tree/.cargo"
cp selftests/mutants.toml "$tree/.cargo/mutants.toml"

# mutants OPTION...: runs cargo-mutants. Status 2 means that mutants have survived, 3 that some did not end.
mutants() {
	local status=0
	scripts/in-root.sh env CARGO_HOME="$WG_CACHE/cargo" CARGO_TARGET_DIR="$work/target" \
		PATH="$tool/bin:/usr/bin:/bin" nice cargo mutants --dir "$tree" --output "$work" --package wg_proto --jobs 1 \
		--timeout "$TIMEOUT" --no-shuffle --colors never ${files[@]+"${files[@]}"} "$@" || status=$?
	case $status in 0 | 2 | 3) ;; *) die "cargo-mutants failed with status $status" ;; esac
}

# What is left out exists: the list of all mutants has it.
scripts/in-root.sh env PATH="$tool/bin:/usr/bin:/bin" cargo mutants --dir "$tree" --package wg_proto \
	--no-config --list >"$work/list"
while IFS= read -r expression; do
	grep -qE -- "$expression" "$work/list" || die "selftests/mutants.toml: there is no mutant $expression"
done < <(sed -n "s/^[[:space:]]*'\(.*\)',$/\1/p" selftests/mutants.toml)

rm -rf "$work"/mutants.out{,.old}
mutants --test-workspace=false -- --lib
cp -r "$work/mutants.out" "$work/first"
[ ! -s "$work/mutants.out/missed.txt" ] || mutants --test-workspace=true --iterate

# count KIND DIRECTORY: how many there were.
count() {
	cat "$work/$2/$1.txt" 2>/dev/null | wc -l
}

caught=$(($(count caught first) + $(count timeout first)))
more=0
survived=0
if [ -s "$work/first/missed.txt" ]; then
	more=$(($(count caught mutants.out) + $(count timeout mutants.out)))
	survived=$(count missed mutants.out)
fi
echo "# $((caught + more + survived)) mutants that compile: $caught noticed by the tests of rust/proto," \
	"$more by those of selftests/host; $survived survived"
[ "$survived" -eq 0 ] || {
	sed 's/^/not ok - survived: /' "$work/mutants.out/missed.txt"
	exit 1
}
if [ "$((caught + more))" -eq 0 ]; then
	echo 'not ok - there are no mutants that compile'
	exit 1
fi
echo "ok - mutants of ${*:-rust/proto}"
