#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module: what loads it, what it says then, its parameters, its workqueues, and that all
# devices go with it.
#
# kernels: uml stock stock-amd64 stock-rt stock-arm64 stock-arm64-16k stock-cloud-arm64 stock-rt-arm64
# slow: stock stock-amd64 stock-arm64-16k stock-cloud-arm64 stock-rt-arm64
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

undo() {
	loaded || module_load
}

loaded() {
	[[ -d /sys/module/wireguard ]]
}

# works QUEUE COMMAND...: a worker is seen to work for it while the command is run again and again. The name
# of a worker says only what it worked for last.
works() {
	spawn a "$HERE/workers.py" "$1" "$PATIENCE"
	shift
	while kill -0 "$job" 2> /dev/null; do
		try "$@" || true
	done
	wait "$job"
}

ns a b c
module_unload

note 'loading'
log_mark
check 'MOD-2 a link loads it' at a ip link add wg0 type wireguard
check 'MOD-1 it is called wireguard' loaded
at a ip link del wg0
said=$(log | sed -n 's/^\[[^]]*\] \(wireguard: \)/\1/p')
like 'MOD-4 first it says what it is' "$(sed -n 1p <<< "$said")" 'wireguard: WireGuard * loaded. *www.wireguard.com*'
like 'MOD-4 then whose work' "$(sed -n 2p <<< "$said")" 'wireguard: Copyright *'
is 'MOD-4 and nothing else' "$(wc -l <<< "$said")" 2
module_unload
try at c wg show wg0 || true
check 'MOD-2 looking for its family loads it' loaded
wanted=1.0.0
[[ $DRIVER == c ]] || wanted=1.0.0-rust
is 'MOD-3 the version' "$(cat /sys/module/wireguard/version)" "$wanted"
is 'MOD-3 the version that modinfo has' "$(module_info -F version)" "$wanted"
like 'MOD-3 the licence' "$(module_info -F license)" 'GPL v2'
undocumented=
for parameter in $(module_info -F parm | cut -d: -f1); do
	grep -qF "\`\`$parameter\`\`" "$TOP/Documentation/differences.rst" ||
		undocumented+=" $parameter"
done
is 'MOD-3 parameters are documented' "$undocumented" ''
case $DRIVER in
c) is 'MOD-3 how many' "$(module_info -F parm | wc -l)" 0 ;;
*) holds 'MOD-3 how many' "$(module_info -F parm | wc -l) >= 1" ;;
esac

note 'working'
veth a eth0 b eth0
addr a eth0 10.0.0.1/24 fd00:aa::1/64
addr b eth0 10.0.0.2/24 fd00:aa::2/64
tunnel
reaches a 192.168.241.2
check 'LNK-7 a workqueue for packets' works wg-crypt-wg0 reaches a 192.168.241.2
kex() {
	at a ip link set wg0 down
	at a ip link set wg0 up
	addr a wg0 fd00::1/112
	at a ping -n -q -c 1 -W 2 192.168.241.2
}
check 'LNK-7 and one for handshakes' works wg-kex-wg0 kex

note 'unloading'
at c ip link add wg1 type wireguard
at a ip link add wg2 netns "$RUN-c" type wireguard
at c ip link set wg1 up
check 'MOD-7 it unloads' module_unload
for name in a b c; do
	is "MOD-7 no device is left in $name" "$(at "$name" ip -o link show type wireguard 2>&1)" ''
done
is 'MOD-7 and no socket' "$(ports a)$(ports b)$(ports c)" ''
check 'MOD-7 it loads again' module_load
tunnel
check 'MOD-7 and works' reaches a 192.168.241.2

finish
