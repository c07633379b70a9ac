#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Crates on the host, fuzzers, checks, packages and guests, as far as they are quick; with --slow, what
# takes long. Options are those of selftests/run. The last line says how many passed and failed; what
# failed is said again before it.

. "$(dirname "$0")/lib.sh"

cd "$WG_TOP" || exit
passed=0 failed=0 notes=() failures=()
declare -A explained

# What is said again of a failure is so many lines of its explanation.
EXPLANATION=8

# look LINE: remembers a result that is not ok, and what explains it.
look() {
	local label
	case $1 in
	'not ok '*)
		# Of a guest's, KERNEL/DRIVER/TEST is in front.
		label=${1#*- }
		label=${label%%: *}
		explained[${label%/*}]=0
		;;
	'# ['*'] '*)
		label=${1#*[}
		label=${label%%]*}
		[ "${explained[$label]-$EXPLANATION}" -lt "$EXPLANATION" ] || return 0
		explained[$label]=$((explained[$label] + 1))
		;;
	*) return 0 ;;
	esac
	failures+=("$1")
}

# suite TITLE FILTER COMMAND...: runs COMMAND and counts its results, which FILTER turns to TAP.
suite() {
	local title=$1 filter=$2 start=$SECONDS status=0 line good=0 bad=0
	shift 2
	echo "# $title"
	exec {output}< <("$@" 2>&1)
	local command=$!
	while IFS= read -r line; do
		case $line in
		'ok '*' # SKIP not in the archive') good=$((good + 1)); notes+=("# left out: ${line#ok * - }") ;;
		'ok '*) good=$((good + 1)) ;;
		'not ok '*) bad=$((bad + 1)) ;;
		'# passed only when alone:'*) notes+=("$line") ;;
		esac
		look "$line"
		printf '%s\n' "$line"
	done < <("$filter" <&"$output")
	exec {output}<&-
	wait "$command" || status=$?
	# A suite that fails or stays silent without a result that failed is one that failed.
	if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$good" -eq 0 ]; }; then
		bad=1
		line="not ok - $title (status $status)"
		look "$line"
		echo "$line"
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	echo "# $title: $good passed, $bad failed in $((SECONDS - start)) s"
}

cargo_to_tap() {
	sed -u -E -e 's/^test (.*) \.\.\. ok$/ok - \1/' -e 's/^test (.*) \.\.\. FAILED$/not ok - \1/' \
		-e 's/^test (.*) \.\.\. ignored.*$/ok - \1 # SKIP/'
}

# tests MANIFEST: of a crate on the host.
tests() {
	suite "tests of ${1%/*}" cargo_to_tap scripts/cargo.sh test --no-fail-fast --manifest-path "$1"
}

# begin COMMAND...: runs it beside what follows, until follow says what it said.
begin() {
	beside=$(mktemp "${TMPDIR:-/tmp}/wg-test.XXXXXX")
	trap 'rm -f "$beside"' EXIT
	setpriv --pdeathsig TERM "$@" >"$beside" 2>&1 </dev/null &
	began=$!
}
follow() {
	tail --pid="$began" --lines=+1 --sleep-interval=0.2 --follow "$beside"
}

quick() {
	local manifest
	for manifest in {rust/proto,selftests/host,selftests/models}/Cargo.toml; do
		tests "$manifest"
	done
	if grep -qw avx512ifma /proc/cpuinfo; then
		tests selftests/aead/Cargo.toml
	else
		suite 'tests of selftests/aead' cat echo 'ok - # SKIP this processor has no AVX-512 IFMA'
	fi
	# Either keeps one processor busy.
	begin scripts/check.sh
	suite fuzzers cat selftests/fuzz/run --fresh --seconds 7
	suite checks cat follow
	# One that ended before its end is no success of those before.
	wait "$began" || [ "$failed" -gt 0 ] || suite 'all checks' cat false
	suite packages cat scripts/debian/test.sh
}

slow() {
	export WG_MODELS_PREEMPTIONS=3
	tests selftests/models/Cargo.toml
	suite 'faults planted for the models' cat selftests/models/planted
	suite 'faults planted for the fuzzers' cat selftests/fuzz/plant
	# Those that take no more than some minutes.
	suite 'faults planted for guest tests' cat selftests/guest/planted --kernel uml
	suite mutants cat scripts/mutants.sh mac.rs nonce.rs
	suite "metadata from headers" cat scripts/checks/headers.sh
	suite packages cat scripts/debian/test.sh --slow
}

# What takes time to make is made first, where its progress is seen.
scripts/prepare-kernel.sh stock >/dev/null
scripts/prepare-kernel.sh uml >/dev/null
scripts/prepare-kernel.sh debug >/dev/null
scripts/debian/root.sh >/dev/null

case " $* " in
*' --slow '*)
	scripts/prepare-kernel.sh debug-smp >/dev/null
	slow
	;;
*)
	# A mirror that has nothing of it is no failure.
	scripts/arm64/root.sh guest >/dev/null || [ $? -eq 3 ]
	quick
	;;
esac
suite guests cat selftests/run "$@"

[ ${#notes[@]} -eq 0 ] || printf '%s\n' "${notes[@]}"
if [ "$failed" -gt 0 ]; then
	echo "# what failed:"
	printf '%s\n' "${failures[@]}" | sed 's/^not ok/# &/' | tail -n 100
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
