#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wg-rust: what comes between a change and its end: a driver that does not load, who called it going away,
# SIGKILL. Interfaces are what they were in the end, and nothing is sent another way meanwhile.
# kernels: uml
# drivers: rust
# timeout: 1800
# slow: yes

# shellcheck source-path=SCRIPTDIR
. "${BASH_SOURCE[0]%/*}/../../lib/lib.sh"
# shellcheck source=../../lib/change.sh
. "$LIB/change.sh"

both_installed
furnished_pair

# A driver that does not load.
check 'wg-rust back succeeds' wg_rust back
sed -i 's/vermagic=[0-9]/vermagic=5/' "$OURS"
refuses 'a driver that cannot be loaded is a failure' '*cannot be loaded*' wg_rust switch
check 'the one before is loaded' driver_is '^[0-9.]*$'
check 'and has its interfaces' same
check 'b answers over them' at b ping -c 1 -W 10 192.168.241.1

# Without a file of the one before, that could not be done, so nothing is, now.
own=$(echo "/lib/modules/$release/kernel/drivers/net/wireguard"/wireguard.ko*)
mv "$own" "$TMP/"
refuses 'a change that could not be undone' '*no file of the in-tree driver*' wg_rust switch
check 'interfaces are what they were' same
like 'but by the next boot' "$(prefers "$release")" '*-rust'
# DKMS takes it there.
archive=/var/lib/dkms/wireguard-rust/original_module/$release/x86_64
mkdir -p "$archive"
cp "$TMP/${own##*/}" "$archive/"
refuses 'a driver that cannot be loaded, beside an archived one, is a failure' '*cannot be loaded*' wg_rust switch
check 'the archived one is loaded' driver_is '^[0-9.]*$'
check 'and has its interfaces' same
rm -r "$archive"
mv "$TMP/${own##*/}" "$own"
depmod "$release"

# With a disk that takes no more once the other driver is preferred.
mkdir "$TMP/bin"
cat >"$TMP/bin/depmod" <<END
#!/bin/sh
[ ! -e "$TMP/full" ] || exit 1
touch "$TMP/full"
exec /usr/sbin/depmod "\$@"
END
chmod +x "$TMP/bin/depmod"
PATH=$TMP/bin:$PATH refuses 'a driver that cannot be loaded, with a full disk, is a failure' '*cannot be loaded*' wg_rust switch
check 'the one before is loaded' driver_is '^[0-9.]*$'
check 'and has its interfaces' same
rm "$TMP/bin/depmod"

# Nor at boot, when the kernel asks for it: as packages are installed, it has its own then.
rm -f /etc/depmod.d/wg-rust.conf
depmod "$release"
like 'modprobe would load ours' "$(prefers "$release")" '*-rust'
for name in a b; do at "$name" ip link delete wg0; done
at c ip link delete wg1
rmmod wireguard
sed "s|/usr/sbin/wg-rust|$TOP/scripts/debian/wg-rust|" "$TOP/scripts/debian/wg-rust.modprobe" >/etc/modprobe.d/zz-wireguard-rust.conf
tunnel
check 'a kernel that refuses ours has its own' driver_is '^[0-9.]*$'
check 'and says so' grep -q 'wg-rust: the driver in Rust cannot be loaded' <(dmesg)
check 'it has a tunnel' at b ping -c 1 -W 10 192.168.241.1
ns_del a b c
furnished_pair

# Who called it is gone before it has done its work.
cp "$WG_MODULE" "$OURS"
"$TOP/scripts/debian/wg-rust" switch &
caller=$!
eventually compgen -G '/run/wg-rust.log.*'
kill -KILL "$caller"
check 'without who called it, the driver in Rust is loaded' eventually driver_is '.-rust$'
check 'and it gets to its end' eventually test ! -e /run/wg-rust
check 'with interfaces as they were' same

# What takes the tunnel's routes is there before they are gone.
at a ip -oneline monitor route >"$TMP/routes" &
monitor=$!
sleep 1
check 'wg-rust back succeeds' wg_rust back
sleep 1
kill "$monitor"
first() {
	grep -n -m 1 "$1" "$TMP/routes" | cut -d : -f 1
}
check 'traffic of a tunnel is not sent another way' \
	test "$(first '^unreachable 10.8.0.0/16 .*table 123')" -lt "$(first '^\(Deleted \)\?10.8.0.0/16 dev wg0.*table 123')"

# What cannot be saved is not given up, and the next boot has the driver of before, too.
cat >"$TMP/bin/wg" <<-'END'
	#!/bin/sh
	[ "$1" != showconf ] || exit 1
	exec /usr/bin/wg "$@"
END
chmod +x "$TMP/bin/wg"
PATH=$TMP/bin:$PATH refuses 'without what makes an interface again, nothing is done' '*' wg_rust switch
rm "$TMP/bin/wg"
check 'the driver is the one before' driver_is '^[0-9.]*$'
check 'so it is at the next boot' test "$(prefers "$release")" = "$(cat /sys/module/wireguard/version)"
check 'interfaces are what they were' same
check 'nothing is left' test ! -e /run/wg-rust

