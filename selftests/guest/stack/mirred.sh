#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that filters of a queue, or programs of such, copy or redirect to the tunnel. The queue is the one that the tunnel's messages
# go to, and its lock is held by whoever runs its filters: who encrypts and sends there and then waits for himself.
#
# kernels: stock uml debug
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair
# Hosts that are nowhere but behind the tunnel, though routes say that they are on the cable.
at a wg set wg0 peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128,10.0.0.9/32,fd00:aa::9/128
at b wg set wg0 peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128,10.0.0.1/32,fd00:aa::1/128
nowhere=02:00:00:00:00:09
at a ip neigh add 10.0.0.9 lladdr $nowhere dev eth0
at a ip neigh add fd00:aa::9 lladdr $nowhere dev eth0
check 'the tunnel works' reaches a 192.168.241.2

# lead DEVICE VERB: filters of the queue have DEVICE take what is for those hosts.
lead() {
	at a tc filter add dev eth0 parent 1: protocol ip pref 1 flower dst_ip 10.0.0.9 action mirred egress "$2" dev "$1"
	at a tc filter add dev eth0 parent 1: protocol ipv6 pref 2 flower dst_ip fd00:aa::9 \
		action mirred egress "$2" dev "$1"
}

# echoes_come WHAT: what is sent to those hosts comes to the peer by the tunnel, and so does what comes after it.
echoes_come() {
	local before host
	for host in 10.0.0.9 fd00:aa::9; do
		before=$(stats b rx_packets)
		at a ping -n -q -c 20 -i 0.01 -W 1 $host > /dev/null || true
		arrived() { (($(stats b rx_packets) >= before + 20)); }
		check "$1, $host: arrives" eventually arrived
		check "$1, $host: the tunnel works" reaches a 192.168.241.2
	done
}

# What no peer is for is dropped: its sender is not told, as that message may go to the same queue. The in-tree driver
# tells it, and hangs.
hairpin() {
	local verb before
	at a sysctl -q -w net.ipv6.conf.all.forwarding=1
	at a ip route add fd00:bb::/64 dev eth0
	at a ip neigh add fd00:bb::9 lladdr $nowhere dev eth0
	at b ip route add fd00:bb::/64 via fd00:aa::1
	at a tc qdisc add dev eth0 root handle 1: prio
	for verb in mirror redirect; do
		at a tc filter add dev eth0 parent 1: protocol ipv6 flower dst_ip fd00:bb::9 action mirred egress $verb dev wg0
		before=$(stats a tx_errors)
		at b ping -n -q -c 5 -i 0.01 -W 1 fd00:bb::9 > /dev/null || true
		dropped() { (($(stats a tx_errors) >= before + 5)); }
		check "$verb, for no peer: dropped" eventually dropped
		check "$verb, for no peer: the tunnel works" reaches a 192.168.241.2
		at a tc filter del dev eth0 parent 1:
	done
	at a tc qdisc del dev eth0 root
}
[[ $DRIVER != rust ]] || hairpin

for queue in prio 'htb default 1'; do
	at a tc qdisc add dev eth0 root handle 1: $queue
	for verb in mirror redirect; do
		lead wg0 $verb
		echoes_come "$queue, $verb"
		at a tc filter del dev eth0 parent 1:
	done
	at a tc qdisc del dev eth0 root
done

# A tunnel with a queue of its own is no deeper than what sends to it.
mkdir "$TMP/bpf"
mount -t bpf bpf "$TMP/bpf"
undo() {
	umount "$TMP/bpf"
}
at a python3 "$HERE/cloning.py" 10.0.0.9 wg0 "$TMP/bpf/cloning"
at a tc qdisc add dev eth0 root handle 1: prio
at a tc filter add dev eth0 parent 1: protocol ip pref 1 bpf da object-pinned "$TMP/bpf/cloning"
for queue in noqueue fq; do
	at a tc qdisc replace dev wg0 root $queue
	before=$(stats b rx_packets)
	at a ping -n -q -c 20 -i 0.01 -W 1 10.0.0.9 > /dev/null || true
	arrived() { (($(stats b rx_packets) >= before + 20)); }
	check "a program, $queue: clones arrive" eventually arrived
	check "a program, $queue: the tunnel works" reaches a 192.168.241.2
done

finish
