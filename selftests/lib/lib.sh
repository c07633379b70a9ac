# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the guest tests share.  A test sources this file first and calls `finish` last:
#
#	# shellcheck source-path=SCRIPTDIR
#	. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
#	pair
#	check 'b answers' at b ping -c 1 192.168.241.2
#	finish
#
# A test says what it found in TAP on standard output.  One that cannot be set up must not
# pass: the shell stops at the first command that fails outside of a check, and `cleanup` says
# where.  Emulation is fifty times slower than the real thing, so nothing here waits for a fixed
# time and hopes: `eventually` looks again and again until a deadline that only a bug can reach.
#
# Environment: WG_DRIVER is c or rust; WG_MODULE is the file of the driver under test, and if it
# is not given, modprobe finds the driver.

set -eEuo pipefail
shopt -s inherit_errexit extglob
export LC_ALL=C WG_HIDE_KEYS=never

# Where the test is, with its own parts; where this is, with what tests share; and the checkout.
HERE=$(cd "${0%/*}" && pwd)
LIB=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
TOP=${LIB%/*/*}
TMP=$(mktemp -d)
RUN=wgt$$
DRIVER=${WG_DRIVER:-c}
if [[ ! ${WG_MODULE-} && $DRIVER == rust && -e /mnt/job/wireguard.ko ]]; then
	WG_MODULE=/mnt/job/wireguard.ko
fi
# Long enough for anything that is going to happen at all.
PATIENCE=${PATIENCE:-60}
export LIB PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$LIB WG_DRIVER=$DRIVER
readonly HERE LIB TOP TMP RUN DRIVER PATIENCE
# shellcheck source=nonces.sh
. "$LIB/nonces.sh"
# shellcheck source=kernel.sh
. "$LIB/kernel.sh"

# --- TAP ----------------------------------------------------------------------------------------

tap_count=0
tap_failures=0
tap_finished=
failed_line=
failed_command=

# note TEXT...: something worth reading that is not a result.
note() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

ok() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

# not_ok WHAT [EXPLANATION...]
not_ok() {
	tap_count=$((tap_count + 1))
	tap_failures=$((tap_failures + 1))
	echo "not ok $tap_count - $1"
	shift
	local line
	for line; do note "$line"; done
}

# skip WHAT WHY
skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# capture COMMAND...: runs it in a subshell that stops at its first failure; sets output, status.
capture() {
	set +e
	output=$(set -e; "$@" 2>&1 < /dev/null)
	status=$?
	set -e
	failed_line=
}

# check WHAT COMMAND...: the command succeeds.
check() {
	local what=$1 output status
	shift
	capture "$@"
	if ((status == 0)); then
		ok "$what"
	else
		not_ok "$what" "status $status from: $*" "$output"
	fi
}

# refuses WHAT PATTERN COMMAND...: the command fails and what it prints matches the glob.
refuses() {
	local what=$1 pattern=$2 output status
	shift 2
	capture "$@"
	# shellcheck disable=SC2053 # the right side is meant to be a pattern
	if ((status != 0)) && [[ $output == $pattern ]]; then
		ok "$what"
	else
		not_ok "$what" "wanted a refusal like: $pattern" "status $status from: $*" "$output"
	fi
}

# is WHAT GOT WANTED
is() {
	if [[ $2 == "$3" ]]; then
		ok "$1"
	else
		not_ok "$1" "wanted: $3" "got:    $2"
	fi
}

# like WHAT GOT PATTERN: a glob.
like() {
	# shellcheck disable=SC2053
	if [[ $2 == $3 ]]; then
		ok "$1"
	else
		not_ok "$1" "wanted something like: $3" "got: $2"
	fi
}

# holds WHAT EXPRESSION: an arithmetic one, printed if it is false.
holds() {
	if (($2)); then
		ok "$1"
	else
		not_ok "$1" "not true: $2"
	fi
}

# try COMMAND...: does it succeed?  For `eventually` and conditions; says nothing.
try() {
	local output status
	capture "$@"
	return "$status"
}

# eventually COMMAND...: waits until the command succeeds, PATIENCE seconds at most.
eventually() {
	local until=$((SECONDS + PATIENCE))
	until try "$@"; do
		((SECONDS < until)) || return 1
		sleep 0.1
	done
}

# becomes WANTED COMMAND...: waits until the command prints just that.
becomes() {
	prints() {
		local wanted=$1
		shift
		last=$("$@")
		[[ $last == "$wanted" ]] || { echo "wanted: $wanted, got: $last"; false; }
	}
	eventually prints "$@" || { prints "$@"; }
}

# adopt COMMAND...: takes over the results of a program that prints `ok - WHAT`, `not ok - WHAT`
# and explanations behind them.
adopt() {
	local line finished=
	while IFS= read -r line; do
		case $line in
		'ok - '*) ok "${line#ok - }" ;;
		'not ok - '*) not_ok "${line#not ok - }" ;;
		'exit 0') finished=yes ;;
		*) note "$line" ;;
		esac
	done < <(set +e; "$@" 2>&1; echo "exit $?")
	[[ $finished ]] || not_ok "${*##*/} runs to its end"
}

