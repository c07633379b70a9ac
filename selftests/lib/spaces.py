# SPDX-License-Identifier: GPL-2.0
"""The namespaces that lib.sh makes."""

import os


def enter(prefix, name):
    """Has this thread be in one."""
    with open(f"/run/netns/{prefix}-{name}") as file:
        os.setns(file.fileno(), os.CLONE_NEWNET)
