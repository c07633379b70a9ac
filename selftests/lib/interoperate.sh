# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The driver under test talks to another WireGuard: wireguard-go and boringtun in a second network
# namespace of the same guest, or the driver of another guest (qemu-test/pair). To be sourced after
# lib.sh; then
#
#	meet go
#	interoperate echo file roam keepalive loss rekey
#	part
#
# does each of these for all combinations of who begins, what is outside and whether there is a
# preshared key at the same time, each with a tunnel of its own. A result is named "PEER, ROLE,
# TRANSPORT, KEYS: COLUMN", from which selftests/interoperate makes a table.

# Who begins, what is outside, which keys.
COMBINATIONS=(
	'initiator v4 no-psk' 'initiator v4 psk' 'initiator v6 no-psk' 'initiator v6 psk'
	'responder v4 no-psk' 'responder v4 psk' 'responder v6 no-psk' 'responder v6 psk'
)
# What is served to the other guest: commands.
CONTROL=10.255.0
CONTROL_PORT=5999

# us SCRIPT, them SCRIPT: runs it on the side of the driver under test, or on that of the other.
us() {
	if [[ $theirs == pair ]]; then
		bash -c "$1"
	else
		at a bash -c "$1"
	fi
}

them() {
	local answer status
	if [[ $theirs != pair ]]; then
		at b bash -c "$1"
		return
	fi
	# ncat does not wait for a program's output any more when its input is at an end.
	answer=$(printf '(\n%s\n) < /dev/null 2>&1\necho "exit $?"\nexit\n' "$1" |
		timeout 300 ncat --no-shutdown "$CONTROL.2" "$CONTROL_PORT")
	status=${answer##*exit }
	answer=${answer%exit *}
	[[ ! ${answer%$'\n'} ]] || printf '%s\n' "${answer%$'\n'}"
	return "${status:-1}"
}

# serve: what the other guest does until it is told to end.
serve() {
	ip addr add "$CONTROL.2/24" dev eth0
	mkfifo "$TMP/end"
	ncat -l -k -p "$CONTROL_PORT" -e /bin/bash &
	echo "$TMP/end" > /tmp/interoperate.end
	cat "$TMP/end" > /dev/null
}

# meet go|boringtun|pair: makes the way to the other side.
meet() {
	theirs=$1
	if [[ $theirs == pair ]]; then
		ip addr add "$CONTROL.1/24" dev eth0
		eventually them true
		them 'ip addr add 10.0.0.2/24 dev eth0; ip addr add fd00:aa::2/64 dev eth0 nodad'
		ip addr add 10.0.0.1/24 dev eth0
		ip addr add fd00:aa::1/64 dev eth0 nodad
		their_name=$(them 'cat /sys/module/wireguard/version')
	else
		cable
	fi
	case $theirs in
	go) their_name="wireguard-go $(wireguard-go --version | sed -n '1s/.* v//p')" ;;
	boringtun) their_name=$("$BORINGTUN" --version | xargs) ;;
	esac
	note "peer $theirs: $their_name"
}

BORINGTUN=$TOP/target/boringtun/boringtun-cli

# part: the other side is not needed any more.
part() {
	if [[ $theirs == pair ]]; then
		them 'echo > "$(cat /tmp/interoperate.end)"' || true
	else
		ns_del a b
	fi
}

# begin NUMBER ROLE TRANSPORT KEYS: a tunnel, wg$NUMBER here and uw$NUMBER there.
begin() {
	local number=$1 role=$2 transport=$3 keys=$4 psk='' ours=10.0.0.1 address=10.0.0.2 start
	[[ $keys != psk ]] || psk="preshared-key <(echo $PSK)"
	[[ $transport != v6 ]] || ours='[fd00:aa::1]' address='[fd00:aa::2]'
	us "ip link add wg$number type wireguard"
	# A TUN device has 1500 bytes if nobody says otherwise.
	case $theirs in
	pair) start="ip link add uw$number type wireguard" ;;
	go) start="LOG_LEVEL=error wireguard-go uw$number" ;;
	boringtun) start="$BORINGTUN --disable-drop-privileges --disable-connected-udp uw$number" ;;
	esac
	# What goes on in the background holds on to its output.
	them "$start" > "$TMP/start-$number" 2>&1 || { cat "$TMP/start-$number"; return 1; }
	# Only who begins knows where the other is.
	if [[ $role == initiator ]]; then
		ours=
	else
		address=
	fi
	us "$(one_end "wg$number" "$KEY_A" 52 "$PUB_B" 1 2 "${address:+$address:$((53000 + number))}")"
	them "$(one_end "uw$number" "$KEY_B" 53 "$PUB_A" 2 1 "${ours:+$ours:$((52000 + number))}")"
}

# one_end DEVICE KEY THOUSANDS PEER OWN OTHER ENDPOINT: of begin, commands for one side, whose port is
# $number after so many thousands, whose addresses end in OWN and those of the peer in OTHER.
one_end() {
	cat <<- END
		wg set $1 private-key <(echo $2) listen-port $(($3 * 1000 + number)) peer $4 $psk \
			allowed-ips 10.$number.0.$6/32,fd00:$number::$6/128 ${7:+endpoint $7}
		ip addr add 10.$number.0.$5/24 dev $1
		ip addr add fd00:$number::$5/64 dev $1 nodad
		ip link set $1 mtu 1420 up
	END
}

