#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wg-quick(8), unmodified: up and down, the default route by way of a mark, hooks, MTU, name servers,
# save.
#
# kernels: uml debug
# timeout: 300
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# A routes all it has through b, where 198.51.100.1 is "the internet".
cable
at b ip link add wg0 type wireguard
at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128
addr b wg0 192.168.241.2/24 fd00::2/112
addr b lo 198.51.100.1/32 2001:db8::1/128
at b ip link set wg0 up
quick() {
	at_sys a wg-quick "$1" "$TMP/wg0.conf"
}

note 'a network'
cat > "$TMP/wg0.conf" << END
[Interface]
Address = 192.168.241.1/24, fd00::1/112
PrivateKey = $KEY_A
ListenPort = 51821
PostUp = echo up %i >> $TMP/hooks
PreDown = echo going %i >> $TMP/hooks
PostDown = echo down %i >> $TMP/hooks

[Peer]
PublicKey = $PUB_B
AllowedIPs = 192.168.241.2/32, fd00::2/128, 198.51.100.0/24
Endpoint = 10.0.0.2:51822
END
routes_before=$(at a ip route; at a ip -6 route; at a ip rule; at a ip -6 rule)
check 'WQ-2 up' quick up
is 'WQ-2 PostUp was run' "$(cat "$TMP/hooks")" 'up wg0'
refuses 'up again' '*already exists*' quick up
check 'WQ-2 the peer is there' reaches a 192.168.241.2
check 'WQ-2 over IPv6, too' reaches a fd00::2
check 'and what is behind it' reaches a 198.51.100.1
is 'WQ-2 the MTU is that of the way less 80' "$(sysfs a wg0/mtu)" 1420
is 'the route' "$(at a ip route show dev wg0 198.51.100.0/24 | xargs)" '198.51.100.0/24 scope link'
check 'strip gives a configuration for wg' at_sys a bash -c "wg syncconf wg0 <(wg-quick strip $TMP/wg0.conf)"
check 'WQ-2 down' quick down
is 'WQ-2 all hooks were run' "$(xargs < "$TMP/hooks")" 'up wg0 going wg0 down wg0'
refuses 'the device is gone' '*does not exist*' at a ip link show wg0
is 'and all is as before' "$(at a ip route; at a ip -6 route; at a ip rule; at a ip -6 rule)" "$routes_before"

note 'a smaller way, and a saved configuration'
at a ip link set eth0 mtu 1400
cat > "$TMP/wg0.conf" << END
[Interface]
Address = 192.168.241.1/24
PrivateKey = $KEY_A
SaveConfig = true
Table = 1234

[Peer]
PublicKey = $PUB_B
AllowedIPs = 192.168.241.2/32
AllowedIPs = 198.51.100.0/24
Endpoint = 10.0.0.2:51822
PersistentKeepalive = 25
END
chmod 600 "$TMP/wg0.conf"
check 'up' quick up
is 'WQ-2 the MTU follows' "$(sysfs a wg0/mtu)" 1320
is 'routes are in their table' "$(at a ip route show table 1234 198.51.100.0/24 | xargs)" '198.51.100.0/24 dev wg0 scope link'
check 'the peer is there' reaches a 192.168.241.2
port=$(at a wg show wg0 listen-port)
at a wg set wg0 peer "$PUB_C" allowed-ips 192.168.77.0/24
check 'down' quick down
like 'the new peer was saved' "$(cat "$TMP/wg0.conf")" "*PublicKey = $PUB_C*"
like 'so was the port' "$(cat "$TMP/wg0.conf")" "*ListenPort = $port*"
at a ip link set eth0 mtu 1500

note 'the default route'
cat > "$TMP/wg0.conf" << END
[Interface]
Address = 192.168.241.1/32, fd00::1/128
PrivateKey = $KEY_A

