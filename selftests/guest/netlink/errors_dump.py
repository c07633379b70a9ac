# SPDX-License-Identifier: GPL-2.0
"""What a dump looks like, and what happens to it when something changes meanwhile."""

import struct
import subprocess
import time

import tap
from errors_base import *  # noqa: F403
from wgnl import *  # noqa: F403


# What is told about a device, about one with a key, and that peers follow.
BARE = [Device.LISTEN_PORT, Device.FWMARK, Device.IFINDEX, Device.IFNAME]
KEYED = BARE + [Device.PRIVATE_KEY, Device.PUBLIC_KEY]
WHOLE = KEYED + [Device.PEERS]


def kinds(attributes):
    return [kind for kind, _, _ in attributes]


def layout():
    tap.note("what a dump looks like")
    reset()
    bare()
    whole()
    tap.note("dumps of several messages")
    many_peers()
    many_prefixes()


def bare():
    wireguard.set(WG0 + attr(Device.PRIVATE_KEY, bytes(32)))
    (message,) = wireguard.get(WG0)
    tap.equal("GET-1 a bare device", kinds(message.attributes()), BARE)
    tap.ok("GET-5 no flags", Device.FLAGS not in kinds(message.attributes()))
    tap.ok("GET-1 part of a dump", message.flags & F_MULTI)
    tap.equal("GET-1 its command and version", message.body[:4], struct.pack("=BBH", GET, 1, 0))
    wireguard.set(WG0 + attr(Device.PRIVATE_KEY, b"k" * 32) + peers(PUBLIC))
    (message,) = wireguard.get(WG0)
    tap.equal("GET-1 one with a key and a peer", kinds(message.attributes()), WHOLE)
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


def whole():
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
    tap.ok("GET-5 a peer has no flags", Peer.FLAGS not in fields)
    tap.equal("GET-2 its endpoint", fields[Peer.ENDPOINT], endpoint4("1.2.3.4", 5))
    tap.equal("GET-2 its prefixes", prefixes(fields), ["10.0.0.0/8", "::/0"])
    entries = parse(fields[Peer.ALLOWEDIPS])
    tap.equal("GET-2 nested ones of type 0", [(k, n) for k, n, _ in entries], [(0, True)] * 2)
    tap.equal(
        "GET-2 GET-5 mask, family, address, and nothing else",
        kinds(parse(entries[0][2])),
        [AllowedIp.CIDR_MASK, AllowedIp.FAMILY, AllowedIp.IPADDR],
    )


def many_peers():
    reset()
    count = 60
    wireguard.set(WG0 + peers(*(attr(Peer.PUBLIC_KEY, key(n)) for n in range(count))))
    messages = wireguard.get(WG0)
    tap.ok("GET-3 there are several", len(messages) > 1, f"{len(messages)} messages")
    tap.equal("GET-3 the first tells about the device", kinds(messages[0].attributes()), WHOLE)
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


def many_prefixes():
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
        len(messages) > 1 and all(kinds(m.attributes()) == WHOLE for m in messages),
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
    tap.ok(f"GET-6 {what}: the first message knows nothing of it", not parts[0].flags & F_DUMP_INTR)
    tap.ok(
        f"GET-6 {what}: the dump is marked as interrupted",
        any(m.flags & F_DUMP_INTR for m in parts[1:]),
    )
    tap.equal(f"GET-6 {what}: it ends well", parts[-1].error()[0], 0)
    return dump_peers(parts[:-1])


def interruptions():
    tap.note("changes during a dump")
    all_peers = [attr(Peer.PUBLIC_KEY, key(n)) for n in range(400)]
    many = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(3000)]

    def with_peers():
        for start in range(0, len(all_peers), 100):
            wireguard.set(WG0 + peers(*all_peers[start : start + 100]))

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
    tap.equal("GET-6 a mark: all peers are there", len(found), 400)
    found = interrupted("an empty request", with_peers, lambda: wireguard.set(WG0))
    tap.equal("GET-6 an empty request: all peers are there", len(found), 400)
    found = interrupted("all peers removed", with_peers, reset)
    early = 0 < len(found) < 400
    tap.ok("GET-6 all peers removed: the dump ends early", early, f"{len(found)} peers")
    found = interrupted(
        "one more prefix",
        with_prefixes,
        lambda: wireguard.set(
            WG0 + peers(attr(Peer.PUBLIC_KEY, key(2)) + allowed_ips(prefix("::/0")))
        ),
    )
    seen = [x for p in found for x in prefixes(p)]
    tap.ok(
        "GET-6 one more prefix: the rest of the list is left out",
        0 < len(seen) < 3000 and seen == many[: len(seen)],
        f"{len(seen)} prefixes",
    )
    before = wireguard.get(WG0)
    quiet = not any(m.flags & F_DUMP_INTR for m in before)
    tap.ok("GET-6 a refused request is no change", quiet)


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
