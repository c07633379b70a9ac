#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Suspending in vain: it is prepared, and then given up, because somebody else refuses, or after the
# processes were frozen. Sessions are gone then, and the tunnel is to work again by itself.
#
# kernels: stock
# timeout: 240

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pause=2
[[ $DRIVER != c ]] || pause=6
INJECT=/sys/kernel/debug/notifier-error-inject/pm/actions

undo() {
	refuse 0
	rmmod pm-notifier-error-inject 2> /dev/null || true
	debug off
}

# refuse ERROR: what comes after the driver in the chain is to fail with it; with 0, not any more.
refuse() {
	local action
	for action in "$INJECT"/PM_{SUSPEND,HIBERNATION}_PREPARE; do
		[[ ! -e $action ]] || echo "$1" > "$action/error"
	done
}

suspend() {
	echo freeze > /sys/power/state
}

hibernate() {
	: < /dev/snapshot
}

# freeze: the processes are frozen and then thawed, as by a program that was to write an image.
freeze() {
	python3 - <<- 'END'
		import fcntl, os
		SNAPSHOT_FREEZE, SNAPSHOT_UNFREEZE = 0x3301, 0x3302
		snapshot = os.open("/dev/snapshot", os.O_RDONLY)
		fcntl.ioctl(snapshot, SNAPSHOT_FREEZE)
		fcntl.ioctl(snapshot, SNAPSHOT_UNFREEZE)
	END
}

handshake() {
	at a wg show wg0 latest-handshakes | cut -f2
}

newer() {
	(($(handshake) > before))
}

# gone: how many key pairs are, since the log was marked.
gone() {
	log | grep -cE 'wg0: Keypair [0-9]+ destroyed' || true
}

wiped() {
	(($(gone) >= 2))
}

# in_vain WHAT COMMAND...: the command has it begin and end.
in_vain() {
	local what=$1 before
	shift
	check "EV-2 $what: a session" reaches a 192.168.241.2
	before=$(handshake)
	# The in-tree driver gives up what it was to send if the last handshake was a moment ago.
	sleep "$pause"
	log_mark
	"$@"
	check "EV-2 $what: both key pairs are gone" eventually wiped
	check "EV-2 $what: there is a new session by itself" eventually newer
	check "EV-2 $what: it works" reaches a 192.168.241.2
}

debug on
pair
# So that there is something to send.
at a wg set wg0 peer "$PUB_B" persistent-keepalive 1
modprobe pm-notifier-error-inject

refuse -16
in_vain 'a suspend that is refused' refuses 'EV-2 a suspend is refused' '*busy*' suspend
in_vain 'a hibernation that is refused' refuses 'EV-2 a hibernation is refused' '*busy*' hibernate
# The last one is to be over as well.
again() {
	! suspend && ! suspend && ! suspend
}
in_vain 'several in a row' again 2> /dev/null
refuse 0
in_vain 'processes that were frozen' check 'EV-2 processes are frozen and thawed' freeze

# Who refuses before the driver is told of it.
rmmod pm-notifier-error-inject
modprobe pm-notifier-error-inject priority=1
refuse -16
check 'EV-2 a session' reaches a 192.168.241.2
before=$(handshake)
log_mark
refuses 'EV-2 a suspend is refused early' '*busy*' suspend
check 'EV-2 a suspend that is refused early: packets still arrive' reaches a 192.168.241.2
is 'EV-2 a suspend that is refused early: nothing is gone' "$(gone)" 0
is 'EV-2 a suspend that is refused early: with the same session' "$(handshake)" "$before"
rmmod pm-notifier-error-inject
modprobe pm-notifier-error-inject

finish
