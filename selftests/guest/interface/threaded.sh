#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Receiving with and without a thread, and with and without offloads: whatever is chosen, and
# whenever it is changed, files arrive.
#
# kernels: uml debug stock-rt
# timeout: 180
# slow: debug stock-rt

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

pair
check 'the tunnel' reaches a 192.168.241.2
# As Documentation/differences.rst says.
wanted=1
[[ $DRIVER == c || $(uname -v) == *PREEMPT_RT* ]] || wanted=0
is 'MODE-24 threaded by itself' "$(sysfs a wg0/threaded)" "$wanted"

# threaded NAME VALUE
threaded() {
	# shellcheck disable=SC2016
	at_sys "$1" bash -ec 'echo "$1" > /sys/class/net/wg0/threaded
		[[ $(cat /sys/class/net/wg0/threaded) == "$1" ]]' -- "$2"
}
for value in 0 1; do
	check "MODE-24 threaded $value" threaded b "$value"
	for offloads in 'gro on gso on tso on' 'gro off gso on tso on' 'gro on gso off tso off' 'gro off gso off tso off'; do
		# shellcheck disable=SC2086
		at b ethtool -K wg0 $offloads
		# shellcheck disable=SC2086
		at a ethtool -K eth0 $offloads
		check "MODE-24 threaded $value, $offloads: a file" copy a b 192.168.241.2
		check "MODE-24 threaded $value, $offloads: back" copy b a fd00::1
	done
	at b ethtool -K wg0 gro on gso on tso on
	at a ethtool -K eth0 gro on gso on tso on
	at b ip link set wg0 down
	at b ip link set wg0 up
	addr b wg0 fd00::2/112
	check "MODE-24 threaded $value: after down and up" reaches b fd00::1
	is "MODE-24 threaded $value: it is as it was set" "$(sysfs b wg0/threaded)" "$value"
done

note 'lists of packets, held back for a while'
at_sys b bash -c 'echo 2 > /sys/class/net/wg0/napi_defer_hard_irqs; echo 200000 > /sys/class/net/wg0/gro_flush_timeout'
check 'MODE-25 a file' copy a b 192.168.241.2
check 'MODE-25 echoes' pings a 192.168.241.2
at_sys b bash -c 'echo 0 > /sys/class/net/wg0/napi_defer_hard_irqs; echo 0 > /sys/class/net/wg0/gro_flush_timeout'
at b ethtool -K wg0 rx-gro-list on rx-udp-gro-forwarding on 2> /dev/null || true
check 'MODE-25 lists of segments: a file' copy a b 192.168.241.2
check 'MODE-25 datagrams, joined' iperf a b 192.168.241.2 -u -b 0 -n 2M -l 1200

note 'changed while packets go'
spawn b iperf3 -s -1 -B 192.168.241.2 > /dev/null
server=$job
eventually listening b 5201
spawn a iperf3 -c 192.168.241.2 -t 3 > /dev/null
client=$job
while kill -0 "$client" 2> /dev/null; do
	for value in 0 1; do
		threaded b "$value"
		at b ethtool -K wg0 gro off gso off
		sleep 0.1
		at b ethtool -K wg0 gro on gso on
	done
done
wait "$client" "$server"
check 'MODE-26 the tunnel has lived through it' pings a 192.168.241.2
is 'MODE-26 and found no packet wrong' "$(stats a rx_errors rx_frame_errors rx_length_errors) $(stats b rx_errors rx_frame_errors rx_length_errors)" \
	'0 0 0 0 0 0'

if [[ $DRIVER == rust ]] && ((wanted)); then
	note 'with too few threads to be had'
	read -r most < /proc/sys/kernel/threads-max
	cpus=$(nproc) there=0
	mkfifo "$TMP/batch" "$TMP/never"
	exec {never}<> "$TMP/never"
	# Nothing is forked while there are no more. Threads of the kernel are not of this process' namespace, but are
	# counted.
	spawn a ip -force -batch "$TMP/batch" > "$TMP/answers" 2> /dev/null
	exec {batch}> "$TMP/batch"
	# asks COMMAND: has it done, and what follows shown.
	asks() {
		local i before answers
		mapfile -t before < "$TMP/answers"
		answers=("${before[@]}")
		printf '%s\n' "$1" 'link show lo' >&"$batch"
		for ((i = 0; i < 100 && ${#answers[@]} == ${#before[@]}; i++)); do
			read -r -t 0.1 -u "$never" || true
			mapfile -t answers < "$TMP/answers"
		done
	}
	# counts VARIABLE: how many threads there are, less those that come and go.
	counts() {
		local i now least=
		for ((i = 0; i < 10; i++)); do
			read -r -t 0.1 -u "$never" || true
			read -r _ _ _ now _ < /proc/loadavg
			now=${now#*/}
			[[ $least ]] && ((now >= least)) || least=$now
		done
		printf -v "$1" %s "$least"
	}
	# few: makes an interface, and sets what it takes, and whether threads poll.
	few() {
		local with without
		asks 'link add few0 type wireguard'
		echo "$most" > /proc/sys/kernel/threads-max
		threaded=$(sysfs a few0/threaded 2> /dev/null) || threaded=
		counts with
		asks 'link del few0'
		counts without
		takes=$((with - without))
	}
	few
	is 'MODE-24 with enough, threads poll' "$threaded" 1
	queue=$((takes - cpus))
	holds 'MODE-24 one for each CPU' "$queue >= 0"
	for ((more = 0; more < cpus + queue + 2; more++)); do
		counts there
		echo $((there + more)) > /proc/sys/kernel/threads-max
		few
		# Without those of its queue, there is none.
		[[ $threaded ]] || continue
		is "MODE-24 with $more more, all of them or none" "$takes" $((threaded * cpus + queue))
	done
	exec {batch}>&-
	wait "$job" || true
fi

finish
