#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# XDP on the device and below it: programs see packets from the network header on, and decide.
#
# kernels: uml debug
# timeout: 180
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
. "$LIB/flows.sh"

cat > "$TMP/xdp.c" << 'END'
/* No header files: the few names that there are. */
#define SEC(name) __attribute__((section(name), used))
typedef unsigned char u8;
typedef unsigned int u32;
struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
enum { ABORTED, DROP, PASS, TX, REDIRECT };

SEC("xdp/pass") int pass(struct xdp_md *ctx) { return PASS; }
SEC("xdp/drop") int drop(struct xdp_md *ctx) { return DROP; }

/* Passes what begins with an IP header. */
SEC("xdp/version") int version(struct xdp_md *ctx)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;

	if (data + 20 > end)
		return DROP;
	return data[0] == 0x45 || data[0] >> 4 == 6 ? PASS : DROP;
}

/* Drops IPv4 echoes and their answers. */
SEC("xdp/echoes") int echoes(struct xdp_md *ctx)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;

	if (data + 20 > end)
		return PASS;
	return data[0] == 0x45 && data[9] == 1 ? DROP : PASS;
}

/* Changes the time to live, and repairs the checksum. */
SEC("xdp/ttl") int ttl(struct xdp_md *ctx)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
	u32 sum;

	if (data + 20 > end || data[0] != 0x45 || data[8] < 2)
		return PASS;
	data[8] -= 1;
	sum = (data[10] << 8 | data[11]) + 0x100;
	sum = (sum & 0xffff) + (sum >> 16);
	data[10] = sum >> 8;
	data[11] = sum;
	return PASS;
}
char _license[] SEC("license") = "GPL";
END
clang -O2 -g -target bpf -c -o "$TMP/xdp.o" "$TMP/xdp.c"
# xdp NAME DEVICE MODE PROGRAM
xdp() {
	at_sys "$1" ip link set dev "$2" "$3" obj "$TMP/xdp.o" sec "xdp/$4"
}
no_xdp() {
	at "$1" ip link set dev "$2" "$3" off
}

pair
check 'the tunnel' reaches a 192.168.241.2

note 'on the device'
refuses 'MODE-19 there is no native XDP' '*not support*' xdp a wg0 xdpdrv pass
check 'MODE-19 but a generic one' xdp a wg0 xdpgeneric pass
like 'MODE-19 which is shown' "$(at a ip link show wg0)" '*xdpgeneric*'
check 'MODE-19 pass: echoes' pings a 192.168.241.2
check 'MODE-19 pass: IPv6' pings b fd00::1
check 'MODE-19 pass: a file' copy b a 192.168.241.1
no_xdp a wg0 xdpgeneric
xdp a wg0 xdpgeneric version
check 'MODE-19 packets begin with their IP header' pings a 192.168.241.2
check 'MODE-19 of IPv6, too' pings a fd00::2
check 'MODE-19 a file' copy b a fd00::1
no_xdp a wg0 xdpgeneric
xdp a wg0 xdpgeneric drop
before=$(received a)
refuses 'MODE-19 drop: no echo' '*' at a ping -n -q -c 3 -i 0.1 -W 1 192.168.241.2
holds 'MODE-19 drop: though all arrived' "$(received a) - $before >= 384"
no_xdp a wg0 xdpgeneric
xdp a wg0 xdpgeneric echoes
refuses 'MODE-19 echoes are dropped' '*' at a ping -n -q -c 2 -i 0.1 -W 1 192.168.241.2
check 'MODE-19 and nothing else' pings a fd00::2
check 'MODE-19 not a file' copy b a 192.168.241.1
no_xdp a wg0 xdpgeneric
xdp a wg0 xdpgeneric ttl
like 'MODE-19 a program changes packets' "$(at a ping -n -c 1 -W 10 192.168.241.2)" '*ttl=63*'
check 'MODE-19 also those of a file' copy b a 192.168.241.1
at a ip link set wg0 down
at a ip link set wg0 up
addr a wg0 fd00::1/112
check 'MODE-19 it stays over down and up' reaches a 192.168.241.2
no_xdp a wg0 xdpgeneric

note 'below it'
for mode in xdpgeneric xdpdrv; do
	xdp a eth0 $mode pass
	check "MODE-20 $mode: echoes" pings a 192.168.241.2
	check "MODE-20 $mode: a file" copy b a 192.168.241.1
	check "MODE-20 $mode: a file, back" copy a b fd00::2
	no_xdp a eth0 $mode
done
check 'MODE-20 and without' copy b a 192.168.241.1

finish
