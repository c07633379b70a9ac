#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tunnels in tunnels, and tunnels through themselves.
#
# kernels: uml debug
# timeout: 120
# slow: yes

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair
# deeper LEVEL: wgLEVEL at both ends, by way of the tunnel of one level less.
deeper() {
	local level=$1 name own other key
	for name in a b; do
		[[ $name == a ]] && own=1 other=2 key=PUB_B || own=2 other=1 key=PUB_A
		at "$name" ip link add "wg$level" mtu $((1420 - 80 * level)) type wireguard
		addr "$name" "wg$level" "192.168.$((241 + level)).$own/24"
		at "$name" wg set "wg$level" private-key "$TMP/key-$name" listen-port $((52000 + 10 * level + own)) \
			peer "${!key}" allowed-ips "192.168.$((241 + level)).$other/32" \
			endpoint "192.168.$((240 + level)).$other:$((52000 + 10 * level + other))"
		at "$name" ip link set "wg$level" up
	done
}
check 'TX-20 one tunnel' reaches a 192.168.241.2
for level in 1 2 3; do
	deeper "$level"
	check "TX-20 NET-8 $((level + 1)) tunnels, one in the other" reaches a "192.168.$((241 + level)).2"
	check "TX-20 NET-8 large packets through $((level + 1))" \
		at b ping -n -q -c 5 -i 0.02 -W 10 -s 4000 "192.168.$((241 + level)).1"
done
head -c 200K /dev/urandom > "$TMP/file"
listening() {
	[[ $(at b ss -tlnH 'sport = 5000') ]]
}
spawn b ncat -l -p 5000 > "$TMP/copy"
eventually listening
at a timeout "$PATIENCE" ncat --send-only 192.168.244.2 5000 < "$TMP/file"
wait "$job"
check 'TX-20 a file through all of them' cmp "$TMP/file" "$TMP/copy"

note 'a tunnel whose endpoint is behind itself'
at a ip link add wg9 type wireguard
addr a wg9 192.168.250.1/24
at a wg set wg9 private-key "$TMP/key-c" peer "$PUB_B" allowed-ips 192.168.250.0/24 endpoint 192.168.250.2:51822
at a ip link set wg9 up
refuses 'TX-20 nothing comes back' '*100% packet loss*' at a ping -n -q -c 3 -i 0.2 -W 1 192.168.250.2
sent_by() {
	at_sys a cat /sys/class/net/wg9/statistics/tx_packets
}
before=$(sent_by)
sleep 1
holds 'TX-20 and it does not go round and round' "$(sent_by) - $before < 100"

note 'two tunnels that are each behind the other'
for side in '5 6' '6 5'; do
	read -r own other <<< "$side"
	at a ip link add "wg$own" type wireguard
	addr a "wg$own" "192.168.20$own.1/24"
	at a wg set "wg$own" private-key "$TMP/key-a" \
		peer "$PUB_C" allowed-ips "192.168.20$own.0/24" endpoint "192.168.20$other.2:9"
	at a ip link set "wg$own" up
done
refuses 'TX-20 nothing comes back, either' '*100% packet loss*' \
	at a ping -n -q -c 3 -i 0.2 -W 1 192.168.205.2
check 'TX-20 the other tunnels are well' reaches a 192.168.244.2
check 'TX-20 all can be deleted' at a ip -batch - < <(
	for name in wg0 wg5 wg9 wg1 wg6 wg3 wg2; do
		echo "link del $name"
	done
)

finish