# What removes the driver is killed in doing so: the driver is gone nevertheless.
cat >"$TMP/bin/rmmod" <<-'END'
	#!/bin/sh
	/usr/sbin/rmmod "$@"
	kill -KILL $$
END
chmod +x "$TMP/bin/rmmod"
PATH=$TMP/bin:$PATH check 'without an answer of rmmod, wg-rust switch succeeds' wg_rust switch
rm "$TMP/bin/rmmod"
check 'the driver in Rust is loaded' driver_is '.-rust$'
check 'interfaces are what they were' same
check 'wg-rust back succeeds' wg_rust back

# No driver can be loaded for a while: nothing is given up.
for name in modprobe insmod; do
	cat >"$TMP/bin/$name" <<-END
		#!/bin/sh
		exit 1
	END
	chmod +x "$TMP/bin/$name"
done
PATH=$TMP/bin:$PATH refuses 'without any driver, wg-rust switch fails' '*no driver can be loaded*' wg_rust switch
rm "$TMP/bin/modprobe" "$TMP/bin/insmod"
check 'it leaves what it has to do' test -e /run/wg-rust/had
check 'wg-rust restore succeeds' wg_rust restore
check 'interfaces are what they were' same
check 'nothing is left' test ! -e /run/wg-rust

# Killed when interfaces are gone: who has started it does the rest.
cat >"$TMP/bin/modprobe" <<END
#!/bin/sh
[ ! -e "$TMP/once" ] || exec /usr/sbin/modprobe "\$@"
touch "$TMP/once"
kill -KILL \$PPID
END
chmod +x "$TMP/bin/modprobe"
PATH=$TMP/bin:$PATH refuses 'a change that is killed is a failure' '*' wg_rust switch
check 'the driver is the one before' driver_is '^[0-9.]*$'
check 'interfaces are what they were' same
check 'b answers over them' at b ping -c 1 -W 10 192.168.241.1
check 'nothing is left' test ! -e /run/wg-rust

# Killed together with that.
cat >"$TMP/bin/modprobe" <<-'END'
	#!/bin/sh
	kill -KILL $PPID
END
chmod +x "$TMP/bin/modprobe"
PATH=$TMP/bin:$PATH wg_rust switch || true
check 'a change that is killed leaves what it has to do' test -e /run/wg-rust/had
check 'and status says so' grep -q 'wg-rust restore' <(wg_rust status)
check 'wg-rust restore succeeds' wg_rust restore
check 'interfaces are what they were' same
check 'b answers over them' at b ping -c 1 -W 10 192.168.241.1
check 'nothing is left' test ! -e /run/wg-rust
cat >"$TMP/bin/ip" <<-'END'
	#!/bin/sh
	case "$*" in *'address replace'*) kill -KILL $PPID; exit 1 ;; esac
	exec /usr/sbin/ip "$@"
END
rm "$TMP/bin/modprobe"
# Killed before that: what has changed since stays as it is.
cat >"$TMP/bin/rmmod" <<-'END'
	#!/bin/sh
	kill -KILL $(cut -d ' ' -f 4 /proc/$PPID/stat) $PPID
END
chmod +x "$TMP/bin/rmmod"
PATH=$TMP/bin:$PATH wg_rust switch || true
rm "$TMP/bin/rmmod"
check 'a change that is killed while interfaces are there leaves what it has to do' test -e /run/wg-rust/had
at a wg set wg0 peer "$PUB_B" remove
like 'routes that lead nowhere are there' "$(at a ip route show table all type unreachable)" '*unreachable*'
check 'wg-rust restore succeeds' wg_rust restore
is 'the peer that was removed does not come back' "$(at a wg show wg0 peers)" ''
is 'they are gone' "$(at a ip route show table all type unreachable)" ''
check 'the next boot has the driver of before' test "$(prefers "$release")" = "$(cat /sys/module/wireguard/version)"
check 'nothing is left' test ! -e /run/wg-rust
ns_del a b c
furnished_pair
chmod +x "$TMP/bin/ip"
PATH=$TMP/bin:$PATH wg_rust switch || true
check 'one that is killed at half an interface does, too' test -e /run/wg-rust/had
check 'the next change begins with that' wg_rust back
check 'interfaces are what they were' same
check 'nothing is left' test ! -e /run/wg-rust

# One tool that is killed for want of memory is called again.
cat >"$TMP/bin/ip" <<END
#!/bin/sh
case "\$*" in
*'address replace'*) [ -e "$TMP/short" ] || { touch "$TMP/short"; kill -KILL \$\$; } ;;
esac
exec /usr/sbin/ip "\$@"
END
# Behind the tunnel's route, as who wants nothing in the clear has it.
at a ip route append unreachable 10.8.0.0/16 table 123
PATH=$TMP/bin:$PATH check 'though one tool is killed, wg-rust switch succeeds' wg_rust switch
check 'one was' test -e "$TMP/short"
check 'a route of others that leads nowhere is there' grep -q 'unreachable 10.8.0.0/16' <(at a ip route show table 123)
at a ip route delete unreachable 10.8.0.0/16 table 123
check 'interfaces are what they were' same
modprobe -r wireguard
finish
