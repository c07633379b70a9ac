#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""specification.py SPECIFICATION...: is each of these, the kernel's Documentation/netlink/specs/wireguard.yaml
of some version, what the driver does?

Compares numbers, flags, policies and operations with rust/proto/uapi.rs and the tables in
rust/wireguard/netlink.rs, and what answers have with what the files beside it put there. A key of the
specification that has no meaning here is a difference, too: it may be one more check, or a kind of message.
What the driver has beyond is in OURS or SINCE.

Then each of some changes is shown to be seen, in the specification and in the driver.
"""

import difflib
import os
import re
import sys

import yaml

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '../..'))

# Names of attributes, flags and commands that only this driver has.
OURS = set()
# Those that the in-tree driver has from some series on, such as {'WGPEER_A_NAME': (7, 4)}.
SINCE = {}

# What is read of the specification, or tells programs and readers nothing about messages.
FAMILY = {'name', 'protocol', 'doc', 'c-family-name', 'c-version-name', 'version', 'max-by-define',
          'definitions', 'attribute-sets', 'operations'}  # fmt: skip
DEFINITION = {
    'const': {'name-prefix', 'name', 'type', 'value'},
    'struct': {'name', 'type', 'header', 'members'},
    'flags': {'name', 'name-prefix', 'enum-name', 'type', 'entries'},
}
SET = {'name', 'enum-name', 'name-prefix', 'attr-cnt-name', 'attributes'}
ATTRIBUTE = {'name', 'type', 'value', 'doc', 'display-hint', 'checks', 'enum', 'sub-type',
             'nested-attributes', 'struct'}  # fmt: skip
OPERATIONS = {'enum-name', 'name-prefix', 'list'}
OPERATION = {'name', 'value', 'doc', 'attribute-set', 'flags', 'do', 'dump'}
KIND = {'pre', 'post', 'request', 'reply'}

# How the driver lays out what is a struct there.
STRUCTS = {'--kernel-timespec': 'sec u64, nsec u64'}


def c_name(*parts):
    return ''.join(parts).replace('-', '_').upper()


class Specification:
    """Facts of a specification, one a line."""

    def __init__(self, text):
        self.facts = []
        spec = yaml.safe_load(text)
        self.known('the family', spec, FAMILY)
        self.add('protocol', spec['protocol'])
        self.add(c_name(spec['c-family-name']), spec['name'])
        self.add(c_name(spec['c-version-name']), spec.get('version', 1))
        self.constants, self.flags = {}, {}
        for definition in spec['definitions']:
            self.definition(definition)
        self.sets = {entry['name']: entry for entry in spec['attribute-sets']}
        for name, entry in self.sets.items():
            self.attributes(name, entry)
        self.operations(spec['operations'])

    def add(self, what, value):
        self.facts.append(f'{what}: {value}')

    def known(self, where, mapping, keys):
        for key in mapping:
            if key not in keys:
                self.add(f'{where} has {key}', mapping[key])

    def definition(self, entry):
        name, kind = entry['name'], entry['type']
        self.known(f'definition {name}', entry, DEFINITION.get(kind, set()))
        if kind == 'const':
            self.constants[entry.get('name-prefix', '') + name] = entry['value']
            self.add(c_name(entry.get('name-prefix', ''), name), entry['value'])
        elif kind == 'struct':
            self.add(f'struct {name}', ', '.join(f'{m["name"]} {m["type"]}' for m in entry['members']))
        elif kind == 'flags':
            self.flags[name] = c_name(entry['name-prefix'], 'all')
            for bit, flag in enumerate(entry['entries']):
                self.add(c_name(entry['name-prefix'], flag), 1 << bit)
            self.add(self.flags[name], (1 << len(entry['entries'])) - 1)

    def attributes(self, name, entry):
        self.known(f'set {name}', entry, SET)
        value = -1
        for attribute in entry['attributes']:
            value = attribute.get('value', value + 1)
            self.known(f'{name} {attribute["name"]}', attribute, ATTRIBUTE)
            if attribute['type'] != 'unused':
                self.add(c_name(entry['name-prefix'], attribute['name']), value)
        self.add(c_name(entry['name-prefix'], 'max'), value)
        # Those of the outermost set are the operations'.
        if any(self.nested(attribute) == name for other in self.sets.values() for attribute in other['attributes']):
            self.policies(name, name, None)

    def nested(self, attribute):
        return attribute.get('nested-attributes')

    def policies(self, table, name, chosen):
        entry = self.sets[name]
        for attribute in entry['attributes']:
            if attribute['type'] != 'unused' and (chosen is None or attribute['name'] in chosen):
                what = c_name(entry['name-prefix'], attribute['name'])
                self.add(f'{table} takes {what}', self.policy(attribute))

    def policy(self, attribute):
        kind, checks = attribute['type'], dict(attribute.get('checks', {}))
        if kind == 'indexed-array' and attribute.get('sub-type') == 'nest':
            policy = f'nested_array {self.nested(attribute)}'
        elif kind == 'string':
            policy = f'nul_string {self.number(checks.pop("max-len", None))}'
        elif kind == 'binary' and checks:
            name = next(iter(checks))
            policy = f'{name.replace("-", "_")} {self.number(checks.pop(name))}'
        elif 'enum' in attribute and attribute['enum'] in self.flags:
            policy = f'mask_{kind} {self.flags[attribute["enum"]]}'
        else:
            policy = kind
        return f'{policy} {checks}' if checks else policy

    def number(self, value):
        return self.constants.get(value, value)

    def answered(self, name):
        """What answers have of a set: flags are for requests."""
        return [a['name'] for a in self.sets[name]['attributes'] if a['type'] != 'unused' and 'enum' not in a]

    def operations(self, operations):
        self.known('operations', operations, OPERATIONS)
        value = -1
        for operation in operations['list']:
            value = operation.get('value', value + 1)
            name = c_name(operations['name-prefix'], operation['name'])
            self.known(name, operation, OPERATION)
            self.add(name, value)
            self.add(f'{name} is for', ', '.join(operation.get('flags', ['everybody'])))
            entry = self.sets[operation['attribute-set']]
            for kind in ('do', 'dump'):
                if kind not in operation:
                    continue
                self.known(f'{name} {kind}', operation[kind], KIND)
                self.policies(f'{name} {kind}', entry['name'], operation[kind]['request']['attributes'])
                if 'reply' not in operation[kind]:
                    continue
                self.known(f'{name} {kind} reply', operation[kind]['reply'], {'attributes'})
                answered = self.answered(entry['name'])
                for attribute in operation[kind]['reply']['attributes']:
                    if attribute in answered:
                        self.add('answers have', c_name(entry['name-prefix'], attribute))
                for other in self.sets.values():
                    if other is not entry:
                        for attribute in self.answered(other['name']):
                            self.add('answers have', c_name(other['name-prefix'], attribute))


class Driver:
    """The same of the driver, whose files `sources` are, by their names under rust/."""

    def __init__(self, sources):
        self.sources = {name: re.sub(r'\s*//.*', '', text) for name, text in sources.items()}
        self.facts = ['protocol: genetlink-legacy'] + [f'struct {name}: {what}' for name, what in STRUCTS.items()]
        self.values = {}
        # Each may be made of those before it. Padding is no attribute.
        for name, value in re.findall(r'pub const (WG\w+): [^=]*=\s*([^;]*);', self.sources['proto/uapi.rs']):
            value = re.sub(r'WG\w+', lambda match: str(self.values[match.group()]), value)
            self.values[name] = value[2:-1] if value.startswith('c"') else eval(value)  # noqa: S307
        self.tables(self.sources['wireguard/netlink.rs'])
        answers = ''.join(text for name, text in self.sources.items() if name.startswith('wireguard/netlink/'))
        for name in sorted(set(re.findall(r'message\s*\.(?:put\w*|nest)\(\s*uapi::(WG\w+)', answers))):
            if name != 'WGPEER_A_UNSPEC':
                self.facts.append(f'answers have: {name}')

    def tables(self, netlink):
        tables = dict(re.findall(r'static (\w+_POLICY): \[Policy; [^\]]*\] = Policy::table\(\[(.*?)\]\);', netlink, re.S))
        nested = {table: 'wg' + table.removesuffix('_POLICY').replace('_', '').lower() for table in tables}
        users = {}
        operations = re.search(r'OPERATIONS: [^=]*= &\[(.*?)\];', netlink, re.S).group(1)
        for kind, path in re.findall(r'Operation::(\w+)::<([\w:]+)>', operations):
            kind = kind.removesuffix('it')
            command, policy = self.operation(kind, path)
            users.setdefault(policy, []).append(f'{command} {kind}')
            self.facts.append(f'{command} is for: {self.permission()}')
        aliases = dict(re.findall(r'const (\w+): Policy = (Policy::[^;]*);', netlink))
        for table, rows in tables.items():
            for name, policy in re.findall(r'uapi::(WG\w+),\s*(\w+(?:::\w+(?:\([^)]*\))?)?)', rows):
                policy = aliases.get(policy, policy)
                how, argument = re.fullmatch(r'Policy::(\w+)(?:\(([^)]*)\))?', policy).groups()
                argument = re.sub(r'.*::|&', '', argument or '')
                if how.startswith('exact') or how.startswith('min'):
                    argument = self.values.get(argument, argument)
                argument = nested.get(argument, argument)
                for user in users.get(table, [nested[table]]):
                    self.facts.append(f'{user} takes {name}: {how.lower()} {argument}'.rstrip())

    def operation(self, kind, path):
        """The command and the policy of a type, which may be one of several in its file."""
        *module, name = path.split('::')
        source = self.sources['wireguard/' + '/'.join(['netlink', *module]) + '.rs']
        found = re.search(rf'^impl (?:genetlink::)?{kind.title()} for {name} \{{$(.*?)^\}}', source, re.M | re.S)
        inside = found.group(1) if found else sys.exit(f'{path} implements no {kind.title()}')
        command = re.search(r'const COMMAND: u8 = uapi::(\w+);', inside).group(1)
        return command, re.search(r'const POLICY: [^=]*= &(\w+|\[\]);', inside).group(1)

    def known_to(self, series, ours, since):
        """The facts that are the in-tree driver's as well, in that series."""
        beyond = ours | {name for name, first in since.items() if series < first}
        values = {name: value for name, value in self.values.items() if name not in beyond}
        for name in beyond:
            # What follows from it and others follows from those alone.
            group = re.sub(r'(?<=_[AF]_).*', '', name)
            members = [value for member, value in values.items()
                       if member.startswith(group) and member not in (f'{group}MAX', f'{group}ALL')]  # fmt: skip
            if f'{group}MAX' in values:
                values[f'{group}MAX'] = max(members)
            if f'{group}ALL' in values:
                values[f'{group}ALL'] = sum(members)
        facts = [f'{name}: {value}' for name, value in values.items()
                 if name not in ('WG_PROTOCOL_VERSION', 'WGPEER_A_UNSPEC')]  # fmt: skip
        facts += [fact for fact in self.facts if not beyond.intersection(re.findall(r'\bWG\w+', fact))]
        return sorted(set(facts))

    def permission(self):
        source = self.sources['kernel/net/genetlink/operation.rs']
        return 'uns-admin-perm' if re.search(r'flags: \(bindings::GENL_UNS_ADMIN_PERM \| kind\)', source) else '?'


