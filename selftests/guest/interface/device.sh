#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The device as `ip`, `ethtool` and /sys show it: making it, its properties, up and down, and
# the ways it can disappear.
#
# kernels: uml debug
# timeout: 300
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

ns a b

note 'the module'
is 'MOD-1 the module is called wireguard' "$(ls -d /sys/module/wireguard)" /sys/module/wireguard
like 'MOD-1 it has a version' "$(cat /sys/module/wireguard/version)" '[0-9]*'
info=$(module_info --)
like 'MOD-2 ip link can load it' "$info" $'*\nalias: *rtnl-link-wireguard\n*'
like 'MOD-2 generic netlink can load it' "$info" $'*\nalias: *net-pf-16-proto-16-family-wireguard\n*'
like 'its licence is GPL v2' "$info" $'*\nlicense: *GPL v2\n*'
like 'it describes itself' "$info" $'*\ndescription: *WireGuard*\n*'
like 'it names its author' "$info" $'*\nauthor: *[A-Za-z]*\n*'
is 'nothing uses it' "$(cat /sys/module/wireguard/refcnt)" 0

note 'making a device'
at a ip link add wg0 type wireguard
is 'a device does not pin the module' "$(cat /sys/module/wireguard/refcnt)" 0
refuses 'a name is taken only once' '*File exists*' at a ip link add wg0 type wireguard
check 'the same name is free in another namespace' at b ip link add wg0 type wireguard
refuses 'LNK-1 there are no options' '*' at a ip link add wg1 type wireguard mtu-discovery 1
is 'LNK-1 no data of a link is shown' "$(at a ip -d -j link show wg0 | grep -c info_data || true)" 0
check 'LNK-2 a nameless device' at a ip link add type wireguard
check 'LNK-2 is named after its kind' at a ip link show wireguard0
check 'it can be renamed' at a ip link set wireguard0 name wg9
check 'a name of fifteen letters' at a ip link add abcdefghijklmno type wireguard
is 'wg knows all three' "$(at a wg show interfaces | tr ' ' '\n' | sort | xargs)" 'abcdefghijklmno wg0 wg9'
refuses 'one of sixteen' '*' at a ip link add abcdefghijklmnop type wireguard
at a ip link del abcdefghijklmno
at a ip link del wg9
check 'MOD-1 by kind' at a ip link show type wireguard wg0
is 'wg show of a fresh device' "$(at a wg show wg0)" 'interface: wg0'
is 'wg show dump of a fresh device' "$(at a wg show wg0 dump)" $'(none)\t(none)\t0\toff'

