#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Reports which lines of rust/proto the tests on the host reach, and fails below COVERAGE_MINIMUM
# per cent (90).

. "$(dirname "$0")/lib.sh"

minimum=${COVERAGE_MINIMUM:-90}
data=$WG_TOP/target/coverage
rm -rf "$data/raw"
mkdir -p "$data/raw"

export RUSTFLAGS=-Cinstrument-coverage LLVM_PROFILE_FILE=$data/raw/%p-%m.profraw
objects=()
for crate in rust/proto selftests/host; do
	[ -e "$WG_TOP/$crate/Cargo.toml" ] || continue
	"$WG_TOP/scripts/cargo.sh" test --target-dir "$data" --manifest-path "$WG_TOP/$crate/Cargo.toml" \
		--tests --message-format json >"$data/messages"
	while read -r object; do
		objects+=(--object "$object")
	done < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$data/messages")
done

# Tests in a file of their own do not count as covered code.
"$WG_TOP/scripts/in-root.sh" sh -eu -c '
	data=$1 source=$2
	shift 2
	llvm-profdata merge --sparse "$data"/raw/*.profraw --output "$data/profile"
	llvm-cov report --instr-profile "$data/profile" "$@" \
		--ignore-filename-regex "/tests(/|\.rs)" --show-region-summary=false \
		--show-branch-summary=false --sources "$source"' \
	sh "$data" "$WG_TOP/rust/proto" "${objects[@]}" | tee "$data/report"

lines=$(awk '$1 == "TOTAL" { sub(/%/, "", $NF); print $NF }' "$data/report")
[ -n "$lines" ] || die "no report"
awk -v lines="$lines" -v minimum="$minimum" 'BEGIN { exit !(lines >= minimum) }' ||
	die "the tests reach $lines % of the lines of rust/proto; $minimum % are asked for"
echo "the tests reach $lines % of the lines of rust/proto"
