#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# depth.sh KERNEL: fails if secrets may lie deeper on the stack than it is wiped, with the driver built
# for KERNEL and that kernel's cryptographic library, or if a function of the driver takes much of the stack
# by itself; and if a function that is planted in the latter, and needs more, is not seen.

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

	static __attribute__((noinline)) void deeper(void)
	{
		char deep[4096];

		use(deep);
		use(deep);
	}

	void curve25519_generic(void)
	{
		deeper();
		use(0);
	}
END
scripts/in-root.sh gcc -O2 -fno-pic -c -o "$out/planted.o" "$out/planted.c"
if depth --also "$out/planted.o" >"$out/planted" 2>&1 ||
	! grep -qx 'the stack is not wiped to there' "$out/planted" || ! grep -q ' deeper$' "$out/planted"; then
	die "a function that needs more is not seen: $(cat "$out/planted")"
fi
grep -q '^deeper takes ' "$out/planted" || die "a large frame is not seen: $(cat "$out/planted")"