# --- Namespaces ---------------------------------------------------------------------------------

namespaces=()

# ns NAME...: makes network namespaces with nothing but a loopback device.
ns() {
	local name
	for name; do
		ip netns add "$RUN-$name"
		namespaces+=("$name")
		ip -n "$RUN-$name" link set lo up
		nonces_watch "$name"
	done
}

# ns_del NAME...: deletes namespaces and what runs in them.
ns_del() {
	local name pids
	for name; do
		nonces_leave "$name"
		pids=$(ip netns pids "$RUN-$name" 2> /dev/null) || true
		# shellcheck disable=SC2086
		[[ ! $pids ]] || kill $pids 2> /dev/null || true
		ip netns del "$RUN-$name"
		local left=() other
		for other in "${namespaces[@]}"; do
			[[ $other == "$name" ]] || left+=("$other")
		done
		namespaces=("${left[@]}")
	done
}

# ns_ends WHAT NAME...: deletes namespaces, and checks that they end: a socket keeps its own as long as a
# packet is left that it has sent.
ns_ends() {
	local what=$1 name
	shift
	ns witness
	for name; do
		ip -n "$RUN-witness" netns set "$RUN-$name" auto
	done
	ns_del "$@"
	known() {
		ip -n "$RUN-witness" netns list-id
	}
	check "$what" becomes '' known
}

# at NAME COMMAND...: runs a command in a namespace.
at() {
	local name=$1
	shift
	nsenter --net="/run/netns/$RUN-$name" -- "$@"
}

# spawn NAME COMMAND...: the same in the background; sets `job`, its process.
spawn() {
	local name=$1
	shift
	nsenter --net="/run/netns/$RUN-$name" -- "$@" &
	job=$!
}

# stop JOB: ends what was spawned.
stop() {
	kill "$1" 2> /dev/null || true
	wait "$1" 2> /dev/null || true
}

# stop_busy WHAT JOB...: the same with all of these, and each was at it until now, which is a check.
stop_busy() {
	local what=$1 one dead=()
	shift
	for one; do
		kill -0 "$one" 2> /dev/null || dead+=("$one")
	done
	for one; do
		stop "$one"
	done
	is "$what: to the end" "${dead[*]}" ''
}

# ended JOB: what was spawned comes to its end by itself.
ended() {
	gone() {
		! kill -0 "$1" 2> /dev/null
	}
	eventually gone "$1"
}

# at_sys NAME COMMAND...: like `at`, and /sys shows the namespace's devices.
at_sys() {
	local name=$1
	shift
	ip netns exec "$RUN-$name" "$@"
}

# ports NAME: the UDP sockets, as family and port.
ports() {
	at "$1" ss -4uanH | awk '{ sub(/.*:/, "", $4); print "v4", $4 }' | sort
	at "$1" ss -6uanH | awk '{ sub(/.*:/, "", $4); print "v6", $4 }' | sort
}

# sysfs NAME FILE: a file below /sys/class/net.
sysfs() {
	at_sys "$1" cat "/sys/class/net/$2"
}

# sysctl_set NAME PATH VALUE: a file below /proc/sys/net.
sysctl_set() {
	# shellcheck disable=SC2016
	at "$1" bash -c 'echo "$2" > "/proc/sys/net/$1"' -- "$2" "$3"
}

# veth NAME DEVICE NAME DEVICE: a cable between two namespaces, both ends up.
veth() {
	ip link add "$RUN-x" type veth peer name "$RUN-y"
	ip link set "$RUN-x" netns "$RUN-$1" name "$2"
	ip link set "$RUN-y" netns "$RUN-$3" name "$4"
	ip -n "$RUN-$1" link set "$2" up
	ip -n "$RUN-$3" link set "$4" up
}

# addr NAME DEVICE ADDRESS...: IPv6 addresses are usable at once.
addr() {
	local name=$1 device=$2 address
	shift 2
	for address; do
		case $address in
		*:*) at "$name" ip addr add "$address" dev "$device" nodad ;;
		*) at "$name" ip addr add "$address" dev "$device" ;;
		esac
	done
}

# --- WireGuard ----------------------------------------------------------------------------------

KEY_A=$(wg genkey)
KEY_B=$(wg genkey)
KEY_C=$(wg genkey)
PUB_A=$(wg pubkey <<< "$KEY_A")
PUB_B=$(wg pubkey <<< "$KEY_B")
PUB_C=$(wg pubkey <<< "$KEY_C")
PSK=$(wg genpsk)
printf '%s\n' "$KEY_A" > "$TMP/key-a"
printf '%s\n' "$KEY_B" > "$TMP/key-b"
printf '%s\n' "$KEY_C" > "$TMP/key-c"
printf '%s\n' "$PSK" > "$TMP/psk"
export KEY_A KEY_B KEY_C PUB_A PUB_B PUB_C PSK
readonly KEY_A KEY_B KEY_C PUB_A PUB_B PUB_C PSK

