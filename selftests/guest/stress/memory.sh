#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Memory while far more is sent than can be encrypted, or than can be sent at all: what waits has
# a limit, and it is gone afterwards.
#
# kernels: uml
# timeout: 180

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	[[ -d /sys/module/wireguard ]] || module_load
}

# flooded WHAT LIMIT: in kB, for all peers together.
flooded() {
	local what=$1 limit=$2 most rest
	read -r most rest < <(at a "$HERE/memory.py" 3 "${addresses[@]}")
	note "$what: $most kB were in use, $rest kB afterwards"
	holds "$what: a limit to what waits" "$most < $limit"
	holds "$what: nothing is left" "$rest < 16384"
}

# more_peers: of a, each a device of b.
more_peers() {
	local number key
	addresses=(192.168.241.2)
	for number in 3 4 5; do
		key=$(wg genkey)
		at b ip link add "wg$number" type wireguard
		at b wg set "wg$number" listen-port "5182$number" private-key <(echo "$key") \
			peer "$PUB_A" allowed-ips 192.168.241.1/32
		at b ip link set "wg$number" up
		at a wg set wg0 peer "$(wg pubkey <<< "$key")" allowed-ips "192.168.241.$number/32" \
			endpoint "10.0.0.2:5182$number"
		addresses+=("192.168.241.$number")
	done
}

# sessions: how many peers a has one with.
sessions() {
	at a wg show wg0 latest-handshakes | awk '$2 { n++ } END { print n + 0 }'
}

cable
kinds=('')
[[ $DRIVER != rust ]] || kinds=('parallel=1' 'parallel=2')
for kind in "${kinds[@]}"; do
	[[ ! -d /sys/module/wireguard ]] || module_unload
	# shellcheck disable=SC2086
	module_load $kind
	tunnel
	more_peers
	what=${kind:-default}
	for address in "${addresses[@]}"; do
		at a ping -n -q -c 1 -W 1 "$address" > /dev/null || true
	done
	check "$what: sessions" becomes 4 sessions
	# 1024 large packets, each of which takes up to 130 kB when encrypted; what the far end has
	# not decrypted yet; and what the kernel keeps of freed memory.
	flooded "$what, sessions" 200000
	check "$what: the tunnel works afterwards" reaches a 192.168.241.2
	# Nobody there: what waits are packets, however large those were that they came in.
	for address in "${addresses[@]}"; do
		at b ip link del "wg${address##*.}" 2> /dev/null || at b ip link del wg0
	done
	at a ip link set wg0 down
	at a ip link set wg0 up
	flooded "$what, no session" 16384
	at a ip link del wg0
done

finish
