#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How deep secrets may lie on the stack, and whether it is wiped to there.

depth.py LINKED IMAGE: LINKED is the module, linked with the kernel's libraries that it uses so
that relocations are kept, and IMAGE is the kernel, for what is built in. Reads code for x86-64 with the
small code model, where a call says what it calls; so not that of User-mode Linux.

No function of LINKED may have a frame that could lie beyond the page behind a stack.

How far the stack pointer is below the caller's frame, at each instruction, is what objtool found when
the kernel, or the module, was built (ORC, with which stacks are unwound). What it says nothing of is refused.
Where it only knows the distance from another register, as in functions that align their stack, what is
pushed, subtracted and aligned is added up along all paths; what else changes the stack pointer is refused.

Nothing but assembly writes below the stack pointer, since the kernel has no red zone, and what assembly writes
there is not looked for. Whatever calls through a pointer is refused. Of the kernel, only functions that
deal with secrets count; others leave on the stack what they were given: pointers.
"""

import bisect
import collections
import itertools
import re
import struct
import subprocess
import sys

WIPES, BLOCK = "wg_proto::secret::wipe_stack", "wg_proto::secret::wipe_blocks"
# What is looked for in the kernel.
SECRETS = re.compile(r"blake2s|chacha|curve25519|poly1305")
# Where packets are encrypted, with keys that stay where they are. No worker that does so wipes its stack.
PACKETS = "<wireguard::peer::Peer>::dispatch"
# What deals with routes, and with no secrets.
ROUTES = re.compile(r"<?(wg_proto|wireguard)::allowed_ips::.*")
# What a function may take of the stack by itself: nothing probes it (abstractions.rst).
MOST = 1 << 11
# What is left for the registers of the deepest function, should it be interrupted: they go below it.
INTERRUPT = 256
# What an exported function calls that is of the same library, and not exported, lies no further away.
NEARBY = 1 << 15
# What is dropped with a device may refer to a device, as the code has it, but not when it is the last.
RECURSIVE = "core::ptr::drop_in_place::<kernel::sync::arc::ArcInner<wireguard::device::Device>>"
# These call what is not known here: devices and sockets, which are given packets.
INDIRECT = re.compile(r"(wg_(dev|dst|egress|queue)_\w+|rust_helper_skb_orphan)(\.cold)?")

SECTION = "Disassembly of section "
LINE = re.compile(r"\s*([0-9a-f]+):\t([^#]*)")
RELOCATION = re.compile(r"\s+[0-9a-f]+: R_X86_64_\S+\s+(\S+?)([-+]0x[0-9a-f]+)?$")
# What goes elsewhere, in any form, and where to, if it says so.
GOES = re.compile(r"(?:^| )l?(call|j|loop|xbegin)\S* +(?:(?:0x)?([0-9a-f]+)(?: |$))?")
# What goes where a pointer says, but for what the kernel makes a nop, or a call of one function.
POINTERS = re.compile(r"__x86_indirect_|__SCT__(?!(WARN_trap|cond_resched|might_resched|preempt_schedule(_notrace)?)$)")
# What does not go on, and what is between functions.
ENDS = re.compile(r"((notrack|bnd|repz) )?(jmp|ret|ud[012]|hlt|int3)")
PADDING = re.compile(r"((data16|cs) )*(nop|int3|xchg +%ax,%ax)")
# What changes the stack pointer, as objtool knows, and in other ways.
TAKES = re.compile(r"(sub|add|and) +\$0x([0-9a-f]+),%rsp$")
MOVES = re.compile(r"(?:lea +(-?0x[0-9a-f]+)?\(|mov +)(%r\w+)\)?,%rsp$")
SETS = re.compile(r"(?!(cmp|test) ).*[ ,]%([re]sp|spl?)$|(lock )?x(chg|add) +%([re]sp|spl?),|enter")
# What wipe_blocks() writes: what it gives to memset(), and stores; and how often, as wipe_stack() says.
FILLS = re.compile(r"^mov +\$0x([0-9a-f]+),%edx (?:.*\n(?!.*%[re]dx)){1,4}?call .* memset$", re.M)
STORES = re.compile(r"^mov +%r\w+,((?:0x[0-9a-f]+)?\(%rsp\)) ", re.M)
COUNT = re.compile(r"mov +\$0x([0-9a-f]+),%edi$")
# Of ORC: registers, and a kind of frame.
REGISTERS, CALL = {3: "%rsp", 4: "%rbp", 6: "%r10"}, 2


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


Instruction = collections.namedtuple("Instruction", "address text kind target")


def instruction(address, text, symbol):
    """With what it does, and where it goes, an address or a name: "call", "jump", or "pointer" if that is not said."""
    match = GOES.search(text)
    target = int(match[2], 16) or symbol if match and match[2] else None
    kind = match and ("call" if match[1] == "call" else "jump")
    if match and (not target or POINTERS.match(symbol or "")):
        kind = "pointer"
    return Instruction(address, text, kind, target or symbol)


class Function:
    """What a function needs of the stack, and where it goes."""

    def __init__(self, file, code, after=0):
        """Of instructions; `after` is where the next function is."""
        # How far down the stack pointer is, and how much further where no path says from where.
        self.frame, self.more = 8, 0
        # What it calls, and from how far down; where it jumps; what of it is not understood.
        self.calls, self.jumps, self.unknown = [], set(), None
        padding = list(itertools.takewhile(lambda each: PADDING.match(each.text), reversed(code)))
        self.code = code[: len(code) - len(padding)]
        self.numbers = {each.address: number for number, each in enumerate(self.code)}
        self.bases = [file.base(address) for address in self.numbers]
        self.indirect = any(each.kind == "pointer" for each in self.code)
        for number, (far, each) in enumerate(zip(self.trace(), self.code)):
            taken = self.moved(number, far or 0)
            self.frame = max(self.frame, far or 0)
            self.more += max(taken, 0) if far is None else 0
            if each.kind == "call":
                self.calls.append((each.target, far))
            elif each.kind == "jump" and each.target not in self.numbers:
                self.jumps.add(each.target)
        # What calls last calls what does not return, unless objtool goes on behind it.
        behind = padding[-1].address if padding else after
        if self.code and not ENDS.match(each.text):
            if each.kind != "call" or file.base(behind) == self.bases[-1]:
                self.jumps.add(after)

    def trace(self):
        """How far down the stack pointer is at each instruction: where objtool does not know, along all paths."""
        fars = [far if register in ("%rsp", None) else None for register, far in self.bases]
        known = [far is not None for far in fars]
        todo = [number for number, each in enumerate(known) if each]
        for number in todo:
            here, far = self.code[number], self.moved(number, fars[number])
            following = [] if ENDS.match(here.text) else [number + 1]
            if here.kind == "jump" and here.target in self.numbers:
                following.append(self.numbers[here.target])
            for each in (each for each in following if each < len(fars)):
                if not known[each] and far > (fars[each] or 0):
                    fars[each] = far
                    todo.append(each)
                # Of several paths, objtool keeps the first one, with a warning.
                elif here.kind != "call" and far != fars[each] and self.bases[each][0] == self.bases[number][0] == "%rsp":
                    self.unknown = self.unknown or f"{here.text}, to another depth"
            # Depths have 16 bits.
            if far >= 16 * MOST:
                self.unknown = "more in each round of a loop"
                break
        return fars

    def moved(self, number, far):
        """How far down the stack pointer is after an instruction."""
        text, (register, base) = self.code[number].text, self.bases[number]
        if register is None and not PADDING.match(text):
            self.unknown = self.unknown or f"{text}, of which objtool says nothing"
        elif text.startswith("push"):
            return far + 8
        elif match := TAKES.match(text):
            value = int(match[2], 16)
            value -= value >> 63 << 64
            # What is aligned already is to 8 bytes.
            return far + {"sub": value, "add": -value, "and": -value - 8}[match[1]]
        elif (match := MOVES.match(text)) and match[2] in ("%rsp", register):
            return (far if match[2] == "%rsp" else base) - int(match[1] or "0", 16)
        elif SETS.match(text):
            self.unknown = self.unknown or text
        elif re.match(r"popf?q?( |$)", text):
            return far - 8
        return far


class File:
    """An executable file, with what objtool says of its code."""

    def __init__(self, path):
        self.path, self.functions, self.names = path, {}, {}
        with open(path, "rb") as file:
            self.bytes = file.read()
        self.sections = {
            name: (int(address, 16), int(offset, 16), int(size, 16))
            for name, address, offset, size in re.findall(
                r"\] (\S+) +\S+ +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)",
                tool("readelf", "-SW", path),
            )
        }
        places = self.read(".orc_unwind_ip", "<i")
        entries = (entry for _, *entry in self.read(".orc_unwind", "<hhH"))
        # Where a section ends, there is an entry that says nothing, and then perhaps the next section's.
        self.orc = sorted(
            (start + place, bits >> 8 & 7, bits & 15, far)
            for (start, place), (far, _, bits) in zip(places, entries)
        )

    def read(self, section, layout):
        """What a section has, and where."""
        start, offset, size = self.sections[section]
        length = struct.calcsize(layout)
        for at in range(0, size - length + 1, length):
            yield start + at, *struct.unpack_from(layout, self.bytes, offset + at)

    def base(self, address):
        """How far the caller's frame is above a register there, if objtool knows."""
        at = bisect.bisect_left(self.orc, (address + 1,)) - 1
        _, kind, register, far = self.orc[at] if at >= 0 else (None,) * 4
        return (REGISTERS.get(register, ""), far) if kind == CALL else (None, 0)

    def listing(self, *options):
        """Instructions, and None where sections begin."""
        last, symbol = None, None
        for line in [*tool("objdump", "-dr", "--no-show-raw-insn", *options, self.path).splitlines(), SECTION]:
            if match := RELOCATION.match(line):
                symbol = match[1]
            elif (match := LINE.match(line)) or line.startswith(SECTION):
                yield last and instruction(*last, symbol)
                last, symbol = match and (int(match[1], 16), match[2].strip()), None


