#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What ends while something else refers to it: the namespace of a device's sockets right after, or
# while, all that has routes or hooks in it is changed or goes.  What must hold is that the kernel has
# nothing to complain about: nothing may be released in a namespace that is gone, nor be freed while
# another subsystem looks at it.  WG_ROUNDS is how often each case is tried.
#
# kernels: stock uml debug
# excuse: no
# timeout: 600
# append: slub_debug=FZPU rcu_nocbs=all
# slow: stock/c uml/c

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

# Nothing but what is tried is to keep a namespace.
nonces=unwatched

rounds=${WG_ROUNDS:-1}
# How many peers one request removes, each with a route of its own.
many=400
[[ ${WG_KERNEL-} != uml ]] || many=1000

# a has the sockets of devices that are in b; r routes between it and c, where the peer is.
#
#	a: eth0 10.1.0.1/24 fd01::1/64 - r: eth0 .2, eth1 10.2.0.2/24 fd02::2/64 - c: eth0 .1
#
# All of fd03::/64 is at c, too.
ns b r c
veth r eth1 c eth0
addr r eth1 10.2.0.2/24 fd02::2/64
addr c eth0 10.2.0.1/24 fd02::1/64
sysctl_set r ipv4/ip_forward 1
sysctl_set r ipv6/conf/all/forwarding 1
at c ip route add default via 10.2.0.2
at c ip route add default via fd02::2
at c ip -6 route add local fd03::/64 dev lo
at r ip route add fd03::/64 via fd02::1
at c ip link add wg0 type wireguard
addr c wg0 192.168.241.2/24
at c wg set wg0 private-key "$TMP/key-c" listen-port 51820 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32
at c ip link set wg0 up

# watched COMMAND...: it succeeds, and the kernel has nothing to complain about meanwhile.  After log_mark.
watched() {
	"$@"
	! log | grep -E "$TROUBLE"
}

# --- Hooks --------------------------------------------------------------------------------------

note 'hooks are listed while sockets come and go'
modprobe -aq nfnetlink_hook nf_tables || true
# Whoever lists them may be interrupted anywhere.
preemption=/sys/kernel/debug/sched/preempt
preempt() {
	[[ ! -w $preemption ]] || echo "$1" > "$preemption"
}
usual_preemption=$(sed 's/.*(\(.*\)).*/\1/' "$preemption" 2> /dev/null) || true
preempt full
ns a o
# Others have a hook as well, so that ours come and go without the kernel's code being changed.
at o nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }' || true
at a ip link add wg0 type wireguard
list_hooks() {
	at a python3 "$LIB/hooks.py" 0.1
}
has_hook() {
	at a nft list hooks | grep -q '\[wireguard\]'
}
go_up_and_down() {
	local seconds=$((rounds < 4 ? 15 : 60)) listers=() job
	local until=$((SECONDS + seconds))
	local lister
	for ((lister = 0; lister <= $(nproc); lister++)); do
		spawn a python3 "$LIB/hooks.py" "$seconds" > /dev/null
		listers+=("$job")
	done
	while ((SECONDS < until)); do
		for _ in {1..10}; do
			printf 'link set wg0 up\nlink set wg0 down\n'
		done | at a ip -batch -
	done
	wait "${listers[@]}"
}
log_mark
if try list_hooks; then
	if [[ $DRIVER == rust ]]; then
		at a ip link set wg0 up
		check 'ours is among them' has_hook
		at a ip link set wg0 down
	fi
	check 'nothing happens to those that list them' watched go_up_and_down
else
	skip 'hooks' 'the kernel does not list hooks'
fi
ns_del a o
preempt "$usual_preemption"

# --- Routes -------------------------------------------------------------------------------------

# transform SOURCE DESTINATION: what a sends there is encrypted, by ESP.
transform() {
	local name
	for name in a c; do
		at "$name" ip xfrm state add src "$1" dst "$2" proto esp spi 0x100 mode transport \
			enc 'cbc(aes)' 0x000102030405060708090a0b0c0d0e0f \
			auth 'hmac(sha256)' 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
	done
	at a ip xfrm policy add src "$1" dst "$2" dir out \
		tmpl src "$1" dst "$2" proto esp mode transport
}

can_transform() {
	modprobe -aq xfrm_user esp4 esp6 || true
	ns a
	local status=0
	{
		transform 10.1.0.1 10.2.0.1 && transform fd01::1 fd02::1 && at c ip xfrm state flush
	} > "$TMP/transform" 2>&1 || status=1
	ns_del a
	return "$status"
}

