#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# subjects.sh: fails if the subject of a commit, written since this is checked, is not as
# Documentation/contributing.rst says: `part: what it does`, with a part of its list, and not too long.

set -eu

cd "$(dirname "$0")/../.."
git=(git -c "safe.directory=*")
page=$(sed -n '/^- The subject is/,/^- The body/p' Documentation/contributing.rst)
longest=$(grep -oE 'at most [0-9]+ characters' <<<"$page" | tr -dc 0-9)
parts=$(grep -oE '``[A-Za-z_-]+``' <<<"$page" | tr -d '`')

# judge: reads times and subjects, and prints what is wrong with those later than SINCE.
judge() {
	local since=$1 time subject
	while read -r time subject; do
		[ "$time" -gt "$since" ] || continue
		[ "${#subject}" -le "$longest" ] || echo "${#subject} characters: $subject"
		grep -qxF -- "${subject%%: *}" <<<"$parts" || echo "no such part: $subject"
	done
}

# A subject of each kind.
long=$(printf 'proto: %0*d' "$((longest - 6))" 0)
found=$(printf '%s\n' "6 $long" '6 proto: strike' '6 noon: strike' '5 noon: strike' | judge 5)
[ "$found" = "$((longest + 1)) characters: $long"$'\n''no such part: noon: strike' ] || {
	echo "of subjects that are wrong, what is found is: $found" >&2
	exit 1
}

# Commits that were begun before are as they are.
first=$("${git[@]}" log --diff-filter=A --format=%H -- scripts/checks/subjects.sh | tail -n 1)
[ -n "$first" ] || exit 0
wrong=$("${git[@]}" log --no-merges --format='%at %s' "$first..HEAD" |
	judge "$("${git[@]}" log -1 --format=%at "$first")")
[ -z "$wrong" ] || { echo "$wrong" >&2; exit 1; }
