#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Requests that nobody would send, by the thousand, while traffic flows: the device answers each
# in the same way, and stays what it is.
#
# kernels: uml debug
# timeout: 240
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair
reaches a 192.168.241.2
spawn b ping -n -q -i 0.002 192.168.241.1 > "$TMP/ping"
traffic=$job
adopt at a python3 "$HERE/damaged.py"
kill -INT "$traffic"
wait "$traffic" || true
note "$(grep packets "$TMP/ping")"
check 'DMG-1 the tunnel is as good as before' at a ping -n -q -c 10 -i 0.02 -W 10 192.168.241.2
is 'DMG-1 traffic went on' "$(awk '/packets/ { print ($4 > 100) }' "$TMP/ping")" 1

finish
