#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# depth.sh KERNEL: fails if secrets may lie deeper on the stack than it is wiped, with the driver built
# for KERNEL and that kernel's cryptographic library, or if a function of either takes much of the stack by
# itself; and if what is planted in the latter is not seen, however it takes the stack, or is called.

. "$(dirname "$0")/../lib.sh"

LIBRARY=(curve25519 chacha poly1305 chacha20poly1305)

find_kernel "${1:?usage: $0 KERNEL}"
cd "$WG_TOP"
objects=build-$1
out=$objects/depth
locked "$out.lock"
rm -rf "$out"
mkdir -p "$out"

library=()
for name in "${LIBRARY[@]}"; do
	file=$(echo "$modroot"/usr/lib/modules/*/kernel/lib/crypto/lib"$name".ko*)
	case $file in
	*.xz) scripts/in-root.sh xz -dc "$file" >"$out/$name.o" ;;
	*) cp "$file" "$out/$name.o" ;;
	esac
	library+=("$out/$name.o")
done
need_command zstd zstd
start=$(LC_ALL=C grep -aobP -m 1 '\x28\xb5\x2f\xfd' "$image" | head -n 1 | cut -d : -f 1)
# More follows it, which is not compressed.
tail -c "+$((${start:?the kernel is not compressed by zstd} + 1))" "$image" |
	zstd -qdc >"$out/image" 2>"$out/log" || true

# depth [OBJECT]: says how deep it is, with the functions of an object rather than what has the same names.
depth() {
	# shellcheck disable=SC2016
	scripts/in-root.sh sh -euc '
		linked=$1 image=$2
		shift 2
		ld --strip-debug --emit-relocs --entry=0 --unresolved-symbols=ignore-all -z muldefs -o "$linked" "$@"
		python3 scripts/checks/depth.py "$linked" "$image"' \
		depth "$out/linked" "$out/image" "$@" "$objects/wireguard.o" "${library[@]}"
}

# plant NAME: compiles C on standard input, and has objtool look at it.
plant() {
	{
		echo '#define FUNCTION(name, code) \'
		echo '	asm(".type " #name ", @function\n" #name ": " code "\n.size " #name ", . - " #name)'
		cat
	} >"$out/$1.c"
	scripts/in-root.sh gcc-14 -O2 -fno-pic -mno-red-zone -mcmodel=kernel -c -o "$out/$1.o" "$out/$1.c"
	scripts/in-root.sh "$kdir/tools/objtool/objtool" --orc "$out/$1.o" 2>>"$out/log" || true
}

# Debian's kernels do not take what objtool warns of for an error; so it is run once more.
command=$(sed -n 's/^savedcmd_wireguard.o := //p' "$objects/.wireguard.o.cmd" |
	sed 's, wireguard\.o, depth/again.o,g; s, --module , --werror --module ,')
[[ $command == *--werror* ]] || die "it is not known how objtool was run"
(cd "$objects" && "$WG_TOP/scripts/in-root.sh" sh -euc "$command")

depth

plant harmless <<'END'
	void use(void *stack);
	__attribute__((cold)) void warn(const void *of);
	char *find(char *in);
	extern long key;

	static __attribute__((noinline)) void downwards(char *out, const char *in)
	{
		char deep[32], *digit = deep + sizeof(deep);

		for (unsigned long i = 0; i < sizeof(deep); i++)
			deep[sizeof(deep) - 1 - i] = in[i];
		use(deep);
		while (*out++)
			*--digit = *out;
		use(deep);
	}

	static __attribute__((noinline)) long distance(void)
	{
		char deep[64];

		return find(deep) - deep;
	}

	static __attribute__((noinline)) long two_ways(long one, long other)
	{
		if (one > 9) {
			warn(&one);
			one = other;
		}
		use(&one);
		if (other > 9)
			warn(&other);
		return one;
	}

	static __attribute__((noinline)) void branch(void)
	{
		asm goto("1: .byte 0x0f, 0x1f, 0x44, 0, 0\n.pushsection __jump_table, \"aw\"\n.balign 8\n"
			".long 1b - ., %l0 - .\n.quad key - .\n.popsection" : : : : there);
		return;
	there:
		use(&key);
	}

	void curve25519_generic(char *out, const char *in)
	{
		downwards(out, in);
		two_ways(distance(), *in);
		branch();
		use(out);
	}
END
depth "$out/harmless.o" >"$out/harmless" 2>&1 || die "what is harmless is refused: $(cat "$out/harmless")"

plant planted <<'END'
	void use(void *deep);
	void (*hook)(void);

	static __attribute__((noinline)) void deeper(void)
	{
		char deep[4096];

		use(deep);
		use(deep);
	}

	void all(void);

	void curve25519_generic(void)
	{
		deeper();
		all();
		use(0);
	}

	void by_alloca(unsigned long len)
	{
		use(__builtin_alloca(len));
	}

	FUNCTION(by_sub, "sub $4096, %rsp; add $4096, %rsp; ret");
	FUNCTION(by_add, "add $-4096, %rsp; sub $-4096, %rsp; ret");
	FUNCTION(by_lea, "lea -4096(%rsp), %rsp; lea 4096(%rsp), %rsp; ret");
	FUNCTION(by_push, ".rept 512; push %rax; .endr; add $4096, %rsp; ret");
	FUNCTION(by_frame, "push %rbp; mov %rsp, %rbp; sub $4088, %rsp; leave; ret");
	FUNCTION(by_aligning, "push %rbp; mov %rsp, %rbp; and $-2048, %rsp; sub $2048, %rsp; leave; ret");
	FUNCTION(by_pointer, "mov %rsp, %rbp; lea -4096(%rbp), %rsp; mov %rbp, %rsp; ret");
	FUNCTION(by_copy, "lea -4096(%rsp), %rax; mov %rax, %rsp; add $4096, %rsp; ret");
	FUNCTION(by_register, "mov $4096, %eax; sub %rax, %rsp; add $4096, %rsp; ret");
	FUNCTION(by_another, "mov %rsp, %rbp; mov %edi, %ebp; mov %rbp, %rsp; ret");
	FUNCTION(by_exchange, "xchg %rax, %rsp; ret");
	FUNCTION(by_index, "lea (%rsp, %rdi), %rsp; ret");
	FUNCTION(by_probe, "lea -4096(%rsp), %rax; 1: sub $512, %rsp; cmp %rax, %rsp; jne 1b; add $4096, %rsp; ret");
	FUNCTION(by_probes, "push %rbp; mov %rsp, %rbp; 1: sub $512, %rsp; cmp %rax, %rsp; jne 1b; leave; ret");
	FUNCTION(by_enter, "enter $4096, $0; leave; ret");
	FUNCTION(by_leave, "leave; ret");
	FUNCTION(by_pop, "pop %rsp; ret");
	FUNCTION(by_half, "sub $4096, %esp; ret");
	FUNCTION(by_swap, "mov %rsp, %rbp; xchg %rbp, %rcx; mov %rbp, %rsp; ret");
	FUNCTION(by_product, "mov %rsp, %rax; mul %rdi; mov %rax, %rsp; ret");
	FUNCTION(by_byte, "mov %rsp, %rax; mov %dil, %al; mov %rax, %rsp; ret");
	FUNCTION(by_loop, "1: push %rax; dec %edi; jne 1b; ret");
	FUNCTION(by_rounds, "push %rbp; mov %rsp, %rbp; 1: push %rax; dec %edi; jne 1b; leave; ret");
	FUNCTION(by_round, "test %edi, %edi; je 2f; 1: push %rax; dec %edi; jne 1b; 2: ret");
	FUNCTION(by_nobody, "jmp *%rdi; sub $4096, %rsp; ret");

	/* What these go to calls itself, which is seen if it is looked at. */
	FUNCTION(direct, "call direct; ret");
	FUNCTION(first, "call first; ret; .globl second; .set second, first; .type second, @function");
	FUNCTION(tail, "call tail; ret");
	FUNCTION(middle, "ret; 1: call middle; ret; .globl inner; .set inner, 1b");
	FUNCTION(onward, "nop; test %edi, %edi");
	FUNCTION(behind, "call behind; ret");
	FUNCTION(all, "call direct; call second; je tail; call inner; call onward; call data; call chacha_nowhere\n"
		"call call; call jump; call offset; call thunk; call tails; call prefix; call trampoline; ret");
	asm(".data; data: .byte 0; .text");

	FUNCTION(call, "call *hook(%rip); ret");
	FUNCTION(jump, "jmp *%rax");
	FUNCTION(offset, "call *8(%rdi); ret");
	FUNCTION(thunk, "call __x86_indirect_thunk_rax; ret");
	FUNCTION(tails, "jmp __x86_indirect_thunk_rax");
	FUNCTION(prefix, "cs; call *%rax; ret");
	FUNCTION(trampoline, "call __SCT__hook; ret");
END

# seen LINE...: what is planted has to be said, in these words.
seen() {
	local line
	for line; do
		grep -qxE "$line" "$out/planted" || die "not seen: $line: $(cat "$out/planted")"
	done
}

! depth "$out/planted.o" >"$out/planted" 2>&1 || die "nothing that is planted is seen"
seen 'the stack is not wiped to there' ' +4[0-9]{3} deeper' 'deeper takes 4[0-9]{3} bytes'
for name in sub add lea push frame aligning; do
	seen "by_$name takes 4[0-9]{3} bytes"
done
for name in alloca pointer copy register another exchange index probe probes enter leave pop half swap \
	product byte loop round rounds nobody; do
	seen "by_$name takes what is not known: .+"
done
for name in direct first tail middle behind; do
	seen "$name calls $name"
done
seen 'all calls [0-9a-f]+, which is nowhere' 'all calls chacha_nowhere, which is nowhere'
for name in call jump offset thunk tails prefix trampoline; do
	seen "$name calls what is not known"
done
