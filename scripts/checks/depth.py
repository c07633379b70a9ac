#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How deep secrets may lie on the stack, and whether it is wiped to there.

depth.py DRIVER OBJECT... --image IMAGE [--also OBJECT]: DRIVER is the linked object of the module,
the others are the kernel's libraries that it uses, and IMAGE is the kernel, for what is built in. What
is in an object after --also is taken rather than what has the same name elsewhere. Reads code for
x86-64 with the small code model, where a call says what it calls; so not that of User-mode Linux.

No function of DRIVER may have a frame that could lie beyond the page behind a stack.

The depth of a function is its return address, its frame, and the depth of whatever it calls. A frame is
taken to be all that its function pushes and subtracts anywhere, which may be too much, and what it refers
to below that. Whatever else is done to the stack pointer, as alloca() and probes of the stack do, must put it
where it was, or it is an error, as nobody knows how far it goes. Of the kernel, only functions that deal
with secrets count; others leave on the stack what they were given: pointers.
"""

import argparse
import bisect
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

LINE = re.compile(r"\s*([0-9a-f]+):\t(\S+)\s*(.*)")
# Labels within functions, and what is between these.
LOCAL = re.compile(r"\.L|__pfx_")
FUNCTION = re.compile(r"([0-9a-f]+) <(.*)>:$")
RELOCATION = re.compile(r"\s+[0-9a-f]+: R_X86_64_\S+\s+(\S+?)([-+]0x[0-9a-f]+)?$")
STACK = re.compile(r"\$0x([0-9a-f]+),%rsp$")
# The stack pointer itself, rather than memory at it.
POINTER = re.compile(r"(?:^|,)%(?:rsp|esp|spl?)(?:,|$)")
# What is copied, or at what distance, to which register.
COPY = re.compile(r"(?:(?P<far>-?0x[0-9a-f]+)?\((?P<at>%\w+)\)|(?P<of>%\w+)),(?P<to>%\w+)$")
BELOW = re.compile(r"-0x([0-9a-f]+)\(%rsp\b")
THUNK = "__x86_indirect_thunk"


def tool(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def signed(digits):
    value = int(digits, 16)
    return value - (1 << 64) if value >> 63 else value


class Function:
    """What a function needs of the stack, and calls."""

    def __init__(self):
        self.taken, self.calls, self.indirect, self.numbers = 0, [], False, []
        # What is referred to further down, what is not understood, and registers that point into the stack.
        self.below, self.unknown, self.pointers = 0, [], {}

    @property
    def frame(self):
        return max(self.taken, self.below)

    def copies(self, code, operands):
        """Follows an instruction that may copy the stack pointer, or set it."""
        match = COPY.match(operands) if code in ("mov", "lea") else None
        if match and (code == "lea") == bool(match["at"]):
            source, to, far = match["at"] or match["of"], match["to"], -int(match["far"] or "0", 16)
            depth = self.taken if source == "%rsp" else self.pointers.get(source)
            if source == to == "%rsp":
                self.taken += max(far, 0)
            elif depth is not None:
                self.below = max(self.below, depth + far)
                self.pointers[to] = depth + far
            elif POINTER.search(operands):
                self.unknown.append(f"{code} {operands}")
            else:
                self.overwritten(to)
        elif POINTER.search(operands) and not (code == "mov" and operands.startswith("%rsp,")):
            self.unknown.append(f"{code} {operands}")
        elif code not in ("pop", "cmp", "test"):
            self.overwritten(operands.split(",")[-1])

    def overwritten(self, register):
        """By any of its names."""
        self.pointers.pop(register.replace("%e", "%r").rstrip("dwb"), None)

    def instruction(self, code, operands):
        """Adds one; returns whether it calls, or jumps."""
        match = STACK.match(operands)
        if code.startswith("push"):
            self.taken += 8
        elif match and code in ("sub", "add"):
            value = signed(match[1])
            self.taken += max(value if code == "sub" else -value, 0)
        elif match and code == "and":
            # What is aligned already is to 8 bytes.
            self.taken += -signed(match[1]) - 8
        elif code == "enter" or code == "leave" and "%rbp" not in self.pointers:
            self.unknown.append(code)
        else:
            self.copies(code, operands)
        if code != "lea" and (match := BELOW.search(operands)):
            self.below = max(self.below, self.taken + int(match[1], 16))
        if match := re.match(r"\$0x([0-9a-f]+),%edi$", operands):
            self.numbers.append(int(match[1], 16))
        if code in ("notrack", "bnd"):
            code = operands.split()[0]
        if code != "call" and not code.startswith("j"):
            return False
        if "*" not in operands:
            return True
        self.indirect = True
        return False


class Code:
    """The functions of an object, by name."""

    def __init__(self, path):
        self.functions, self.starts = {}, {}
        section, function, calls = None, None, False
        for line in tool("objdump", "-dr", "--no-show-raw-insn", path).splitlines():
            if line.startswith("Disassembly of section "):
                section = line.removeprefix("Disassembly of section ").rstrip(":")
            elif (match := FUNCTION.match(line)) and not LOCAL.match(match[2]):
                function = self.functions.setdefault(match[2], Function())
                self.starts.setdefault(section, []).append((int(match[1], 16), match[2]))
            elif function and (match := RELOCATION.match(line)):
                if calls:
                    # Calls are relative to their end.
                    function.calls[-1:] = [(match[1], int(match[2] or "0", 16) + 4)]
            elif function and (match := LINE.match(line)):
                calls = function.instruction(match[2], match[3])
                if calls:
                    target = re.search(r"<([^+>]*)", match[3])
                    function.calls.append((target[1] if target else "", None))
        for name, function in self.functions.items():
            function.calls = {self.called(*call) for call in function.calls}
            # A part of it that is apart, and jumps back.
            function.calls -= {name, name.removesuffix(".cold")}

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
        calls, nops = set(), 0
        stop = f"--stop-address={address + NEARBY:#x}"
        listing = tool("objdump", "-d", f"--start-address={address:#x}", stop, self.path)
        for line in listing.splitlines():
            match = re.match(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(?:\t(\S+)\s*(.*))?$", line)
            if not match:
                continue
            here = int(match[1], 16)
            nops = nops + 1 if match[2].strip() in ("90", "cc") else 0
            if nops >= 11 and (here + 1) % 16 == 0:
                break
            if match[3] and function.instruction(match[3], match[4]):
                calls.add(int(match[4].split()[0], 16))
        for target in calls:
            if not address <= target <= here and abs(target - address) < NEARBY:
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
    (blocks,) = wipe.numbers
    return blocks * (8 + block.frame)


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
        for what in function.unknown:
            depths.complaints.append(f"{depths.names[name]} takes what is not known: {what}")
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
