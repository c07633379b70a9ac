#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Configuration through `wg`: what is set is what is shown, to the letter, for one peer and for
# hundreds.
#
# kernels: uml debug
# timeout: 600
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

exec 3>&1
ns a b
at a ip link add wg0 type wireguard
wg0() {
	at a wg set wg0 "$@"
}
show() {
	at a wg show wg0 "$@"
}
# allowed: the peers and their allowed IPs, one peer a line, keys shortened to a letter.
allowed() {
	show allowed-ips | sed "s,^$PUB_A,A,; s,^$PUB_B,B,; s,^$PUB_C,C," | tr '\t\n' ' ;'
}

note 'the device'
wg0 private-key "$TMP/key-a"
is 'the private key' "$(show private-key)" "$KEY_A"
is 'its public key' "$(show public-key)" "$PUB_A"
wg0 private-key <(echo "/${KEY_A:1}")
is 'SET-9 a key is clamped' "$(show private-key)" "+${KEY_A:1}"
wg0 private-key "$TMP/key-a"
wg0 private-key /dev/null
is 'SET-10 no private key' "$(show private-key)" '(none)'
is 'SET-10 no public key' "$(show public-key)" '(none)'
check 'SET-10 removing it twice' wg0 private-key /dev/null
wg0 private-key "$TMP/key-a"
is 'no mark' "$(show fwmark)" off
wg0 fwmark 0xcafef00d
is 'SET-2 a mark' "$(show fwmark)" 0xcafef00d
wg0 fwmark off
is 'SET-2 off again' "$(show fwmark)" off
wg0 listen-port 65535
is 'SET-4 a port while down' "$(show listen-port) $(ports a)" '65535 '
wg0 listen-port 0
is 'SET-4 none' "$(show listen-port)" 0
is 'GET-1 the device line of a dump' "$(show dump)" "$KEY_A	$PUB_A	0	off"
refuses 'no such device' '*No such device*' at a wg show wg7
refuses 'not a WireGuard device' '*Operation not supported*' at a wg show lo
refuses 'set no such device' '*No such device*' at a wg set wg7 fwmark 1
refuses 'set another kind of device' '*Operation not supported*' at a wg set lo fwmark 1

note 'the port while up'
at a ip link set wg0 up
port=$(show listen-port)
wg0 listen-port 51821
is 'SET-5 a new port' "$(show listen-port)" 51821
is 'SET-5 is bound, and no other' "$(ports a)" $'v4 51821\nv6 51821'
check 'SET-3 the same port again' wg0 listen-port 51821
wg0 listen-port 0
port=$(show listen-port)
holds 'SET-6 port 0 means any' "$port != 0 && $port != 51821"
is 'SET-6 it is bound' "$(ports a)" "v4 $port"$'\n'"v6 $port"
at a ip link add wg1 type wireguard
at a wg set wg1 listen-port 51822
at a ip link set wg1 up
log_mark
refuses 'ERR-30 SET-5 a port in use' '*Address already in use*' wg0 listen-port 51822
is 'ERR-30 SET-5 the old port stays' "$(show listen-port)" "$port"
is 'SK-8 SET-5 and is still bound' "$(ports a)" "$(printf '%s\n' "v4 $port" 'v4 51822' "v6 $port" 'v6 51822' | sort)"
like 'MOD-6 the log says so' "$(log)" '*wg0: Could not create IPv4 socket*'
at a ip link del wg1
check 'SET-5 the port once it is free' wg0 listen-port 51822
spawn a python3 -c 'import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(("::", 51823))
time.sleep(1000)'
v6_taken() {
	[[ $(ports a) == *'v6 51823'* ]]
}
eventually v6_taken
refuses 'SET-5 a port in use by IPv6 alone' '*Address already in use*' wg0 listen-port 51823
is 'SET-5 the old port stays' "$(show listen-port)" 51822
is 'SK-8 SET-5 nothing is half open' "$(ports a)" $'v4 51822\nv6 51822\nv6 51823'
refuses 'SET-5 the rest of that request is not looked at' '*Address already in use*' \
	wg0 listen-port 51823 peer "$PUB_C"
