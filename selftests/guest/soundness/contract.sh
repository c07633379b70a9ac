#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Rules of the layer below the driver that are checked at run time: a module that breaks them, without
# unsafe code, gets nowhere, and the kernel has nothing to complain about. Memory that is allocated is not
# zero by itself.
#
# kernels: stock uml debug
# excuse: no
# drivers: rust
# needs: contract
# append: slub_debug=P init_on_alloc=0
# timeout: 600

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

cat > "$TMP/assign.c" << 'END'
/* No header files: the few names that there are. */
#define SEC(name) __attribute__((section(name), used))
typedef unsigned int u32;
typedef unsigned long long u64;
struct tuple { u32 saddr, daddr; unsigned short sport, dport; };
enum { SHOT = 2 };

static void *(*sk_lookup_udp)(void *ctx, struct tuple *, u32, u64 net, u64) = (void *)85;
static long (*sk_release)(void *) = (void *)86;
static long (*sk_assign)(void *ctx, void *, u64) = (void *)124;
static long (*redirect)(u32 index, u64) = (void *)23;

/* Has each packet be of the socket that is bound to port 9 of 10.9.7.1, and go to the device. */
SEC("tc") int assign(void *ctx)
{
	struct tuple tuple = {
		.saddr = __builtin_bswap32(0x0a090702),
		.daddr = __builtin_bswap32(0x0a090701),
		.sport = __builtin_bswap16(9),
		.dport = __builtin_bswap16(9),
	};
	void *sk = sk_lookup_udp(ctx, &tuple, sizeof(tuple), -1, 0);
	long err;

	if (!sk)
		return SHOT;
	err = sk_assign(ctx, sk, 0);
	sk_release(sk);
	return err ? SHOT : redirect(INDEX, 0);
}
char _license[] SEC("license") = "GPL";
END

cable
note 'objects, timers and packets'
log_mark
insmod "$MODULE"
# What is said of messages is said twice, the second time of several together, if the processor can do that.
capable=1
for flag in bmi2 avx512{f,vl,bw,dq,ifma,_vbmi2}; do
	grep -qw "$flag" /proc/cpuinfo || capable=0
done
together=$(log | grep -c 'contract: ok together: all was sealed') || true
case ${WG_KERNEL-} in
uml* | debug*) is 'messages are sealed together where that is possible' "$together" "$capable" ;;
# There, it may be possible and not worth it, which /proc/cpuinfo does not tell.
*) holds 'messages are sealed together where that is possible' "$together <= $capable" ;;
esac
((together)) || skip 'messages that are sealed and opened together' 'the processor cannot do that'
results 98

note 'packets on their way'
at b ip link add elsewhere0 type contract
at b ip link set elsewhere0 up
at a ip link add contract0 type contract
addr a contract0 10.9.9.1/24
at a ip link set contract0 up
like 'no MTU is negative' "$(at a ip -d link show contract0)" '*maxmtu 2147483647*'
log_mark
adopt at a python3 "$HERE/contract_packets.py"
results 6
read -r dropped < <(at_sys a cat /sys/class/net/contract0/statistics/tx_dropped)
is 'what is sent, and is not whole, is dropped' "$dropped" 3

note 'generic netlink'
adopt at a python3 "$HERE/contract.py"

note 'sockets of packets that are kept'
addr a lo 10.9.7.1/32
addr b lo 10.9.7.2/32
at a ip route add 10.9.7.2 via 10.0.0.2
at b ip route add 10.9.7.1 via 10.0.0.1
adopt at_sys a python3 "$HERE/contract_sockets.py" waiting "/run/netns/$RUN-b"
at a ip link set contract0 up
clang -O2 -g -target bpf -DINDEX="$(sysfs a contract0/ifindex)" -c -o "$TMP/assign.o" "$TMP/assign.c"
at a tc qdisc add dev eth0 clsact
at_sys a tc filter add dev eth0 ingress protocol ip pref 1 bpf direct-action obj "$TMP/assign.o" sec tc
adopt at_sys a python3 "$HERE/contract_sockets.py" found "/run/netns/$RUN-b"

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
note 'timers for some seconds'
log_mark
insmod "$MODULE" wheel=1
check 'it is unloaded when they have expired' rmmod contract
is 'timers are in time beside distant ones' "$(log | sed -n 's/.*contract: \(.*ok\) timers are in time beside.*/\1/p')" ok
finish
