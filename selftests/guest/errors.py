#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the netlink interface answers to requests right and wrong. Runs inside errors.sh.

There are two devices: wg0, which is down, and wg1, which is up on port 51821.
"""

import os
import socket
import struct
import subprocess
import sys
import time

import tap
from wgnl import *  # noqa: F403 - this is its only purpose

OK, EPERM, EEXIST, ENODEV, EINVAL, ERANGE, EBADR = 0, 1, 17, 19, 22, 34, 53
EOPNOTSUPP, EPFNOSUPPORT, EADDRINUSE = 95, 96, 98

POLICY = "Attribute failed policy validation"
LENGTH = "invalid attribute length"
UNKNOWN = "Unknown attribute type"
OUT_OF_RANGE = "binary attribute size out of range"
RESERVED = "reserved bit set"
LEFTOVER = "bytes leftover after parsing attributes"
NOT_NESTED = "NLA_F_NESTED is missing"
NESTED = "NLA_F_NESTED not expected"

WG0 = text(Device.IFNAME, "wg0")
WG1 = text(Device.IFNAME, "wg1")
PUBLIC = attr(Peer.PUBLIC_KEY, key(1))

wireguard = WireGuard()


def answer(action, *args, **options):
    """What a request is answered with, as (errno, text)."""
    try:
        action(*args, **options)
    except Answer as error:
        return error.errno, error.message
    return OK, ""


def is_answered(what, wanted, explanation, action, *args, **options):
    tap.equal(what, answer(action, *args, **options), (wanted, explanation))


def set_(what, wanted, explanation, attributes, **options):
    is_answered(f"SET {what}", wanted, explanation, wireguard.set, attributes, **options)


def get(what, wanted, explanation, attributes, **options):
    is_answered(f"GET {what}", wanted, explanation, wireguard.get, attributes, **options)


def both(what, wanted, explanation, attributes, **options):
    get(what, wanted, explanation, attributes, **options)
    set_(what, wanted, explanation, attributes, **options)


def peer(what, wanted, explanation, *attributes):
    """A SET of one peer."""
    set_(what, wanted, explanation, WG0 + peers(b"".join(attributes)))


def allowed(what, wanted, explanation, *attributes):
    """A SET of one allowed IP of one peer."""
    peer(what, wanted, explanation, PUBLIC, allowed_ips(b"".join(attributes)))


def wg(*args):
    return subprocess.run(("wg",) + args, check=True, capture_output=True, text=True).stdout


def reset():
    """Takes all peers away."""
    wireguard.set(WG0 + u32(Device.FLAGS, Device.F_REPLACE_PEERS))


def family():
    tap.note("the family")
    tap.equal("NL-1 its version", wireguard.version, 1)
    tap.ok("NL-1 no multicast group", not wireguard.groups)
    # GENL_UNS_ADMIN_PERM with GENL_CMD_CAP_DUMP or _DO, and GENL_CMD_CAP_HASPOL.
    tap.equal("NL-1 two commands, with their policies", wireguard.ops, {GET: 0x1C, SET: 0x1A})


def forms():
    tap.note("forms of requests")
    do, dump = F_REQUEST | F_ACK, F_REQUEST | F_ACK | F_DUMP
    get("without dump", EOPNOTSUPP, "", WG0, flags=do)
    set_("as a dump", EOPNOTSUPP, "", WG0, flags=dump)
    for command in (2, 255):
        set_(f"command {command}", EOPNOTSUPP, "", WG0, command=command)
        get(f"command {command} as a dump", EOPNOTSUPP, "", WG0, command=command)
    for version in (0, 77):
        both(f"version {version}", OK, "", WG0, version=version)
    both("reserved header field", EINVAL, "genlmsghdr.reserved field is not 0", WG0, reserved=1)
    ambiguous = "ambiguous or reserved bits set in nlmsg_flags"
    set_("with CREATE", EINVAL, ambiguous, WG0, flags=do | F_CREATE)
    set_("with ROOT alone", EINVAL, ambiguous, WG0, flags=do | F_ROOT)
    set_("with ECHO", OK, "", WG0, flags=do | F_ECHO)
    both("three trailing bytes", EINVAL, LEFTOVER, WG0 + b"abc")
    both("an attribute of length 3", EINVAL, LEFTOVER, WG0 + b"\3\0\1\0")
    both("an attribute of length 0", EINVAL, LEFTOVER, WG0 + bytes(4))
    both("an attribute longer than its message", EINVAL, LEFTOVER, WG0 + b"\xff\0\1\0")


def selection():
    tap.note("which device")
    index = socket.if_nametoindex("wg0")
    both("by index", OK, "", u32(Device.IFINDEX, index))
    both("by name", OK, "", WG0)
    both("neither", EBADR, "", b"")
    both("both", EBADR, "", WG0 + u32(Device.IFINDEX, index))
    both("unknown name", ENODEV, "", text(Device.IFNAME, "wg7"))
    both("empty name", ENODEV, "", text(Device.IFNAME, ""))
    for number in (0, -1, 999999):
        both(f"index {number}", ENODEV, "", u32(Device.IFINDEX, number))
    both("a device of another kind", EOPNOTSUPP, "", text(Device.IFNAME, "lo"))
    both("a name without its NUL", EINVAL, POLICY, attr(Device.IFNAME, b"wg0"))
    both("a name of 16 characters", EINVAL, POLICY, text(Device.IFNAME, "a" * 16))
    both("a name of 15 characters", ENODEV, "", text(Device.IFNAME, "a" * 15))
    both("a name of 20 bytes", EINVAL, POLICY, attr(Device.IFNAME, b"a" * 20))
    both("a name of no bytes", EINVAL, POLICY, attr(Device.IFNAME))
    both("a name with a second NUL", OK, "", attr(Device.IFNAME, b"wg0\0\0"))
    for size in (2, 8):
        both(f"an index of {size} bytes", EINVAL, LENGTH, attr(Device.IFINDEX, bytes(size)))


def policy():
    tap.note("attributes of the wrong shape")
    get("with a private key", EINVAL, UNKNOWN, WG0 + attr(Device.PRIVATE_KEY, bytes(32)))
    get("with peers", EINVAL, UNKNOWN, WG0 + peers())
    both("an unknown attribute", EINVAL, UNKNOWN, WG0 + u32(9, 0))
    both("attribute 0", EINVAL, UNKNOWN, WG0 + u32(0, 0))
    both("attribute 16000", EINVAL, UNKNOWN, WG0 + u32(16000, 0))
    peer("an unknown attribute of a peer", EINVAL, UNKNOWN, PUBLIC, u32(11, 0))
    allowed(
        "an unknown attribute of an allowed IP", EINVAL, UNKNOWN, prefix("10.0.0.0/8"), u32(5, 0)
    )
    for name, kind, sizes in (
        ("a port", Device.LISTEN_PORT, (0, 1, 4)),
        ("a mark", Device.FWMARK, (0, 2, 8)),
        ("flags", Device.FLAGS, (0, 2, 8)),
    ):
        for size in sizes:
            set_(f"{name} of {size} bytes", EINVAL, LENGTH, WG0 + attr(kind, bytes(size)))
    for name, kind, sizes in (
        ("a keepalive", Peer.KEEPALIVE, (0, 1, 4)),
        ("flags of a peer", Peer.FLAGS, (2, 8)),
        ("received bytes", Peer.RX_BYTES, (4,)),
        ("sent bytes", Peer.TX_BYTES, (4, 16)),
        ("a protocol version", Peer.PROTOCOL_VERSION, (2, 8)),
    ):
        for size in sizes:
            peer(f"{name} of {size} bytes", EINVAL, LENGTH, PUBLIC, attr(kind, bytes(size)))
    for name, kind, sizes in (
        ("a family", AllowedIp.FAMILY, (1, 4)),
        ("a prefix length", AllowedIp.CIDR_MASK, (0, 2)),
        ("flags of an allowed IP", AllowedIp.FLAGS, (2,)),
    ):
        for size in sizes:
            allowed(f"{name} of {size} bytes", EINVAL, LENGTH, attr(kind, bytes(size)))
    for size in (0, 31, 33):
        for name, kind in (("private", Device.PRIVATE_KEY), ("public", Device.PUBLIC_KEY)):
            set_(
                f"a {name} key of {size} bytes", ERANGE, OUT_OF_RANGE, WG0 + attr(kind, bytes(size))
            )
        peer(
            f"a peer's key of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            attr(Peer.PUBLIC_KEY, bytes(size)),
        )
        peer(
            f"a preshared key of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            PUBLIC,
            attr(Peer.PRESHARED_KEY, bytes(size)),
        )
    for size in (0, 15):
        peer(
            f"an endpoint of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            PUBLIC,
            attr(Peer.ENDPOINT, bytes(size)),
        )
    for size in (15, 17):
        peer(
            f"a handshake time of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            PUBLIC,
            attr(Peer.LAST_HANDSHAKE_TIME, bytes(size)),
        )
    allowed("an address of 3 bytes", ERANGE, OUT_OF_RANGE, attr(AllowedIp.IPADDR, bytes(3)))
    set_("reserved flags", EINVAL, RESERVED, WG0 + u32(Device.FLAGS, 2))
    set_("all flags", EINVAL, RESERVED, WG0 + u32(Device.FLAGS, -1))
    peer("reserved flags of a peer", EINVAL, RESERVED, PUBLIC, u32(Peer.FLAGS, 8))
    allowed(
        "reserved flags of an allowed IP",
        EINVAL,
        RESERVED,
        prefix("10.0.0.0/8"),
        u32(AllowedIp.FLAGS, 2),
    )
    set_("peers that are not nested", EINVAL, NOT_NESTED, WG0 + attr(Device.PEERS, nest(0, PUBLIC)))
    set_("a peer that is not nested", EINVAL, "", WG0 + nest(Device.PEERS, attr(0, PUBLIC)))
    peer(
        "allowed IPs that are not nested",
        EINVAL,
        NOT_NESTED,
        PUBLIC,
        attr(Peer.ALLOWEDIPS, nest(0, prefix("10.0.0.0/8"))),
    )
    set_("a nested mark", EINVAL, NESTED, WG0 + nest(Device.FWMARK, bytes(4)))
    peer("a nested key of a peer", EINVAL, NESTED, nest(Peer.PUBLIC_KEY, key(1)))
    set_("no peers", OK, "", WG0 + peers())
    set_("half a peer header", ERANGE, POLICY, WG0 + attr(Device.PEERS | NLA_F_NESTED, b"ab"))
    set_("an empty peer", EINVAL, "", WG0 + peers(b""))
    set_("a peer header with a tail", EINVAL, LEFTOVER, WG0 + peers(PUBLIC + b"abc"))


def semantics():
    tap.note("requests that parse")
    reset()
    peer("a peer without a key", EINVAL, "", u32(Peer.FLAGS, 0))
    set_("a peer with index 7", OK, "", WG0 + nest(Device.PEERS, nest(7, PUBLIC)))
    tap.equal("NL-7 it is there", len(wg("show", "wg0", "peers").split()), 1)
    set_("NL-7 a public key", OK, "", WG0 + attr(Device.PUBLIC_KEY, bytes(32)))
    peer("NL-7 a handshake time", OK, "", PUBLIC, attr(Peer.LAST_HANDSHAKE_TIME, b"a" * 16))
    peer("NL-7 received bytes", OK, "", PUBLIC, u64(Peer.RX_BYTES, 77))
    peer("NL-7 sent bytes", OK, "", PUBLIC, u64(Peer.TX_BYTES, 77))
    tap.equal(
        "NL-7 are ignored", wg("show", "wg0", "dump").split("\n")[1].split("\t")[4:7], ["0"] * 3
    )
    for version in (0, 2):
        peer(
            f"SET-12 protocol version {version}",
            EPFNOSUPPORT,
            "",
            PUBLIC,
            u32(Peer.PROTOCOL_VERSION, version),
        )
    peer("SET-12 protocol version 1", OK, "", PUBLIC, u32(Peer.PROTOCOL_VERSION, 1))
    peer(
        "SET-13 remove an absent peer",
        OK,
        "",
        attr(Peer.PUBLIC_KEY, key(2)),
        u32(Peer.FLAGS, Peer.F_REMOVE_ME),
    )
    peer(
        "SET-13 update an absent peer",
        OK,
        "",
        attr(Peer.PUBLIC_KEY, key(2)),
        u32(Peer.FLAGS, Peer.F_UPDATE_ONLY),
    )
    peer(
        "SET-13 nothing of an absent peer is looked at but its version",
        OK,
        "",
        attr(Peer.PUBLIC_KEY, key(2)),
        u32(Peer.FLAGS, Peer.F_UPDATE_ONLY),
        allowed_ips(u16(AllowedIp.FAMILY, 99)),
    )
    peer(
        "SET-12 not even if it is absent",
        EPFNOSUPPORT,
        "",
        attr(Peer.PUBLIC_KEY, key(2)),
        u32(Peer.FLAGS, Peer.F_UPDATE_ONLY),
        u32(Peer.PROTOCOL_VERSION, 3),
    )
    tap.equal("SET-13 and none is made", len(wg("show", "wg0", "peers").split()), 1)
    peer(
        "SET-16 what a removed peer has is ignored",
        OK,
        "",
        PUBLIC,
        u32(Peer.FLAGS, Peer.F_REMOVE_ME),
        allowed_ips(u16(AllowedIp.FAMILY, 99)),
    )
    tap.equal("SET-16 it is gone", wg("show", "wg0", "peers"), "")

    tap.note("endpoints")
    good = endpoint4("10.1.2.3", 4567)
    peer("SET-18 IPv4", OK, "", PUBLIC, attr(Peer.ENDPOINT, good))
    for what, value in (
        ("16 bytes of AF_INET6", struct.pack("=H", socket.AF_INET6) + bytes(14)),
        ("16 bytes of AF_UNIX", struct.pack("=H", socket.AF_UNIX) + bytes(14)),
        ("16 bytes of AF_UNSPEC", bytes(16)),
        ("17 bytes", good + bytes(1)),
        ("28 bytes of AF_INET", good + bytes(12)),
        ("27 bytes of AF_INET6", endpoint6("::1", 1)[:27]),
        ("29 bytes of AF_INET6", endpoint6("::1", 1) + bytes(1)),
        ("128 bytes", endpoint6("::1", 1) + bytes(100)),
    ):
        peer(f"SET-18 {what}", OK, "", PUBLIC, attr(Peer.ENDPOINT, value))
    tap.equal("SET-18 changed nothing", wg("show", "wg0", "endpoints").split()[1], "10.1.2.3:4567")
    peer("SET-18 an unspecified one", OK, "", PUBLIC, attr(Peer.ENDPOINT, endpoint4("0.0.0.0", 0)))
    tap.equal("SET-18 is set", wg("show", "wg0", "endpoints").split()[1], "0.0.0.0:0")
    wanted = endpoint6("fe80::1", 99, 0x12345, 1)
    peer("SET-18 IPv6 with everything", OK, "", PUBLIC, attr(Peer.ENDPOINT, wanted))
    (found,) = [p for p in dump_peers(wireguard.get(WG0))]
    tap.equal("SET-18 comes back as it was", found[Peer.ENDPOINT], wanted)

    tap.note("allowed IPs")
    v4, v6 = u16(AllowedIp.FAMILY, socket.AF_INET), u16(AllowedIp.FAMILY, socket.AF_INET6)
    address, address6 = attr(AllowedIp.IPADDR, bytes(4)), attr(AllowedIp.IPADDR, bytes(16))
    mask = u8(AllowedIp.CIDR_MASK, 1)
    for what, attributes in (
        ("v4 with mask 33", v4 + address + u8(AllowedIp.CIDR_MASK, 33)),
        ("v4 with mask 255", v4 + address + u8(AllowedIp.CIDR_MASK, 255)),
        ("v6 with mask 129", v6 + address6 + u8(AllowedIp.CIDR_MASK, 129)),
        ("v4 with a v6 address", v4 + address6 + mask),
        ("v6 with a v4 address", v6 + address + mask),
        ("an address of 5 bytes", v4 + attr(AllowedIp.IPADDR, bytes(5)) + mask),
        ("an address of 20 bytes", v6 + attr(AllowedIp.IPADDR, bytes(20)) + mask),
        ("family 99", u16(AllowedIp.FAMILY, 99) + address + mask),
        ("no family", address + mask),
        ("no address", v4 + mask),
        ("no mask", v4 + address),
        ("nothing", b""),
    ):
        allowed(f"SET-20 {what}", EINVAL, "", attributes)
    allowed("AI-2 10.1.2.3/0", OK, "", prefix("10.1.2.3/0"))
    tap.equal("AI-2 is stored masked", wg("show", "wg0", "allowed-ips").split()[1:], ["0.0.0.0/0"])
    allowed("AI-4 remove an absent prefix", OK, "", prefix("10.1.2.3/1", AllowedIp.F_REMOVE_ME))
    allowed("AI-4 remove with host bits", OK, "", prefix("10.1.2.3/0", AllowedIp.F_REMOVE_ME))
    tap.equal("AI-4 is gone", wg("show", "wg0", "allowed-ips").split()[1:], ["(none)"])
    peer("an empty list", OK, "", PUBLIC, allowed_ips())

    tap.note("duplicates: the last one counts")
    set_("two marks", OK, "", WG0 + u32(Device.FWMARK, 1) + u32(Device.FWMARK, 2))
    tap.equal("the second", wg("show", "wg0", "fwmark"), "0x2\n")
    set_("two names", OK, "", text(Device.IFNAME, "wg7") + WG0)
    peer("two keepalives", OK, "", PUBLIC, u16(Peer.KEEPALIVE, 1), u16(Peer.KEEPALIVE, 2))
    tap.equal("the second", wg("show", "wg0", "persistent-keepalive").split()[1], "2")
    reset()
    set_("two lists of peers", OK, "", WG0 + peers(PUBLIC) + peers(attr(Peer.PUBLIC_KEY, key(3))))
    tap.equal("the second", [p[Peer.PUBLIC_KEY] for p in dump_peers(wireguard.get(WG0))], [key(3)])
    set_(
        "one peer twice",
        OK,
        "",
        WG0 + peers(PUBLIC + u16(Peer.KEEPALIVE, 5), PUBLIC + u16(Peer.KEEPALIVE, 6)),
    )
    tap.equal(
        "is done twice",
        [p[Peer.KEEPALIVE] for p in dump_peers(wireguard.get(WG0))],
        [struct.pack("=H", 0), struct.pack("=H", 6)],
    )


def partial():
    tap.note("what is done when something is wrong")
    reset()
    # The nested flag of an element is only looked at when its turn comes.
    peer(
        "an allowed IP that is not nested",
        EINVAL,
        "",
        PUBLIC,
        allowed_ips(prefix("10.0.0.0/8")),
        nest(Peer.ALLOWEDIPS, attr(0, prefix("10.0.0.0/8"))),
    )
    tap.equal("its peer is made", [prefixes(p) for p in dump_peers(wireguard.get(WG0))], [[]])
    set_(
        "a peer that is not nested behind a good one",
        EINVAL,
        "",
        WG0 + nest(Device.PEERS, nest(0, attr(Peer.PUBLIC_KEY, key(2))), attr(0, PUBLIC)),
    )
    tap.equal("the good one is made", len(dump_peers(wireguard.get(WG0))), 2)
    reset()
    wireguard.set(WG0 + u32(Device.FWMARK, 1))
    set_(
        "a mark, and a peer of the wrong shape",
        EINVAL,
        LENGTH,
        WG0 + u32(Device.FWMARK, 77) + peers(PUBLIC + attr(Peer.KEEPALIVE, bytes(3))),
    )
    tap.equal("nothing is done", wg("show", "wg0", "fwmark"), "0x1\n")
    second = attr(Peer.PUBLIC_KEY, key(2))
    set_(
        "a mark, a good peer, a bad one and a good one",
        EPFNOSUPPORT,
        "",
        WG0
        + u32(Device.FWMARK, 77)
        + peers(PUBLIC, second + u32(Peer.PROTOCOL_VERSION, 2), attr(Peer.PUBLIC_KEY, key(3))),
    )
    tap.equal("what stands before the bad one is done", wg("show", "wg0", "fwmark"), "0x4d\n")
    tap.equal(
        "and only that", [p[Peer.PUBLIC_KEY] for p in dump_peers(wireguard.get(WG0))], [key(1)]
    )
    peer(
        "a good prefix, a bad one and a good one",
        EINVAL,
        "",
        second,
        u16(Peer.KEEPALIVE, 9),
        allowed_ips(prefix("10.0.0.0/8"), u16(AllowedIp.FAMILY, 99), prefix("11.0.0.0/8")),
    )
    found = dump_peers(wireguard.get(WG0))[-1]
    tap.equal("the peer is there, with the good one", prefixes(found), ["10.0.0.0/8"])
    tap.equal("but its keepalive is not set", found[Peer.KEEPALIVE], struct.pack("=H", 0))
    set_(
        "a port in use",
        EADDRINUSE,
        "",
        u32(Device.IFINDEX, socket.if_nametoindex("wg2"))
        + u16(Device.LISTEN_PORT, 51821)
        + u32(Device.FWMARK, 5)
        + peers(PUBLIC),
    )
    tap.equal("only the mark is set", wg("show", "wg2", "fwmark"), "0x5\n")
    tap.equal("no peer is", wg("show", "wg2", "peers"), "")


def privileges():
    tap.note("a caller without privileges")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.unshare(os.CLONE_NEWUSER)
        stranger = WireGuard()
        is_answered("NL-2 GET", EPERM, "", stranger.get, WG0)
        is_answered("NL-2 SET", EPERM, "", stranger.set, WG0)
        is_answered("NL-2 before anything is looked at", EPERM, "", stranger.set, b"abc")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)


def kinds(attributes):
    return [kind for kind, _, _ in attributes]


def layout():
    tap.note("what a dump looks like")
    reset()
    wireguard.set(WG0 + attr(Device.PRIVATE_KEY, bytes(32)))
    (message,) = wireguard.get(WG0)
    device = [Device.LISTEN_PORT, Device.FWMARK, Device.IFINDEX, Device.IFNAME]
    identity = [Device.PRIVATE_KEY, Device.PUBLIC_KEY]
    tap.equal("GET-1 a bare device", kinds(message.attributes()), device)
    tap.ok("GET-1 part of a dump", message.flags & F_MULTI)
    tap.equal("GET-1 its command and version", message.body[:4], struct.pack("=BBH", GET, 1, 0))
    wireguard.set(WG0 + attr(Device.PRIVATE_KEY, b"k" * 32) + peers(PUBLIC))
    (message,) = wireguard.get(WG0)
    tap.equal(
        "GET-1 one with a key and a peer",
        kinds(message.attributes()),
        device + identity + [Device.PEERS],
    )
    tap.equal(
        "GET-1 values have their natural sizes",
        [len(p) for _, _, p in message.attributes()[:6]],
        [2, 4, 4, 4, 32, 32],
    )
    tap.ok("GET-1 the list of peers is nested", message.attributes()[6][1])
    ((kind, nested, one),) = parse(message.attributes()[6][2])
    tap.equal("GET-2 so is each of them, of type 0", (kind, nested), (0, True))
    tap.equal(
        "GET-2 a bare peer",
        [k for k in kinds(parse(one)) if k],
        [
            Peer.PUBLIC_KEY,
            Peer.PRESHARED_KEY,
            Peer.LAST_HANDSHAKE_TIME,
            Peer.KEEPALIVE,
            Peer.TX_BYTES,
            Peer.RX_BYTES,
            Peer.PROTOCOL_VERSION,
        ],
    )
    fields = flat(parse(one))
    tap.equal(
        "GET-2 its values",
        [
            fields[k]
            for k in (
                Peer.PRESHARED_KEY,
                Peer.LAST_HANDSHAKE_TIME,
                Peer.KEEPALIVE,
                Peer.TX_BYTES,
                Peer.RX_BYTES,
                Peer.PROTOCOL_VERSION,
            )
        ],
        [bytes(32), bytes(16), bytes(2), bytes(8), bytes(8), struct.pack("=I", 1)],
    )
    wireguard.set(
        WG0
        + peers(
            PUBLIC
            + attr(Peer.ENDPOINT, endpoint4("1.2.3.4", 5))
            + allowed_ips(prefix("10.0.0.0/8"), prefix("::/0"))
        )
    )
    (message,) = wireguard.get(WG0)
    ((_, _, one),) = parse(message.attributes()[6][2])
    tap.equal(
        "GET-2 a peer with everything",
        [k for k in kinds(parse(one)) if k][6:],
        [Peer.PROTOCOL_VERSION, Peer.ENDPOINT, Peer.ALLOWEDIPS],
    )
    fields = flat(parse(one))
    tap.equal("GET-2 its endpoint", fields[Peer.ENDPOINT], endpoint4("1.2.3.4", 5))
    tap.equal("GET-2 its prefixes", prefixes(fields), ["10.0.0.0/8", "::/0"])
    entries = parse(fields[Peer.ALLOWEDIPS])
    tap.equal("GET-2 nested ones of type 0", [(k, n) for k, n, _ in entries], [(0, True)] * 2)
    tap.equal(
        "GET-2 mask, family, address",
        kinds(parse(entries[0][2])),
        [AllowedIp.CIDR_MASK, AllowedIp.FAMILY, AllowedIp.IPADDR],
    )

    tap.note("dumps of several messages")
    reset()
    count = 60
    wireguard.set(WG0 + peers(*(attr(Peer.PUBLIC_KEY, key(n)) for n in range(count))))
    messages = wireguard.get(WG0)
    tap.ok("GET-3 there are several", len(messages) > 1, f"{len(messages)} messages")
    tap.equal(
        "GET-3 the first tells about the device",
        kinds(messages[0].attributes()),
        device + identity + [Device.PEERS],
    )
    tap.ok(
        "GET-3 the others only have peers",
        all(kinds(m.attributes()) == [Device.PEERS] for m in messages[1:]),
    )
    tap.equal(
        "GET-3 all peers, in order",
        [p[Peer.PUBLIC_KEY] for p in dump_peers(messages)],
        [key(n) for n in range(count)],
    )
    tap.ok("GET-6 nothing was in between", not any(m.flags & F_DUMP_INTR for m in messages))
    reset()
    many = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(1000)]
    wireguard.set(
        WG0 + peers(PUBLIC, attr(Peer.PUBLIC_KEY, key(2)) + allowed_ips(*map(prefix, many)))
    )
    messages = wireguard.get(WG0)
    parts = dump_peers(messages)
    tap.ok("GET-3 one peer in several messages", len(messages) > 2, f"{len(messages)} messages")
    tap.equal(
        "GET-3 its parts have its key",
        [p[Peer.PUBLIC_KEY] for p in parts],
        [key(1)] + [key(2)] * (len(parts) - 1),
    )
    tap.ok(
        "GET-3 and further parts only its prefixes",
        all([k for k in p] == [Peer.PUBLIC_KEY, Peer.ALLOWEDIPS] for p in parts[2:]),
    )
    tap.equal("GET-3 all prefixes, in order", [x for p in parts for x in prefixes(p)], many)
    reset()
    wireguard.set(WG0 + peers(PUBLIC + allowed_ips(*map(prefix, many))))
    messages = wireguard.get(WG0)
    tap.ok(
        "GET-4 if it is the first peer, the device is told again and again",
        len(messages) > 1
        and all(kinds(m.attributes()) == device + identity + [Device.PEERS] for m in messages),
        *(str(kinds(m.attributes())) for m in messages),
    )
    tap.equal(
        "GET-4 all prefixes, in order", [x for p in dump_peers(messages) for x in prefixes(p)], many
    )


def interrupted(what, prepare, change):
    """A dump during which something is changed: the parts of it, and the last message."""
    reset()
    prepare()
    reader = WireGuard()
    reader.start(WG0)
    parts = reader.receive()
    change()
    while parts[-1].kind != NLMSG_DONE:
        parts += reader.receive()
    reader.close()
    tap.ok(f"{what}: the first message knows nothing of it", not parts[0].flags & F_DUMP_INTR)
    tap.ok(
        f"{what}: the dump is marked as interrupted", any(m.flags & F_DUMP_INTR for m in parts[1:])
    )
    tap.equal(f"{what}: it ends well", parts[-1].error()[0], 0)
    return dump_peers(parts[:-1])


def interruptions():
    tap.note("changes during a dump")
    many_peers = [attr(Peer.PUBLIC_KEY, key(n)) for n in range(400)]
    many = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(3000)]

    def with_peers():
        for start in range(0, len(many_peers), 100):
            wireguard.set(WG0 + peers(*many_peers[start : start + 100]))

    def with_prefixes():
        for start in range(0, len(many), 1000):
            wireguard.set(
                WG0
                + peers(
                    attr(Peer.PUBLIC_KEY, key(2))
                    + allowed_ips(*map(prefix, many[start : start + 1000]))
                )
            )

    found = interrupted("a mark", with_peers, lambda: wireguard.set(WG0 + u32(Device.FWMARK, 9)))
    tap.equal("a mark: all peers are there", len(found), 400)
    found = interrupted("an empty request", with_peers, lambda: wireguard.set(WG0))
    tap.equal("an empty request: all peers are there", len(found), 400)
    found = interrupted("all peers removed", with_peers, reset)
    tap.ok("all peers removed: the dump ends early", 0 < len(found) < 400, f"{len(found)} peers")
    found = interrupted(
        "one more prefix",
        with_prefixes,
        lambda: wireguard.set(
            WG0 + peers(attr(Peer.PUBLIC_KEY, key(2)) + allowed_ips(prefix("::/0")))
        ),
    )
    seen = [x for p in found for x in prefixes(p)]
    tap.ok(
        "one more prefix: the rest of the list is left out",
        0 < len(seen) < 3000 and seen == many[: len(seen)],
        f"{len(seen)} prefixes",
    )
    before = wireguard.get(WG0)
    tap.ok("a refused request is no change", not any(m.flags & F_DUMP_INTR for m in before))


def abandoned():
    tap.note("dumps that are not read to their end")
    subprocess.run("ip link add wg5 type wireguard".split(), check=True)
    wg5 = text(Device.IFNAME, "wg5")
    for start in range(0, 400, 100):
        wireguard.set(
            wg5 + peers(*(attr(Peer.PUBLIC_KEY, key(n)) for n in range(start, start + 100)))
        )
    reader = WireGuard()
    reader.start(wg5)
    reader.receive()
    used = int(open("/sys/module/wireguard/refcnt").read())
    tap.equal("GET-8 an open dump pins the module", used, 1)
    deletion = subprocess.Popen("ip link del wg5".split())
    time.sleep(1)
    tap.ok("GET-8 and the device: deletion waits", deletion.poll() is None)
    tap.equal(
        "GET-8 whose name is gone already",
        subprocess.run(("wg", "show", "wg5"), capture_output=True).returncode,
        1,
    )
    last = reader.receive()
    while last[-1].kind != NLMSG_DONE:
        last = reader.receive()
    tap.equal("GET-8 the dump can be read on", last[-1].error()[0], 0)
    reader.close()
    tap.equal("GET-8 then the device goes", deletion.wait(60), 0)
    subprocess.run("ip link add wg5 type wireguard".split(), check=True)
    wireguard.set(wg5 + peers(*(attr(Peer.PUBLIC_KEY, key(n)) for n in range(200))))
    reader = WireGuard()
    reader.start(wg5)
    reader.receive()
    reader.close()
    deletion = subprocess.run("ip link del wg5".split(), timeout=60)
    tap.equal("GET-8 a dump left alone holds nothing", deletion.returncode, 0)
    tap.equal("GET-8 not the module either", int(open("/sys/module/wireguard/refcnt").read()), 0)


def rtnetlink():
    tap.note("making devices")
    route = Netlink(NETLINK_ROUTE)
    newlink, header = 16, bytes(16)
    ifname, linkinfo, kind, data = 3, 18, 1, 2

    def link(name, *info):
        return header + text(ifname, name) + nest(linkinfo, text(kind, "wireguard"), *info)

    create = F_REQUEST | F_ACK | 0x200 | F_CREATE
    is_answered("LNK-1 a device", OK, "", route.talk, newlink, create, link("wg6"))
    is_answered("LNK-1 the same again", EEXIST, "", route.talk, newlink, create, link("wg6"))
    is_answered(
        "LNK-1 type data is ignored",
        OK,
        "",
        route.talk,
        newlink,
        create,
        link("wg8", nest(data, u32(1, 5))),
    )
    is_answered(
        "LNK-1 but not on a device that exists",
        EOPNOTSUPP,
        "",
        route.talk,
        newlink,
        F_REQUEST | F_ACK,
        link("wg6", nest(data, u32(1, 5))),
    )
    for name in ("wg6", "wg8"):
        subprocess.run(("ip", "link", "del", name), check=True)


def main():
    family()
    forms()
    selection()
    policy()
    tap.equal("nothing of all this left a peer behind", wg("show", "wg0", "peers"), "")
    semantics()
    partial()
    privileges()
    layout()
    interruptions()
    abandoned()
    rtnetlink()


main()