# end NUMBER: takes the tunnel away.
end() {
	us "ip link del wg$1"
	them "ip link del uw$1" || true
	gone() {
		! them "ip link show uw$1"
	}
	eventually gone "$1"
}

# by ROLE SCRIPT-OF-OURS SCRIPT-OF-THEIRS: runs that of who began.
by() {
	if [[ $1 == initiator ]]; then us "$2"; else them "$3"; fi
}

# ping_by ROLE NUMBER OPTION...: an echo from who began.
ping_by() {
	local role=$1 number=$2
	shift 2
	by "$role" "ping -n -q $* 10.$number.0.2" "ping -n -q $* 10.$number.0.1"
}

# each FUNCTION: calls it for all combinations at once, with a number and the combination. What fails
# is remembered for `result`.
each() {
	local number=0 combination jobs=()
	for combination in "${COMBINATIONS[@]}"; do
		number=$((number + 1))
		# shellcheck disable=SC2086
		("$1" $number $combination) < /dev/null >> "$TMP/log-$number" 2>&1 &
		jobs[number]=$!
	done
	for number in "${!jobs[@]}"; do
		wait "${jobs[number]}" || echo "$1" >> "$TMP/failed-$number"
	done
}

# result ID COLUMN: one for each combination.
result() {
	local number=0 combination
	none_failed() {
		cat "$TMP/log-$1"
		[[ ! -e $TMP/failed-$1 ]] || { echo "in: $(cat "$TMP/failed-$1")"; return 1; }
	}
	for combination in "${COMBINATIONS[@]}"; do
		number=$((number + 1))
		check "$1 $theirs, ${combination// /, }: $2" none_failed "$number"
		rm -f "$TMP/log-$number" "$TMP/failed-$number"
	done
}

echoes() {
	eventually ping_by "$2" "$1" -c 1 -W 2
	ping_by "$2" "$1" -c 10 -i 0.02 -W 10
	by "$2" "ping -n -q -c 10 -i 0.02 -W 10 -s 1000 fd00:$1::2" "ping -n -q -c 10 -i 0.02 -W 10 -s 1000 fd00:$1::1"
}

do_echo() {
	each echoes
	result IOP-1 'echo'
}

# one_file TO FROM NUMBER ADDRESS SIZE: TO (us or them) listens at the address, FROM sends to it.
one_file() {
	local port=$((6000 + $3)) sum
	"$2" "head -c $5 /dev/urandom > /tmp/file-$3"
	"$1" "timeout 300 ncat -l -p $port | md5sum" > "$TMP/sum-$3" &
	sum=$!
	eventually "$1" "ss -tlnH sport = $port | grep -q ."
	"$2" "timeout 300 ncat --send-only $4 $port < /tmp/file-$3"
	wait "$sum"
	[[ $(cat "$TMP/sum-$3") == "$("$2" "md5sum < /tmp/file-$3")" ]]
}

files() {
	one_file them us "$1" "10.$1.0.2" 256K
	one_file us them "$1" "fd00:$1::1" 256K
}

do_file() {
	each files
	result IOP-2 file
}

# move FROM TO: changes the last number of the addresses outside.
move() {
	# An address that is first in its network takes the others with it, so it goes first.
	printf 'ip addr del 10.0.0.%s/24 dev eth0; ip addr del fd00:aa::%s/64 dev eth0
		ip addr add 10.0.0.%s/24 dev eth0; ip addr add fd00:aa::%s/64 dev eth0 nodad' "$1" "$1" "$2" "$2"
}

# outside TRANSPORT DIGIT PORT: an endpoint, as wg shows it.
outside() {
	if [[ $1 == v4 ]]; then echo "10.0.0.$2:$3"; else echo "[fd00:aa::$2]:$3"; fi
}

# our_echo NUMBER, their_echo NUMBER: one that comes back, sooner or later.
our_echo() {
	eventually us "ping -n -q -c 1 -W 1 10.$1.0.2"
}

their_echo() {
	eventually them "ping -n -q -c 1 -W 1 10.$1.0.1"
}

we_moved() {
	our_echo "$1"
	becomes "$PUB_A"$'\t'"$(outside "$3" 11 $((52000 + $1)))" them "wg show uw$1 endpoints"
	their_echo "$1"
}

they_moved() {
	their_echo "$1"
	becomes "$PUB_B"$'\t'"$(outside "$3" 22 $((53000 + $1)))" us "wg show wg$1 endpoints"
	our_echo "$1"
}

do_roam() {
	us "$(move 1 11)"
	each we_moved
	them "$(move 2 22)"
	each they_moved
	us "$(move 11 1)"
	each our_echo
	them "$(move 22 2)"
	each their_echo
	each our_echo
	result IOP-3 roam
}

