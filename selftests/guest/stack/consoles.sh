#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A console on the network, by way of the tunnel: its packets come with interrupts off, and with an Ethernet
# header, so that no peer can make sense of them.
#
# kernels: stock

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

limit=$(< /proc/sys/kernel/printk_devkmsg)
undo() {
	rmmod netconsole 2> /dev/null || true
	echo "$limit" > /proc/sys/kernel/printk_devkmsg
}

# said: a line for consoles, twenty times.
said() {
	local n
	for n in {1..20}; do
		echo "<1>wg says $n" > /dev/kmsg
	done
}

# grown NAME COUNTER BEFORE: by as many at least.
grown() {
	(($(stats "$1" "$2") >= $3 + 20))
}

pair
check 'the tunnel is up' reaches a 192.168.241.2
# Those who write are not limited.
echo on > /proc/sys/kernel/printk_devkmsg
before=("$(stats a tx_dropped)" "$(stats a tx_packets)" "$(stats b rx_frame_errors)" "$(stats b rx_errors)")
check 'a console on the network' at a modprobe netconsole \
	netconsole=6665@192.168.241.1/wg0,6666@192.168.241.2/ff:ff:ff:ff:ff:ff
said
if [[ $DRIVER == rust ]]; then
	check 'what it says is dropped' eventually grown a tx_dropped "${before[0]}"
else
	check 'what it says is sent' eventually grown a tx_packets "${before[1]}"
	check 'and is no packet for b' eventually grown b rx_frame_errors "${before[2]}"
fi
check 'the tunnel is up as before' reaches a 192.168.241.2
if [[ $DRIVER == rust ]]; then
	is 'nothing of it was sent' "$(stats b rx_errors)" "${before[3]}"
fi
rmmod netconsole
dropped=$(stats a tx_dropped)
said
check 'and without the console' reaches a 192.168.241.2
is 'nothing more is dropped' "$(stats a tx_dropped)" "$dropped"

finish