[Peer]
PublicKey = $PUB_B
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 10.0.0.2:51822
END
routes_before=$(at a ip route; at a ip -6 route; at a ip rule; at a ip -6 rule)
if try quick up; then
	ok 'up'
	is 'WQ-2 the mark' "$(at a wg show wg0 fwmark)" 0xca6c
	is 'WQ-2 the default route' "$(at a ip route show table 51820 | xargs)" 'default dev wg0 scope link'
	is 'WQ-2 and that of IPv6' "$(at a ip -6 route show table 51820 | xargs)" 'default dev wg0 metric 1024 pref medium'
	is 'WQ-2 src_valid_mark' "$(at a cat /proc/sys/net/ipv4/conf/all/src_valid_mark)" 1
	check 'the peer is there' reaches a 192.168.241.2
	check 'WQ-2 the internet is there' reaches a 198.51.100.1
	check 'WQ-2 the IPv6 internet is there' reaches a 2001:db8::1
	check 'WQ-2 a hundred echoes' at a ping -n -q -c 100 -f -W 10 198.51.100.1
	check 'a hundred echoes over IPv6' at a ping -n -q -c 100 -f -W 10 2001:db8::1
	check 'the endpoint is reached outside the tunnel' at a ping -n -q -c 1 -W 10 -m 51820 10.0.0.2
	check 'down' quick down
	is 'and all is as before' "$(at a ip route; at a ip -6 route; at a ip rule; at a ip -6 rule)" "$routes_before"
else
	capture quick up
	not_ok 'up' "$output"
fi

note 'a mark, an MTU, name servers and hooks'
# resolvconf is part of the machine, not of a namespace.
cp /etc/resolv.conf "$TMP/resolv.conf"
cat > "$TMP/wg0.conf" << END
[Interface]
Address = 192.168.241.1/32, fd00::1/128
PrivateKey = $KEY_A
FwMark = 0x1234
MTU = 1337
DNS = 198.51.100.1, 2001:db8::1, example.org
PreUp = echo pre %i >> $TMP/more
PostUp = wg set %i peer $PUB_C allowed-ips 192.168.66.0/24
PostUp = ping -n -q -c 1 -W 10 198.51.100.1 > /dev/null && echo reached >> $TMP/more

[Peer]
PublicKey = $PUB_B
AllowedIPs = 0.0.0.0/0
AllowedIPs = ::/0
Endpoint = [fd00:aa::2]:51822
END
routes_before=$(at a ip route; at a ip -6 route; at a ip rule; at a ip -6 rule)
check 'up' quick up
is 'the mark' "$(at a wg show wg0 fwmark)" 0x1234
is 'is the number of the table' "$(at a ip route show table $((0x1234)) | xargs)" 'default dev wg0 scope link'
is 'the MTU' "$(sysfs a wg0/mtu)" 1337
like 'rules lead there' "$(at a ip rule)" '*not from all fwmark 0x1234 lookup 4660*'
like 'and around it' "$(at a ip -6 rule)" '*lookup main suppress_prefixlength 0*'
is 'name servers' "$(sed -n 's/^nameserver //p' /etc/resolv.conf | xargs)" '198.51.100.1 2001:db8::1'
like 'a domain' "$(cat /etc/resolv.conf)" '*search example.org*'
is 'hooks were run in order, the tunnel being up' "$(cat "$TMP/more")" $'pre wg0\nreached'
like 'PostUp may use wg' "$(at a wg show wg0 allowed-ips)" "*$PUB_C"$'\t192.168.66.0/24*'
check 'the internet is there, over IPv6 outside' reaches a 198.51.100.1
check 'the IPv6 internet, too' reaches a 2001:db8::1
like 'no outsider may answer for our address' "$(at a nft list ruleset)" '*iifname != "wg0" ip daddr 192.168.241.1*drop*'
check 'down' quick down
is 'name servers are as before' "$(grep -v '^#' /etc/resolv.conf)" "$(grep -v '^#' "$TMP/resolv.conf")"
is 'and all else' "$(at a ip route; at a ip -6 route; at a ip rule; at a ip -6 rule; at a nft list ruleset)" \
	"$routes_before"

note 'no table'
cat > "$TMP/wg0.conf" << END
[Interface]
Address = 192.168.241.1/24
PrivateKey = $KEY_A
Table = off
PostUp = ip route add 198.51.100.0/24 dev %i

[Peer]
PublicKey = $PUB_B
AllowedIPs = 192.168.241.2/32, 198.51.100.0/24
Endpoint = 10.0.0.2:51822
END
check 'up' quick up
is 'only the routes of the hooks' "$(at a ip route show dev wg0 198.51.100.0/24 | xargs)" '198.51.100.0/24 scope link'
check 'the internet is there' reaches a 198.51.100.1
check 'down' quick down
sed -i 's/^PostUp.*/PostUp = false/' "$TMP/wg0.conf"
refuses 'a hook that fails takes the tunnel down' '*' quick up
refuses 'the device is gone' '*does not exist*' at a ip link show wg0

finish
