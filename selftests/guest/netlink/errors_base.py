# SPDX-License-Identifier: GPL-2.0
"""What the parts of the netlink test share."""

import subprocess

import tap
from wgnl import *  # noqa: F403

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