is 'SET-5 indeed' "$(show peers)" ''
refuses 'SET-2 what stands before it is done' '*Address already in use*' wg0 fwmark 7 listen-port 51823
is 'SET-2 indeed' "$(show fwmark)" 0x7
wg0 fwmark 0
stop "$job"
at a ip link set wg0 down

note 'peers'
wg0 peer "$PUB_B"
is 'GET-2 a bare peer' "$(show dump | tail -n 1)" "$PUB_B	(none)	(none)	(none)	0	0	0	off"
wg0 peer "$PUB_B" preshared-key "$TMP/psk" endpoint 10.9.8.7:654 persistent-keepalive 25 \
	allowed-ips 10.0.0.0/8,fd00::/16
is 'GET-2 a peer with everything' "$(show dump | tail -n 1)" \
	"$PUB_B	$PSK	10.9.8.7:654	10.0.0.0/8,fd00::/16	0	0	0	25"
wg0 peer "$PUB_B"
is 'what is not named stays' "$(show dump | tail -n 1)" \
	"$PUB_B	$PSK	10.9.8.7:654	10.0.0.0/8,fd00::/16	0	0	0	25"
wg0 peer "$PUB_B" preshared-key /dev/null
is 'SET-17 no preshared key' "$(show preshared-keys)" "$PUB_B	(none)"
wg0 peer "$PUB_B" persistent-keepalive 65535
is 'the longest keepalive' "$(show persistent-keepalive)" "$PUB_B	65535"
wg0 peer "$PUB_B" persistent-keepalive off
is 'no keepalive' "$(show persistent-keepalive)" "$PUB_B	off"
wg0 peer "$PUB_B" endpoint '[fd00::1:2]:9'
is 'SET-18 an IPv6 endpoint' "$(endpoint a)" '[fd00::1:2]:9'
wg0 peer "$PUB_B" endpoint '[fe80::1%lo]:9'
is 'SET-18 one with a scope' "$(endpoint a)" '[fe80::1%lo]:9'
wg0 peer "$PUB_B" endpoint 255.255.255.255:65535
is 'SET-18 an odd one' "$(endpoint a)" 255.255.255.255:65535
wg0 peer "$PUB_C" allowed-ips 1.2.3.4/32 peer "$PUB_B"
is 'peers stay in the order of their creation' "$(show peers)" "$PUB_B"$'\n'"$PUB_C"
wg0 peer "$PUB_B" remove
is 'SET-16 one is removed' "$(show peers)" "$PUB_C"
check 'SET-13 removing it again' wg0 peer "$PUB_B" remove
is 'SET-13 changes nothing' "$(show peers)" "$PUB_C"
wg0 peer "$PUB_C" remove peer "$PUB_B" peer "$PUB_C"
is 'SET-16 removed and made anew' "$(show peers)" "$PUB_B"$'\n'"$PUB_C"
is 'SET-16 without its allowed IPs' "$(allowed)" 'B (none);C (none);'

note "the device's own key"
check 'ERR-35 SET-14 own key as peer' wg0 peer "$PUB_A" allowed-ips 9.9.9.9/32
is 'ERR-35 SET-14 is not added' "$(show peers)" "$PUB_B"$'\n'"$PUB_C"
wg0 private-key "$TMP/key-b"
is 'SET-9 a peer goes when its key becomes our own' "$(show peers)" "$PUB_C"
wg0 peer "$PUB_B" allowed-ips 9.9.9.9/32
is 'SET-14 and does not come back' "$(show peers)" "$PUB_C"
wg0 private-key /dev/null
wg0 peer "$PUB_B" remove
wg0 peer "$PUB_A"
is 'without a key any peer is fine' "$(show peers)" "$PUB_C"$'\n'"$PUB_A"
wg0 private-key "$TMP/key-a" peer "$PUB_C" remove
is 'until the key comes' "$(show peers)" ''

