#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own clients of its netlink specifications have to show what `wg` shows: the one in C
# that comes as a test for WireGuard, tools/net/ynl/tests/wireguard.c, built by selftests/needs/ynl.sh, and
# the one in Python, from the source of the kernel that runs ($WG_KERNEL_SOURCE).
#
# kernels: uml
# timeout: 240
# needs: ynl

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

client=$TOP/target/ynl/wireguard
[[ -x $client ]]
source=${WG_KERNEL_SOURCE:?the source of the kernel is not at hand}
python3 -c 'import yaml, jsonschema'

ns a
at a ip link add wg0 type wireguard
index=$(at_sys a cat /sys/class/net/wg0/ifindex)
# expected: what the client prints, made from what wg says.
expected() {
	local peer _ rx tx ips
	echo "Interface $index: wg0"
	at a wg show wg0 dump | tail -n +2 | while IFS=$'\t' read -r peer _ _ ips _ rx tx _; do
		printf '\tPeer %s:\n' "$(base64 -d <<< "$peer" | od -An -v -tx1 | tr -d ' \n')"
		printf '\t\tData: rx: %s / tx: %s bytes\n\t\tAllowed IPs:\n' "$rx" "$tx"
		[[ $ips == '(none)' ]] || tr ',' '\n' <<< "$ips" | sed 's/^/\t\t\t/'
	done
}
same() {
	diff -u <(expected) <(at a "$client" "$1")
}
check 'YNL a bare device' same wg0
at a wg set wg0 private-key "$TMP/key-a" \
	peer "$PUB_B" allowed-ips 10.0.0.0/8,fd00::/16 endpoint 127.0.0.1:9 persistent-keepalive 25 \
	peer "$PUB_C"
check 'YNL one with peers' same wg0
check 'YNL by its index' same "$index"
at a ip link set wg0 up
at a wg set wg0 peer "$PUB_B" persistent-keepalive 5
like 'YNL something was sent' "$(at a "$client" wg0)" '*rx: 0 / tx: 148 bytes*'
check 'YNL and is shown' same wg0
for n in {1..200}; do
	printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.%s.0.0/16, fd00:%s::/32\n' \
		"$(sha256sum <<< "$n" | head -c 32 | base64 -w 0)" "$n" "$n"
done > "$TMP/many"
at a wg setconf wg0 "$TMP/many"
# In several messages, of which only the first names the device, and a peer may be in two.
flat() {
	grep -v '^Interface' | awk '/Peer/ { peer = $2 } { print peer, $0 }' | sort -u
}
is 'YNL 200 peers' "$(at a "$client" wg0 | flat | md5sum)" "$(expected | flat | md5sum)"
refuses 'YNL no such device' '*No such device*' at a "$client" wg7
refuses 'YNL a device of another kind' '*not supported*' at a "$client" lo

note 'the client in Python'
cli() {
	at a python3 "$source/tools/net/ynl/pyynl/cli.py" \
		--spec "$source/Documentation/netlink/specs/wireguard.yaml" "$@"
}
# shows EXPRESSION: of what the client got, as JSON, in Python.
shows() {
	cli --dump get-device --json '{"ifname": "wg0"}' --output-json |
		python3 -c "import json, sys
got = json.load(sys.stdin)
print($1)"
}
at a wg setconf wg0 <(printf '[Interface]\nListenPort = 7\nPrivateKey = %s\n' "$KEY_A")
is 'YNL Python: the device' "$(shows '[got[0][k] for k in ("ifname", "listen-port", "fwmark")]')" "['wg0', 7, 0]"
hex=$(base64 -d <<< "$PUB_C" | od -An -v -tx1 | tr -d ' \n')
check 'YNL Python: a peer is set' cli --do set-device --json "{\"ifname\": \"wg0\", \"fwmark\": 5,
	\"peers\": [{\"public-key\": \"$hex\", \"persistent-keepalive-interval\": 9}]}"
is 'YNL Python: wg shows it' "$(at a wg show wg0 persistent-keepalive) $(at a wg show wg0 fwmark)" "$PUB_C	9 0x5"
refuses 'YNL Python: no device' '*Invalid request descriptor*' cli --dump get-device --json '{}'
refuses 'YNL Python: two devices' '*Invalid request descriptor*' \
	cli --dump get-device --json "{\"ifname\": \"wg0\", \"ifindex\": $index}"

finish