class Linked(File):
    """The module and the libraries."""

    def __init__(self, path):
        super().__init__(path)
        symbol = r": ([0-9a-f]+) +\S+ +FUNC +\S+ +\S+ +[0-9]+ (?!__pfx_)(.+)"
        for address, name in re.findall(symbol, tool("readelf", "-sW", "--demangle", path)):
            # Without what makes crates of the same name differ.
            self.names.setdefault(int(address, 16), []).append(re.sub(r"\[[0-9a-f]+\]", "", name))
        self.starts, parts, here, self.stray = sorted(self.names), {}, None, []
        for each in self.listing():
            if not each:
                here = None
            elif each.address in self.names:
                here = parts.setdefault(each.address, [])
            if each and here is not None:
                here.append(each)
            elif each and each.kind in ("call", "pointer") and each.target != "BUG_func":
                self.stray.append(f"{each.text} is in no function")
        following = dict(zip(self.starts, self.starts[1:]))
        self.functions = {start: Function(self, code, following.get(start, 0)) for start, code in parts.items()}

    def find(self, target):
        """The function that has an address."""
        start = self.starts[bisect.bisect_right(self.starts, target) - 1]
        return start if start in self.functions and target in self.functions[start].numbers else None


class Image(File):
    """Functions of a kernel that are exported, and what these call."""

    def __init__(self, path):
        super().__init__(path)
        self.exported = {}
        for start, value, name, _ in self.read("__ksymtab", "<iii"):
            self.exported[self.text(start + 4 + name)] = start + value
        self.names = {address: [name] for name, address in self.exported.items()}

    def text(self, address):
        for start, offset, size in self.sections.values():
            if start <= address < start + size:
                offset += address - start
                return self.bytes[offset : self.bytes.index(b"\0", offset)].decode()
        raise ValueError(f"{address:x} is not in {self.path}")

    def add(self, address):
        """Reads the function there, up to what is between it and the next one."""
        code, nops = [], 0
        for each in self.listing(f"--start-address={address:#x}", f"--stop-address={address + NEARBY:#x}"):
            if each:
                code.append(each)
                nops = nops + 1 if each.text in ("nop", "int3") else 0
                if nops >= 11 and (each.address + 1) % 16 == 0:
                    break
        self.functions[address] = Function(self, code)


