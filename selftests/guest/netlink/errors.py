#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the netlink interface answers to requests right and wrong. Runs inside errors.sh.

There are two devices: wg0, which is down, and wg1, which is up on port 51821; wg2 is up, too.
"""

import os
import socket
import struct
import subprocess
import sys

import errors_dump
import errors_echo
import tap
from errors_base import *  # noqa: F403
from wgnl import *  # noqa: F403


def family():
    tap.note("the family")
    tap.equal("NL-1 its version", wireguard.version, 1)
    tap.ok("NL-1 no multicast group", not wireguard.groups)
    # GENL_UNS_ADMIN_PERM with GENL_CMD_CAP_DUMP or _DO, and GENL_CMD_CAP_HASPOL.
    tap.equal("NL-1 two commands, with their policies", wireguard.ops, {GET: 0x1C, SET: 0x1A})


def forms():
    tap.note("forms of requests")
    do, dump = F_REQUEST | F_ACK, F_REQUEST | F_ACK | F_DUMP
    get("ERR-1 NL-3 without dump", EOPNOTSUPP, "", WG0, flags=do)
    set_("ERR-1 NL-3 as a dump", EOPNOTSUPP, "", WG0, flags=dump)
    for command in (2, 255):
        set_(f"ERR-1 command {command}", EOPNOTSUPP, "", WG0, command=command)
        get(f"ERR-1 command {command} as a dump", EOPNOTSUPP, "", WG0, command=command)
    for version in (0, 77):
        both(f"ERR-8 version {version}", OK, "", WG0, version=version)
    reserved = "genlmsghdr.reserved field is not 0"
    both("ERR-9 NL-4 reserved header field", EINVAL, reserved, WG0, reserved=1)
    ambiguous = "ambiguous or reserved bits set in nlmsg_flags"
    set_("ERR-10 NL-4 with CREATE", EINVAL, ambiguous, WG0, flags=do | F_CREATE)
    set_("ERR-10 NL-4 with ROOT alone", EINVAL, ambiguous, WG0, flags=do | F_ROOT)
    set_("NL-4 with ECHO", OK, "", WG0, flags=do | F_ECHO)
    both("ERR-27 NL-5 three trailing bytes", EINVAL, LEFTOVER, WG0 + b"abc")
    both("ERR-27 an attribute of length 3", EINVAL, LEFTOVER, WG0 + b"\3\0\1\0")
    both("ERR-27 an attribute of length 0", EINVAL, LEFTOVER, WG0 + bytes(4))
    both("ERR-27 an attribute longer than its message", EINVAL, LEFTOVER, WG0 + b"\xff\0\1\0")


def selection():
    tap.note("which device")
    index = socket.if_nametoindex("wg0")
    both("NL-8 by index", OK, "", u32(Device.IFINDEX, index))
    both("NL-8 by name", OK, "", WG0)
    both("ERR-2 NL-8 neither", EBADR, "", b"")
    both("ERR-2 NL-8 both", EBADR, "", WG0 + u32(Device.IFINDEX, index))
    both("ERR-3 unknown name", ENODEV, "", text(Device.IFNAME, "wg7"))
    both("ERR-3 empty name", ENODEV, "", text(Device.IFNAME, ""))
    for number in (0, -1, 999999):
        both(f"ERR-3 index {number}", ENODEV, "", u32(Device.IFINDEX, number))
    both("ERR-4 a device of another kind", EOPNOTSUPP, "", text(Device.IFNAME, "lo"))
    both("ERR-5 a name without its NUL", EINVAL, POLICY, attr(Device.IFNAME, b"wg0"))
    both("ERR-5 a name of 16 characters", EINVAL, POLICY, text(Device.IFNAME, "a" * 16))
    both("ERR-3 a name of 15 characters", ENODEV, "", text(Device.IFNAME, "a" * 15))
    both("ERR-5 a name of 20 bytes", EINVAL, POLICY, attr(Device.IFNAME, b"a" * 20))
    both("ERR-5 a name of no bytes", EINVAL, POLICY, attr(Device.IFNAME))
    both("a name with a second NUL", OK, "", attr(Device.IFNAME, b"wg0\0\0"))
    for size in (2, 8):
        index = attr(Device.IFINDEX, bytes(size))
        both(f"ERR-6 NL-6 an index of {size} bytes", EINVAL, LENGTH, index)


def unknown():
    tap.note("attributes that do not exist")
    get("ERR-7 NL-6 with a private key", EINVAL, UNKNOWN, WG0 + attr(Device.PRIVATE_KEY, bytes(32)))
    get("ERR-7 NL-6 with peers", EINVAL, UNKNOWN, WG0 + peers())
    both("ERR-7 NL-5 EP-6 an unknown attribute", EINVAL, UNKNOWN, WG0 + u32(9, 0))
    both("ERR-7 attribute 0", EINVAL, UNKNOWN, WG0 + u32(0, 0))
    both("ERR-7 attribute 16000", EINVAL, UNKNOWN, WG0 + u32(16000, 0))
    peer("ERR-7 EP-6 an unknown attribute of a peer", EINVAL, UNKNOWN, PUBLIC, u32(11, 0))
    # A table with a gap answers otherwise there.
    peer("ERR-7 EP-6 another, farther away", EINVAL, UNKNOWN, PUBLIC, u32(40, 0))
    allowed(
        "ERR-7 an unknown attribute of an allowed IP",
        EINVAL,
        UNKNOWN,
        prefix("10.0.0.0/8"),
        u32(5, 0),
    )


def sizes():
    tap.note("attributes of the wrong size")
    for name, kind, wrong in (
        ("a port", Device.LISTEN_PORT, (0, 1, 4)),
        ("a mark", Device.FWMARK, (0, 2, 8)),
        ("flags", Device.FLAGS, (0, 2, 8)),
    ):
        for size in wrong:
            set_(f"ERR-6 {name} of {size} bytes", EINVAL, LENGTH, WG0 + attr(kind, bytes(size)))
    for name, kind, wrong in (
        ("a keepalive", Peer.KEEPALIVE, (0, 1, 4)),
        ("flags of a peer", Peer.FLAGS, (2, 8)),
        ("received bytes", Peer.RX_BYTES, (4,)),
        ("sent bytes", Peer.TX_BYTES, (4, 16)),
        ("a protocol version", Peer.PROTOCOL_VERSION, (2, 8)),
    ):
        for size in wrong:
            peer(f"ERR-6 {name} of {size} bytes", EINVAL, LENGTH, PUBLIC, attr(kind, bytes(size)))
    for name, kind, wrong in (
        ("a family", AllowedIp.FAMILY, (1, 4)),
        ("a prefix length", AllowedIp.CIDR_MASK, (0, 2)),
        ("flags of an allowed IP", AllowedIp.FLAGS, (2,)),
    ):
        for size in wrong:
            allowed(f"ERR-6 {name} of {size} bytes", EINVAL, LENGTH, attr(kind, bytes(size)))


def ranges():
    tap.note("attributes whose size is out of range")
    for size in (0, 31, 33):
        for name, kind in (("private", Device.PRIVATE_KEY), ("public", Device.PUBLIC_KEY)):
            set_(
                f"ERR-11 NL-6 a {name} key of {size} bytes",
                ERANGE,
                OUT_OF_RANGE,
                WG0 + attr(kind, bytes(size)),
            )
        peer(
            f"ERR-11 a peer's key of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            attr(Peer.PUBLIC_KEY, bytes(size)),
        )
        peer(
            f"ERR-11 a preshared key of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            PUBLIC,
            attr(Peer.PRESHARED_KEY, bytes(size)),
        )
    for size in (0, 15):
        peer(
            f"ERR-11 NL-6 an endpoint of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            PUBLIC,
            attr(Peer.ENDPOINT, bytes(size)),
        )
    for size in (15, 17):
        peer(
            f"ERR-11 NL-6 a handshake time of {size} bytes",
            ERANGE,
            OUT_OF_RANGE,
            PUBLIC,
            attr(Peer.LAST_HANDSHAKE_TIME, bytes(size)),
        )
    allowed("ERR-11 an address of 3 bytes", ERANGE, OUT_OF_RANGE, attr(AllowedIp.IPADDR, bytes(3)))


def shapes():
    tap.note("flags that are reserved, and attributes that are not nested as they should be")
    set_("ERR-13 NL-6 reserved flags", EINVAL, RESERVED, WG0 + u32(Device.FLAGS, 2))
    set_("ERR-13 all flags", EINVAL, RESERVED, WG0 + u32(Device.FLAGS, -1))
    peer("ERR-13 reserved flags of a peer", EINVAL, RESERVED, PUBLIC, u32(Peer.FLAGS, 8))
    allowed(
        "ERR-13 reserved flags of an allowed IP",
        EINVAL,
        RESERVED,
        prefix("10.0.0.0/8"),
        u32(AllowedIp.FLAGS, 2),
    )
    plain = attr(Device.PEERS, nest(0, PUBLIC))
    set_("ERR-14 NL-5 peers that are not nested", EINVAL, NOT_NESTED, WG0 + plain)
    plain = nest(Device.PEERS, attr(0, PUBLIC))
    set_("ERR-15 a peer that is not nested", EINVAL, "", WG0 + plain)
    peer(
        "ERR-14 allowed IPs that are not nested",
        EINVAL,
        NOT_NESTED,
        PUBLIC,
        attr(Peer.ALLOWEDIPS, nest(0, prefix("10.0.0.0/8"))),
    )
    set_("ERR-16 a nested mark", EINVAL, NESTED, WG0 + nest(Device.FWMARK, bytes(4)))
    peer("ERR-16 a nested key of a peer", EINVAL, NESTED, nest(Peer.PUBLIC_KEY, key(1)))
    set_("ERR-17 no peers", OK, "", WG0 + peers())
    half = attr(Device.PEERS | NLA_F_NESTED, b"ab")
    set_("ERR-17 half a peer header", ERANGE, POLICY, WG0 + half)
    set_("ERR-18 an empty peer", EINVAL, "", WG0 + peers(b""))
    set_("ERR-27 a peer header with a tail", EINVAL, LEFTOVER, WG0 + peers(PUBLIC + b"abc"))


def semantics():
    tap.note("requests that parse")
    reset()
    peer("SET-11 ERR-18 a peer without a key", EINVAL, "", u32(Peer.FLAGS, 0))
    set_("ERR-19 NL-7 a peer with index 7", OK, "", WG0 + nest(Device.PEERS, nest(7, PUBLIC)))
    tap.equal("ERR-19 NL-7 it is there", len(wg("show", "wg0", "peers").split()), 1)
    set_("ERR-12 NL-7 a public key", OK, "", WG0 + attr(Device.PUBLIC_KEY, bytes(32)))
    peer("ERR-12 NL-7 a handshake time", OK, "", PUBLIC, attr(Peer.LAST_HANDSHAKE_TIME, b"a" * 16))
    peer("ERR-12 NL-7 received bytes", OK, "", PUBLIC, u64(Peer.RX_BYTES, 77))
    peer("ERR-12 NL-7 sent bytes", OK, "", PUBLIC, u64(Peer.TX_BYTES, 77))
    tap.equal(
        "ERR-12 NL-7 are ignored",
        wg("show", "wg0", "dump").split("\n")[1].split("\t")[4:7],
        ["0"] * 3,
    )
    for version in (0, 2):
        peer(
            f"ERR-22 SET-12 protocol version {version}",
            EPFNOSUPPORT,
            "",
            PUBLIC,
            u32(Peer.PROTOCOL_VERSION, version),
        )
    peer("SET-12 protocol version 1", OK, "", PUBLIC, u32(Peer.PROTOCOL_VERSION, 1))
    peer(
        "ERR-25 SET-13 remove an absent peer",
        OK,
        "",
        attr(Peer.PUBLIC_KEY, key(2)),
        u32(Peer.FLAGS, Peer.F_REMOVE_ME),
    )
    peer(
        "ERR-25 SET-13 update an absent peer",
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


def endpoints():
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
        peer(f"ERR-20 SET-18 {what}", OK, "", PUBLIC, attr(Peer.ENDPOINT, value))
    shown = wg("show", "wg0", "endpoints").split()[1]
    tap.equal("ERR-20 SET-18 changed nothing", shown, "10.1.2.3:4567")
    nowhere = attr(Peer.ENDPOINT, endpoint4("0.0.0.0", 0))
    peer("ERR-21 SET-18 an unspecified one", OK, "", PUBLIC, nowhere)
    tap.equal("ERR-21 SET-18 is set", wg("show", "wg0", "endpoints").split()[1], "0.0.0.0:0")
    wanted = endpoint6("fe80::1", 99, 0x12345, 1)
    peer("SET-18 IPv6 with everything", OK, "", PUBLIC, attr(Peer.ENDPOINT, wanted))
    (found,) = [p for p in dump_peers(wireguard.get(WG0))]
    tap.equal("SET-18 comes back as it was", found[Peer.ENDPOINT], wanted)
    other = endpoint6("fe80::1", 99, 0x54321, 1)
    peer("EP-7 the same with another flow label", OK, "", PUBLIC, attr(Peer.ENDPOINT, other))
    (found,) = [p for p in dump_peers(wireguard.get(WG0))]
    tap.equal("EP-7 is the same", found[Peer.ENDPOINT], wanted)


def prefixes_of_a_peer():
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
        allowed(f"ERR-23 SET-20 {what}", EINVAL, "", attributes)
    allowed("ERR-24 AI-2 10.1.2.3/0", OK, "", prefix("10.1.2.3/0"))
    shown = wg("show", "wg0", "allowed-ips").split()[1:]
    tap.equal("ERR-24 AI-2 is stored masked", shown, ["0.0.0.0/0"])
    absent = prefix("10.1.2.3/1", AllowedIp.F_REMOVE_ME)
    allowed("ERR-25 AI-4 remove an absent prefix", OK, "", absent)
    allowed("AI-4 remove with host bits", OK, "", prefix("10.1.2.3/0", AllowedIp.F_REMOVE_ME))
    tap.equal("AI-4 is gone", wg("show", "wg0", "allowed-ips").split()[1:], ["(none)"])
    peer("ERR-17 an empty list", OK, "", PUBLIC, allowed_ips())


def duplicates():
    tap.note("duplicates: the last one counts")
    set_("ERR-26 two marks", OK, "", WG0 + u32(Device.FWMARK, 1) + u32(Device.FWMARK, 2))
    tap.equal("ERR-26 the second mark counts", wg("show", "wg0", "fwmark"), "0x2\n")
    set_("ERR-26 two names", OK, "", text(Device.IFNAME, "wg7") + WG0)
    peer("ERR-26 two keepalives", OK, "", PUBLIC, u16(Peer.KEEPALIVE, 1), u16(Peer.KEEPALIVE, 2))
    shown = wg("show", "wg0", "persistent-keepalive").split()[1]
    tap.equal("ERR-26 the second keepalive counts", shown, "2")
    reset()
    second = peers(attr(Peer.PUBLIC_KEY, key(3)))
    set_("ERR-26 two lists of peers", OK, "", WG0 + peers(PUBLIC) + second)
    found = [p[Peer.PUBLIC_KEY] for p in dump_peers(wireguard.get(WG0))]
    tap.equal("ERR-26 the second list counts", found, [key(3)])
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
        "ERR-15 ERR-29 an allowed IP that is not nested",
        EINVAL,
        "",
        PUBLIC,
        allowed_ips(prefix("10.0.0.0/8")),
        nest(Peer.ALLOWEDIPS, attr(0, prefix("10.0.0.0/8"))),
    )
    found = [prefixes(p) for p in dump_peers(wireguard.get(WG0))]
    tap.equal("ERR-29 its peer is made", found, [[]])
    set_(
        "ERR-15 ERR-29 a peer that is not nested behind a good one",
        EINVAL,
        "",
        WG0 + nest(Device.PEERS, nest(0, attr(Peer.PUBLIC_KEY, key(2))), attr(0, PUBLIC)),
    )
    tap.equal("ERR-29 the good one is made", len(dump_peers(wireguard.get(WG0))), 2)
    reset()
    wireguard.set(WG0 + u32(Device.FWMARK, 1))
    set_(
        "ERR-28 NL-5 a mark, and a peer of the wrong shape",
        EINVAL,
        LENGTH,
        WG0 + u32(Device.FWMARK, 77) + peers(PUBLIC + attr(Peer.KEEPALIVE, bytes(3))),
    )
    tap.equal("ERR-28 nothing is done", wg("show", "wg0", "fwmark"), "0x1\n")
    second = attr(Peer.PUBLIC_KEY, key(2))
    set_(
        "ERR-29 a mark, a good peer, a bad one and a good one",
        EPFNOSUPPORT,
        "",
        WG0
        + u32(Device.FWMARK, 77)
        + peers(PUBLIC, second + u32(Peer.PROTOCOL_VERSION, 2), attr(Peer.PUBLIC_KEY, key(3))),
    )
    shown = wg("show", "wg0", "fwmark")
    tap.equal("ERR-29 what stands before the bad one is done", shown, "0x4d\n")
    tap.equal(
        "ERR-29 and only that",
        [p[Peer.PUBLIC_KEY] for p in dump_peers(wireguard.get(WG0))],
        [key(1)],
    )
    peer(
        "ERR-29 a good prefix, a bad one and a good one",
        EINVAL,
        "",
        second,
        u16(Peer.KEEPALIVE, 9),
        allowed_ips(prefix("10.0.0.0/8"), u16(AllowedIp.FAMILY, 99), prefix("11.0.0.0/8")),
    )
    found = dump_peers(wireguard.get(WG0))[-1]
    tap.equal("ERR-29 the peer is there, with the good one", prefixes(found), ["10.0.0.0/8"])
    tap.equal("ERR-29 but its keepalive is not set", found[Peer.KEEPALIVE], struct.pack("=H", 0))
    set_(
        "ERR-30 a port in use",
        EADDRINUSE,
        "",
        u32(Device.IFINDEX, socket.if_nametoindex("wg2"))
        + u16(Device.LISTEN_PORT, 51821)
        + u32(Device.FWMARK, 5)
        + peers(PUBLIC),
    )
    tap.equal("ERR-30 only the mark is set", wg("show", "wg2", "fwmark"), "0x5\n")
    tap.equal("ERR-30 no peer is", wg("show", "wg2", "peers"), "")


def privileges():
    tap.note("a caller without privileges")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.unshare(os.CLONE_NEWUSER)
        stranger = WireGuard()
        is_answered("ERR-32 NL-2 GET", EPERM, "", stranger.get, WG0)
        is_answered("ERR-32 NL-2 SET", EPERM, "", stranger.set, WG0)
        is_answered("NL-2 before anything is looked at", EPERM, "", stranger.set, b"abc")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)


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
    unknown()
    sizes()
    ranges()
    shapes()
    tap.equal("ERR-28 NL-5 nothing of all this left a peer behind", wg("show", "wg0", "peers"), "")
    semantics()
    endpoints()
    prefixes_of_a_peer()
    duplicates()
    partial()
    errors_echo.keys()
    privileges()
    errors_dump.layout()
    errors_dump.interruptions()
    errors_dump.abandoned()
    rtnetlink()


main()