# kinds: plain4 plain6 exception esp4 esp6
kinds=(plain4 plain6 exception)
if can_transform; then
	kinds+=(esp4 esp6)
else
	skip 'routes with transformations' "the kernel has no ESP: $(tail -n 1 "$TMP/transform")"
fi

# begin KIND: a with a device that is then moved to b, and has a route of that kind cached.
begin() {
	local kind=$1 peer=10.2.0.1 mtu=1500
	[[ $kind == *4 ]] || peer="[fd02::1]"
	[[ $kind != exception ]] || mtu=1300
	ip -n "$RUN-r" link set eth1 mtu "$mtu"
	ip -n "$RUN-c" link set eth0 mtu "$mtu"
	ns a
	veth a eth0 r eth0
	addr a eth0 10.1.0.1/24 fd01::1/64
	addr r eth0 10.1.0.2/24 fd01::2/64
	at a ip route add default via 10.1.0.2
	at a ip route add default via fd01::2
	at c ip xfrm state flush 2> /dev/null || true
	case $kind in
	esp4) transform 10.1.0.1 10.2.0.1 ;;
	esp6) transform fd01::1 fd02::1 ;;
	esac
	device wg0 "$TMP/key-a" "$peer"
	addr b wg0 192.168.241.1/24
	reaches b 192.168.241.2
	if [[ $kind == exception ]]; then
		eventually exceptional
	fi
	# Both CPUs are to have it, if they may.
	at b ping -n -q -c 4 -i 0.01 -W 1 -s 1300 192.168.241.2 > /dev/null || true
}

# device NAME KEY PEER: a device in b that has its sockets in a.
device() {
	at a ip link add "$1" type wireguard
	at a ip link set "$1" netns "/run/netns/$RUN-b"
	at b wg set "$1" private-key "$2" peer "$PUB_C" endpoint "$3:51820" allowed-ips 0.0.0.0/0
	at b ip link set "$1" up
}

exceptional() {
	at b ping -n -q -c 2 -i 0.02 -W 1 -s 1300 192.168.241.2 > /dev/null || true
	at a ip -6 route show cache | grep -q 'fd02::1.*mtu 1300'
}

# What waits for several grace periods, one after the other, is to be late.  With callbacks offloaded to
# threads (rcu_nocbs) it is, as most of these are not in a hurry; where that cannot be, idle CPUs are
# looked at later than usual.
fqs=/sys/module/rcutree/parameters/jiffies_till_first_fqs
usual=$(< "$fqs")
late=$usual
[[ ${WG_KERNEL-} == stock* ]] || late=10

pace() {
	echo "$1" > "$fqs"
}

undo() {
	pace "$usual"
	preempt "$usual_preemption"
	! can_fail || quiet
}

# end: the namespace ends, without delay.
end() {
	ip netns del "$RUN-a"
}

# gone: waits until a has ended.  One after the other ends, and when a device at r has gone the end of
# its namespace has begun.
gone() {
	eventually vanished eth0
	ns w
	veth w eth0 r eth2
	ns_del w
	eventually vanished eth2
}

vanished() {
	! at r ip link show dev "$1" 2> /dev/null
}

clear() {
	local name
	for name in $(at b wg show interfaces); do
		at b ip link del "$name" || true
	done
	for name in a d; do
		[[ ! -e /run/netns/$RUN-$name ]] || ns_del "$name"
	done
}

# --- What happens before the end ----------------------------------------------------------------

lives() { end; }

removed() {
	at b wg set wg0 peer "$PUB_C" remove
	end
}

# many_peers KIND: lines for `wg` that add many peers, each with an endpoint and something to send.
many_peers() {
	python3 - "$many" "$1" << 'END'
import base64, sys
host = {"plain4": "10.2.0.1", "esp4": "10.2.0.1", "exception": "[fd03::%x]"}.get(sys.argv[2], "[fd02::1]")
for i in range(int(sys.argv[1])):
    key = base64.b64encode(bytes([i & 255, i >> 8]) + bytes(29) + b"@").decode()
    endpoint = host % (i + 1) if "%" in host else host
    print(f"[Peer]\nPublicKey = {key}\nEndpoint = {endpoint}:51820\nPersistentKeepalive = 25")
    print(f"AllowedIPs = 10.{i >> 8}.{i & 255}.0/24")
END
}

