#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Keys that change, come late, are removed, or are no good; packets and keepalives that wait for
# them.
#
# kernels: uml debug stock-amd64 stock-rt
# timeout: 300
# slow: stock-amd64 stock-rt

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair
# again NAME: forgets all sessions.
again() {
	at "$1" ip link set wg0 down
	at "$1" ip link set wg0 up
	addr "$1" wg0 "fd00::$([[ $1 == a ]] && echo 1 || echo 2)/112"
}
# quickly NAME ADDRESS: one echo, for which a handshake must be made at once: well before the
# next initiation would be allowed.
quickly() {
	local start=$SECONDS
	at "$1" ping -n -q -c 1 -W 30 "$2"
	echo "took $((SECONDS - start)) s"
	((SECONDS - start < 4))
}

note 'changes of keys'
check 'HS-8 with the first keys' quickly a 192.168.241.2
at a wg set wg0 private-key "$TMP/key-c"
at b wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.1/32,fd00::1/128 peer "$PUB_A" remove
check 'SET-9 another private key: a handshake at once' quickly a 192.168.241.2
is 'SET-9 the other side knows' "$(endpoint b "$PUB_C")" 10.0.0.1:51821
at a wg set wg0 private-key "$TMP/key-a"
at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128 peer "$PUB_C" remove
check 'SET-9 and back' quickly a 192.168.241.2
at b wg set wg0 private-key "$TMP/key-c"
at a wg set wg0 peer "$PUB_C" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822 \
	peer "$PUB_B" remove
check 'the other side changes its key' quickly a 192.168.241.2
at b wg set wg0 private-key "$TMP/key-b"
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822 \
	peer "$PUB_C" remove
check 'and back' quickly a 192.168.241.2
before=$(at b wg show wg0 latest-handshakes | cut -f2)
at a wg set wg0 private-key "$TMP/key-a"
sleep 1.1
check 'SET-8 the same key again' quickly a 192.168.241.2
is 'SET-8 is no change' "$(at b wg show wg0 latest-handshakes | cut -f2)" "$before"
at a wg set wg0 private-key "$TMP/key-c"
check 'SET-9 what is received with the old session still comes in' at b python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"x" * 100, ("192.168.241.1", 9))'
more_received() {
	(($(stats a rx_packets) > packets))
}
packets=$(stats a rx_packets)
at b ping -n -q -c 1 -W 1 192.168.241.1 > /dev/null || true
check 'SET-9 it is counted' eventually more_received
at a wg set wg0 private-key "$TMP/key-a"

note 'preshared keys'
at a wg set wg0 peer "$PUB_B" preshared-key "$TMP/psk"
at b wg set wg0 peer "$PUB_A" preshared-key "$TMP/psk"
again a
check 'SET-17 the same on both sides' quickly a 192.168.241.2
at a wg set wg0 peer "$PUB_B" preshared-key <(wg genpsk)
check 'SET-17 a change does not disturb a session' quickly b 192.168.241.1
again a
refuses 'SET-17 but prevents the next one' '*' at a ping -n -q -c 1 -W 1 192.168.241.2
at a wg set wg0 peer "$PUB_B" preshared-key /dev/null
at b wg set wg0 peer "$PUB_A" preshared-key /dev/null
again a
check 'SET-17 none' quickly a 192.168.241.2

note 'no key'
at a wg set wg0 private-key /dev/null
refuses 'SET-10 nothing goes out' '*' at a ping -n -q -c 2 -i 0.2 -W 1 192.168.241.2
is 'SET-10 the peers stay' "$(at a wg show wg0 peers)" "$PUB_B"
at a wg set wg0 private-key "$TMP/key-a"
check 'SET-9 the key again' reaches a 192.168.241.2
for _ in {1..10}; do
	at a wg set wg0 private-key /dev/null
	at a wg set wg0 private-key "$TMP/key-a" peer "$PUB_C" remove
done
check 'N8 on and off' reaches a 192.168.241.2
spawn a ping -n -q -f -W 1 192.168.241.2 > /dev/null
for _ in {1..20}; do
	at a wg set wg0 private-key /dev/null peer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= allowed-ips 10.9.0.0/16
	at a wg set wg0 private-key "$TMP/key-a" peer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= remove
done
stop_busy 'N8 the load' "$job"
check 'N8 on and off under load' reaches a 192.168.241.2
untunnel

note 'keepalives and packets that wait'
at a ip link add wg0 type wireguard
at a wg set wg0 private-key "$TMP/key-a" \
	peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822 persistent-keepalive 1
