#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own selftest for WireGuard, tools/testing/selftests/wireguard/netns.sh, as it is in
# the source of the kernel that runs ($WG_KERNEL_SOURCE).  Its last check, the balance of what was
# created and destroyed, needs debug messages, all of them and no older ones: hence a guest of its
# own, with a large log.
#
# kernels: uml stock debug stock-arm64
# timeout: 1200
# slow: uml/c debug stock/c stock-7.2 stock-arm64
# append: log_buf_len=32M

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	debug off
}

release=$(uname -r)
series=$(cut -d. -f1,2 <<< "$release")
for source in ${WG_KERNEL_SOURCE:+"$WG_KERNEL_SOURCE"} "/lib/modules/$release/source" \
	"/usr/src/linux-source-$series"; do
	script=$source/tools/testing/selftests/wireguard/netns.sh
	[[ ! -r $script ]] || break
done
[[ -r $script ]]

# Debian's kernel with PREEMPT_RT has NAT for nft, and none for iptables: its rules are translated.
if ! modprobe --dry-run --quiet xt_nat; then
	note 'without xt_nat: NAT is that of nft'
	mkdir "$TMP/bin"
	cat > "$TMP/bin/iptables" <<- 'END'
	#!/bin/bash
	set -e
	[[ " $* " == *' -t nat '* ]] || exec /usr/sbin/iptables "$@"
	nft add table ip nat
	nft 'add chain ip nat POSTROUTING { type nat hook postrouting priority srcnat; }'
	eval "$(iptables-translate "$@")"
	END
	chmod +x "$TMP/bin/iptables"
	PATH=$TMP/bin:$PATH
fi

debug on
start=$SECONDS
if bash "$script" > "$TMP/out" 2>&1; then
	ok "the kernel's netns.sh"
else
	not_ok "the kernel's netns.sh" "$(tail -n 40 "$TMP/out")"
fi
dmesg > "$TMP/log"
grep -E 'wg[0-9]+: [A-Z].* (created|destroyed)' "$TMP/log" > "$TMP/objects"
note "it took $((SECONDS - start)) s and left $(wc -l < "$TMP/log") messages, $(wc -l < "$TMP/objects") of them on objects"
ended='Objects that were created were also destroyed'
check 'NET-26 it came to its end' grep -q "$ended" "$TMP/out"
for object in 'Interface' 'Peer [0-9]+' 'Keypair [0-9]+'; do
	check "NET-26 ${object%% *}: one was created" grep -qE "wireguard: wg0: $object created" "$TMP/objects"
	check "NET-26 ${object%% *}: one was destroyed" grep -qE "wireguard: wg0: $object (.*)?destroyed" "$TMP/objects"
done

note 'its sections'
# It says what it runs, so that each section is known by a command that only it has. A section
# was passed if that command was reached, and so was that of the next one.
sections=(
	'NET-1 devices in two namespaces, sockets in a third|NS0: ip link set wg0 netns'
	'NET-2 counters|NS2: wg show wg0 transfer'
	'NET-3 traffic, IPv4 and IPv6 outside, two MTUs|NS1: wg set wg0 peer .* endpoint \[::1\]:2'
	'NET-4 MTU of a route|--length 1360 -j DROP'
	'NET-5 roaming|addr add 127.212.121.99/8'
	'NET-6 a source that is another peer'"'"'s|NS2: wg set wg0 listen-port 9997'
	'NET-7 keys change|NS2: wg set wg0 peer .* remove'
	'NET-8 a tunnel in a tunnel|ip link set mtu 1340 up dev wg1'
	'NET-9 a routing loop|NS0: ip addr add 192.168.241.1/24 dev wg1'
	'NET-10 NAT and persistent keepalives|-d 10.0.0.0/24 -j SNAT'
	'NET-11 sockets bound to the device|NS1: ping -I wg0'
	'NET-12 an endpoint inside|endpoint 192.168.242.2:5'
	'NET-13 rules of wg-quick|suppress_prefixlength 0'
	'NET-14 ICMP through NAT|NS2: iptables -t nat -A POSTROUTING'
	'NET-15 sources that go away|ip addr add 10.0.0.10/24 dev veth1'
	'NET-16 answers from the address that was asked|ip addr add fd00:aa::3/96 dev veth2'
	'NET-17 an address of another interface|ip addr add 10.50.0.1/24 dev dummy0'
	'NET-18 a better route|src 10.0.0.3 metric 1'
	'NET-19 keepalives at once|endpoint 10.0.0.1:1 persistent-keepalive 1'
	'NET-20 long configurations|NS0: wg showconf wg0'
	'NET-21 prefixes removed|allowed-ips -192.168.0.1/32'
	'NET-22 no such device|wg show doesnotexist'
	'NET-23 rules for keys|peer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= persistent-keepalive'
	'NET-24 cached routes|NS1: ping6 -c 1 fd00::2'
	'NET-25 devices in a circle|NS1: ip link set wg1 netns'
	"NET-26 balance|$ended"
)
# where PATTERN: the number of the first line of the output like that.
where() {
	grep -nE -m 1 -e "$1" "$TMP/out" | cut -d: -f1
}
last=0
for n in "${!sections[@]}"; do
	this=$(where "${sections[n]#*|}") || true
	next=$(where "${sections[n + 1 < 26 ? n + 1 : n]#*|}") || true
	holds "${sections[n]%|*}" "${this:-0} > $last && ${next:-0} >= ${this:-0}"
	last=${this:-$last}
done

note 'a test of the test'
# The check of balance alone, as it is in the script, on a log of our own. It reads a pipe byte by
# byte, and so waits longer for the next one: a busy host may hold it up.
{
	sed -n '/^exec 3>&1/p; /^pretty()/p' "$script"
	echo 'set -e'
	sed -n '/^declare -A objects/,$p' "$script" | sed 's/read -t 0\.1 /read -t 3 /'
} > "$TMP/balance"
like 'NET-26 what is left of the script is its check' "$(cat "$TMP/balance")" '*read -t 3 */dev/kmsg*alldeleted -eq 1*'
# judge LOG: what the check says of it, in place of the kernel's log. That never ends, and this one
# fits into a pipe.
judge() {
	rm -f "$TMP/kmsg"
	mkfifo "$TMP/kmsg"
	exec 8<> "$TMP/kmsg"
	cat "$1" >&8
	# shellcheck disable=SC2016
	unshare --mount bash -c 'mount --bind "$1" /dev/kmsg && exec bash "$2"' -- \
		"$TMP/kmsg" "$TMP/balance" > "$TMP/out" 2>&1 || { cat "$TMP/out"; return 1; }
}
check 'NET-26 a log that is whole passes' judge "$TMP/objects"
# Two devices of one name, in two namespaces, may live at once, and of their two ends the script
# needs only one.  So what is taken out is the end of every device of that name.
for object in 'Interface' 'Peer [0-9]+' 'Keypair [0-9]+'; do
	gone=$(grep -oE "wireguard: wg[0-9]+: $object (.*)?destroyed" "$TMP/objects" | tail -n 1)
	gone=$(grep -oE "wg[0-9]+: $object " <<< "$gone")
	grep -vE "$gone(.*)?destroyed" "$TMP/objects" > "$TMP/less"
	holds "NET-26 ${object%% *}: its end is not told" \
		"$(wc -l < "$TMP/less") < $(wc -l < "$TMP/objects")"
	refuses "NET-26 ${object%% *}: and it does not pass" '*' judge "$TMP/less"
	like "NET-26 ${object%% *}: for that reason" "$(cat "$TMP/out")" "*merely created*"
done

finish
