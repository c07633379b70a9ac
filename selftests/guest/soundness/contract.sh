#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Rules of the layer below the driver that are checked at run time: a module that breaks them, without
# unsafe code, gets nowhere, and the kernel has nothing to complain about.
#
# kernels: stock uml debug
# excuse: no
# drivers: rust
# needs: contract
# timeout: 120

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

MODULE=$TOP/target/contract/$(uname -r).ko

undo() {
	rmmod contract 2> /dev/null || true
}

# results COUNT: what the module has found since the log was marked, as results of this test; so many.
results() {
	local line found=0
	while read -r line; do
		case $line in
		'not ok '*) not_ok "${line#not ok }" ;;
		'ok '*) ok "${line#ok }" ;;
		*) continue ;;
		esac
		found=$((found + 1))
	done < <(log | sed -n 's/^\[[^]]*\] contract: //p')
	is 'all results are there' "$found" "$1"
}

ns a b
at a ip link set lo up
note 'objects, timers and packets'
log_mark
insmod "$MODULE"
results 47

note 'packets on their way'
at b ip link add elsewhere0 type contract
at b ip link set elsewhere0 up
at a ip link add contract0 type contract
addr a contract0 10.9.9.1/24
at a ip link set contract0 up
log_mark
adopt at a python3 "$HERE/contract_packets.py"
results 6
read -r dropped < <(at_sys a cat /sys/class/net/contract0/statistics/tx_dropped)
is 'what is sent, and is not whole, is dropped' "$dropped" 3

note 'generic netlink'
adopt at a python3 "$HERE/contract.py"

note 'the end'
log_mark
check 'it is unloaded when nothing is left' rmmod contract
# Of all namespaces.
results 3
log_mark
insmod "$MODULE" keep=4
start=$SECONDS
check 'and otherwise, once nothing is' rmmod contract
holds 'for which it waits' "$SECONDS - $start >= 2"
is 'and which runs its code' "$(log | grep -c 'contract: ok a timer expires')" 1
finish
