#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# secrets.sh [DIRECTORY]: fails if an object of the driver could leave secrets on the stack, or
# in memory. The functions that wipe the stack must have small frames and must not deal with secrets
# themselves, that is, nothing that does was inlined into them; and what wipes memory must do so,
# whatever the compiler thinks of it. Reads code for x86-64.

set -eu

obj=${1:-rust}
status=0

# How large a frame may be.
MAX_FRAME=256

# What a function refers to that deals with secrets, or into which one that does was inlined.
DEALS='curve25519|chacha20poly1305|blake2s|random_bytes|wg_proto::(noise|cookie|handshake|identity|mac)|wipe_bytes|crypto::Kernel'

# The code of an object, with what it refers to.
code() {
	objdump --disassemble --reloc --no-show-raw-insn --demangle "$obj/$1"
}

complain() {
	echo "$*" >&2
	status=1
}

# callers OBJECT FUNCTION: prints of each function that calls FUNCTION its name, the size of its frame,
# and what it refers to that deals with secrets.
callers() {
	code "$1" | awk -v called="$2" -v deals="$DEALS" '
		function flush() {
			if (calls)
				print name "\t" frame "\t" found
			calls = 0
		}
		# Labels within a function are local.
		/^[0-9a-f]+ <.*>:$/ && !/<\.L/ {
			flush()
			name = $0
			sub(/^[0-9a-f]+ </, "", name)
			sub(/>:$/, "", name)
			frame = 8
			found = ""
			next
		}
		/\tpush / { frame += 8 }
		/\tsub +\$0x[0-9a-f]+,%rsp/ {
			size = $0
			sub(/.*\$0x/, "", size)
			sub(/,.*/, "", size)
			frame += hex(size)
		}
		# Calls of other functions and data: by relocation, or within the object.
		/R_X86_64_|\tcall |\tjmp / {
			target = $0
			sub(/.*R_X86_64_[A-Z0-9]+[ \t]+|.*\t(call|jmp) +[0-9a-f]+ </, "", target)
			if (index(target, called))
				calls = 1
			else if (index(target, name) != 1 && target ~ deals)
				found = found " " target
		}
		function hex(digits,  value, i) {
			value = 0
			for (i = 1; i <= length(digits); i++)
				value = 16 * value + index("0123456789abcdef", substr(digits, i, 1)) - 1
			return value
		}
		END { flush() }'
}

found=$(callers wireguard/main.o secret::wipe_stack)
# Answering a handshake message, beginning a handshake, and carrying out a request.
for needed in Incoming Peer genetlink; do
	case $found in *"$needed"*) ;; *) complain "nothing with $needed in its name wipes the stack" ;; esac
done
while IFS='	' read -r name frame deals; do
	[ "${frame:-0}" -lt "$MAX_FRAME" ] ||
		complain "$name wipes the stack, but has $frame bytes there itself"
	[ -z "$deals" ] || complain "$name wipes the stack, but deals with secrets itself:$deals"
done <<END
$found
END

# writes OBJECT FUNCTION: does a function write zeros, many at a time or by memset()?
writes() {
	code "$1" | awk -v name="$2>:" '
		/^[0-9a-f]+ <.*>:$/ && !/<\.L/ { inside = index($0, name) }
		inside && /memset|rep stos|mov[au]ps? +%xmm[0-9]+,|movq +\$0x0,/ { found = 1 }
		END { exit !found }'
}
for function in secret::wipe_bytes secret::wipe_blocks; do
	writes proto/lib.o $function || complain "$function writes nothing"
done

exit $status