class Depths:
    """How deep functions reach, along what path."""

    def __init__(self, linked, image):
        self.linked, self.image = linked, image
        self.functions = collections.ChainMap(linked.functions, image.functions)
        self.names = collections.ChainMap(linked.names, image.names)
        self.known, self.cut, self.seen, self.complaints = {}, set(), set(), {}

    def name(self, key):
        return min(self.names.get(key, [f"{key:x}"]))

    def complain(self, *complaint):
        self.complaints[" ".join(complaint)] = True

    def named(self, name):
        (key,) = (key for key in self.linked.functions if name in self.names[key])
        return key

    def find(self, key, target):
        """The function that another one goes to, by its address or name; None if it has no secrets."""
        if key in self.linked.functions and isinstance(target, int):
            found = self.linked.find(target)
            if found is None:
                self.complain(self.name(key), f"calls {target:x}, which is nowhere")
            return found
        name = target if isinstance(target, str) else next(iter(self.image.names.get(target, ())), None)
        if name and not SECRETS.search(name):
            if POINTERS.match(name):
                self.complain(self.name(key), "calls what is not known")
            return None
        found = self.image.exported.get(name, target)
        if isinstance(found, str) or not name and abs(found - key) > NEARBY:
            self.complain(self.name(key), f"calls {name or f'{target:x}'}, which is nowhere")
            return None
        if found not in self.image.functions:
            self.image.add(found)
        return found

    def excused(self, key):
        """Whether a function need not be looked at."""
        names = self.names.get(key, [""])
        self.seen.update(names)
        return all(name in (PACKETS, WIPES) or ROUTES.match(name) for name in names)

    def follow(self, key):
        """How far down a function puts the stack pointer, and what it calls from how far down."""
        # It goes on in others without calling them.
        group = [key]
        for each in group:
            found = {self.find(each, target) for target in self.functions[each].jumps} - {None, *group}
            group += sorted(other for other in found if not self.excused(other))
        functions = [self.functions[each] for each in group]
        most = max(function.frame for function in functions) + sum(function.more for function in functions)
        calls = []
        for each, function in zip(group, functions):
            names = self.names.get(each, [""])
            if function.unknown:
                self.complain(self.name(each), "takes what is not known:", function.unknown)
            if function.indirect and not all(map(INDIRECT.fullmatch, names)):
                self.complain(self.name(each), "calls what is not known")
            for target, far in function.calls:
                if (found := self.find(each, target)) is not None:
                    calls.append((most if far is None else far, each, found))
        return most, sorted(calls)

    def depth(self, key, above=()):
        if key in above:
            cycle = [self.name(each) for each in (*above[above.index(key) :], key)]
            if RECURSIVE not in cycle:
                self.complain(" calls ".join(cycle))
            self.cut.add(key)
            return 0, ()
        if key in self.known or self.excused(key):
            return self.known.get(key, (0, ()))
        most, calls = self.follow(key)
        found = [(most, ((most, key),))]
        for far, caller, called in calls:
            below, path = self.depth(called, (*above, key))
            found.append((far + below, ((far, caller), *path)))
        self.cut.discard(key)
        # Where a cycle was cut above, there may be more below on other paths.
        if not self.cut:
            self.known[key] = max(found)
        return max(found)

    def deepest(self):
        """The deepest of what is called by functions that wipe the stack afterwards, below where they do."""
        wipe, found = self.named(WIPES), []
        for key, function in self.linked.functions.items():
            wiping = [far or 8 for target, far in function.calls if target == wipe]
            wiping += [0] * (wipe in function.jumps)
            if wiping:
                most, calls = self.follow(key)
                found.append((most - min(wiping), ((most, key),)))
                for far, _, called in calls:
                    below, path = self.depth(called)
                    found.append((far - min(wiping) + below, path))
        return max(found)

    def reach(self):
        """How far the stack is wiped."""
        start = self.named(BLOCK)
        wipe, block = self.functions[self.named(WIPES)], self.functions[start]
        # What is pushed, is stored, and is given to memset().
        code = "\n".join(f"{each.text} {each.target}" for each in block.code)
        written = 8 + 8 * len(re.findall(r"^push", code, re.M)) + 8 * len(set(STORES.findall(code)))
        written += sum(int(size, 16) for size in FILLS.findall(code))
        # How far down it calls itself, if it writes all that is above.
        frames = [far for target, far in block.calls if target == start and far <= written]
        for last, each in zip(wipe.code, wipe.code[1:]):
            # How often is said right before the call, so that nothing changes it.
            if each.target == start and (match := COUNT.match(last.text)):
                return int(match[1], 16) * min(frames, default=0)
        return 0


def main():
    linked, image = sys.argv[1:]
    depths = Depths(Linked(linked), Image(image))
    frames = {key: function.frame + function.more for key, function in depths.linked.functions.items()}
    for key, frame in frames.items():
        if unknown := depths.functions[key].unknown:
            depths.complain(depths.name(key), "takes what is not known:", unknown)
        if frame > MOST:
            depths.complain(depths.name(key), f"takes {frame} bytes")
    depths.complaints |= dict.fromkeys(depths.linked.stray)
    largest = max(frames, key=frames.get)
    print(f"the largest frame has {frames[largest]} bytes: {depths.name(largest)}")
    (needed, path), wiped = depths.deepest(), depths.reach()
    print(f"{wiped} bytes are wiped; the deepest function needs {needed}:")
    for far, key in path:
        print(f"  {far:5} {depths.name(key)}")
    if PACKETS not in depths.seen:
        depths.complain(f"{PACKETS} is not there")
    if needed + INTERRUPT > wiped:
        depths.complain("the stack is not wiped to there")
    for complaint in depths.complaints:
        print(complaint, file=sys.stderr)
    sys.exit(bool(depths.complaints))


if __name__ == "__main__":
    main()
