#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rust-project.py CHECKOUT OBJECTS ROOT: adds our crates to the kernel's rust-project.json.

Reads that of the kernel on standard input, and prints it with the four crates of CHECKOUT, whose
generated files are in OBJECTS. Files of the compiler, which are in the build root, are said to be below
ROOT, and those that editors run in OBJECTS/sysroot. Fails if a file that is named does not exist.
"""

import json
import os
import sys

# As in rust/Kbuild.include: name, file, and the crates that it depends on.
OF_KERNEL = ('core', 'kernel', 'pin_init', 'zerocopy', 'zerocopy_derive', 'macros', 'ffi', 'build_error')
CRATES = (
    ('wg_bindings', 'rust/bindings/lib.rs', OF_KERNEL),
    ('wg_kernel', 'rust/kernel/lib.rs', (*OF_KERNEL, 'wg_bindings')),
    ('wg_proto', 'rust/proto/lib.rs', ('core',)),
    ('wireguard', 'rust/wireguard/main.rs', (*OF_KERNEL, 'wg_kernel', 'wg_proto')),
)


def main():
    checkout, objects, root = sys.argv[1:]
    project = json.load(sys.stdin)
    # The kernel's script takes some of our files for crates that depend on nothing of ours. They are the last.
    crates = [crate for crate in project['crates'] if crate['root_module'].startswith('/') and
              not crate['root_module'].startswith(checkout + '/')]
    index = {crate['display_name']: number for number, crate in enumerate(crates)}
    configuration = crates[index['kernel']]['cfg']
    for name, file, dependencies in CRATES:
        index[name] = len(crates)
        crates.append({
            'display_name': name,
            'root_module': os.path.join(checkout, file),
            'is_workspace_member': True,
            'deps': [{'crate': index[each], 'name': each} for each in dependencies if each in index],
            'cfg': [*configuration, 'MODULE'],
            'edition': '2021',
            'env': {'WG_OBJ': objects, 'RUST_MODFILE': 'This is only for rust-analyzer'},
            'source': {
                'include_dirs': [os.path.join(checkout, 'rust'), os.path.join(objects, 'rust')],
                'exclude_dirs': [],
            },
        })
    for crate in crates:
        if crate['root_module'].startswith('/usr/'):
            crate['root_module'] = root + crate['root_module']
    project['sysroot'] = os.path.join(objects, 'sysroot')
    project['crates'] = crates
    named = [crate[field] for crate in crates for field in ('root_module', 'proc_macro_dylib_path') if field in crate]
    named += [project['sysroot']]
    named += [path for crate in crates if 'source' in crate for path in crate['source']['include_dirs']]
    missing = [path for path in named if not os.path.exists(path.removeprefix(root))]
    if missing:
        sys.exit('rust-project.py: there is no ' + ', '.join(missing))
    json.dump(project, sys.stdout, indent=4, sort_keys=True)


if __name__ == '__main__':
    main()
