#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What ends while something else refers to it: the namespace of a device's sockets right after, or
# while, all that has routes or hooks in it is changed or goes.  What must hold is that the kernel has
# nothing to complain about: nothing may be released in a namespace that is gone, nor be freed while
# another subsystem looks at it.  WG_ROUNDS is how often each case is tried.
#
# kernels: stock uml debug
# timeout: 420
# append: slub_debug=FZPU
# slow: stock/c uml/c

. "${BASH_SOURCE[0]%/*}/lib.sh"

rounds=${WG_ROUNDS:-1}
# How many peers one request removes.
many=400
[[ ${WG_KERNEL-} != uml ]] || many=1000

# a has the sockets of devices that are in b; r routes between it and c, where the peer is.
#
#	a: eth0 10.1.0.1/24 fd01::1/64 - r: eth0 .2, eth1 10.2.0.2/24 fd02::2/64 - c: eth0 .1
ns b r c
veth r eth1 c eth0
addr r eth1 10.2.0.2/24 fd02::2/64
addr c eth0 10.2.0.1/24 fd02::1/64
sysctl_set r ipv4/ip_forward 1
sysctl_set r ipv6/conf/all/forwarding 1
at c ip route add default via 10.2.0.2
at c ip route add default via fd02::2
at c ip link add wg0 type wireguard
addr c wg0 192.168.241.2/24
at c wg set wg0 private-key "$TMP/key-c" listen-port 51820 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32
at c ip link set wg0 up

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

# end: the namespace ends, without delay.
end() {
	ip netns del "$RUN-a"
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

# many_peers: lines for `wg` that add many peers with an endpoint each.
many_peers() {
	python3 - "$many" << 'END'
import base64, sys
for i in range(int(sys.argv[1])):
    key = base64.b64encode(bytes([i & 255, i >> 8]) + bytes(29) + b"@").decode()
    print(f"[Peer]\nPublicKey = {key}\nEndpoint = [fd02::1]:{1024 + i}\nAllowedIPs = 10.{i >> 8}.{i & 255}.0/24")
END
}

replaced() {
	many_peers > "$TMP/many"
	at b wg addconf wg0 "$TMP/many"
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

# tries KIND WHAT: so many rounds.
tries() {
	local round
	for ((round = 0; round < rounds; round++)); do
		clear
		begin "$1"
		"$2"
	done
	clear
}

note "the namespace of the sockets ends, $rounds times each"
for kind in "${kinds[@]}"; do
	case $kind in
	exception) cases=(removed lives replaced roamed marked rekeyed deleted several moved taken_down flooded) ;;
	*) cases=(removed lives replaced deleted) ;;
	esac
	for case in "${cases[@]}"; do
		check "route $kind: $case" tries "$kind" "$case"
	done
done
# The likeliest of all, and the one that takes its time.
rounds=$((6 * rounds))
check 'a peer with an exception is removed, over and over' tries exception removed

# --- Hooks --------------------------------------------------------------------------------------

note 'hooks are listed while sockets come and go'
modprobe -aq nfnetlink_hook nf_tables || true
ns a
at a ip link add wg0 type wireguard
at a ip link add wg1 type wireguard
list_hooks() {
	at a nft list hooks > /dev/null 2>&1
}
go_up_and_down() {
	local until=$((SECONDS + 6 * rounds)) listers=() job
	for job in 1 2; do
		spawn a bash -c 'while :; do nft list hooks; done' > /dev/null 2>&1
		listers+=("$job")
	done
	while ((SECONDS < until)); do
		at a ip link set wg0 up
		at a ip link set wg0 down
		at a wg set wg1 listen-port $((1024 + RANDOM % 1000))
	done
	for job in "${listers[@]}"; do
		stop "$job"
	done
}
rounds=1
[[ ! ${WG_ROUNDS-} ]] || rounds=10
if try list_hooks; then
	check 'nft lists them' go_up_and_down
else
	skip 'nft lists hooks' 'the kernel does not list hooks'
fi

finish
