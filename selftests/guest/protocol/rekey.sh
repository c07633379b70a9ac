#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What takes minutes: a session is renewed after two of them and not one echo is lost, handshakes
# that nobody answers are given up, and a tunnel that is idle stays silent.
#
# Within one guest this makes both ends itself.  With WG_SIDE set to a or b, as qemu-test/pair
# does, it is one end of a tunnel over eth0 to another guest, which may have the other driver;
# side a is the initiator.
#
# kernels: uml debug
# pairs: c,rust rust,c
# timeout: 500
# slow: yes

# On a busy host, the other guest may start minutes later.
[ -z "${WG_SIDE-}" ] || PATIENCE=240
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

echoes=650
interval=0.2
case ${WG_SIDE-} in
a) side=1 ;;
b) side=2 ;;
*) side=both ;;
esac
# Both sides must know both keys.
printf '%s\n' 'iDlXe8gDOiJHWtAOLzqBI0Xb1mPHWGk8/lVnqgzOc0U=' > "$TMP/key-1"
printf '%s\n' 'YBhNNTDmvGX8DmJk4/+Gp7CPZnXrvLnGzRkyJvHTZ1Y=' > "$TMP/key-2"
pub_1=$(wg pubkey < "$TMP/key-1")
# shellcheck disable=SC2034 # see end
pub_2=$(wg pubkey < "$TMP/key-2")

# on SIDE COMMAND...: in the namespace that is this side, or right here.
on() {
	local name=ab
	if [[ $side == both ]]; then
		at "${name:$1 - 1:1}" "${@:2}"
	else
		"${@:2}"
	fi
}

mine() {
	[[ $side == both || $side == "$1" ]]
}

# end SIDE: makes one end of the tunnel.
end() {
	local other=$((3 - $1)) pub
	pub=pub_$other
	on "$1" ip link add wg0 type wireguard
	on "$1" wg set wg0 private-key "$TMP/key-$1" listen-port $((51820 + $1)) peer "${!pub}" \
		preshared-key <(sha256sum <<< "$pub_1" | head -c 32 | base64) \
		allowed-ips "192.168.241.$other/32" endpoint "10.0.0.$other:$((51820 + other))"
	on "$1" ip addr add "192.168.241.$1/24" dev wg0
	on "$1" ip link set wg0 up
}

# moved SIDE: bytes received and sent.
moved() {
	on "$1" wg show wg0 transfer | cut -f2-
}

handshake() {
	on "$1" wg show wg0 latest-handshakes | cut -f2
}

if [[ $side == both ]]; then
	ns a b
	veth a eth0 b eth0
	addr a eth0 10.0.0.1/24
	addr b eth0 10.0.0.2/24
else
	ip addr add "10.0.0.$side/24" dev eth0
	ip link set eth0 up
fi
! mine 1 || end 1
! mine 2 || end 2

if [[ $side == both ]]; then
	# Started now, looked at later.
	at a ip link add wg1 type wireguard
	at a wg set wg1 private-key "$TMP/key-c" \
		peer "$PUB_B" allowed-ips 192.168.242.2/32 endpoint 10.0.0.2:9
	addr a wg1 192.168.242.1/24
	at a ip link set wg1 up
	at a python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(3):
    s.sendto(b"x", ("192.168.242.2", 9))'
	abandoned=$SECONDS
	for name in a b; do
		at "$name" ip link add wg2 type wireguard
		addr "$name" wg2 "192.168.243.$([[ $name == a ]] && echo 1 || echo 2)/24"
	done
	at a wg set wg2 private-key "$TMP/key-a" listen-port 52001 \
		peer "$PUB_B" allowed-ips 192.168.243.2/32 endpoint 10.0.0.2:52002
	at b wg set wg2 private-key "$TMP/key-b" listen-port 52002 \
		peer "$PUB_A" allowed-ips 192.168.243.1/32
	at a ip link set wg2 up
	at b ip link set wg2 up
	check 'a tunnel that will be idle' reaches a 192.168.243.2
	idle=$(at a wg show wg2 transfer | cut -f2-)
