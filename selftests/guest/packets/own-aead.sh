#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Messages that are at hand together are encrypted and decrypted by the driver's own code if the processor
# can run it: a fault in that is noticed. A fault that the test at load notices does no harm.
# selftests/needs/own-aead.sh builds drivers with faults.
#
# kernels: uml
# drivers: rust
# timeout: 600
# needs: own-aead

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# Prints how many datagrams come before an empty one.
COUNT='
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("192.168.241.2", 7))
sock.settimeout(float(sys.argv[1]))
count = 0
while sock.recv(2000):
    count += 1
print(count)
'
# Sends so many datagrams as one packet, or one after the other, and then an empty one.
SEND='
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
count, together = map(int, sys.argv[1:])
target = ("192.168.241.2", 7)
if together:
    sock.setsockopt(socket.SOL_UDP, 103, 1000)
for _ in range(1 if together else count):
    sock.sendto(bytes(1000 * (count if together else 1)), target)
sock.sendto(b"", target)
'

FAILS='Our own code for ChaCha20-Poly1305 fails its test'

listens() {
	[[ $(at b ss -ulnH 'sport = 7') ]]
}

# arrive COUNT TOGETHER: prints how many of so many datagrams arrive.
arrive() {
	spawn b python3 -c "$COUNT" "$PATIENCE" > "$TMP/count"
	eventually listens
	at a python3 -c "$SEND" "$@"
	wait "$job"
	cat "$TMP/count"
}

failures() {
	dmesg | grep -cF "$FAILS" || true
}

# with MODULE [PARAMETER...]: a tunnel of it.
with() {
	rmmod wireguard
	insmod "$@"
	tunnel
	reaches a 192.168.241.2
}

faulty() {
	echo "$TOP/target/own-aead/$1-$(uname -r).ko"
}

capable=yes
for flag in bmi2 avx512{f,vl,bw,dq,ifma,_vbmi2}; do
	grep -qw "$flag" /proc/cpuinfo || capable=''
done

cable
with "$WG_MODULE" own_aead=1
is 'eight at a time' "$(arrive 8 1)" 8
is 'four at a time' "$(arrive 4 1)" 4
is 'one at a time' "$(arrive 8 0)" 8
is 'the test at load succeeds' "$(failures)" 0
untunnel

if [[ $capable ]]; then
	for fault in seal open; do
		with "$(faulty "$fault")" own_aead=1
		is "a fault, $fault: none of eight arrives" "$(arrive 8 1)" 0
		is "a fault, $fault: few are left to the kernel" "$(arrive 4 1)" 4
		is "a fault, $fault: single ones, too" "$(arrive 8 0)" 8
		untunnel
		with "$(faulty "$fault")"
		is "a fault, $fault: without own_aead=1, it leaves all to the kernel" "$(arrive 8 1)" 8
		untunnel
	done
	is 'untested, no failure is known' "$(failures)" 0
	with "$(faulty tested)" own_aead=1
	is 'a fault is noticed at load' "$(failures)" 1
	is 'a fault is noticed at load: all is left to the kernel' "$(arrive 8 1)" 8
	untunnel
	with "$(faulty tested)"
	is 'a fault is noticed at load: but not without own_aead=1' "$(failures)" 1
	untunnel
else
	skip 'faults do harm' 'the processor cannot run the code'
fi

finish
