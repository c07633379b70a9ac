#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The two sockets: the checksums and flow labels of what they send, and what
# becomes of sessions when they are replaced.
#
# kernels: uml debug
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair

note 'checksums and flow labels'
at a ethtool -K eth0 tx off > /dev/null
at b ethtool -K eth0 tx off > /dev/null
# listed OPTION...: what tcpdump has to say of a capture.
listed() {
	tcpdump -n -r "$TMP/pcap" "$@" 2> /dev/null
}
capture_start b eth0 udp
reaches a 192.168.241.2
at a ping -n -q -c 3 -i 0.2 -W 5 192.168.241.2 > /dev/null
capture_stop
holds 'SK-4 IPv4 messages' "$(listed udp | wc -l) >= 8"
is 'SK-4 all have good checksums' "$(listed -vv udp | grep -c 'udp sum ok')" "$(listed udp | wc -l)"
# With a flow label that the driver keeps but does not use.
at a python3 - "$PUB_B" << END
import base64, sys
from wgnl import *
WireGuard().set(text(Device.IFNAME, "wg0") + peers(
    attr(Peer.PUBLIC_KEY, base64.b64decode(sys.argv[1]))
    + attr(Peer.ENDPOINT, endpoint6("fd00:aa::2", 51822, 0x12345))))
END
capture_start b eth0 'ip6 and udp'
at a ping -n -q -c 3 -i 0.2 -W 5 192.168.241.2 > /dev/null
at a ping -n -q -c 3 -i 0.2 -W 5 fd00::2 > /dev/null
capture_stop
holds 'SK-4 IPv6 messages' "$(listed | wc -l) >= 12"
is 'SK-4 all have good checksums, too' "$(listed -vv | grep -c 'udp sum ok')" "$(listed | wc -l)"
is 'SK-7 and no flow label' "$(listed -v | grep -c flowlabel || true)" 0

note 'other ports'
handshake=$(at a wg show wg0 latest-handshakes)
for port in 52001 52002 52003 0; do
	at a wg set wg0 listen-port "$port"
	check "SK-8 port $port: echoes" at a ping -n -q -c 5 -i 0.02 -W 10 192.168.241.2
done
is 'SK-8 the session is the same' "$(at a wg show wg0 latest-handshakes)" "$handshake"
spawn a python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 53000))
time.sleep(1000)'
taken() {
	[[ $(ports a) == *'v4 53000'* ]]
}
eventually taken
refuses 'SK-8 a port that is taken' '*Address already in use*' at a wg set wg0 listen-port 53000
check 'SK-8 the old sockets go on' at a ping -n -q -c 5 -i 0.02 -W 10 192.168.241.2
check 'SK-8 in both directions' at b ping -n -q -c 5 -i 0.02 -W 10 192.168.241.1
is 'SK-8 the session is still the same' "$(at a wg show wg0 latest-handshakes)" "$handshake"

finish