note 'allowed IPs'
wg0 peer "$PUB_B" allowed-ips 10.1.2.3/8,fd00:1:2::3/32,0.0.0.0/0,::/0
is 'AI-2 AI-6 host bits are masked' "$(allowed)" 'B 10.0.0.0/8 fd00:1::/32 0.0.0.0/0 ::/0;'
wg0 peer "$PUB_B" allowed-ips 192.168.0.0/16,10.0.0.0/8,1.1.1.1/32
is 'SET-19 a list replaces the list, AI-5 in its order' "$(allowed)" 'B 192.168.0.0/16 10.0.0.0/8 1.1.1.1/32;'
wg0 peer "$PUB_B" allowed-ips +192.168.0.0/16
is 'AI-3 added again moves to the end' "$(allowed)" 'B 10.0.0.0/8 1.1.1.1/32 192.168.0.0/16;'
wg0 peer "$PUB_C" allowed-ips +10.0.0.0/8
is 'AI-3 a prefix moves to another peer' "$(allowed)" 'B 1.1.1.1/32 192.168.0.0/16;C 10.0.0.0/8;'
wg0 peer "$PUB_C" allowed-ips -1.1.1.1/32,-10.0.0.0/9,-10.0.0.0/7,-11.0.0.0/8
is 'AI-4 removing what is not there' "$(allowed)" 'B 1.1.1.1/32 192.168.0.0/16;C 10.0.0.0/8;'
wg0 peer "$PUB_C" allowed-ips -10.200.0.1/8
is 'AI-4 host bits do not matter to removal' "$(allowed)" 'B 1.1.1.1/32 192.168.0.0/16;C (none);'
wg0 peer "$PUB_C" allowed-ips +10.0.0.0/8,-10.0.0.0/8,+10.0.0.0/9
is 'AI-4 in the order of the request' "$(allowed)" 'B 1.1.1.1/32 192.168.0.0/16;C 10.0.0.0/9;'
wg0 peer "$PUB_C" remove
wg0 peer "$PUB_C" allowed-ips 1.1.1.1/32,192.168.0.0/16
is 'AI-3 all of them move' "$(allowed)" 'B (none);C 1.1.1.1/32 192.168.0.0/16;'
wg0 peer "$PUB_C" remove
is 'AI-3 they go with their owner' "$(allowed)" 'B (none);'
wg0 peer "$PUB_B" allowed-ips 0.0.0.0/0,10.0.0.0/8,100.0.0.0/10,172.16.0.0/12,192.168.0.0/16
wg0 peer "$PUB_B" allowed-ips 0.0.0.0/0
wg0 peer "$PUB_B" allowed-ips ::/0,1700::/111,5000::/4,e000::/37,9000::/75
wg0 peer "$PUB_B" allowed-ips ::/0
is 'SET-19 replaced again and again' "$(allowed)" 'B ::/0;'
nested=$(seq -s, -f '0.0.0.0/%g' 0 32),$(seq -s, -f '::/%g' 0 128)
wg0 peer "$PUB_B" allowed-ips "$nested"
is 'AI-7 every length of one address' "$(allowed)" "B ${nested//,/ };"
wg0 peer "$PUB_B" allowed-ips ''
is 'SET-19 an empty list' "$(allowed)" 'B (none);'
wg0 peer "$PUB_B" remove

