# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What selftests/fuzz/run and selftests/fuzz/plant share; sourced after scripts/lib.sh.

FUZZ=$WG_TOP/selftests/fuzz
WORK=$WG_TOP/target/fuzz

# In this order, the slowest first.
TARGETS=(pair states handshake merge allowed timers cookie netlink limits segment replay inner wire)

# build CRATE DIRECTORY TARGET...: makes fuzzers in DIRECTORY/release.
build() {
	local crate=$1 directory=$2 target bins=()
	shift 2
	for target; do
		bins+=(--bin "$target")
	done
	(
		# Where .cargo/config.toml is.
		cd "$crate" || exit
		"$WG_TOP/scripts/cargo.sh" build --quiet --locked --release --target-dir "$directory" "${bins[@]}"
	)
}

# search FUZZER ARG...: runs a fuzzer in the build root.
search() {
	"$WG_TOP/scripts/in-root.sh" "$@" -max_len=1024 -timeout=20 -rss_limit_mb=2048
}

# figures LOG: how much a fuzzer has done.
figures() {
	awk '/^stat::number_of_executed_units/ { runs = $2 }
		/^stat::average_exec_per_sec/ { rate = $2 }
		{ for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
		END { print runs + 0 " executions, " rate + 0 " a second, " edges + 0 " edges" }' "$1"
}
