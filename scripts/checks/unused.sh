#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# unused.sh [DIRECTORY]: fails if rust/proto has an item that neither the driver nor another item of
# it uses, tests apart: then what is tested is not what runs. Of a crate, the compiler takes all that is
# public to be of use to somebody. So it is shown the protocol as a module of the driver, of which it knows
# who uses what; the driver as it was built in DIRECTORY. What it does not see are fields of a type that
# implements a trait of another crate, such as PartialEq, and what only such an implementation uses.

set -eu

top=$(realpath "$(dirname "$0")/../..")
build=$(realpath "${1:-$top/build-stock}")
command=$("$top/scripts/checks/driver-rustc.sh" "$build")
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Lines stay where they are.
cp -r "$top/rust/wireguard" "$out/driver"
cp -r "$top/rust/proto" "$out/driver/wg_proto"
cd "$out/driver"
mv wg_proto/lib.rs wg_proto/mod.rs
find . -name '*.rs' ! -path './wg_proto/*' -exec sed -i -E 's/\bwg_proto::/crate::&/' {} +
find wg_proto -name '*.rs' -exec sed -i -E 's/\bcrate::/&wg_proto::/' {} +
sed -i 's/^#!\[cfg_attr(not(CONFIG_RUST), no_std)\]$//' wg_proto/mod.rs
echo 'mod wg_proto;' >>main.rs

# If the compiler does not see these, it does not see others either.
cat >>wg_proto/tai64n.rs <<'END'
pub const CONTROL_CONSTANT: u32 = 0;
pub fn control_function() { control_callee() }
pub fn control_callee() {}
pub struct ControlType { pub field: u32 }
impl Timestamp {
    pub fn control_method(&self) {}
}
#[cfg(test)]
fn test() {
    control_function();
    Timestamp::default().control_method();
    assert_eq!(ControlType { field: CONTROL_CONSTANT }.field, 0);
}
END

# Errors other than these are not the driver's, which was compiled before.
cd "$build"
RUSTC_BOOTSTRAP=1 sh -c "$command -Awarnings -Ddead_code --crate-name unused --error-format=short \
	--emit=metadata=$out/unused.rmeta $out/driver/main.rs" 2>"$out/errors" || true
found=$(grep -v '^error: aborting due to ' "$out/errors" |
	sed "s,^$out/driver/,rust/wireguard/,; s,^rust/wireguard/wg_proto/,rust/proto/,; s,/mod\.rs:,/lib.rs:,") || true
for control in CONTROL_CONSTANT control_function control_callee ControlType control_method; do
	grep -q "^rust/proto/tai64n\.rs:.* \`$control\` is never " <<<"$found" || {
		echo "$control, which nobody uses, was not found:"
		echo "$found"
		exit 1
	}
done >&2
found=$(grep -vE '^rust/proto/tai64n\.rs:.*`(CONTROL_CONSTANT|control_(function|callee|method)|ControlType)`' <<<"$found") || true
[ -z "$found" ] || { echo "$found" >&2; exit 1; }
