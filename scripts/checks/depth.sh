#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# depth.sh KERNEL: fails if secrets may lie deeper on the stack than it is wiped, with the driver built
# for KERNEL and that kernel's cryptographic library, or if a function of the driver takes much of the stack
# by itself; and if a function that is planted in the latter, and needs more, is not seen, however it does so.

. "$(dirname "$0")/../lib.sh"

LIBRARY=(curve25519 chacha poly1305 chacha20poly1305)

kernel=${1:?usage: $0 KERNEL}
objects_of=build-$kernel
prepared=$("$WG_TOP/scripts/prepare-kernel.sh" "$kernel")
cd "$WG_TOP"
out=$objects_of/depth
rm -rf "$out"
mkdir -p "$out"

objects=()
for name in "${LIBRARY[@]}"; do
	file=$(echo "$prepared"/modroot/usr/lib/modules/*/kernel/lib/crypto/lib"$name".ko*)
	case $file in
	*.xz) scripts/in-root.sh xz -dc "$file" >"$out/$name.o" ;;
	*) cp "$file" "$out/$name.o" ;;
	esac
	objects+=("$out/$name.o")
done
need_command zstd zstd
start=$(LC_ALL=C grep -aobP -m 1 '\x28\xb5\x2f\xfd' "$prepared/image" | head -n 1 | cut -d : -f 1)
# More follows it, which is not compressed.
tail -c "+$((${start:?the kernel is not compressed by zstd} + 1))" "$prepared/image" |
	zstd -qdc >"$out/image" 2>"$out/log" || true

# depth OPTION...: says how deep it is.
depth() {
	scripts/in-root.sh python3 scripts/checks/depth.py "$objects_of/wireguard.o" "${objects[@]}" \
		--image "$out/image" "$@"
}
depth
cat >"$out/planted.c" <<-'END'
	void use(void *deep);
	void again(void);

	static __attribute__((noinline)) void deeper(void)
	{
		char deep[4096];

		use(deep);
		use(deep);
	}

	void curve25519_generic(void)
	{
		deeper();
		again();
		use(0);
	}

	void by_alloca(unsigned long len)
	{
		use(__builtin_alloca(len));
	}

	#define FUNCTION(name, code) \
		asm(".type " #name ", @function\n" #name ": " code "\n.size " #name ", . - " #name)

	FUNCTION(by_sub, "sub $4096, %rsp; add $4096, %rsp; ret");
	FUNCTION(by_add, "add $-4096, %rsp; sub $-4096, %rsp; ret");
	FUNCTION(by_lea, "lea -4096(%rsp), %rsp; lea 4096(%rsp), %rsp; ret");
	FUNCTION(by_push, ".rept 512; push %rax; .endr; add $4096, %rsp; ret");
	FUNCTION(by_pointer, "mov %rsp, %rbp; lea -4096(%rbp), %rsp; mov %rbp, %rsp; ret");
	FUNCTION(by_copy, "lea -4096(%rsp), %rax; mov %rax, %rsp; add $4096, %rsp; ret");
	FUNCTION(by_nothing, "mov %rdi, -4096(%rsp); ret");
	FUNCTION(by_register, "mov $4096, %eax; sub %rax, %rsp; add $4096, %rsp; ret");
	FUNCTION(by_another, "mov %rsp, %rbp; mov %edi, %ebp; mov %rbp, %rsp; ret");
	FUNCTION(by_exchange, "xchg %rax, %rsp; ret");
	FUNCTION(by_index, "lea (%rsp, %rdi), %rsp; ret");
	FUNCTION(by_probe, "lea -4096(%rsp), %rax; 1: sub $512, %rsp; cmp %rax, %rsp; jne 1b; add $4096, %rsp; ret");
	FUNCTION(by_enter, "enter $4096, $0; leave; ret");
	FUNCTION(by_leave, "leave; ret");
	FUNCTION(by_pop, "pop %rsp; ret");
	FUNCTION(by_half, "sub $4096, %esp; ret");
	FUNCTION(by_store, "mov %rsp, %rax; mov %rdi, -4096(%rax); ret");
	FUNCTION(by_arithmetic, "mov %rsp, %rax; mov %rax, %rcx; sub $4096, %rcx; mov %rdi, (%rcx); ret");
	FUNCTION(by_stack, "push %rbp; mov %rsp, %rbp; push %rbp; pop %rdx; mov %rdi, -4088(%rdx); leave; ret");
	FUNCTION(by_jump, "mov %rsp, %rax; jmp 2f; 1: xor %eax, %eax; ret; 2: mov %rdi, -4096(%rax); jmp 1b");
	FUNCTION(by_distance, "mov %rsp, %rax; sub %rdi, %rax; mov %rdi, (%rax); ret");
	FUNCTION(by_restore, "push %rbp; mov %rsp, %rbp; pop %rbp; mov %rbp, %rsp; ret");
	FUNCTION(by_swap, "mov %rsp, %rbp; xchg %rbp, %rcx; mov %rbp, %rsp; ret");
	FUNCTION(by_product, "mov %rsp, %rax; mul %rdi; mov %rax, %rsp; ret");
	FUNCTION(by_byte, "mov %rsp, %rax; mov %dil, %al; mov %rax, %rsp; ret");
	FUNCTION(by_word, "mov %rsp, %r8; mov %di, %r8w; mov %rdi, (%r8); ret");
	FUNCTION(by_path, "test %edi, %edi; je 1f; mov %rsp, %rbp; 1: mov %rbp, %rsp; ret");
	FUNCTION(by_loop, "1: push %rax; dec %edi; jne 1b; ret");
	FUNCTION(by_descent, "mov %rsp, %rax; 1: sub $8, %rax; mov %rdi, (%rax); loop 1b; ret");
	FUNCTION(by_nobody, "jmp *%rdi; sub $4096, %rsp; ret");
	FUNCTION(again, "push %rax; call again; pop %rax; ret");
END
scripts/in-root.sh gcc -O2 -fno-pic -c -o "$out/planted.o" "$out/planted.c"
if depth --also "$out/planted.o" >"$out/planted" 2>&1 ||
	! grep -qx 'the stack is not wiped to there' "$out/planted" || ! grep -q ' deeper$' "$out/planted"; then
	die "a function that needs more is not seen: $(cat "$out/planted")"
fi
grep -q '^deeper takes ' "$out/planted" || die "a large frame is not seen: $(cat "$out/planted")"
grep -qx 'again calls again' "$out/planted" || die "what calls itself is not seen: $(cat "$out/planted")"
for name in sub add lea push pointer copy nothing store arithmetic stack jump; do
	grep -qx "by_$name takes 4096 bytes" "$out/planted" || die "what is taken so is not seen: by_$name"
done
for name in alloca register another exchange index probe enter leave pop half \
	distance restore swap product byte word path loop descent nobody; do
	grep -q "^by_$name takes what is not known: " "$out/planted" || die "what may be taken so is not seen: by_$name"
done