note 'configuration files'
# make_config PEERS SEED: what `wg showconf` prints for such a configuration.
make_config() {
	python3 - "$@" << 'END'
import base64, random, sys

peers, seed = int(sys.argv[1]), int(sys.argv[2])
rnd = random.Random(seed)
key = lambda: base64.b64encode(rnd.randbytes(32)).decode()
private = bytearray(rnd.randbytes(32))
private[0] &= 248
private[31] = private[31] & 127 | 64
print("[Interface]\nListenPort = 51821\nFwMark = 0x51821")
print("PrivateKey = " + base64.b64encode(private).decode())
for n in range(peers):
    print("\n[Peer]\nPublicKey = " + key())
    if n % 3 == 0:
        print("PresharedKey = " + key())
    ips = []
    for i in range([1, 0, 4, 2, 30][n % 5]):
        if i % 2 == 0:
            ips.append(f"10.{n >> 8}.{n & 255}.{i}/32")
        else:
            ips.append(f"fd00:{n + 1:x}:{i:x}::/48")
    if ips:
        print("AllowedIPs = " + ", ".join(ips))
    if n % 4 == 1:
        print(f"Endpoint = 192.0.2.{n % 255}:{n + 1}")
    if n % 4 == 3:
        print(f"Endpoint = [2001:db8::{n + 1:x}]:{n + 1}")
    if n % 7 == 0:
        print(f"PersistentKeepalive = {n % 65535 + 1}")
END
}
# timed WHAT COMMAND...: runs it and says how long it took.
timed() {
	local what=$1 start=${EPOCHREALTIME/./}
	shift
	"$@"
	note "$what: $(((${EPOCHREALTIME/./} - start) / 1000)) ms" >&3
}
same() {
	diff -u "$1" <(at a wg showconf wg0) | head -n 20
	return "${PIPESTATUS[0]}"
}
make_config 500 1 > "$TMP/500"
make_config 100 2 > "$TMP/100"
timed 'setconf of 500 peers' at a wg setconf wg0 "$TMP/500"
timed 'showconf of 500 peers' at a wg showconf wg0 > "$TMP/shown"
check 'WQ-1 showconf gives 500 peers back' same "$TMP/500"
timed 'the same setconf again' at a wg setconf wg0 "$TMP/500"
check 'WQ-1 setconf of the same is the same' same "$TMP/500"
is 'WQ-1 500 lines of a dump' "$(show dump | wc -l)" 501
timed 'setconf of 100 others' at a wg setconf wg0 "$TMP/100"
check 'SET-7 WQ-1 setconf replaces all' same "$TMP/100"
head -n 40 "$TMP/100" > "$TMP/some"
{
	cat "$TMP/some"
	printf '\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.0.2.0/32, 10.77.0.0/16\n' "$PUB_B"
} > "$TMP/new"
at a wg syncconf wg0 "$TMP/new"
is 'SET-24 WQ-1 syncconf removes and adds peers' "$(show peers | sort)" "$(awk '/^PublicKey/ { print $3 }' "$TMP/new" | sort)"
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.78.0.0/16\n' "$PUB_C" > "$TMP/add"
at a wg addconf wg0 "$TMP/add"
is 'WQ-1 addconf adds' "$(show allowed-ips | grep "^$PUB_C")" "$PUB_C	10.78.0.0/16"
is 'addconf leaves the rest alone' "$(show peers | wc -l)" "$(($(grep -c '^.Peer' "$TMP/new") + 1))"
printf '[Interface]\n' > "$TMP/empty"
at a wg setconf wg0 "$TMP/empty"
is 'SET-7 SET-24 setconf of nothing' "$(show dump)" $'(none)\t(none)\t0\toff'

note 'dumps in several messages'
# Peers and prefixes around the numbers that just fill a message of a page or of 8 pages.
for peers in 28 29 30 31 120; do
	make_config "$peers" "$peers" > "$TMP/config"
	at a wg setconf wg0 "$TMP/config"
	check "WQ-1 $peers peers" same "$TMP/config"
done
for prefixes in 1 194 195 196 197 198 199 392 393 394 395 396 397 1600; do
	{
		printf '[Peer]\nPublicKey = %s\n\n[Peer]\nPublicKey = %s\nAllowedIPs = ' "$PUB_B" "$PUB_C"
		seq -s, -f 'abcd::%g/128' "$prefixes"
	} > "$TMP/config"
	at a wg setconf wg0 "$TMP/config"
	is "WQ-1 $prefixes prefixes on the second peer" "$(show allowed-ips | tail -n 1)" \
		"$PUB_C	$(awk 'END { gsub(/,/, " ", $3); print $3 }' "$TMP/config" | sed 's/::0*/::/g')"
