#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What sleeps in the layer below the driver says so: called by safe code where one must not sleep, it has the
# kernel complain of each function, whether or not that has to wait.
#
# kernels: debug
# drivers: rust
# needs: contract
# reports: sleeping function called from invalid context|Call Trace

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# Not each compiler can tell which file it is.
FROM_RUST='sleeping function called from invalid context at .*([.]rs|not supported>):[0-9]'

undo() {
	rmmod contract 2> /dev/null || true
}

# complaints: of what was tried, one a line: whether the kernel has complained that Rust called it, not only C, which
# may sleep only now and then; and what it was.
complaints() {
	log | awk -v from_rust="$FROM_RUST" '
		/contract: sleeps: / {
			if (what) print found, what
			what = $0
			sub(/.*sleeps: /, "", what)
			found = 0
		}
		$0 ~ from_rust { found = 1 }
		END { if (what) print found, what }'
}

log_mark
insmod "$TOP/target/contract/$(uname -r).ko" sleep=1
count=0
while read -r found what; do
	is "$what" "$found" 1
	count=$((count + 1))
done < <(complaints)
is 'all were tried' "$count" 8
rmmod contract
finish
