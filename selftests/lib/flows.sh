# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Traffic, for tests that need more than an echo. To be sourced after lib.sh.

# pings NAME ADDRESS [OPTION...]: ten echoes, none lost.
pings() {
	local name=$1 address=$2
	shift 2
	at "$name" ping -n -q -c 10 -f -W 10 "$@" "$address"
}

# listening NAME PORT: a TCP server is there.
listening() {
	[[ $(at "$1" ss -tlnH "sport = $2") ]]
}

# iperf CLIENT SERVER ADDRESS [OPTION...]: one run, server's address in the tunnel.
# shellcheck disable=SC2154 # spawn sets job
iperf() {
	local client=$1 server=$2 address=$3
	shift 3
	spawn "$server" iperf3 -s -1 -B "$address" > /dev/null
	eventually listening "$server" 5201
	at "$client" timeout "$PATIENCE" iperf3 -c "$address" "$@"
	wait "$job"
}

# segments NAME COUNTER: of TCP, such as OutSegs, which it has sent, or RetransSegs, again.
segments() {
	at "$1" awk -v counter="$2" '$1 == "Tcp:" && f { print $f }
		$1 == "Tcp:" { for (i = 2; i <= NF; i++) if ($i == counter) f = i }' /proc/net/snmp
}

# reordered NAME: how often TCP found that what it had sent came in another order, or not at all.
reordered() {
	at "$1" awk '$1 == "TcpExt:" && !n { n = split($0, name); next }
		$1 == "TcpExt:" { for (i = 2; i <= n; i++) value[name[i]] = $i }
		END { print value["TCPSACKReorder"] + value["TCPTSReorder"] + value["TCPRenoReorder"] }' \
		/proc/net/netstat
}

# copy CLIENT SERVER ADDRESS [SIZE]: a file of two megabytes, or less, arrives as it was.
head -c 2M /dev/urandom > "$TMP/2M"
head -c 100K /dev/urandom > "$TMP/100K"
# shellcheck disable=SC2154
copy() {
	spawn "$2" ncat -l -p 5000 > "$TMP/copy"
	eventually listening "$2" 5000
	at "$1" timeout "$PATIENCE" ncat --send-only "$3" 5000 < "$TMP/${4:-2M}"
	wait "$job"
	cmp "$TMP/${4:-2M}" "$TMP/copy"
}

# bulk_begin [FILE]: TCP both ways between a and b, as fast as it goes, through a tunnel that may come and
# go; it has begun to move. Sets `bulk`, who sends. It is over when FILE is gone, or with bulk_end.
# shellcheck disable=SC2154
bulk_begin() {
	bulk_before=("$(stats a rx_bytes)" "$(stats b rx_bytes)")
	spawn a python3 "$LIB/bulk.py" 192.168.241.1 192.168.241.2 "$@" > "$TMP/bulk-a"
	bulk=("$job")
	spawn b python3 "$LIB/bulk.py" 192.168.241.2 192.168.241.1 "$@" > "$TMP/bulk-b"
	bulk+=("$job")
	eventually bulk_moves
	read -ra bulk_before <<< "$(bulk_below)"
}

bulk_moves() {
	(($(stats a rx_bytes) > bulk_before[0] + 1000000 && $(stats b rx_bytes) > bulk_before[1] + 1000000))
}

# bulk_below: what a has sent, in messages of the tunnel and as packets below it.
bulk_below() {
	echo "$(stats a tx_packets) $(sysfs a eth0/statistics/tx_packets)"
}

# bulk_end: ends it, and says how many bytes have arrived at either end, the fewer.
bulk_end() {
	local one
	for one in "${bulk[@]}"; do
		stop "$one"
	done
	bulk=()
	note "bulk: $(cat "$TMP/bulk-a" "$TMP/bulk-b" | sort -n | head -n 1) bytes at least each way"
}

# bulk_large WHAT: of our driver, large packets have left since bulk_begin, as eth0 counts them.
bulk_large() {
	local passed
	read -ra passed <<< "$(bulk_below)"
	passed=($((passed[0] - bulk_before[0])) $((passed[1] - bulk_before[1])))
	note "$1: ${passed[0]} messages in ${passed[1]} packets"
	[[ $DRIVER != rust ]] || holds "$1: there was bulk" "${passed[1]} + 500 < ${passed[0]}"
}
