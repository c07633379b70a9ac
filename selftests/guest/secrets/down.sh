#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Handshakes that are still to be begun when the interface goes down are not: nothing would wipe what
# they leave. There are many at once, so that some wait for their turn. The in-tree driver begins them
# nevertheless, which is not counted against it.
#
# kernels: stock
# timeout: 200

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/hog.sh"

PEERS=300

undo() {
	hog_end
	debug off
}

# initiations: how many were begun since the log was marked.
initiations() {
	log | grep -c 'wg0: Sending handshake initiation' || true
}

cable
# Nobody answers, so that there are no sessions.
nonces_least=0
at a ip link add wg0 type wireguard
# With a keepalive, each wants a session as soon as the interface is up.
python3 - "$KEY_A" "$PEERS" > "$TMP/conf" << 'END'
import base64, os, sys

print(f"[Interface]\nPrivateKey = {sys.argv[1]}")
for number in range(int(sys.argv[2])):
    print(f"[Peer]\nPublicKey = {base64.b64encode(os.urandom(32)).decode()}")
    print(f"Endpoint = 10.0.0.2:{2000 + number}\nPersistentKeepalive = 60")
END
at a wg setconf wg0 "$TMP/conf"
# No others, so that the log has room for these.
debug on
debug off
echo 0 > /proc/sys/net/core/message_cost
echo 'module wireguard format "Sending handshake initiation" +p' > /sys/kernel/debug/dynamic_debug/control

# All CPUs but the first are busy with something that is more important than workqueues are, and so is the
# first while the interface goes up and down. If all are begun before it is down, and none waits any
# longer, nothing is shown.
late=0 rounds=0
for ((tries = 0; tries < 5 && rounds < 3; tries++)); do
	(($(nproc) < 2)) || hog $(seq 1 $(($(nproc) - 1)))
	log_mark
	begins=$log_marker
	at a chrt -f 60 ip -batch - <<< $'link set wg0 up\nlink set wg0 down'
	log_mark
	unhog
	sleep 2
	after=$(initiations)
	log_marker=$begins
	before=$(($(initiations) - after))
	note "$before initiations begun before the interface was down, $after later"
	if ((before < PEERS)); then
		rounds=$((rounds + 1)) late=$((late + after))
	fi
done
if [[ $DRIVER == c ]]; then
	skip 'UP-4 no handshake is begun when the interface is down' 'the in-tree driver begins some'
	finish
fi
is 'UP-4 handshakes wait when the interface goes down' "$rounds" 3
is 'UP-4 no handshake is begun when the interface is down' "$late" 0
log_mark
at a ip link set wg0 up
all() {
	(($(initiations) >= PEERS))
}
check 'UP-4 all are when it is up' eventually all

finish
