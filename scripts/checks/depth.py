#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How deep secrets may lie on the stack, and whether it is wiped to there.

depth.py DRIVER OBJECT... --image IMAGE [--also OBJECT]: DRIVER is the linked object of the module,
the others are the kernel's libraries that it uses, and IMAGE is the kernel, for what is built in. What
is in an object after --also is taken rather than what has the same name elsewhere. Reads code for
x86-64 with the small code model, where a call says what it calls; so not that of User-mode Linux.

No function of DRIVER may have a frame that could lie beyond the page behind a stack.

The depth of a function is its return address, its frame, and the depth of whatever it calls. A frame is
how far down its function puts the stack pointer, or refers to, on any path: pointers into the stack are
followed through registers, and through the stack itself, which is taken to keep them. Where it is not known
how far that is, as with alloca(), probes of the stack, and loops that go further each time, it is an error. An
index is taken to be positive. Of the kernel, only functions that deal with secrets count; others leave on
the stack what they were given: pointers.
"""

import argparse
import bisect
import collections
import math
import re
import struct
import subprocess
import sys

WIPES, BLOCK = "secret10wipe_stack", "secret11wipe_blocks"
# What is looked for in the kernel.
SECRETS = re.compile(r"blake2s|chacha|curve25519|poly1305")
# Where packets are encrypted, with keys that stay where they are. No worker that does so wipes its stack.
PACKETS = "<wireguard::peer::Peer>::dispatch"
# What deals with routes, and with no secrets.
ROUTES = re.compile(r"^<?(wg_proto|wireguard)::allowed_ips::")
# What a function of ours may take of the stack by itself: nothing probes it (abstractions.rst).
MOST = 1 << 11
# What an exported function calls that is of the same library lies no further away.
NEARBY = 1 << 15
# What is dropped with a device may refer to a device, as the code has it, but not when it is the last.
RECURSIVE = "core::ptr::drop_in_place::<kernel::sync::arc::ArcInner<wireguard::device::Device>>"
# These call what is not known here: devices and sockets, which are given packets.
INDIRECT = re.compile(r"^(wg_(dev|dst|egress|queue)_\w+|rust_helper_skb_orphan)$")

LINE = re.compile(r"\s*([0-9a-f]+):\t(.*)")
# Labels within functions, and what is between these.
LOCAL = re.compile(r"\.L|__pfx_")
FUNCTION = re.compile(r"([0-9a-f]+) <(.*)>:$")
RELOCATION = re.compile(r"\s+[0-9a-f]+: R_X86_64_\S+\s+(\S+?)([-+]0x[0-9a-f]+)?$")
PREFIX = re.compile(r"((notrack|bnd|lock|rep\w*|[c-gs]s|data16|addr32|rex\S*|\{\w+\}) +)+")
# Memory, but for what each CPU has of its own.
MEMORY = re.compile(r"(?<!%[fg]s:)(?<![-\w])(-?0x[0-9a-f]+)?\((%\w+)?(?:,(%\w+))?(?:,\d)?\)")
# Registers of 64 bits, and those of 8 and 16, which leave the rest of it as it is.
WIDE = re.compile(r"%r(\w[xip]|\d+)$")
NARROW = re.compile(r"%([a-d][xlh]|[sd]il?|[sb]pl?|r\d+[bw])$")
# What does not go on, what is between functions, and what changes nothing.
ENDS = re.compile(r"jmp|ret|int3|hlt")
PADDING = re.compile(r"nop|int3")
READS = re.compile(r"nop|cmp|test|bt$|j")
# What calls may change, and what instructions may that do not name it.
SCRATCH = ("%rax", "%rcx", "%rdx", "%rsi", "%rdi", "%r8", "%r9", "%r10", "%r11")
IMPLIED = ("%rax", "%rcx", "%rdx", "%rsi", "%rdi", "%rbx")
# How deep in the stack something points at most, and whether it surely does: not, or who knows where.
ELSEWHERE, ANYWHERE = (-math.inf, False), (math.inf, False)
# How often what is known somewhere may change: more often only in loops that go further each time.
CHANGES = 64
THUNK = "__x86_indirect_thunk"


def tool(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def signed(digits):
    value = int(digits, 16)
    return value - (1 << 64) if value >> 63 else value


def whole(register):
    """The register that one is part of."""
    register = re.sub(r"^%e?([a-d])[xlh]$", r"%r\1x", register)
    register = re.sub(r"^%e?([sd]i|[sb]p)l?$", r"%r\1", register)
    return re.sub(r"^(%r\d+)[bwd]$", r"\1", register)


def worst(one, other):
    return max(one[0], other[0]), one[1] and other[1]


class State(dict):
    """Where registers point, and what is in the stack, by its depth there."""

    def of(self, place):
        return self.get(place, ELSEWHERE)

    def address(self, operand):
        """Where memory is; what is added to a pointer is taken to be positive."""
        far, base, index = match.groups() if (match := MEMORY.search(operand)) else (None,) * 3
        depth = max(self.of(base)[0], self.of(index)[0]) - int(far or "0", 16)
        return depth, self.of(base)[1] and not index

    def place(self, operand):
        depth, sure = self.address(operand)
        return depth if sure else whole(operand) if "(" not in operand else None

    def read(self, operand):
        return self.of(self.place(operand)) if "(" in operand or WIDE.match(operand) else ELSEWHERE

    def write(self, operand, value):
        place = self.place(operand)
        if NARROW.match(operand):
            value = ANYWHERE if place in self else ELSEWHERE
        elif operand.startswith("%") and not WIDE.match(operand):
            value = ELSEWHERE
        self.pop(place, None)
        if value != ELSEWHERE and place is not None:
            self[place] = value

    def step(self, code, operands):
        """Follows an instruction."""
        *sources, target = operands
        source = sources[0] if sources else ""
        (depth, sure), top = self.read(target), self.of("%rsp")
        number = signed(source[3:]) if source.startswith("$0x") else None
        if code.startswith("push"):
            self["%rsp"] = top[0] + 8, top[1]
            self.write("(%rsp)", (depth, sure))
        elif code in ("pop", "popf"):
            self["%rsp"] = top[0] - 8, top[1]
            self.write(target, self.pop(top[0], ELSEWHERE))
        elif code == "leave":
            self.write("%rsp", self.of("%rbp"))
            self.step("pop", ["%rbp"])
        elif code == "enter":
            self.write("%rsp", ANYWHERE)
        elif code == "call":
            for register in SCRATCH:
                self.pop(register, None)
        elif code == "xchg":
            value = self.read(source)
            self.write(source, (depth, sure))
            self.write(target, value)
        elif code in ("mov", "movq", "movabs"):
            self.write(target, self.read(source))
        elif code == "lea":
            self.write(target, self.address(source))
        elif code.startswith("cmov"):
            self.write(target, worst((depth, sure), self.read(source)))
        elif code in ("inc", "dec"):
            self.write(target, (depth + (1 if code == "dec" else -1), sure))
        elif code in ("add", "sub") and number is not None:
            self.write(target, (depth + (number if code == "sub" else -number), sure))
        elif code == "add":
            self.write(target, (max(depth, self.read(source)[0]), False))
        elif code == "and" and number is not None and number < 0:
            # What is aligned already is to 8 bytes.
            self.write(target, (depth - number - (1 if depth % 8 else 8), sure))
        elif not READS.match(code):
            for register in {*IMPLIED, *map(whole, sources)} & self.keys():
                self[register] = self[register][0], False
            known = depth == -math.inf or code.startswith("mov")
            self.write(target, ELSEWHERE if known else ANYWHERE)


class Instruction:
    """One, and what it calls, or where it jumps, if it says so."""

    def __init__(self, address, text):
        self.address, self.text = address, text.split("#")[0].strip()
        self.code, _, operands = PREFIX.sub("", self.text).partition(" ")
        self.operands = re.split(r",(?![^(]*\))", operands.strip())
        if self.code == "xchg" and self.operands == ["%ax", "%ax"]:
            self.code = "nop"
        self.jumps = self.code.startswith(("j", "loop"))
        self.indirect = (self.jumps or self.code == "call") and "*" in operands
        self.target = self.name = self.offset = None
        if (self.jumps or self.code == "call") and not self.indirect:
            target, self.name = re.match(r"(?:0x)?([0-9a-f]+)(?: <([^+>]*))?", self.operands[0]).groups()
            self.target = int(target, 16)


class Function:
    """What a function needs of the stack, and calls."""

    def __init__(self):
        self.code, self.numbers, self.calls, self.indirect = [], {}, [], False
        # How far down it refers to the stack, and what is not understood.
        self.frame, self.unknown = 0, None

    def add(self, address, text):
        self.numbers[address] = len(self.code)
        self.code.append(Instruction(address, text))

    def inside(self, each):
        """Whether an instruction jumps within the function."""
        return each.jumps and each.offset is None and each.target in self.numbers

    def leaves(self):
        """What calls, or jumps elsewhere."""
        return [each for each in self.code if each.target is not None and not self.inside(each)]

    def follow(self):
        """Follows all paths."""
        states, changes, todo = {}, collections.Counter(), []

        def arrive(number, state):
            old = states.get(number, state)
            new = State({place: worst(old.of(place), state.of(place)) for place in old | state})
            if number == len(self.code) or new == states.get(number):
                return
            changes[number] += 1
            if changes[number] > CHANGES:
                new = State({place: new[place] if new[place] == old.of(place) else ANYWHERE for place in new})
            states[number] = new
            todo.append(number)

        arrive(0, State({"%rsp": (0, True)}))
        for number, each in enumerate(self.code):
            before = self.code[number - 1]
            if number not in states and number - 1 in states and self.inside(before):
                # Nothing else goes there if the kernel makes a nop of that jump.
                arrive(number, states[number - 1])
            while todo:
                number = todo.pop()
                here, state = self.code[number], State(states[number])
                if not self.understands(here, state):
                    return
                if self.inside(here):
                    arrive(self.numbers[here.target], state)
                if not ENDS.match(here.code):
                    arrive(number + 1, state)
        unseen = [each for number, each in enumerate(self.code) if number not in states]
        code = [each.text for each in unseen if not PADDING.match(each.code)]
        self.unknown = f"how to get to {code[0]}" if code else None

    def understands(self, here, state):
        """Follows an instruction; returns whether it is known how deep it goes."""
        used = () if here.code.startswith("nop") else here.operands
        deepest = [state.address(operand)[0] for operand in used]
        state.step(here.code, here.operands)
        depth, sure = state.of("%rsp")
        deepest = max([depth, *deepest])
        if not sure or deepest == math.inf:
            self.unknown = here.text
            return False
        self.frame = max(self.frame, deepest)
        return True


class Code:
    """The functions of an object, by name."""

    def __init__(self, path):
        self.functions, self.starts = {}, {}
        section, function = None, None
        for line in tool("objdump", "-dr", "--no-show-raw-insn", path).splitlines():
            if line.startswith("Disassembly of section "):
                section, function = line.removeprefix("Disassembly of section ").rstrip(":"), None
            elif (match := FUNCTION.match(line)) and not LOCAL.match(match[2]):
                function = self.functions.setdefault(match[2], Function())
                self.starts.setdefault(section, []).append((int(match[1], 16), match[2]))
            elif function and (match := RELOCATION.match(line)):
                if function.code[-1].target is not None:
                    # Calls are relative to their end.
                    function.code[-1].name, function.code[-1].offset = match[1], int(match[2] or "0", 16) + 4
            elif function and (match := LINE.match(line)):
                function.add(int(match[1], 16), match[2])
        for name, function in self.functions.items():
            function.follow()
            calls = {self.called(each.name or "", each.offset) for each in function.leaves()}
            # A part of a function that is apart jumps back.
            function.calls = calls - {name.removesuffix(".cold")} if name.endswith(".cold") else calls

    def called(self, name, offset):
        """The function that a call refers to by name, or by its place in a section."""
        if offset is None or name in self.functions or name not in self.starts:
            return name
        starts = self.starts[name]
        return starts[bisect.bisect_right(starts, (offset, "\x7f")) - 1][1]


class Image:
    """The functions of a kernel that are exported, and what these call, by address."""

    def __init__(self, path):
        self.path, self.functions = path, {}
        with open(path, "rb") as file:
            self.bytes = file.read()
        self.sections = {
            name: (int(address, 16), int(offset, 16), int(size, 16))
            for name, address, offset, size in re.findall(
                r"\] (\S+) +\S+ +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)",
                tool("readelf", "-SW", path),
            )
        }
        for name, address in self.exported().items():
            if SECRETS.search(name):
                self.add(name, address)

    def exported(self):
        """Where functions are that modules may call."""
        start, offset, size = self.sections["__ksymtab"]
        found = {}
        for at in range(0, size - 11, 12):
            value, text = struct.unpack_from("<ii", self.bytes, offset + at)
            found[self.text(start + at + 4 + text)] = start + at + value
        return found

    def offset(self, address):
        for start, offset, size in self.sections.values():
            if start <= address < start + size:
                return offset + address - start
        raise ValueError(f"{address:x} is not in {self.path}")

    def text(self, address):
        start = self.offset(address)
        return self.bytes[start : self.bytes.index(b"\0", start)].decode()

    def add(self, name, address):
        """The function there, up to what is between it and the next one."""
        if name in self.functions:
            return
        function = self.functions[name] = Function()
        nops = 0
        stop = f"--stop-address={address + NEARBY:#x}"
        listing = tool("objdump", "-d", f"--start-address={address:#x}", stop, self.path)
        for line in listing.splitlines():
            match = re.match(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(?:\t(.*))?$", line)
            if not match:
                continue
            here = int(match[1], 16)
            nops = nops + 1 if match[2].strip() in ("90", "cc") else 0
            if nops >= 11 and (here + 1) % 16 == 0:
                break
            if match[3]:
                function.add(here, match[3])
        function.follow()
        for target in {each.target for each in function.leaves()}:
            if abs(target - address) < NEARBY:
                function.calls.append(f"{target:x}")
                self.add(f"{target:x}", target)


class Depths:
    """How deep functions reach, along what path."""

    def __init__(self, functions, names):
        self.functions, self.names = functions, names
        self.known, self.seen, self.complaints = {}, set(), []

    def depth(self, name, above=()):
        if name in above:
            cycle = [self.names[each] for each in (*above[above.index(name) :], name)]
            if RECURSIVE not in cycle:
                self.complaints.append(" calls ".join(cycle))
            return 0, ()
        if name in self.known:
            return self.known[name]
        function = self.functions.get(name)
        if function is None:
            if SECRETS.search(name) and not name.startswith(("_R", "rust_helper")):
                self.complaints.append(f"{name} is nowhere")
            return 0, ()
        if self.names[name] == PACKETS or ROUTES.match(self.names[name]):
            self.seen.add(self.names[name])
            return 0, ()
        thunk = any(call.startswith(THUNK) for call in function.calls)
        if (function.indirect or thunk) and not INDIRECT.match(self.names[name]):
            self.complaints.append(f"{self.names[name]} calls what is not known")
        below = [self.depth(call, (*above, name)) for call in sorted(function.calls)]
        deepest, path = max(below, default=(0, ()))
        self.known[name] = 8 + function.frame + deepest, (name, *path)
        return self.known[name]


def readable(names):
    """Names as they are in the source."""
    names = list(names)
    text = re.sub(r"\[[0-9a-f]+\]::", "::", tool("c++filt", text="\n".join(names)))
    return dict(zip(names, text.splitlines()))


def reach(functions):
    """How far the stack is wiped."""
    (wipe,) = (function for name, function in functions.items() if name.endswith(WIPES))
    (block,) = (function for name, function in functions.items() if name.endswith(BLOCK))
    # How many blocks is said right before the call, so that nothing changes it.
    for last, call in zip(wipe.code, wipe.code[1:]):
        if call.target is not None and (match := re.match(r"mov +\$0x([0-9a-f]+),%edi$", last.text)):
            return int(match[1], 16) * (8 + block.frame)
    return 0


def deepest(depths):
    """The deepest of what is called by functions that wipe the stack afterwards."""
    called = set()
    for function in depths.functions.values():
        if any(call.endswith(WIPES) for call in function.calls):
            called |= {call for call in function.calls if not call.endswith(WIPES)}
    return max(map(depths.depth, sorted(called)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("objects", nargs="*")
    parser.add_argument("--image", required=True)
    parser.add_argument("--also")
    arguments = parser.parse_args()
    functions = Image(arguments.image).functions
    ours = {}
    for path in (*arguments.objects, arguments.driver, arguments.also):
        read = Code(path).functions if path else {}
        functions |= read
        ours |= read if path not in arguments.objects else {}
    depths, wiped = Depths(functions, readable(functions)), reach(functions)
    for name, function in functions.items():
        if function.unknown:
            depths.complaints.append(f"{depths.names[name]} takes what is not known: {function.unknown}")
    for name, function in ours.items():
        if function.frame > MOST:
            depths.complaints.append(f"{depths.names[name]} takes {function.frame} bytes")
    largest = max(ours, key=lambda name: ours[name].frame)
    print(f"the largest frame has {ours[largest].frame} bytes: {depths.names[largest]}")
    needed, path = deepest(depths)
    print(f"{arguments.driver}: {wiped} bytes are wiped; the deepest function needs {needed}:")
    for name in path:
        print(f"  {8 + functions[name].frame:5} {depths.names[name]}")
    if PACKETS not in depths.seen:
        depths.complaints.append(f"{PACKETS} is not there")
    if needed > wiped:
        depths.complaints.append("the stack is not wiped to there")
    for complaint in depths.complaints:
        print(complaint, file=sys.stderr)
    sys.exit(bool(depths.complaints))


if __name__ == "__main__":
    main()