is 'nothing is sent while down' "$(sent a)" 0
at a ip link set wg0 up
is 'UP-3 up: an initiation at once' "$(sent a)" 148
at a ip link set wg0 down
at a ip link set wg0 up
is 'HS-8 down and up: another one' "$(sent a)" 296
at a ip link del wg0
at a ip link add wg0 type wireguard
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822 persistent-keepalive 1
at a ip link set wg0 up
is 'UP-3 up without a key: nothing' "$(sent a)" 0
at a wg set wg0 private-key "$TMP/key-a"
is 'SET-9 with the key: an initiation at once' "$(sent a)" 148
at a ip link del wg0
at a ip link add wg0 type wireguard
at a wg set wg0 private-key "$TMP/key-a" peer "$PUB_B" allowed-ips 192.168.241.2/32
at a ip link set wg0 up
at a wg set wg0 peer "$PUB_B" endpoint 10.0.0.2:51822
is 'SET-23 an endpoint alone starts nothing' "$(sent a)" 0
at a wg set wg0 peer "$PUB_B" persistent-keepalive 5
is 'SET-21 a keepalive does' "$(sent a)" 148
at a wg set wg0 peer "$PUB_B" persistent-keepalive 7
is 'SET-21 another interval does not' "$(sent a)" 148
at a ip link del wg0
at a ip link add wg0 type wireguard
at b ip link add wg0 type wireguard
addr a wg0 192.168.241.1/24
addr b wg0 192.168.241.2/24
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:51822
at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 peer "$PUB_A" allowed-ips 192.168.241.1/32
at a ip link set wg0 up
at b ip link set wg0 up
spawn b python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.168.241.2", 7))
print(*[s.recv(100).decode() for n in range(3)])
' > "$TMP/waited"
bound() {
	[[ $(ports b) == *'v4 7'* ]]
}
eventually bound
at a python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(3):
    s.sendto(b"%d" % n, ("192.168.241.2", 7))
'
is 'without a key packets wait' "$(sent a) $(stats a tx_dropped tx_errors)" '0 0 0'
at a wg set wg0 private-key "$TMP/key-a"
check 'SET-9 with the first key they are sent' ended "$job"
is 'SET-9 all of them, in order' "$(cat "$TMP/waited")" '0 1 2'
untunnel

note 'packets that are tried again'
# requests: leaves in $sent what was sent after each request, and says if they were made before the
# initiation is repeated, after five seconds.
requests() {
	! at a ip link del wg0 2> /dev/null
	at a ip link add wg0 type wireguard
	addr a wg0 192.168.241.1/24
	at a wg set wg0 private-key "$TMP/key-a" peer "$PUB_B" allowed-ips 192.168.241.2/32 endpoint 10.0.0.2:9
	at a ip link set wg0 up
	local begin=$SECONDS
	at a bash -c 'echo > /dev/udp/192.168.241.2/9'
	sent=("$(sent a)")
	at a wg set wg0 peer "$PUB_B" allowed-ips +192.168.241.4/32
	sent+=("$(sent a)")
	at a wg set wg0 private-key "$TMP/key-c"
	sent+=("$(sent a)")
	((SECONDS - begin < 4))
}
requests || requests || requests || note 'this machine is slow'
is 'SET-22 a packet waits, and there was an initiation' "${sent[0]}" 148
is 'HS-8 SET-22 another one is too early' "${sent[1]}" 148
is 'SET-22 with another private key it would not be, but nothing asks for one' "${sent[2]}" 148
at a wg set wg0 peer "$PUB_B"
becomes_sent() {
	becomes "$1" sent a > /dev/null
}
check 'HS-8 SET-22 a request for the peer does' becomes_sent 296
at a ip link del wg0

note 'keys that are no good'
at a ip link add wg0 type wireguard
at a wg set wg0 private-key "$TMP/key-a"
weak=(AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
	4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA= X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=
	7P///////////////////////////////////////38= 7f///////////////////////////////////////38=
	7v///////////////////////////////////////38=)
for key in "${weak[@]}"; do
	at a wg set wg0 peer "$key" persistent-keepalive 1 endpoint 10.0.0.2:9
done
is 'HS-5 low-order keys are peers' "$(at a wg show wg0 peers)" "$(printf '%s\n' "${weak[@]}")"
at a ip link set wg0 up
sleep 2.5
is 'HS-5 to which nothing is sent' "$(stats a tx_packets tx_bytes)" '0 0'

finish