# cable: two namespaces and what connects them, but no tunnel.
#
#	a: eth0 10.0.0.1/24 fd00:aa::1/64	b: eth0 10.0.0.2/24 fd00:aa::2/64
cable() {
	ns a b
	veth a eth0 b eth0
	addr a eth0 10.0.0.1/24 fd00:aa::1/64
	addr b eth0 10.0.0.2/24 fd00:aa::2/64
}

# far_end: a cable, and the side of b of a tunnel, with an address behind it. The other side is for a
# tool to make.
far_end() {
	cable
	at b ip link add wg0 type wireguard
	at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
		peer "$PUB_A" preshared-key "$TMP/psk" allowed-ips 192.168.241.1/32,fd00::1/128
	addr b wg0 192.168.241.2/24 fd00::2/112
	addr b lo 198.51.100.1/32
	at b ip link set wg0 up
}

# tunnel: wg0 in both namespaces, up, each knowing the other's endpoint.
#
#	a: wg0 192.168.241.1/24 fd00::1/112	b: wg0 192.168.241.2/24 fd00::2/112
#	   port 51821				   port 51822
tunnel() {
	at a ip link add wg0 type wireguard
	at b ip link add wg0 type wireguard
	addr a wg0 192.168.241.1/24 fd00::1/112
	addr b wg0 192.168.241.2/24 fd00::2/112
	at a wg set wg0 private-key "$TMP/key-a" listen-port 51821 \
		peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822
	at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
		peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128 endpoint 10.0.0.1:51821
	at a ip link set wg0 up
	at b ip link set wg0 up
}

# untunnel: takes the tunnel away again.
untunnel() {
	at a ip link del wg0
	at b ip link del wg0
}

# pair: the topology most tests start from.
pair() {
	cable
	tunnel
}

# reaches NAME ADDRESS: one echo comes back, sooner or later.
reaches() {
	eventually at "$1" ping -n -q -c 1 -W 2 "$2"
}

# transfer NAME [PEER]: bytes received and sent, as `wg show` has them.
transfer() {
	at "$1" wg show wg0 transfer | awk -v peer="${2-}" 'peer == "" || $1 == peer { print $2, $3 }'
}

# received NAME, sent NAME: one of the two, of the only peer.
received() {
	transfer "$1" | cut -d' ' -f1
}

sent() {
	transfer "$1" | cut -d' ' -f2
}

# endpoint NAME [PEER]: where the peer is thought to be.
endpoint() {
	at "$1" wg show wg0 endpoints | awk -v peer="${2-}" 'peer == "" || $1 == peer { print $2 }'
}

# stats NAME COUNTER...: counters of wg0 from /sys/class/net.
stats() {
	local name=$1
	shift
	# shellcheck disable=SC2016
	at_sys "$name" bash -c \
		'cd /sys/class/net/wg0/statistics && for f; do printf "%s " "$(< "$f")"; done' -- "$@" |
		sed 's/ $//'
}

# link_detail NAME DEVICE KEY: the word after KEY in `ip -d link`.
link_detail() {
	at "$1" ip -d -o link show dev "$2" |
		awk -v key="$3" '{ for (i = 1; i < NF; i++) if ($i == key) { print $(i + 1); exit } }'
}

# capture_start NAME DEVICE FILTER...: tcpdump into $TMP/pcap until capture_stop.
capture_start() {
	local name=$1 device=$2
	shift 2
	: > "$TMP/tcpdump"
	spawn "$name" tcpdump -Z root -n -U --immediate-mode -i "$device" -w "$TMP/pcap" "$@" 2> "$TMP/tcpdump"
	capture_pid=$job
	eventually grep -q 'listening on' "$TMP/tcpdump"
}

# capture_stop: what came by is then in $TMP/pcap; packets on their way are waited for.
capture_stop() {
	sleep 0.3
	kill -INT "$capture_pid"
	wait "$capture_pid" || true
}

# --- The end ------------------------------------------------------------------------------------

# A test that leaves more behind than namespaces and background jobs says how it is undone.
undo() {
	:
}

tidy() {
	local job
	undo || true
	for job in $(jobs -p); do
		kill "$job" 2> /dev/null || true
	done
	wait 2> /dev/null || true
	[[ ${#namespaces[@]} -eq 0 ]] || ns_del "${namespaces[@]}" || true
}

cleanup() {
	local status=$?
	trap - EXIT ERR
	set +eE
	if [[ ! $tap_finished ]]; then
		tidy
		echo "Bail out! ${0##*/}${failed_line:+, line $failed_line}: ${failed_command:-?}"
		((status != 0)) || status=1
	fi
	rm -rf "$TMP"
	exit "$status"
}

# finish: cleans up, looks at nonces and at the kernel's log, and says how many checks there were.
finish() {
	nonces_judge
	tidy
	log_judge
	echo "1..$tap_count"
	tap_finished=yes
	exit $((tap_failures > 0))
}

trap 'failed_line=$LINENO failed_command=$BASH_COMMAND' ERR
trap cleanup EXIT
trap 'exit 130' INT TERM
log_begin