fi

if mine 1; then
	note "$echoes echoes, one every $interval s"
	answered() {
		on 1 ping -n -q -c 1 -W 2 192.168.241.2
	}
	check 'the tunnel is there' eventually answered
	first=$(handshake 1)
	read -r rx_before tx_before < <(moved 1)
	on 1 ping -n -q -i "$interval" -c "$echoes" 192.168.241.2 > "$TMP/ping" || true
	sed 's/^/# /' "$TMP/ping" | grep -E 'packets|rtt'
	like 'not one is lost' "$(cat "$TMP/ping")" "*$echoes packets transmitted, $echoes received, 0% packet loss*"
	second=$(handshake 1)
	note "handshakes $((second - first)) s apart"
	holds 'TX-19 TM-5 there was a second handshake' "$second > first"
	holds 'TX-19 TM-5 after two minutes' "$second - first >= 119 && $second - first <= 126"
	read -r rx tx < <(moved 1)
	# The in-tree driver may repeat a handshake that is complete; see overtaken.sh.
	handshakes=$(((rx - rx_before - 128 * echoes) / 92))
	[[ $DRIVER == c && $handshakes == 2 ]] || handshakes=1
	is 'TM-5 just one: a response more was received' $((rx - rx_before)) $((128 * echoes + 92 * handshakes))
	# A keepalive confirms the new key if no echo comes first.
	more=$((tx - tx_before - 128 * echoes - 148 * handshakes))
	holds 'TM-5 an initiation more was sent' "$more % 32 == 0 && $more / 32 <= $handshakes"
fi

if [[ $side == 1 ]]; then
	# Tells the other end that it is done.
	told() {
		ncat --send-only -w 5 10.0.0.2 5999 <<< 'done'
	}
	check 'the other side is told' eventually told
elif [[ $side == 2 ]]; then
	first=
	timeout 300 ncat -l -p 5999 > "$TMP/told" &
	waiting=$!
	while kill -0 "$waiting" 2> /dev/null; do
		sleep 1
		[[ $first && $first != 0 ]] || first=$(handshake 2)
	done
	is 'the other side is done' "$(cat "$TMP/told")" 'done'
fi
if mine 2; then
	read -r rx tx < <(moved 2)
	holds 'the responder saw it all' "$rx >= 128 * $echoes + 2 * 148 && $tx >= 128 * $echoes + 2 * 92"
	holds 'the responder knows of the second handshake' "$(handshake 2) - ${first:-0} >= 119"
fi

if [[ $side == both ]]; then
	note 'a handshake that nobody answers'
	# Up to twenty initiations, 5 to 5.33 s apart.
	given_up() {
		[[ $(at_sys a cat /sys/class/net/wg1/statistics/tx_dropped) == 3 ]]
	}
	check 'TM-2 is given up, and what waited is dropped' eventually given_up
	note "noticed after $((SECONDS - abandoned)) s"
	is 'TM-2 after twenty initiations' "$(at a wg show wg1 transfer | cut -f2-)" $'0\t2960'
	sleep 6
	is 'TM-2 and no more' "$(at a wg show wg1 transfer | cut -f2-)" $'0\t2960'
	at a ping -n -q -c 1 -W 1 192.168.242.2 > /dev/null || true
	is 'TM-2 until there is something to send' "$(at a wg show wg1 transfer | cut -f2-)" $'0\t3108'

	note 'a tunnel that is idle'
	# The echo's answer is data that nothing was sent after.
	read -r rx tx <<< "$idle"
	is 'H12 one keepalive was sent, and nothing else' "$(at a wg show wg2 transfer | cut -f2-)" \
		"$rx"$'\t'"$((tx + 32))"
	check 'it still works' reaches a 192.168.243.2
fi
undo() {
	[[ $side == both ]] || ip link del wg0
}

finish