note 'its properties'
is 'ND-1 mtu' "$(sysfs a wg0/mtu)" 1420
is 'ND-2 smallest mtu' "$(link_detail a wg0 minmtu)" 0
is 'ND-3 largest mtu' "$(link_detail a wg0 maxmtu)" 2147483552
check 'ND-2 mtu 0 is fine' at a ip link set wg0 mtu 0
check 'ND-2 mtu 1 is fine' at a ip link set wg0 mtu 1
check 'ND-3 the largest mtu is fine' at a ip link set wg0 mtu 2147483552
refuses 'ND-3 one more is not' '*mtu greater than device maximum*' at a ip link set wg0 mtu 2147483553
is 'ND-3 and leaves it alone' "$(sysfs a wg0/mtu)" 2147483552
at a ip link set wg0 mtu 1420
is 'ND-4 type is none' "$(sysfs a wg0/type)" 65534
is 'ND-4 no address' "$(sysfs a wg0/addr_len)" 0
like 'ND-4 no address to show' "$(at a ip -o link show wg0)" '*link/none*'
is 'ND-5 point to point and no ARP, nothing else' "$(sysfs a wg0/flags)" 0x90
is 'ND-6 queue length' "$(sysfs a wg0/tx_queue_len)" 1000
is 'ND-6 one queue each way' "$(at_sys a ls /sys/class/net/wg0/queues | xargs)" 'rx-0 tx-0'
at a ip link add wg1 numtxqueues 3 numrxqueues 2 type wireguard
is 'ND-6 more on demand' "$(at_sys a ls /sys/class/net/wg1/queues | xargs)" 'rx-0 rx-1 tx-0 tx-1 tx-2'
at a ip link del wg1
is 'ND-9 largest GSO packet' "$(link_detail a wg0 tso_max_size)" 524280
check 'ND-9 gso_max_size follows' at a ip link set wg0 gso_max_size 524280 gro_max_size 524280
refuses 'ND-9 but no further' '*' at a ip link set wg0 gso_max_size 524281
is 'ND-9 it is set' "$(link_detail a wg0 gso_max_size)" 524280
at a ip link set wg0 gso_max_size 65536 gro_max_size 65536
like 'ND-14 the device type' "$(sysfs a wg0/uevent)" "*DEVTYPE=wireguard*"
is 'LNK-4 no link-netnsid' "$(link_detail a wg0 link-netnsid)" ''
# Where there is one instance for each CPU, as Documentation/differences.rst says, this is off.
# write_threaded VALUE: like that, for the errno; says what is read afterwards.
write_threaded() {
	# shellcheck disable=SC2016
	at_sys a bash -c 'echo "$0" 2>&1 > /sys/class/net/wg0/threaded; cat /sys/class/net/wg0/threaded' "$1" |
		sed 's/.*: //' | xargs
}
case $DRIVER in
c) wanted=1 refused='Operation not supported 1' ;;
*) wanted=0 refused=1 ;;
esac
is 'LNK-6 threaded' "$(sysfs a wg0/threaded)" "$wanted"
is 'LNK-6 writing it without a peer' "$(write_threaded 1)" "$refused"
[[ $DRIVER == c ]] || write_threaded 0 > "$TMP/threaded"
like 'MOD-8 ethtool knows its driver' "$(at a ethtool -i wg0)" 'driver: wireguard*'
for option in g c a l m; do
	refuses "MOD-8 ethtool -$option is not for it" '*' at a ethtool "-$option" wg0
done
refuses 'ND-16 no address can be set' '*not supported*' at a ip link set wg0 address 02:00:00:00:00:01
refuses 'ND-16 nor virtual functions' '*not supported*' at a ip link set wg0 vf 0 mac 02:00:00:00:00:01
is 'ND-4 no permanent address' "$(at a ip -d -o link show wg0 | grep -c permaddr || true)" 0

note 'its features'
# What the two stacks of 7.2 and 7.3 may name is listed; what they do not know is left out.
wanted='rx-checksumming tx-checksum-ip-generic tx-scatter-gather tx-generic-segmentation
	tx-tcp-segmentation tx-tcp-ecn-segmentation tx-tcp-mangleid-segmentation
	tx-tcp-accecn-segmentation tx-tcp6-segmentation tx-sctp-segmentation
	tx-udp-segmentation tx-gso-list rx-gro highdma'
features=$(at a ethtool -k wg0)
alias_of() {
	case $1 in
	tx-generic-segmentation) echo generic-segmentation-offload ;;
	rx-gro) echo generic-receive-offload ;;
	*) echo "$1" ;;
	esac
}
feature() {
	at "$1" ethtool -k wg0 | sed -n "s/^[[:space:]]*$2: //p"
}
for name in $wanted; do
	name=$(alias_of "$name")
	state=$(sed -n "s/^[[:space:]]*$name: //p" <<< "$features")
	case $state in
	'') skip "ND-8 $name" 'not a feature of this kernel' ;;
	*) is "ND-8 $name" "$state" on ;;
	esac
done
# Summaries ("tx-checksumming") are followed by a tab-indented list; those count.
is 'ND-8 nothing else is on' "$(
	for name in $wanted; do alias_of "$name"; done | sort > "$TMP/wanted"
	sed -n 's/^\([^:]*\): on$/\1/p' <<< "$features" | tr -d '\t' |
		grep -vE '^(tx-checksumming|scatter-gather|tcp-segmentation-offload)$' |
		sort | comm -13 "$TMP/wanted" - | xargs
)" ''
for name in rx tx sg tso gso tx-udp-segmentation tx-gso-list tx-sctp-segmentation gro; do
	check "ND-8 $name can be switched off" at a ethtool -K wg0 "$name" off
	check "ND-8 $name can be switched on" at a ethtool -K wg0 "$name" on
done
is 'ND-8 and all is as before' "$(at a ethtool -k wg0)" "$features"

