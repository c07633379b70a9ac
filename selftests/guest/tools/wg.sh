#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wg(8), unmodified: each of its subcommands, and that what one writes another reads.
#
# kernels: uml debug
# timeout: 120
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair

note 'genkey, genpsk, pubkey'
like 'genkey' "$(wg genkey)" '???????????????????????????????????????????='
is 'genkey does not repeat itself' "$(for _ in {1..20}; do wg genkey; done | sort -u | wc -l)" 20
like 'genpsk' "$(wg genpsk)" '???????????????????????????????????????????='
is 'pubkey' "$(wg pubkey <<< 'dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=')" \
	'hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo='
refuses 'pubkey of nonsense' '*not the correct length*' wg pubkey
at a ip link add wg1 type wireguard
key=$(wg genkey)
at a wg set wg1 private-key <(echo "$key")
is 'the driver and wg agree on its public key' "$(at a wg show wg1 public-key)" "$(wg pubkey <<< "$key")"

note 'show'
at a wg set wg0 peer "$PUB_B" preshared-key "$TMP/psk" persistent-keepalive 25
at b wg set wg0 peer "$PUB_A" preshared-key "$TMP/psk"
check 'the tunnel' reaches a 192.168.241.2
is 'show interfaces' "$(at a wg show interfaces | tr ' ' '\n' | sort | xargs)" 'wg0 wg1'
shown=$(at a wg show wg0)
for line in 'interface: wg0' "  public key: $PUB_A" "  private key: $KEY_A" '  listening port: 51821' \
	"peer: $PUB_B" "  preshared key: $PSK" '  endpoint: 10.0.0.2:51822' \
	'  allowed ips: 192.168.241.2/32, fd00::2/128' '  latest handshake: *' \
	'  transfer: * received, * sent' '  persistent keepalive: every 25 seconds'; do
	like "show: ${line%%:*}" "$shown" "*$line*"
done
like 'show without a name' "$(at a wg)" $'*interface: wg0\n*interface: wg1\n*'
is 'keys are hidden if nobody says otherwise' \
	"$(WG_HIDE_KEYS=always at a wg show wg0 | grep -c '(hidden)')" 2
like 'show latest-handshakes' "$(at a wg show wg0 latest-handshakes)" "$PUB_B"$'\t[1-9]*'
is 'show endpoints' "$(at a wg show wg0 endpoints)" "$PUB_B"$'\t10.0.0.2:51822'
is 'show allowed-ips' "$(at a wg show wg0 allowed-ips)" "$PUB_B"$'\t192.168.241.2/32 fd00::2/128'
is 'show preshared-keys' "$(at a wg show wg0 preshared-keys)" "$PUB_B"$'\t'"$PSK"
is 'show persistent-keepalive' "$(at a wg show wg0 persistent-keepalive)" "$PUB_B"$'\t25'
is 'show peers' "$(at a wg show wg0 peers)" "$PUB_B"
is 'show private-key' "$(at a wg show wg0 private-key)" "$KEY_A"
is 'show public-key' "$(at a wg show wg0 public-key)" "$PUB_A"
is 'show listen-port' "$(at a wg show wg0 listen-port)" 51821
is 'show fwmark' "$(at a wg show wg0 fwmark)" off
is 'show dump has five and nine columns' "$(at a wg show all dump | grep '^wg0' | awk -F '\t' '{ print NF }' | xargs)" '5 9'
is 'show all peers' "$(at a wg show all peers)" "wg0"$'\t'"$PUB_B"

note 'showconf, setconf'
at a wg showconf wg0 > "$TMP/shown"
is 'showconf' "$(cat "$TMP/shown")" "[Interface]
ListenPort = 51821
PrivateKey = $KEY_A

[Peer]
PublicKey = $PUB_B
PresharedKey = $PSK
AllowedIPs = 192.168.241.2/32, fd00::2/128
Endpoint = 10.0.0.2:51822
PersistentKeepalive = 25"
sed 's/51821/51831/' "$TMP/shown" > "$TMP/other"
at a ip link add wg2 type wireguard
check 'setconf of that' at a wg setconf wg2 "$TMP/other"
is 'gives the same back' "$(at a wg showconf wg2)" "$(cat "$TMP/other")"
at a ip link del wg2

note 'addconf'
cat > "$TMP/add" << END
[Peer]
PublicKey = $PUB_C
AllowedIPs = 192.168.77.0/24
END
check 'addconf' at a wg addconf wg0 "$TMP/add"
is 'adds a peer' "$(at a wg show wg0 peers)" "$PUB_B"$'\n'"$PUB_C"
is 'keeps the session' "$(at a wg show wg0 latest-handshakes | awk -v key="$PUB_B" '$1 == key { print ($2 > 0) }')" 1
is 'keeps the private key' "$(at a wg show wg0 private-key)" "$KEY_A"

note 'syncconf'
# A responder that lost its session would have to start a handshake of its own.
before=$(at a wg show wg0 latest-handshakes | awk -v key="$PUB_B" '$1 == key { print $2 }')
check 'syncconf' at a wg syncconf wg0 "$TMP/shown"
is 'removes the peer that is not listed' "$(at a wg show wg0 peers)" "$PUB_B"
is 'is what was asked for' "$(at a wg showconf wg0)" "$(cat "$TMP/shown")"
is 'keeps the session of the one that stays' "$(at a wg show wg0 latest-handshakes | cut -f2)" "$before"
check 'which works' at a ping -n -q -c 3 -i 0.2 -W 5 192.168.241.2
is 'as before' "$(at a wg show wg0 latest-handshakes | cut -f2)" "$before"
before=$(received a)
check 'setconf, however' at a wg setconf wg0 "$TMP/shown"
holds 'makes a new peer of it' "$(received a) < before"
check 'with a session of its own' reaches a 192.168.241.2

note 'set'
check 'all at once' at a wg set wg1 listen-port 7000 fwmark 0x10 private-key "$TMP/key-c" \
	peer "$PUB_B" preshared-key "$TMP/psk" endpoint '[fd00:aa::2]:1' persistent-keepalive 9 \
	allowed-ips 10.0.0.0/8,fd00::/8 peer "$PUB_A" remove
is 'is there' "$(at a wg show wg1 dump)" "$KEY_C	$PUB_C	7000	0x10"$'\n'"$PUB_B	$PSK	[fd00:aa::2]:1	10.0.0.0/8,fd00::/8	0	0	0	9"
check 'one prefix more and one less' at a wg set wg1 peer "$PUB_B" allowed-ips +11.0.0.0/8,-10.0.0.0/8
is 'that is so' "$(at a wg show wg1 allowed-ips | cut -f2)" 'fd00::/8 11.0.0.0/8'
refuses 'a name that resolves to nothing' '*' at a env WG_ENDPOINT_RESOLUTION_RETRIES=0 \
	wg set wg1 peer "$PUB_B" endpoint nowhere.invalid:1
refuses 'nonsense' '*Invalid argument*' at a wg set wg1 colour blue
refuses 'a file that is not there' '*No such file*' at a wg setconf wg1 "$TMP/none"
refuses 'a configuration with a mistake' '*unrecognized*' at a wg setconf wg1 <(echo '[Interfaces]')

finish