def series_of(specification):
    """The series of the kernel that it is part of, or one that comes after all."""
    makefile = os.path.join(os.path.dirname(specification), '../../../Makefile')
    if not os.path.exists(makefile):
        return (sys.maxsize,)
    with open(makefile) as file:
        return tuple(int(number) for number in re.findall(r'^(?:VERSION|PATCHLEVEL) = (\d+)$', file.read(), re.M))


def differences(text, driver):
    try:
        facts = Specification(text).facts
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return [f'it is made in another way ({error!r})']
    lines = difflib.unified_diff(driver, sorted(set(facts)), 'driver', 'specification', n=0, lineterm='')
    return [line for line in lines if not line.startswith('@@')]


# What is replaced, in one place, and what the comparison then has to say among other things.
PLANTS = [
    ('name: wireguard\n', 'name: wireguard2\n', '+WG_GENL_NAME: wireguard2'),
    ('c-version-name: wg-genl-version\n', 'c-version-name: wg-genl-version\nversion: 2\n', '+WG_GENL_VERSION: 2'),
    ('protocol: genetlink-legacy', 'protocol: genetlink', '+protocol: genetlink'),
    ('    value: 32\n', '    value: 33\n', '+WG_KEY_LEN: 33'),
    ('      - update-only\n', '      - update-only\n      - quiet\n', '+WGPEER_F_ALL: 15'),
    ('        name: nsec\n        type: u64\n', '        name: nsec\n        type: s64\n',
     '+struct --kernel-timespec: sec u64, nsec s64'),
    ('          max-len: 15\n', '          max-len: 16\n', '+WG_CMD_SET_DEVICE do takes WGDEVICE_A_IFNAME: nul_string 16'),
    ('          min-len: 4\n', '          min-len: 4\n          max-len: 16\n',
     "+wgallowedip takes WGALLOWEDIP_A_IPADDR: min_len 4 {'max-len': 16}"),
    ('          exact-len: 16\n', '          exact-len: 12\n', '+wgpeer takes WGPEER_A_LAST_HANDSHAKE_TIME: exact_len 12'),
    ('        name: cidr-mask\n        type: u8\n', '        name: cidr-mask\n        type: u16\n',
     '+wgallowedip takes WGALLOWEDIP_A_CIDR_MASK: u16'),
    ('        name: cidr-mask\n        type: u8\n', '        name: cidr-mask\n        type: u8\n        byte-order: big-endian\n',
     '+wgallowedip cidr-mask has byte-order: big-endian'),
    ('        name: rx-bytes\n        type: u64\n', '        name: rx-bytes\n        type: u64\n      -\n        name: losses\n        type: u64\n',
     '+answers have: WGPEER_A_LOSSES'),
    ('        enum: wgallowedip-flags\n', '', '+wgallowedip takes WGALLOWEDIP_A_FLAGS: u32'),
    ('            - ifname\n        reply:', '            - ifname\n            - fwmark\n        reply:',
     '+WG_CMD_GET_DEVICE dump takes WGDEVICE_A_FWMARK: u32'),
    ('        request: *all-attrs\n', '        request: *all-attrs\n    -\n      name: rekey\n      attribute-set: wgdevice\n'
     '      do:\n        request: *all-attrs\n', '+WG_CMD_REKEY: 2'),
    ('      flags: [uns-admin-perm]\n\n      do:', '      flags: [admin-perm]\n\n      do:', '+WG_CMD_SET_DEVICE is for: admin-perm'),
    ('\noperations:\n', '\nmcast-groups:\n  list:\n    - name: peers\n\noperations:\n',
     "+the family has mcast-groups: {'list': [{'name': 'peers'}]}"),
    ('definitions:\n', 'definitions: 1\nothers:\n', "it is made in another way (TypeError(\"'int' object is not iterable\"))"),
]  # fmt: skip

