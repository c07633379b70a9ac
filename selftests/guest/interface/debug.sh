#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The debug messages of the C driver are read by people and by netns.sh: what is created and
# destroyed is said, in the same words, and in balance.
#
# kernels: uml debug
# timeout: 300
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	debug off
}

# said: the driver's messages since the mark, numbers of peers and key pairs replaced by a letter.
said() {
	log | sed -n 's/^\[[^]]*\] wireguard: //p' |
		sed -E 's/(Peer|peer) [0-9]+/\1 P/; s/(Peer|peer) [0-9]+/\1 P/; s/Keypair [0-9]+/Keypair K/; s/(peer P) \(0x[0-9a-f]+\)/\1/'
}
# has WHAT LINE: the line was said; waits for it.
has() {
	heard() {
		said | awk -v line="$1" '$0 == line { found = 1 } END { exit !found }'
	}
	if eventually heard "$2"; then
		ok "$1"
	else
		not_ok "$1" "wanted: $2" "said:" "$(said)"
	fi
}

ns a b
veth a eth0 b eth0
addr a eth0 10.0.0.1/24
addr b eth0 10.0.0.2/24
log_mark
at a ip link add wg0 type wireguard
sleep 0.2
is 'MOD-6 without dynamic debug nothing is said' "$(said)" ''
at a ip link del wg0
debug on

note 'a life'
log_mark
at a ip link add wg0 type wireguard
has 'MOD-1 a device is made' 'wg0: Interface created'
at b ip link add wg1 type wireguard
addr a wg0 192.168.241.1/24
addr b wg1 192.168.241.2/24
at a wg set wg0 private-key "$TMP/key-a" listen-port 51821 \
	peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822
has 'a peer is made' 'wg0: Peer P created'
at b wg set wg1 private-key "$TMP/key-b" listen-port 51822 peer "$PUB_A" allowed-ips 192.168.241.1/32
at a ip link set wg0 up
at b ip link set wg1 up
reaches a 192.168.241.2
has 'the initiator begins' 'wg0: Sending handshake initiation to peer P (10.0.0.2:51822)'
has 'the responder hears' 'wg1: Receiving handshake initiation from peer P (10.0.0.1:51821)'
has 'the responder answers' 'wg1: Sending handshake response to peer P (10.0.0.1:51821)'
has 'it has a key pair' 'wg1: Keypair K created for peer P'
has 'the initiator hears' 'wg0: Receiving handshake response from peer P (10.0.0.2:51822)'
has 'it has a key pair' 'wg0: Keypair K created for peer P'
at a wg set wg0 peer "$PUB_B" persistent-keepalive 1
has 'it sends a keepalive' 'wg0: Sending keepalive packet to peer P (10.0.0.2:51822)'
has 'the other hears it' 'wg1: Receiving keepalive packet from peer P (10.0.0.1:51821)'
at a wg set wg0 peer "$PUB_B" persistent-keepalive 0
at a ping -n -q -c 1 -W 1 192.168.241.77 > /dev/null || true
has 'a packet for nobody' 'wg0: No peer has allowed IPs matching 192.168.241.77'
at a wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.3/32
at a ping -n -q -c 1 -W 1 192.168.241.3 > /dev/null || true
has 'a peer without endpoint' 'wg0: No valid endpoint has been configured or discovered for peer P'
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.9/32
at b ping -n -q -c 1 -W 1 192.168.241.1 > /dev/null || true
has 'a source that is not allowed' \
	'wg0: Packet has unallowed src IP (192.168.241.2) from peer P (10.0.0.2:51822)'
at b python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.2", 4444))
s.sendto(b"\1\0\0\0" + bytes(144), ("10.0.0.1", 51821))'
has 'an initiation of zeros' 'wg0: Invalid MAC of handshake, dropping packet from 10.0.0.2:4444'
at b python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.0.2", 4445))
s.sendto(b"\3\0\0\0" + bytes(60), ("10.0.0.1", 51821))'
has 'a cookie of zeros' 'wg0: Receiving cookie response from 10.0.0.2:4445'
at a ip link set wg0 down
has 'LNK-5 down: the key pair goes' 'wg0: Keypair K destroyed for peer P'
at a wg set wg0 peer "$PUB_B" remove
has 'a peer is removed' 'wg0: Peer P (10.0.0.2:51822) destroyed'
at a wg set wg0 peer "$PUB_C" remove
has 'one without an endpoint' 'wg0: Peer P ((einval)) destroyed'
at a ip link del wg0
has 'LNK-5 a device is deleted' 'wg0: Interface destroyed'
at b ip link del wg1
has 'the other key pair goes' 'wg1: Keypair K destroyed for peer P'
has 'LNK-5 the other peer goes' 'wg1: Peer P (10.0.0.1:51821) destroyed'
has 'LNK-5 the other device goes' 'wg1: Interface destroyed'
is 'LNK-5 no socket is left' "$(ports a)$(ports b)" ''

note 'balance'
# Objects of all messages, each with what befell it.
fates() {
	log | sed -nE 's/^\[[^]]*\] wireguard: (wg[0-9]+: [A-Z][a-z]+ ?[0-9]*) .*(created|destroyed).*/\1=\2/p' |
		awk -F= '{ fate[$1] = fate[$1] $2 } END { for (o in fate) print o, fate[o] }' | sort
}
all_gone() {
	! fates | grep -vE ' (createddestroyed|createdcreateddestroyeddestroyed)+$' > "$TMP/fates"
}
check 'NET-26 every created has its destroyed' eventually all_gone
is 'NET-26 devices, peers and key pairs took part' \
	"$(fates | sed -E 's/^wg[0-9]+: ([A-Z][a-z]+) ?[0-9]* .*/\1/' | sort -u | xargs)" 'Interface Keypair Peer'
log_mark
for _ in {1..5}; do
	tunnel
	reaches b 192.168.241.1
	at a ip link set wg0 down
	at a ip link set wg0 up
	addr a wg0 fd00::1/112
	reaches a 192.168.241.2
	at b wg set wg0 peer "$PUB_A" remove
	untunnel
done
balanced() {
	[[ $(fates | wc -l) -gt 20 ]]
	all_gone
}
check 'NET-26 so it is after five short lives' eventually balanced

finish
