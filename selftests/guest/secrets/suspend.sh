#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is left of sessions when the machine is about to be suspended or hibernated. Who opens
# /dev/snapshot, as programs do that are to write the image, has all be told that it begins, and that it
# is over when he closes it. The guest's file system refuses to be frozen, so there is no image in the end;
# network devices come before it.
#
# kernels: stock

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

async=/sys/power/pm_async
undo() {
	debug off
	echo 1 > "$async"
}
# One device after the other, the last first.
echo 0 > "$async"

# image: processes and kernel threads are frozen, then devices, of which one refuses.
image() {
	python3 -c '
import ctypes, fcntl, sys
SNAPSHOT_FREEZE, SNAPSHOT_UNFREEZE, SNAPSHOT_CREATE_IMAGE = 0x3301, 0x3302, 0x40043311
snapshot, in_suspend = int(sys.argv[1]), ctypes.c_int()
fcntl.ioctl(snapshot, SNAPSHOT_FREEZE)
try:
    fcntl.ioctl(snapshot, SNAPSHOT_CREATE_IMAGE, in_suspend)
except OSError as error:
    print(f"no image: {error}")
finally:
    fcntl.ioctl(snapshot, SNAPSHOT_UNFREEZE)
' "$snapshot"
}

handshake() {
	at a wg show wg0 latest-handshakes | cut -f2
}

gone() {
	log | grep -cE 'wg0: Keypair [0-9]+ destroyed' || true
}

newer() {
	(($(handshake) > before))
}

debug on
pair
check 'EV-2 a session' reaches a 192.168.241.2
before=$(handshake)
sleep 1.1
log_mark
exec {snapshot}< /dev/snapshot
destroyed=$(log | grep -E 'wg0: Keypair [0-9]+ destroyed')
is 'EV-2 both key pairs are gone when it begins' "$(wc -l <<< "$destroyed")" 2
note "$destroyed"

# File systems are synced after that, some of them through tunnels.
check 'EV-2 a new session can be made meanwhile' reaches a 192.168.241.2
check 'EV-2 of its own' newer
before=$(handshake)
log_mark
image > "$TMP/image"
note "$(< "$TMP/image")"
if log | grep -q 'Freezing remaining freezable tasks' && grep -q 'no image' "$TMP/image"; then
	if [[ $DRIVER == c ]]; then
		is 'EV-2 its keys are in the image' "$(gone)" 0
	else
		holds 'EV-2 its keys are gone before there is an image' "$(gone) >= 2"
	fi
else
	not_ok 'EV-2 devices are frozen' "$(log | tail -n 20)"
fi
[[ $DRIVER == rust ]] || sleep 5.1
check 'EV-2 and it works' reaches a 192.168.241.2
[[ $DRIVER == c ]] || check 'EV-2 with another session' newer

before=$(handshake)
log_mark
exec {snapshot}<&-
check 'EV-2 which still works when it is over' reaches a 192.168.241.2
is 'EV-2 and is the same' "$(handshake)" "$before"
is 'EV-2 as nothing was wiped' "$(gone)" 0

# As when it fails at once: the last handshake was a moment ago, which is no reason to wait.
if [[ $DRIVER == rust ]]; then
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
