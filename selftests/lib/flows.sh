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
