#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two devices from their making to their end: a handshake, echoes, keepalives. The self-check of
# differ has this one do something else in one of its steps.

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/record.sh"

debug on
cable
wiretap b eth0 udp
observe a wg0
observe b wg0
step 'devices are made' at a ip link add wg0 type wireguard
step 'another one' at b ip link add wg0 type wireguard
! planted link || at a ip link set wg0 mtu 1421
addr a wg0 192.168.241.1/24
addr b wg0 192.168.241.2/24
step 'a is configured' at a wg set wg0 private-key "$TMP/key-a" listen-port 51821 \
	peer "$PUB_B" allowed-ips 192.168.241.2/32,fd00::2/128 endpoint 10.0.0.2:51822
step 'b is configured' at b wg set wg0 private-key "$TMP/key-b" listen-port 51822 \
	peer "$PUB_A" allowed-ips 192.168.241.1/32,fd00::1/128 preshared-key /dev/null
step 'a goes up' at a ip link set wg0 up
step 'b goes up' at b ip link set wg0 up
step 'an echo' at a ping -n -q -c 1 -W 5 192.168.241.2
planted tos && at a nft 'add table ip t; add chain ip t out { type filter hook output priority 0; }; add rule ip t out oifname eth0 ip dscp set ef'
planted counter && at a ping -n -q -c 1 -W 5 192.168.241.2 > /dev/null
step 'an echo back' at b ping -n -q -c 1 -W 5 -s 1000 192.168.241.1
planted tos && at a nft flush ruleset
planted wire && at a python3 -c 'import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(33), ("10.0.0.2", 51822))'
# What runs by itself has to be in one step, since nobody knows how long it takes to look.
step 'the keepalive that this wants' sleep 11
persistent() {
	! planted delay || sleep 2
	at a wg set wg0 peer "$PUB_B" persistent-keepalive 4
	sleep 10
	at a wg set wg0 peer "$PUB_B" persistent-keepalive "$(planted netlink && echo 25 || echo 0)"
}
step 'ten seconds with a persistent keepalive' persistent
step 'a goes down' at a ip link set wg0 down
step 'data for it' at b ping -n -q -c 1 -W 1 192.168.241.1
step 'up again' at a ip link set wg0 up
step 'an echo again' at a ping -n -q -c 1 -W 5 192.168.241.2
step 'a peer is removed' at b wg set wg0 peer "$PUB_A" remove
step 'one device is deleted' at a ip link del wg0
step 'the other one, too' at b ip link del wg0
the_end
