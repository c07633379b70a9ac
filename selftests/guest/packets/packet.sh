#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packet sockets on the device: what they see, and what they send, offloads included.
#
# kernels: uml debug
# timeout: 180
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

pair
check 'the tunnel' reaches a 192.168.241.2

note 'what they see'
capture_start a wg0 icmp or icmp6
at a ping -n -q -c 3 -i 0.1 -W 10 192.168.241.2 > /dev/null
at b ping -n -q -c 2 -i 0.1 -W 10 fd00::1 > /dev/null
capture_stop
is 'MODE-21 packets as they are in the tunnel, both ways' \
	"$(tcpdump -n -r "$TMP/pcap" 2> /dev/null | grep -oE '(192.168.241|fd00:)[^ ]* > [^ ,]*' | sort | uniq -c | sed 's/^ *//; s/:$//')" \
	'3 192.168.241.1 > 192.168.241.2
3 192.168.241.2 > 192.168.241.1
2 fd00::1 > fd00::2
2 fd00::2 > fd00::1'
is 'MODE-21 without a link header' "$(od -An -tu4 -j20 -N4 "$TMP/pcap" | tr -d ' ')" 101
capture_start a eth0 udp
at a ping -n -q -c 3 -i 0.1 -W 10 192.168.241.2 > /dev/null
capture_stop
is 'MODE-21 and below it nothing that can be read' "$(tcpdump -n -r "$TMP/pcap" icmp 2> /dev/null | wc -l)" 0
# What others look at may not change under their eyes.
spawn a tcpdump -Z root -n -i wg0 -w "$TMP/tap-wg0" 2> /dev/null
tap1=$job
spawn a tcpdump -Z root -n -i eth0 -w "$TMP/tap-eth0" 2> /dev/null
tap2=$job
sleep 0.5
check 'MODE-21 a file while they look' copy a b 192.168.241.2
check 'MODE-21 a file, back' copy b a fd00::1
stop "$tap1"
stop "$tap2"
# Sent packets are taken before they are encrypted: none in the capture may be anything but TCP.
is 'MODE-21 all that was seen in the tunnel was TCP' \
	"$(tcpdump -n -r "$TMP/tap-wg0" 'not tcp' 2> /dev/null | wc -l)" 0
is 'MODE-21 all that was seen below it was UDP' \
	"$(tcpdump -n -r "$TMP/tap-eth0" 'ip and not udp' 2> /dev/null | wc -l)" 0

note 'what they send'
# send COUNT HEADER...
send() {
	at a python3 "$LIB/packet.py" wg0 192.168.241.1 192.168.241.2 "$@"
}
# arrived COMMAND...: lengths of TCP's payloads at b, and whether their sums are right.
arrivals() {
	# With whole packets of 64 kB, the buffer has room for eight.
	capture_start b wg0 -s 1500 tcp dst port 9
	"$@" > "$TMP/sent"
	capture_stop
	tcpdump -n -v -r "$TMP/pcap" 2> /dev/null |
		sed -n 's/.*cksum 0x[0-9a-f]* (\([a-z]*\).*length \([0-9]*\)$/\2 \1/p' | sort | uniq -c | sed 's/^ *//'
}
is 'MODE-22 one packet, its sum to be made' "$(arrivals send 1000 1,0,0,0,20,16)" '1 1000 correct'
# Segmented where it is sent, since b does no receive offload of what arrives one by one.
at b ethtool -K wg0 gro off
is 'MODE-22 one of 14000 bytes in segments of 1000' "$(arrivals send 14000 1,1,40,1000,20,16)" '14 1000 correct'
is 'MODE-22 the last one smaller' "$(arrivals send 2500 1,1,40,1000,20,16)" $'2 1000 correct\n1 500 correct'
is 'MODE-22 the largest' "$(arrivals send 65000 1,1,40,1300,20,16)" '50 1300 correct'
at b ethtool -K wg0 gro on

note 'nonsense'
for header in 1,1,40,0,20,16 1,1,0,1000,20,16 1,1,40,65535,20,16 1,1,40,1,20,16 1,1,65535,1000,20,16 \
	1,4,40,1000,20,16 1,5,28,1000,20,6 0,1,40,1000,0,0 1,1,40,1000,65000,16 1,1,40,1000,20,65000 \
	1,129,40,1000,20,16 1,3,28,1000,20,6 255,255,65535,65535,65535,65535; do
	send 5000 "$header" > "$TMP/sent"
	note "$(cat "$TMP/sent")"
done
check 'MODE-23 the tunnel has lived through it' reaches a 192.168.241.2
check 'MODE-23 and carries files' copy a b 192.168.241.2
before=$(stats a tx_packets)
at a python3 -c 'import socket
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.setsockopt(263, 20, 1) # PACKET_QDISC_BYPASS
raw.bind(("wg0", 0x0800))
for n in range(100):
    raw.send(bytes.fromhex("4500002000010000403d0000c0a8f101c0a8f102") + bytes(12))'
is 'MODE-23 a hundred past the queue' "$(($(stats a tx_packets) - before))" 100

finish