done
at a wg setconf wg0 "$TMP/empty"
{
	printf '[Interface]\nPrivateKey = %s\n[Peer]\nPublicKey = %s\n' "$KEY_A" "$PUB_B"
	for a in {1..255}; do
		for b in {0..255}; do
			echo "AllowedIPs=$a.$b.0.0/16,$a::$b/128"
		done
	done
} > "$TMP/130k"
timed 'setconf of 130,560 prefixes' at a wg setconf wg0 "$TMP/130k"
timed 'reading them' at a wg show wg0 allowed-ips > "$TMP/shown"
is 'AI-6 130,560 prefixes on one peer' "$(wc -w < "$TMP/shown")" 130561
is 'AI-5 AI-6 each once, in order' "$(tr '\t' ' ' < "$TMP/shown" | cut -d' ' -f2- | tr ' ' '\n' | md5sum)" \
	"$(sed -n 's/^AllowedIPs=//p' "$TMP/130k" | tr ',' '\n' | sed 's,::0/,::/,' | md5sum)"
timed 'moving them to another peer' at a wg setconf wg0 <(sed "s,^PublicKey.*,PublicKey = $PUB_C," "$TMP/130k")
is 'AI-3 AI-6 they are there' "$(show allowed-ips | wc -w)" 130561
timed 'removing the peer' wg0 peer "$PUB_C" remove
is 'SET-16 nothing is left' "$(show dump)" "$KEY_A	$PUB_A	0	off"

note 'who may'
refuses 'ERR-32 NL-2 nobody without CAP_NET_ADMIN reads' '*Operation not permitted*' \
	at a setpriv --bounding-set=-net_admin --inh-caps=-net_admin wg show wg0
refuses 'ERR-32 NL-2 nor sets' '*Operation not permitted*' \
	at a setpriv --bounding-set=-net_admin --inh-caps=-net_admin wg set wg0 fwmark 1
refuses 'ERR-32 NL-2 root of another user namespace neither' '*Operation not permitted*' \
	at a unshare --user --map-root-user wg show wg0
spawn a unshare --user --map-root-user --net sleep 1000
container=$job
has_netns() {
	[[ $(readlink "/proc/$container/ns/net") != "$(at a readlink /proc/self/ns/net)" &&
		$(readlink "/proc/$container/ns/user") != "$(readlink /proc/self/ns/user)" ]]
}
eventually has_netns
inside() {
	nsenter --user --net --preserve-credentials --target "$container" -- "$@"
}
at a ip link set wg0 netns "$container"
check 'NL-2 a container reads its device' inside wg show wg0
check 'it sets the key' inside wg set wg0 private-key "$TMP/key-c"
check 'it sets peers' inside wg set wg0 peer "$PUB_A" allowed-ips 10.0.0.0/8 endpoint 10.0.0.1:1
refuses 'ERR-33 SET-1 but not the port' '*Operation not permitted*' inside wg set wg0 listen-port 5
refuses 'ERR-33 SET-1 nor the mark' '*Operation not permitted*' inside wg set wg0 fwmark 5
refuses 'SET-1 and then nothing else either' '*Operation not permitted*' \
	inside wg set wg0 fwmark 5 peer "$PUB_B"
is 'ERR-33 SET-1 indeed' "$(inside wg show wg0 dump)" \
	"$KEY_C	$PUB_C	0	off"$'\n'"$PUB_A	(none)	10.0.0.1:1	10.0.0.0/8	0	0	0	off"
check 'it can take the device up' inside ip link set wg0 up
like 'LNK-3 and the sockets are where it was made' "$(ports a)" 'v4 *'
refuses 'LNK-3 it cannot have sockets in a namespace that is not its own' '*Operation not permitted*' \
	inside bash -c 'exec 3< /run/netns/'"$RUN"'-b && ip link add wg9 link-netns /proc/self/fd/3 type wireguard'
check 'LNK-3 but in its own' inside ip link add wg9 type wireguard
stop "$container"

finish
