#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How much the two sockets take to be sent, as the kernel says of all sockets (which needs a
# kernel with CONFIG_INET_UDP_DIAG).
#
# kernels: stock
# timeout: 60

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

ns a
at a ip link add wg0 type wireguard
at a wg set wg0 listen-port 51821
at a ip link set wg0 up
for family in 4 6; do
	like "SK-5 IPv$family: no limit to what can be sent" "$(at a ss "-$family" -uanmH)" '*,tb2147483647,*'
done

finish
