#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is left of sessions when the machine is about to be suspended or hibernated. The guest's file
# system does not allow either, but who opens /dev/snapshot, as programs do that are to write the
# image, has all be told that it begins, and that it is over when he closes it.
#
# kernels: stock

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	debug off
}

debug on
pair
check 'EV-2 a session' reaches a 192.168.241.2
before=$(at a wg show wg0 latest-handshakes | cut -f2)
sleep 1.1
log_mark
exec {snapshot}< /dev/snapshot
destroyed=$(log | grep -E 'wg0: Keypair [0-9]+ destroyed')
is 'EV-2 both key pairs are gone when it begins' "$(wc -l <<< "$destroyed")" 2
note "$destroyed"
if [[ $DRIVER == c ]]; then
	check 'EV-2 a new session can be made meanwhile' reaches a 192.168.241.2
	between=$(at a wg show wg0 latest-handshakes | cut -f2)
	holds 'EV-2 of its own' "$between > $before"
	log_mark
	exec {snapshot}<&-
	check 'EV-2 which still works when it is over' reaches a 192.168.241.2
	is 'EV-2 and is the same' "$(at a wg show wg0 latest-handshakes | cut -f2)" "$between"
	is 'EV-2 as nothing was wiped' "$(log | grep -cE 'wg0: Keypair [0-9]+ destroyed')" 0
else
	# Its keys would be in the image.
	log_mark
	at a ping -n -q -c 3 -i 0.5 -W 1 192.168.241.2 > /dev/null || true
	at a bash -c 'echo -n waits > /dev/udp/192.168.241.2/9'
	is 'EV-2 no session is made meanwhile' "$(log | grep -cE 'wg0: Keypair [0-9]+ created')" 0
	is 'EV-2 nor is one asked for' "$(log | grep -c 'wg0: Sending handshake initiation')" 0
	is 'EV-2 the last one was before' "$(at a wg show wg0 latest-handshakes | cut -f2)" "$before"
	exec {snapshot}<&-
	again() {
		(($(at a wg show wg0 latest-handshakes | cut -f2) > before))
	}
	check 'EV-2 what waits for one asks for it when it is over' eventually again
	check 'EV-2 and it works' reaches a 192.168.241.2

	# As when it fails at once: the last handshake was a moment ago, which is no reason to wait.
	at a ip link set wg0 down
	at a ip link set wg0 up
	check 'EV-2 a session that is new' reaches a 192.168.241.2
	log_mark
	exec {snapshot}< /dev/snapshot
	at a bash -c 'echo -n waits > /dev/udp/192.168.241.2/9'
	exec {snapshot}<&-
	sleep 1
	is 'EV-2 what waits for one asks for it at once' \
		"$(log | grep -c 'wg0: Sending handshake initiation')" 1
fi

finish
