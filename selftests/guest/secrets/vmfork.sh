#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is left of sessions when the virtual machine was forked, of which there may be another copy
# now: nothing may be sent with their keys again. A module stands for the hypervisor that says so.
#
# kernels: stock
# needs: vmfork

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	debug off
	rmmod vmfork 2> /dev/null || true
}

fork() {
	insmod "$TOP/target/vmfork/$(uname -r).ko"
	rmmod vmfork
}

# initiations: how many were sent since the log was marked.
initiations() {
	log | grep -c 'wg0: Sending handshake initiation' || true
}

debug on
pair
check 'EV-3 a session' reaches a 192.168.241.2
before=$(at a wg show wg0 latest-handshakes | cut -f2)
sleep 1.1

note 'what was sent before and arrives after'
at a tc qdisc add dev eth0 root netem delay 2s
log_mark
got=$(received b)
at a bash -c 'echo -n hello > /dev/udp/192.168.241.2/9'
fork
is 'EV-3 it was told of' "$(log | grep -c 'crng reseeded due to virtual machine fork')" 1
arrived() {
	(($(received b) > got))
}
check 'EV-3 is still decrypted' eventually arrived
at a tc qdisc del dev eth0 root

note 'what is sent after'
check 'EV-3 packets still arrive' reaches a 192.168.241.2
between=$(at a wg show wg0 latest-handshakes | cut -f2)
holds 'EV-3 with keys of another handshake' "$between > $before"
holds 'EV-3 which one of both asked for' "$(initiations) >= 1"

note 'and again'
log_mark
fork
begin=${EPOCHREALTIME/./}
check 'EV-3 HS-8 packets still arrive' reaches a 192.168.241.2
took=$(((${EPOCHREALTIME/./} - begin) / 1000))
holds 'EV-3 HS-8 with another handshake' "$(initiations) >= 1"
note "$took ms"

finish
