#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A device whose peer does not answer: what it sends, and when; what it says; packets that cannot
# be sent; and what it is like to `ip` and `ethtool`.

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/record.sh"

debug on
cable
wiretap b eth0 udp
SHOW_OUTPUT=yes
step 'a device is made' at a ip link add wg0 type wireguard
observe a wg0
# What Documentation/differences.rst lists is left out: the files and IDs of NAPI.
attributes() {
	at a ip -d -o link show wg0 | sed -E 's/^[0-9]+: //'
	at a ethtool -k wg0
	at_sys a bash -c 'cd /sys/class/net/wg0 && grep -H . *' 2> /dev/null |
		grep -vE '^(ifindex|iflink|threaded|napi_defer|gro_flush|uevent:IFINDEX)' || true
}
step 'its attributes' attributes
addr a wg0 192.168.241.1/24 fd00::1/112
step 'up without anything' at a ip link set wg0 up
step 'an echo to nobody' at a ping -n -c 1 -W 1 192.168.241.9
step 'an echo to nobody, IPv6' at a ping -n -c 1 -W 1 fd00::9
step 'a peer without an endpoint' at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128
step 'an echo to it' at a ping -n -q -c 1 -W 1 192.168.241.2
step 'an endpoint, but no key' at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
step 'an echo that waits' at a ping -n -q -c 1 -W 1 192.168.241.2
# for_seconds SECONDS COMMAND...: does it, waits, and stops what goes on by itself, since nobody knows
# how long it takes to look.
for_seconds() {
	"${@:2}" || true
	sleep "$1"
	at a ip link set wg0 down
	at a ip link set wg0 up
}
step 'a port and a key' for_seconds 18 at a wg set wg0 listen-port 51821 private-key "$TMP/key-a"
step 'another key' for_seconds 0 at a wg set wg0 private-key "$TMP/key-c"
step 'an echo after that' for_seconds 7 at a ping -n -q -c 1 -W 1 192.168.241.2
step 'the same key' at a wg set wg0 private-key "$TMP/key-c"
step 'another port' at a wg set wg0 listen-port 51831
step 'a mark' at a wg set wg0 fwmark 77
step 'another endpoint' at a wg set wg0 peer "$PUB_B" endpoint '[fd00:aa::2]:51822'
step 'an echo to that' for_seconds 7 at a ping -n -q -c 1 -W 1 192.168.241.2
step 'its own key as a peer' at a wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.3/32
step 'the key of its peer' at a wg set wg0 private-key "$TMP/key-b"
step 'an echo to nobody again' at a ping -n -q -c 1 -W 1 192.168.241.2
step 'down' at a ip link set wg0 down
step 'away' at a ip link del wg0
the_end
