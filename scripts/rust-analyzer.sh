#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rust-analyzer.sh [KERNEL [FILE]]: writes rust-project.json, or FILE, which tells editors of the four
# crates and of the kernel's, as they are compiled for stock, or for another kernel that has all of its source. What
# is generated when the module is built is there afterwards.

. "$(dirname "$0")/lib.sh"

need_root
kernel=${1:-stock} file=${2:-$WG_TOP/rust-project.json}
find_kernel "$kernel"
[ -e "$kdir/source/scripts/generate_rust_analyzer.py" ] ||
	die "$kernel has not all of its source: stock has, and so have those that are built here (uml, debug, …)"
"$WG_TOP/scripts/kbuild.sh" "$kernel" modules >/dev/null
# The build root's compiler, and what has its macros expanded, with the libraries that they are made for:
# editors run outside of the build root.
for program in bin/rustc libexec/rust-analyzer-proc-macro-srv; do
	mkdir -p "$objects/sysroot/${program%/*}"
	cat >"$objects/sysroot/$program" <<-END
	#!/bin/sh
	exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/$program" "\$@"
	END
	chmod +x "$objects/sysroot/$program"
done
ln -sfn "$root/usr/lib" "$objects/sysroot/lib"

# The kernel's own crates, as its own script lists them; ours it does not know.
# shellcheck disable=SC2016
in_root "$root" sh -c 'export RUST_LIB_SRC=$(echo /usr/src/rustc-*/library); exec "$@"' sh \
	make --silent -C "$kdir" "M=$WG_TOP" "MO=$objects" "${build[@]}" rust-analyzer >/dev/null
in_root "$root" python3 "$WG_TOP/scripts/rust-project.py" "$WG_TOP" "$objects" "$root" \
	<"$objects/rust-project.json" >"$file.part"
mv "$file.part" "$file"
