#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The packets of a flow stay in order, and none is lost of what every queue has room for, whoever works
# on them: this CPU, another one, or now this and now another, as the load comes and goes.
#
# kernels: uml debug debug-smp kcsan stock-amd64 stock-rt
# excuse: no
# timeout: 300
# slow: debug debug-smp kcsan stock-amd64 stock-rt

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"
. "$LIB/bundles.sh"

seconds=${WG_ORDER:-2}
order=$HERE/order.py

undo() {
	[[ -d /sys/module/wireguard ]] || module_load
}

# receive ADDRESS: b receives, and says what into $TMP/received after receive_end.
receive() {
	spawn b "$order" receive "$1" 7000 > "$TMP/received"
	receiver=$job
	eventually grep -q ready "$TMP/received"
}
receive_end() {
	sleep 0.5
	stop "$receiver"
}

# datagrams WHAT ADDRESS send|ask: two flows at the same time, each from a CPU of its own; one if there is
# but one.
datagrams() {
	local what=$1 address=$2 how=$3 cpu flows received overtaken sent jobs=()
	receive "$address"
	for ((cpu = 0; cpu < $(nproc) && cpu < 2; cpu++)); do
		spawn a "$order" "$how" "$address" 7000 "$seconds" "$cpu" > "$TMP/sent-$cpu"
		jobs+=("$job")
	done
	for job in "${jobs[@]}"; do
		wait "$job"
	done
	receive_end
	read -r flows received overtaken <<< "$(tail -n 1 "$TMP/received")"
	sent=$(cat "$TMP"/sent-? | awk '{ sum += $1 } END { print sum }')
	holds "$what: datagrams" "$flows == ${#jobs[@]} && $received > 1000"
	note "$what: $received of $sent are received"
	[[ $how == send ]] || holds "$what: none is lost" "$received == $sent"
	is "$what: none of $received overtook another" "$overtaken" 0
}

# stream WHAT ADDRESS: TCP, whose packets leave from whatever CPU acknowledgements arrive on.
stream() {
	local what=$1 address=$2 before sent
	before=$(reordered a) sent=$(segments a OutSegs)
	check "$what: a stream" iperf a b "$address" -t "$seconds"
	# A virtual cable has a queue for each CPU.
	before=$(($(reordered a) - before)) sent=$(($(segments a OutSegs) - sent))
	note "$what: $before times in another order, of $sent segments"
	holds "$what: hardly reordered" "$before < 10 || $before * 2000 < $sent"
}

cable
kinds=('')
[[ $DRIVER != rust ]] || kinds=('parallel=0' 'parallel=1' 'parallel=2')
for kind in "${kinds[@]}"; do
	[[ ! -d /sys/module/wireguard ]] || module_unload
	# shellcheck disable=SC2086
	module_load $kind
	tunnel
	what=${kind:-default}
	check "$what: the tunnel" reaches a 192.168.241.2
	before=$("$order" helped)
	datagrams "$what, IPv4" 192.168.241.2 send
	datagrams "$what, IPv6" fd00::2 send
	datagrams "$what, as many as there is room for" 192.168.241.2 ask
	helped=$(($("$order" helped) - before))
	note "$what: threads of workqueues ran $helped times"
	case $kind in
	# In QEMU there is other work for them: it is as much with PREEMPT_RT as without.
	parallel=0) [[ ${WG_KERNEL-} == @(stock*|debug-smp|kcsan) ]] || holds "$what: by this CPU" "$helped < 200" ;;
	parallel=1) (($(nproc) == 1)) || holds "$what: with the help of others" "$helped > 200" ;;
	parallel=2) holds "$what: by others" "$helped > 200" ;;
	esac
	stream "$what, IPv4" 192.168.241.2
	stream "$what, IPv6" fd00::2
	untunnel
done

# With the last kind, in which everything is a job of another CPU: all that comes in on one leaves by the
# same queue of a card, as what is in two of them leaves in any order.
note 'a card with a queue for each CPU'
queues() {
	local queue
	at a ethtool -L eth0 tx 2 || return
	for queue in 0 1; do
		# shellcheck disable=SC2016
		at_sys a sh -c 'echo "$2" > "/sys/class/net/eth0/queues/tx-$1/xps_cpus"' -- "$queue" $((1 << queue)) || return
	done
	at a tc qdisc replace dev eth0 root handle 1: mq
}
# sent_by QUEUE: how many packets.
sent_by() {
	at a tc -s qdisc show dev eth0 parent "1:$1" | sed -n 's/.* \([0-9]*\) pkt .*/\1/p'
}
tunnel
routed
check 'the tunnel' reaches l 192.168.241.2
if (($(nproc) < 2)); then
	skip 'one queue' 'there is only one CPU'
elif ! try queues; then
	skip 'one queue' 'none can be chosen by CPU'
else
	before=("$(sent_by 1)" "$(sent_by 2)")
	receive 192.168.241.2
	at l "$order" send 192.168.241.2 7000 1 0 > /dev/null
	receive_end
	sent=($(($(sent_by 1) - before[0])) $(($(sent_by 2) - before[1])))
	note "by each queue: ${sent[*]}"
	# The in-tree driver has a CPU that sends for the peer.
	[[ $DRIVER == rust ]] || ((sent[0] > sent[1])) || sent=("${sent[1]}" "${sent[0]}")
	holds 'what one CPU sends leaves by one queue' "${sent[0]} > 1000 && ${sent[1]} < 20"
fi

finish