# What the recipes of netlink.rst (WGPEER_A_REKEYS) say: what, a regular expression, is replaced in which file; then
# whose it is, and what is seen if it is not known whose.
ATTRIBUTE_PLANT = [
    ('proto/uapi.rs', r'pub const WGPEER_A_MAX: u16 = \w+;',
     'pub const WGPEER_A_PLANTED: u16 = 99;\npub const WGPEER_A_MAX: u16 = WGPEER_A_PLANTED;'),
    ('wireguard/netlink.rs', r'    \(uapi::WGPEER_A_PROTOCOL_VERSION, Policy::U32\),\n',
     '    (uapi::WGPEER_A_PROTOCOL_VERSION, Policy::U32),\n    (uapi::WGPEER_A_PLANTED, Policy::U32),\n'),
    ('wireguard/netlink/get.rs', r'            put_endpoint\(message, endpoint\)\?;\n        \}\n',
     '            put_endpoint(message, endpoint)?;\n        }\n        message.put_u32(uapi::WGPEER_A_PLANTED, 0)?;\n'),
]  # fmt: skip
COMMAND_PLANT = [
    ('proto/uapi.rs', 'pub const WG_CMD_SET_DEVICE: u8 = 1;',
     'pub const WG_CMD_SET_DEVICE: u8 = 1;\npub const WG_CMD_COUNT: u8 = 64;\npub const WGCOUNT_A_PEERS: u16 = 1;'),
    ('wireguard/netlink.rs', r'        Operation::doit::<set::Set>\(\),\n',
     '        Operation::doit::<set::Set>(),\n        Operation::doit::<get::Count>(),\n'),
    ('wireguard/netlink/get.rs', r'/// The position of a dump\.\n', '''
pub(crate) struct Count;

impl genetlink::Do for Count {
    const COMMAND: u8 = uapi::WG_CMD_COUNT;
    const POLICY: &'static [Policy] = &GET_POLICY;

    fn doit(request: &mut Request<'_>) -> Result {
        let interface = interface(request)?;
        let peers = with_config(&interface, |config| config.peers().count());
        request.reply(Self::COMMAND, |message| {
            message.put_u32(uapi::WGCOUNT_A_PEERS, peers as u32)
        })
    }
}

/// The position of a dump.
'''),
]  # fmt: skip
DRIVER_PLANTS = [
    (ATTRIBUTE_PLANT, set(), {'WGPEER_A_PLANTED': (99, 1)},
     ['-WGPEER_A_MAX: 99', '-WGPEER_A_PLANTED: 99', '-answers have: WGPEER_A_PLANTED',
      '-wgpeer takes WGPEER_A_PLANTED: u32']),
    (COMMAND_PLANT, {'WG_CMD_COUNT', 'WGCOUNT_A_PEERS'}, {},
     ['-WG_CMD_COUNT: 64', '-WGCOUNT_A_PEERS: 1', '-answers have: WGCOUNT_A_PEERS',
      '-WG_CMD_COUNT is for: uns-admin-perm', '-WG_CMD_COUNT do takes WGDEVICE_A_IFNAME: nul_string 15']),
]  # fmt: skip


