#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What an outer packet has from its inner one and the reverse: nothing. And what is counted when
# the outer one is not let out.
#
# kernels: uml debug
# timeout: 120
# slow: debug

. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"

pair
reaches b 192.168.241.1
at b wg set wg0 fwmark 0x51
at b nft -f - << 'END'
table inet t {
	counter n_outer { }
	counter n_fwmark { }
	counter n_mark { }
	counter n_priority { }
	counter n_connection { }
	counter n_incoming { }
	counter n_inherited { }
	chain out {
		type filter hook output priority 0
		oifname "wg0" meta mark set 0x77 meta priority set 1:7 ct mark set 0x55
		oifname "eth0" meta l4proto udp jump check
	}
	chain check {
		counter name n_outer
		meta mark 0x51 counter name n_fwmark
		meta mark 0x77 counter name n_mark
		meta priority 1:7 counter name n_priority
		ct mark 0x55 counter name n_connection
	}
	chain before {
		type filter hook prerouting priority -300
		iifname "eth0" meta mark set 0x99
		iifname "wg0" counter name n_incoming
		iifname "wg0" meta mark 0x99 counter name n_inherited
	}
}
END
# packets COUNTER: how many.
packets() {
	at b nft list counter inet t "n_$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}
# over ADDRESS: outer packets go between such addresses, with N for 1 and 2. Both ways: b sends to where it
# hears from a, which sends keepalives and handshakes, too.
over() {
	at a wg set wg0 peer "$PUB_B" endpoint "${1/N/2}:51822"
	at b wg set wg0 peer "$PUB_A" endpoint "${1/N/1}:51821"
}
for address in 10.0.0.N '[fd00:aa::N]'; do
	over "$address"
	check "TX-15 echoes by $address" at b ping -n -q -c 10 -i 0.02 -W 10 192.168.241.1
	check "TX-15 IPv6 ones" at b ping -n -q -c 10 -i 0.02 -W 10 fd00::1
done
holds 'TX-16 outer packets' "$(packets outer) >= 40"
is 'TX-16 all have the mark of the device' "$(packets fwmark)" "$(packets outer)"
is "TX-15 none has the inner packet's" "$(packets mark)" 0
is 'TX-15 nor its priority' "$(packets priority)" 0
is 'TX-15 nor its connection' "$(packets connection)" 0
is 'RX-20 answers' "$(packets incoming)" 40
is "RX-20 have not the outer packet's mark" "$(packets inherited)" 0

note 'packets that are not let out'
at b nft add rule inet t check drop
# lost: three echoes, as changes of tx_packets tx_bytes tx_dropped tx_errors tx_aborted_errors and
# of what the peer was sent.
counters=(tx_packets tx_bytes tx_dropped tx_errors tx_aborted_errors)
lost() {
	local before after sum
	read -r -a before <<< "$(stats b "${counters[@]}") $(sent b)"
	at b ping -n -q -c 3 -i 0.1 -W 1 192.168.241.1 > /dev/null || true
	arrived() {
		sum=$(($(sent b) - before[5]))
		((sum >= 3 * 128))
	}
	eventually arrived
	read -r -a after <<< "$(stats b "${counters[@]}") $(sent b)"
	for n in {0..5}; do
		echo -n "$((after[n] - before[n])) "
	done
}
# loses TEXT CHANGES: they are as CHANGES. On a busy machine, a handshake may come between; there
# is none in the next five seconds then.
loses() {
	local got
	for _ in {1..3}; do
		got=$(lost)
		[[ $got != "$2" ]] || break
	done
	is "$1" "$got" "$2"
}
loses 'TX-17 CNT-6 TX-18 over IPv6: errors, aborted, but sent for the peer' '0 0 0 3 3 384 '
over 10.0.0.N
loses 'TX-17 CNT-5 TX-18 over IPv4: dropped, but sent for the peer' '0 0 3 0 0 384 '
at b nft flush ruleset
check 'TX-17 let out again' reaches b 192.168.241.1

finish
