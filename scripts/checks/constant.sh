#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# constant.sh BUILD KERNEL OUT: makes of the objects in BUILD/rust a program, OUT/constant, that valgrind
# is to run, and fails if an object compares secrets in another way than with crypto_memneq().
# KERNEL is the kernel's source. Reads code for x86-64.

set -euo pipefail

[ $# -eq 3 ] || { echo "usage: $0 BUILD KERNEL OUT" >&2; exit 2; }
build=$(realpath "$1") kernel=$2 out=$(realpath "$3")
scripts=$(realpath "$(dirname "$0")")
status=0

complain() {
	echo "$*" >&2
	status=1
}

# Prints "FUNCTION<tab>CALLED" for each comparison in an object, of bytes in memory. Closures, which
# may or may not be inlined, count as the function that they are in.
compares() {
	objdump --disassemble --reloc --no-show-raw-insn --demangle "$1" | awk '
		/^[0-9a-f]+ <.*>:$/ && !/<\.L/ { name = $0; sub(/^[0-9a-f]+ </, "", name); sub(/>:$/, "", name) }
		/: R_X86_64_[A-Z0-9]+[ \t]+(bcmp|memcmp|__crypto_memneq)[-+]/ {
			sub(/.*R_X86_64_[A-Z0-9]+[ \t]+/, "")
			sub(/[-+].*/, "")
			gsub(/::\{closure#[0-9]+\}/, "", name)
			print name "\t" $0
		}' | sort -u
}

# unlisted FILE OBJECT...: what is not in the list of comparisons, and what of the list is not there.
unlisted() {
	local list=$1
	shift
	sed -E '/^(#|$)/d; s/\t+#.*//; s/\t+/\t/' "$list" | sort -u >"$out/listed"
	for object; do compares "$object"; done | sort -u >"$out/found"
	comm -13 "$out/listed" "$out/found" | sed 's/^/not in compares: /'
	# One without a secret may go.
	comm -23 "$out/listed" "$out/found" | grep -v 'bcmp$' | sed 's/^/in compares and not there: /'
}

# A MAC is compared right after it was computed: nothing is decided on it before.
at_once() {
	objdump --disassemble --reloc --no-show-raw-insn --demangle "$1" | awk -v function_="$2" '
		/^[0-9a-f]+ <.*>:$/ && !/<\.L/ { inside = index($0, "<" function_ ">:") }
		!inside { next }
		/R_X86_64_PLT32[ \t]+wg_kernel::crypto::blake2s::compute/ { fresh = 1; next }
		/\tj[a-z]+ / { fresh = 0 }
		/R_X86_64_PLT32[ \t]+__crypto_memneq/ { if (fresh) good++; else bad++ }
		/R_X86_64_PLT32/ { fresh = 0 }
		END { exit !(good && !bad) }'
}

objects=("$build"/rust/{proto,kernel}/lib.o "$build/rust/wireguard/main.o")
found=$(unlisted "$scripts/constant/compares" "${objects[@]}" || true)
[ -z "$found" ] || complain "$found"
for function in '<wireguard::device::Device>::queue_handshake' '<wireguard::device::Device>::admit'; do
	at_once "$build/rust/wireguard/main.o" "$function" ||
		complain "$function does not compare a MAC right after computing it"
done

# Compiled as the driver.
command=$("$scripts/driver-rustc.sh" "$build")
(cd "$build" && RUSTC_BOOTSTRAP=1 sh -c "$command -Awarnings --crate-name constant --emit=obj=$out/driver.o $scripts/constant/driver.rs")
# There, what is planted is seen.
compares "$out/driver.o" >"$out/planted"
grep -qx "early_key	bcmp" "$out/planted" || complain 'a comparison that ends early would not be seen'
at_once "$out/driver.o" mac1 || complain 'a MAC is compared, and that is not seen'
! at_once "$out/driver.o" early_mac1 || complain 'a MAC that is compared otherwise would not be seen'

# Functions of the objects by names that C can use.
release() {
	nm --demangle --format=just-symbols "$1" | paste - <(nm --format=just-symbols "$1") |
		awk -F '\t' -v name="$2" '$1 == name { print $2 }'
}
symbols=()
while read -r object alias name; do
	symbol=$(release "$build/rust/$object" "$name")
	[ -n "$symbol" ] || { echo "$build/rust/$object has no $name" >&2; exit 1; }
	symbols+=("--globalize-symbol=$symbol" "--globalize-symbol=$alias" "--redefine-sym=$symbol=$alias")
done <<END_OF_LIST
kernel/lib.o release_open_small wg_kernel::crypto::chacha20poly1305::one_pass::open_small
wireguard/main.o release_eq <wireguard::crypto::Kernel as wg_proto::crypto::Suite>::eq
END_OF_LIST
for object in proto/lib.o kernel/lib.o wireguard/main.o; do
	objcopy "${symbols[@]}" "$build/rust/$object" "$out/${object%%/*}.o"
done

# The kernel's comparison, with the few headers that it includes.
mkdir -p "$out/include"/{crypto,linux}
cat >"$out/include/crypto/utils.h" <<'END_OF_HEADER'
#include <stddef.h>
#include <stdint.h>
#define noinline __attribute__((noinline))
#define OPTIMIZER_HIDE_VAR(var) __asm__("" : "=r"(var) : "0"(var))
#define EXPORT_SYMBOL(name)
#define get_unaligned(at) ({ __typeof__(*(at)) value; __builtin_memcpy(&value, at, sizeof(value)); value; })
#define CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS 1
END_OF_HEADER
for header in export module unaligned; do : >"$out/include/linux/$header.h"; done
gcc-14 -O2 -fno-builtin -I"$out/include" -D__crypto_memneq=kernel_memneq -include crypto/utils.h \
	-c "$kernel/lib/crypto/memneq.c" -o "$out/memneq.o"
gcc-14 -O2 -g -fno-builtin -fno-pic -Wall -Werror -I"$out/include" -c "$scripts/constant/harness.c" -o "$out/harness.o"
printf '.globl __x86_return_thunk\n__x86_return_thunk: ret\n.section .note.GNU-stack,"",@progbits\n' |
	gcc-14 -x assembler -c - -o "$out/thunk.o"
# What the kernel would add is not called.
gcc-14 -static -no-pie -Wl,--unresolved-symbols=ignore-all -Wl,--no-warnings -Wl,-z,noexecstack \
	-o "$out/constant" "$out"/{harness,driver,memneq,thunk,proto,kernel,wireguard}.o "$build/rust/bindings/lib.o"

exit $status