# received_by us|them NUMBER: bytes, of the peer.
received_by() {
	if [[ $1 == us ]]; then
		us "wg show wg$2 transfer" | cut -f2
	elif [[ $theirs == boringtun ]]; then
		# It does not count keepalives, so what is sent to it has to do.
		us "wg show wg$2 transfer" | cut -f3
	else
		them "wg show uw$2 transfer" | cut -f2
	fi
}

# their_keepalive SECONDS NUMBER ROLE TRANSPORT KEYS: has the other side send persistent keepalives.
their_keepalive() {
	local psk='' ours=10.0.0.1
	[[ $5 != psk ]] || psk="preshared-key <(echo $PSK)"
	[[ $4 != v6 ]] || ours='[fd00:aa::1]'
	if [[ $theirs != boringtun ]]; then
		them "wg set uw$2 peer $PUB_A persistent-keepalive $1"
	else
		# It cannot change peers: it panics.
		them "wg set uw$2 peer $PUB_A remove
		wg set uw$2 peer $PUB_A $psk allowed-ips 10.$2.0.1/32,fd00:$2::1/128 \
			endpoint $ours:$((52000 + $2)) persistent-keepalive $1"
	fi
}

# Not both at once, since the keepalive of the one defers that of the other.
keepalives() {
	local before bytes=96
	more_received() {
		local now
		now=$(received_by "$1" "$2")
		echo "received $3 bytes before, and now $now"
		((now >= $3 + $4))
	}
	before=$(received_by them "$1")
	us "wg set wg$1 peer $PUB_B persistent-keepalive 1"
	eventually more_received them "$1" "$before" 96 || more_received them "$1" "$before" 96
	us "wg set wg$1 peer $PUB_B persistent-keepalive 0"
	# A peer that is added begins with an initiation.
	[[ $theirs != boringtun ]] || bytes=$((96 + 148))
	before=$(received_by us "$1")
	their_keepalive 1 "$@"
	eventually more_received us "$1" "$before" $bytes || more_received us "$1" "$before" $bytes
	their_keepalive 0 "$@"
	eventually ping_by "$2" "$1" -c 1 -W 2
}

do_keepalive() {
	each keepalives
	result IOP-4 keepalive
}

# handshake NUMBER: when the last one was.
handshake() {
	us "wg show wg$1 latest-handshakes" | cut -f2
}

renewal() {
	local first second
	eventually ping_by "$2" "$1" -c 1 -W 2
	first=$(handshake "$1")
	ping_by "$2" "$1" -i 0.5 -c 256 > "$TMP/renewal-$1"
	cat "$TMP/renewal-$1"
	second=$(handshake "$1")
	echo "handshakes $((second - first)) s apart"
	grep -q '256 packets transmitted, 256 received' "$TMP/renewal-$1"
	((second - first >= 119 && second - first <= 127))
}

do_rekey() {
	each renewal
	result IOP-5 rekey
}

# Datagrams are lost, and what guests tell each other is not. TCP would double its timeouts until
# they are minutes, and give up what a program that has ended has left to it.
lossy='modprobe -q sch_prio; tc qdisc add dev eth0 root handle 1: prio &&
	tc qdisc add dev eth0 parent 1:3 handle 30: netem loss 30% &&
	tc filter add dev eth0 protocol ip parent 1: prio 1 u32 match ip protocol 17 0xff flowid 1:3 &&
	tc filter add dev eth0 protocol ipv6 parent 1: prio 2 u32 match ip6 protocol 17 0xff flowid 1:3 &&
	cd /proc/sys/net/ipv4 && echo 1000 > tcp_rto_max_ms && for what in retries2 syn_retries \
	synack_retries orphan_retries; do echo 60 > tcp_$what; done'

# A new handshake, and data. Half of the echoes should come back.
losses() {
	local psk='' received
	[[ $4 == no-psk ]] || psk="preshared-key <(echo $PSK)"
	if [[ $2 == initiator ]]; then
		us "ip link set wg$1 down; ip link set wg$1 up; ip addr replace fd00:$1::1/64 dev wg$1 nodad"
	else
		us "wg set wg$1 peer $PUB_B remove peer $PUB_B $psk allowed-ips 10.$1.0.2/32,fd00:$1::2/128"
	fi
	eventually ping_by "$2" "$1" -c 1 -W 1
	ping_by "$2" "$1" -i 0.1 -c 100 > "$TMP/losses-$1"
	cat "$TMP/losses-$1"
	received=$(sed -n 's/.* transmitted, \([0-9]*\) received.*/\1/p' "$TMP/losses-$1")
	((received >= 20 && received <= 80))
	one_file them us "$1" "10.$1.0.2" 20K
	one_file us them "$1" "10.$1.0.1" 20K
}

do_loss() {
	us "$lossy"
	them "$lossy"
	each losses
	us 'tc qdisc del dev eth0 root'
	them 'tc qdisc del dev eth0 root'
	each echoes
	result IOP-6 loss
}

# interoperate COLUMN...: the results.
interoperate() {
	local column start=$SECONDS
	each begin
	for column; do
		note "$column, after $((SECONDS - start)) s"
		"do_$column"
	done
	note "the end, after $((SECONDS - start)) s"
	each end
	[[ ! $(compgen -G "$TMP/failed-*") ]]
}