def read_sources():
    directory = os.path.join(TOP, 'rust')
    names = ['proto/uapi.rs', 'kernel/net/genetlink/operation.rs', 'wireguard/netlink.rs']
    names += [f'wireguard/netlink/{name}' for name in os.listdir(os.path.join(directory, 'wireguard/netlink'))]
    sources = {}
    for name in names:
        with open(os.path.join(directory, name)) as file:
            sources[name] = file.read()
    return sources


def plant_in_driver(sources, text, series):
    """What is wrong with how something new in the driver is told from the in-tree driver's."""
    for changes, ours, since, wanted in DRIVER_PLANTS:
        changed = dict(sources)
        for name, old, new in changes:
            changed[name], count = re.subn(old, lambda _, new=new: new, changed[name])
            if count != 1:
                yield f'cannot plant in {name}: {old!r} is there {count} times'
        driver = Driver(changed)
        found = differences(text, driver.known_to(series, OURS, SINCE))
        yield from (f'not seen: {one}' for one in wanted if one not in found)
        found = differences(text, driver.known_to(series, OURS | ours, SINCE | since))
        yield from (f'is known to be ours: {one}' for one in found)
        # From then on, it is a difference if the kernel has it not.
        found = differences(text, driver.known_to((99, 1), OURS, SINCE | since))
        yield from (f'not seen: {one}' for one in wanted if one not in found)


def main(names):
    sources = read_sources()
    driver = Driver(sources)
    status = 0
    for name in OURS | set(SINCE):
        if name not in driver.values:
            status = 1
            print(f'the driver has no {name}')
    for name in names:
        with open(name) as file:
            text = file.read()
        series = series_of(name)
        known = driver.known_to(series, OURS, SINCE)
        found = differences(text, known)
        if found:
            status = 1
            print(f'{name}:', *found, sep='\n')
    # Of the last one: what is planted there must be seen, and where nothing is, nothing.
    for old, new, wanted in PLANTS:
        if status == 0 and text.count(old) != 1:
            print(f'cannot plant {new!r}: {old!r} is there {text.count(old)} times')
            status = 1
        elif status == 0 and wanted not in differences(text.replace(old, new), known):
            print(f'not seen: {wanted}', *differences(text.replace(old, new), known), sep='\n')
            status = 1
    for wrong in plant_in_driver(sources, text, series) if status == 0 else ():
        print(wrong)
        status = 1
    return status


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(f'usage: {sys.argv[0]} SPECIFICATION...')
    sys.exit(main(sys.argv[1:]))