# too_large: sends so much there that a has a route for each, with an MTU.
too_large() {
	at a python3 - "$many" << 'END'
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
    for i in range(int(sys.argv[1])):
        sock.sendto(bytes(1400), (f"fd03::{i + 1:x}", 9))
END
	[[ $(at a ip -6 route show cache | grep -c 'fd03::.*mtu 1300') -ge $many ]]
}

have_sent() {
	[[ $(at b wg show wg0 transfer | awk '$3 > 0' | wc -l) -ge $many ]]
}

# fill KIND: many peers that have sent something, so that each has a route.
fill() {
	[[ $1 != exception ]] || eventually too_large
	many_peers "$1" > "$TMP/many"
	at b wg addconf wg0 "$TMP/many"
	eventually have_sent
}

# counted: how many routes are counted in a, in the tree of routes or not.
counted() {
	echo $((16#$(at a cut -d ' ' -f 6 /proc/net/rt6_stats)))
}

held() {
	local routes peers
	clear
	begin exception
	fill exception
	at a ip -6 route flush cache
	routes=$(counted)
	((routes >= many)) || { echo "$routes routes"; false; }
	mapfile -t peers < <(at b wg show wg0 peers | sed 's/.*/peer\n&\nremove/')
	at b wg set wg0 "${peers[@]}"
	few() { (($(counted) < 10)); }
	eventually few
}

replaced() {
	fill "$1"
	printf '[Interface]\nListenPort = 0\n' > "$TMP/none"
	spawn b wg setconf wg0 "$TMP/none" 2> /dev/null
	end
	# There is no other port if the namespace is gone already.
	wait "$job" || true
}

roamed() {
	local endpoint
	for endpoint in '[fd02::9]:1' 10.2.0.9:1 '[fd02::8]:1' 10.2.0.8:1; do
		at b wg set wg0 peer "$PUB_C" endpoint "$endpoint"
		at b ping -n -q -c 1 -W 0.01 192.168.241.2 > /dev/null || true
	done
	end
}

marked() {
	at b wg set wg0 fwmark 7 listen-port 0
	at b ping -n -q -c 1 -W 0.01 192.168.241.2 > /dev/null || true
	end
}

rekeyed() {
	# The peer has this key itself, and cannot be one of ours then.
	at b wg set wg0 private-key "$TMP/key-c"
	end
}

deleted() {
	spawn b ip link del wg0
	end
	wait "$job"
}

several() {
	local name
	for name in wg1 wg2 wg3; do
		device "$name" "$TMP/key-b" '[fd02::1]'
		addr b "$name" "192.168.24${name#wg}.101/32"
		# Handshakes that are not answered have routes, too.
		at b ping -n -q -c 1 -W 0.1 -I "$name" 192.168.250.1 > /dev/null 2>&1 || true
	done
	at b wg set wg1 peer "$PUB_C" remove
	spawn b ip link del wg2
	end
	wait "$job"
}

moved() {
	ns d
	spawn b ip link set wg0 netns "/run/netns/$RUN-d"
	end
	wait "$job"
}

taken_down() {
	spawn b ip link set wg0 down
	end
	wait "$job" || true
}

flooded() {
	spawn b ping -n -q -f 192.168.241.2 > /dev/null
	end
	stop "$job"
}

# starved: there is no memory for the driver when the namespace ends.  The peer goes later.
starved() {
	local text
	mapfile -t text < <(module_text)
	knob failslab stacktrace-depth=32 require-start="0x${text[0]}" require-end="0x${text[1]}" \
		ignore-gfp-wait=N verbose=0 times=-1 interval=1 space=0 probability=100
	end
	gone
	quiet
	at b wg set wg0 peer "$PUB_C" remove
}

# tries KIND WHAT: so many rounds.
tries() {
	local round
	for ((round = 0; round < rounds; round++)); do
		clear
		begin "$1"
		pace "$late"
		"$2" "$1"
		gone
		pace "$usual"
	done
	clear
}

note "the namespace of the sockets ends, $rounds times each"
check 'each peer that has sent something holds a route' held
for kind in ${WG_KINDS-"${kinds[@]}"}; do
	case $kind in
	exception) cases=(removed lives replaced roamed marked rekeyed deleted several moved taken_down flooded) ;;
	*) cases=(removed lives replaced deleted) ;;
	esac
	! can_fail || cases+=(starved)
	for case in ${WG_CASES-"${cases[@]}"}; do
		log_mark
		check "route $kind: $case" watched tries "$kind" "$case"
	done
done
# The likeliest of all, and the one that takes its time.
rounds=$((3 * rounds))
log_mark
check 'a peer with an exception is removed, over and over' watched tries exception removed

finish
