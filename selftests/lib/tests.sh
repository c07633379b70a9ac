# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Which guest tests there are. A test is selftests/guest/ROOM/NAME.sh and is known by NAME alone, wherever
# it is. To be sourced after scripts/lib.sh.

# The file of each test.
declare -A test_file=()

find_tests() {
	local file name
	for file in "$WG_TOP"/selftests/guest/*/*.sh; do
		name=$(basename "$file" .sh)
		[ -z "${test_file[$name]-}" ] || die "two tests have one name: ${test_file[$name]} and $file"
		[ -x "$file" ] || die "$file is not executable; what is no test belongs into selftests/lib"
		test_file[$name]=$file
	done
}

# test_names: prints them all, sorted.
test_names() {
	printf '%s\n' "${!test_file[@]}" | sort
}

find_tests
