# SPDX-License-Identifier: GPL-2.0
"""What an error shows of a request: all of it as it is by then, without keys."""

import os

import tap
from errors_base import *  # noqa: F403
from wgnl import *  # noqa: F403


def echo(attributes):
    """A request that is refused, as the error has it."""
    client = WireGuard()
    client.socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 0)
    client.send(client.family, F_REQUEST | F_ACK, client.body(SET, attributes))
    (message,) = client.receive(65536)
    return message.error()[0], message.body[20:]


def keys():
    tap.note("keys in a request that is refused")
    private = [os.urandom(32) for _ in range(3)]
    preshared = [os.urandom(32) for _ in range(5)]
    one, two = attr(Peer.PUBLIC_KEY, key(61)), attr(Peer.PUBLIC_KEY, key(62))
    secrets = [attr(Peer.PRESHARED_KEY, each) for each in preshared]
    number, shown = echo(
        WG0
        + attr(Device.PRIVATE_KEY, private[0])
        + attr(Device.PRIVATE_KEY, private[1])
        + peers(one + secrets[0] + secrets[1])
        + attr(Device.PRIVATE_KEY, private[2])
        # Of which only this one counts, and the first of its peers is refused.
        + peers(one + secrets[2] + u32(Peer.PROTOCOL_VERSION, 7), two + secrets[3] + secrets[4])
    )
    tap.equal("HS-10 the request is refused", number, EPFNOSUPPORT)
    tap.ok("HS-10 and shown", key(61) in shown and key(62) in shown)
    left = [secret.hex() for secret in private + preshared if secret in shown]
    if os.environ["WG_DRIVER"] == "c":
        tap.note(f"the in-tree driver wipes but some of the keys; it leaves {len(left)} of 8")
    else:
        tap.equal("HS-10 without keys, wherever they were in it", left, [])
    reset()