note 'up and down'
is 'LNK no sockets while down' "$(ports a)" ''
at a ip link set wg0 down
sysctl_set a ipv4/conf/all/send_redirects 1
sysctl_set a ipv4/conf/wg0/send_redirects 1
at a wg set wg0 listen-port 51821 private-key "$TMP/key-a"
check 'up' at a ip link set wg0 up
is 'ND-6 no queueing discipline' "$(link_detail a wg0 qdisc)" noqueue
is 'ND-17 carrier is on' "$(sysfs a wg0/carrier)" 1
is 'ND-17 operational state is unknown' "$(sysfs a wg0/operstate)" unknown
is 'ND-5 flags while up' "$(sysfs a wg0/flags)" 0x91
is 'UP-1 the device sends no redirects' "$(at a cat /proc/sys/net/ipv4/conf/wg0/send_redirects)" 0
is 'UP-1 nor does its namespace' "$(at a cat /proc/sys/net/ipv4/conf/all/send_redirects)" 0
is 'UP-1 no IPv6 address by itself' "$(at a ip -6 addr show dev wg0)" ''
is 'UP-1 addrgenmode is none' "$(link_detail a wg0 addrgenmode)" none
is 'SK-1 one socket for each family on one port' "$(ports a)" $'v4 51821\nv6 51821'
check 'up again is nothing' at a ip link set wg0 up
check 'down' at a ip link set wg0 down
is 'UP-4 sockets are closed' "$(ports a)" ''
is 'UP-5 the port is kept' "$(at a wg show wg0 listen-port)" 51821
at a wg set wg0 listen-port 0
is 'UP-5 no port while down' "$(at a wg show wg0 listen-port)" 0
at a ip link set wg0 up
port=$(at a wg show wg0 listen-port)
holds 'SK-2 a port is chosen' "$port > 0"
is 'SK-2 for both families' "$(ports a)" "v4 $port"$'\n'"v6 $port"
at a ip link set wg0 down
is 'UP-5 it is kept over down' "$(at a wg show wg0 listen-port)" "$port"
at a ip link set wg0 up
is 'UP-5 and used again' "$(at a wg show wg0 listen-port)" "$port"
at a ip link set wg0 down
at a ip link add wg1 type wireguard
at a wg set wg1 listen-port "$port"
at a ip link set wg1 up
log_mark
refuses 'ERR-31 UP-2 up with the port in use' '*Address already in use*' at a ip link set wg0 up
like 'MOD-6 the log says so' "$(log)" '*wg0: Could not create IPv4 socket*'
is 'ERR-31 UP-2 it stays down' "$(sysfs a wg0/flags)" 0x90
at a ip link del wg1
check 'UP-2 it comes up once the port is free' at a ip link set wg0 up
at a ip link set wg0 down
log_mark
# shellcheck disable=SC2016
spawn a python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(("::", int(sys.argv[1])))
time.sleep(1000)' "$port"
becomes "v6 $port" ports a
refuses 'UP-2 up with the IPv6 port in use' '*Address already in use*' at a ip link set wg0 up
is 'UP-2 no IPv4 socket is left' "$(ports a)" "v6 $port"
like 'MOD-6 the log says that too' "$(log)" '*wg0: Could not create IPv6 socket*'
stop "$job"
check 'UP-2 it comes up then' at a ip link set wg0 up

note 'packets with nowhere to go'
addr a wg0 192.168.241.1/24 fd00::1/112
before=$(stats a tx_errors)
refuses 'OUT-2 TX-2 no peer: ping is told' '*Required key not available*' at a ping -n -c 1 -W 1 192.168.241.7
refuses 'OUT-2 TX-2 no peer, IPv6' '*Required key not available*' at a ping -n -c 1 -W 1 fd00::7
is 'OUT-2 CNT-6 TX-2 two errors' "$(stats a tx_errors)" $((before + 2))
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128
refuses 'OUT-3 TX-3 no endpoint: ping is told' '*Destination address required*' at a ping -n -c 1 -W 1 192.168.241.2
refuses 'OUT-3 TX-3 no endpoint, IPv6' '*Destination address required*' at a ping -n -c 1 -W 1 fd00::2
is 'OUT-3 CNT-6 TX-3 two more errors' "$(stats a tx_errors)" $((before + 4))
is 'TX-3 no bytes' "$(transfer a)" '0 0'
at a wg set wg0 peer "$PUB_B" endpoint 127.0.0.1:9
is 'UP-4 nothing dropped yet' "$(stats a tx_dropped)" 0
at a ping -n -q -c 3 -i 0.2 -W 1 192.168.241.2 > /dev/null || true
at a ip link set wg0 down
is 'UP-4 CNT-5 down drops the three that waited' "$(stats a tx_dropped)" 3
is 'UP-5 the endpoint is kept' "$(endpoint a)" 127.0.0.1:9
is 'UP-5 allowed IPs are kept' "$(at a wg show wg0 allowed-ips)" "$PUB_B"$'\t192.168.241.2/32 fd00::2/128'
holds 'UP-5 counters are kept' "$(sent a) > 0"
# By netlink, by /proc and by /sys.
counters=(rx_bytes rx_packets rx_errors rx_dropped tx_bytes tx_packets tx_errors tx_dropped)
linked=$(at a ip -j -s link show wg0 | python3 -c 'import json, sys
stats = json.load(sys.stdin)[0]["stats64"]
print(*(stats[way][name] for way in ("rx", "tx") for name in ("bytes", "packets", "errors", "dropped")))')
is 'ND-12 counters are the same in netlink' "$linked" "$(stats a "${counters[@]}")"
is 'ND-12 and in /proc' "$(at a awk '$1 == "wg0:" { print $2, $3, $4, $5, $10, $11, $12, $13 }' /proc/self/net/dev)" \
	"$(stats a "${counters[@]}")"
holds 'ND-12 and not all zero' "$(stats a tx_errors) == 4"

note 'writing to threaded'
is 'LNK-6 threaded off' "$(at_sys a bash -c 'echo 0 > /sys/class/net/wg0/threaded && cat /sys/class/net/wg0/threaded')" 0
is 'LNK-6 threaded on' "$(at_sys a bash -c 'echo 1 > /sys/class/net/wg0/threaded && cat /sys/class/net/wg0/threaded')" 1

note 'the ways to go'
check 'del' at a ip link del wg0
refuses 'it is gone' '*does not exist*' at a ip link show wg0
refuses 'wg agrees' '*No such device*' at a wg show wg0
at a ip link add wg0 type wireguard
at a ip link set wg0 netns "$RUN-b" name wg1
check 'moved to another namespace' at b ip link show wg1
refuses 'and gone from the first' '*No such device*' at a wg show wg0
is 'LNK-4 without a trace' "$(link_detail b wg1 link-netnsid)" ''
at b wg set wg1 private-key "$TMP/key-b" peer "$PUB_A" allowed-ips 0.0.0.0/0
at b ip link set wg1 up
is 'LNK-3 its sockets stayed behind' "$(ports a | wc -l) $(ports b | wc -l)" '2 0'
# shellcheck disable=SC2016
check 'forty in one go' at a bash -c 'for i in {1..40}; do echo "link add w$i type wireguard"; done | ip -batch -'
# shellcheck disable=SC2016
check 'and away, up or not' at a bash -c 'for i in {1..40..7}; do echo "link set w$i up"; done | ip -batch - &&
	for i in {1..40}; do echo "link del w$i"; done | ip -batch -'
ns_del a
no_carrier() {
	[[ $(sysfs b wg1/carrier) == 0 ]]
}
check 'EV-1 the transport namespace dies: no carrier' eventually no_carrier
check 'EV-1 the device goes down' at b ip link set wg1 down
refuses 'UP-2 and not up again' '*Machine is not on the network*' at b ip link set wg1 up
refuses 'EV-1 no port can be set' '*Operation not permitted*' at b wg set wg1 listen-port 1
refuses 'EV-1 no mark either' '*Operation not permitted*' at b wg set wg1 fwmark 1
check 'EV-1 peers can' at b wg set wg1 peer "$PUB_C"
is 'GET-7 it can still be read' "$(at b wg show wg1 peers | sort)" "$(printf '%s\n' "$PUB_A" "$PUB_C" | sort)"
ns_del b
is 'the module is still unused' "$(cat /sys/module/wireguard/refcnt)" 0

finish
