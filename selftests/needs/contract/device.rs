// SPDX-License-Identifier: GPL-2.0

//! A device that sends and delivers what it should not, when it is first asked to send a packet of IPv4;
//! and then what others share with it. It keeps what is for some addresses.

use crate::{
    check,
    netlink,
    packets, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    }, //
};
use wg_kernel::{
    compat::errors::ENONET,
    net::{
        family::Inet,
        namespace::{
            Net,
            WeakNet, //
        },
        napi::Napi,
        netdevice::{
            Device,
            Link,
            LinkOps,
            Name,
            Operations,
            Setup, //
        },
        route::{
            DstCache,
            Flow,
            Route, //
        },
        rtnetlink,
        skbuff::{
            OutgoingSkBuff,
            SkBuff,
            SkBuffList,
            IPV4, //
        },
        udp_tunnel::{
            Large,
            Receive,
            Socket, //
        }, //
    },
    new_spinlock_bh,
    rcu_object,
    sync::{
        bh::Softirq,
        rcu::{
            self,
            RcuArc,
            Release,
            Slot, //
        },
        SpinLockBh, //
    }, //
};

/// The kind of the device.
pub(crate) struct Contract;

static LINK_OPS: LinkOps<Contract> = LinkOps::new();

/// What belongs to a device.
#[pin_data]
pub(crate) struct Data {
    link: Link,
    net: WeakNet,
    open: Slot<Open>,
    done: Atomic<bool>,
    /// Whether packets that are not whole are to be delivered.
    wrong: Atomic<bool>,
    /// What is to be delivered besides.
    #[pin]
    kept: SpinLockBh<[Option<SkBuff>; 3]>,
    /// What waits until the device is down.
    #[pin]
    waiting: SpinLockBh<SkBuffList>,
}

/// What a device has that is up.
pub(crate) struct Open {
    socket: Socket<Data, Inet>,
    cache: DstCache<Inet>,
}

/// What the first device that is up has: it is in another namespace than the one that breaks the rules.
static ELSEWHERE: Slot<Open> = Slot::empty();

rcu_object!(Open);
impl Release for Open {}

impl Receive for Data {
    fn receive(this: &Arc<Self>, mut skb: SkBuff, softirq: Softirq<'_>) {
        // Its headers are in the room before it from now on, which is shared with whoever has seen it
        // on its way.
        if skb.pull_udp().is_ok() {
            skb.orphan();
            skb.scrub(false);
            let _ = this.forward(skb, softirq);
        }
    }
}

/// Returns the flow of datagrams to port 9 of this host.
fn discard() -> Flow<Inet> {
    Flow {
        saddr: [0; 4],
        daddr: [127, 0, 0, 1],
        dport: 9,
        mark: 0,
        oif: 0,
    }
}

impl Data {
    /// Sends a packet to port 9 of this host.
    fn forward(&self, skb: SkBuff, softirq: Softirq<'_>) -> Result {
        let (rcu, bh) = (softirq.rcu(), softirq.bh());
        let open = self.open.load(rcu).ok_or(ENODEV)?.into_ref();
        let sender = open.socket.sender(rcu).ok_or(ENODEV)?;
        let mut flow = discard();
        let _ = Route::lookup(&sender, &mut flow)?.send(skb, &flow, 0, None, bh);
        Ok(())
    }

    /// Sends to port 9 of this host: two datagrams, two that are three by now, one the checksum of which
    /// is not in it, one that has no room for headers, and one whose headers would be too far off.
    fn send(&self, dev: &Device, softirq: Softirq<'_>) -> Result {
        let (rcu, bh) = (softirq.rcu(), softirq.bh());
        let open = self.open.load(rcu).ok_or(ENODEV)?.into_ref();
        let sender = open.socket.sender(rcu).ok_or(ENODEV)?;
        let mut flow = discard();
        for skb in [
            packets::bundle(0),
            packets::bundle(100),
            packets::cut(20),
            packets::low(),
            packets::far_off(),
        ] {
            let route = Route::lookup(&sender, &mut flow)?;
            let _ = route.send(skb.ok_or(ENOMEM)?, &flow, 0, Some(dev), bh);
        }

        let route = Route::lookup(&sender, &mut flow)?;
        let cache = &open.cache;
        check(
            "nothing in a new cache",
            cache.get(&sender, &mut flow, bh).is_none(),
        );
        cache.set(&route, &flow, bh);
        check(
            "a route in the cache",
            cache.get(&sender, &mut flow, bh).is_some(),
        );
        let elsewhere = ELSEWHERE.load(rcu).ok_or(ENODEV)?.into_ref();
        let foreign = elsewhere.socket.sender(rcu).ok_or(ENODEV)?;
        check(
            "but not for another namespace",
            cache.get(&foreign, &mut discard(), bh).is_none(),
        );
        cache.close();
        check(
            "nothing in a closed cache",
            cache.get(&sender, &mut flow, bh).is_none(),
        );
        cache.set(&route, &flow, bh);
        check(
            "nor ever again",
            cache.get(&sender, &mut flow, bh).is_none(),
        );
        Ok(())
    }
}

#[vtable]
impl Operations for Contract {
    const KIND: &'static CStr = c"contract";

    type Data = Data;

    fn link_ops() -> &'static LinkOps<Self> {
        &LINK_OPS
    }

    fn setup(setup: &mut Setup<'_>) {
        setup.ip_tunnel();
        setup.mtu(1420, u32::MAX);
    }

    fn new_link(link: Link, net: &Net, _name: Name) -> Result<Arc<Data>> {
        Arc::pin_init(
            try_pin_init!(Data {
                link,
                net: WeakNet::new(net),
                open: Slot::new(None),
                done: Atomic::new(false),
                wrong: Atomic::new(false),
                kept <- new_spinlock_bh!([None, None, None], "Data::kept"),
                waiting <- new_spinlock_bh!(SkBuffList::new(), "Data::waiting"),
            }? Error),
            GFP_KERNEL,
        )
    }

    fn open(data: &Arc<Data>, _dev: &Device, _rtnl: &rtnetlink::Guard) -> Result {
        let net = data.net.upgrade().ok_or(ENONET)?;
        let open = Open {
            socket: Socket::<_, Inet>::bind(&net, 0, Large::Segmented, data.clone())?,
            cache: DstCache::new()?,
        };
        let open = RcuArc::pin_init(open, GFP_KERNEL)?;
        if ELSEWHERE.load(&rcu::read_lock()).is_none() {
            drop(ELSEWHERE.swap(Some(open.clone())));
        }
        drop(data.open.swap(Some(open)));
        Ok(())
    }

    fn stop(data: &Arc<Data>, _dev: &Device, _rtnl: &rtnetlink::Guard) {
        if let Some(open) = data.open.swap(None) {
            open.socket.close();
            open.cache.release();
        }
        drop(ELSEWHERE.swap(None));
        let waiting = core::mem::take(&mut *data.waiting.lock());
        drop(waiting);
    }

    fn start_xmit(
        data: &Arc<Data>,
        dev: &Device,
        skb: OutgoingSkBuff<'_>,
        softirq: Softirq<'_>,
    ) -> Result {
        // The kernel sends packets of IPv6 on its own.
        if skb.protocol() != IPV4 {
            return Ok(());
        }
        if packets::is_to_wait(&skb) {
            data.waiting.lock().push_back(skb.detach());
            dev.tx_dropped_add(1);
            return Ok(());
        }
        if packets::is_segment(&skb) {
            check("whoever has seen a packet shares it", skb.is_cloned());
            *data.kept.lock() = packets::flow_of_shared(skb.detach());
            data.link.schedule_napi(0, softirq.bh());
            return Ok(());
        }
        // Once is enough.
        if data.done.xchg(true, Full) {
            return Ok(());
        }
        data.wrong.store(true, Relaxed);
        *data.kept.lock() = packets::flow(&mut skb.detach());
        data.link.schedule_napi(0, softirq.bh());
        netlink::sent(dev, softirq.rcu())?;
        data.send(dev, softirq)
    }

    /// Delivers packets of which some are merged; and, the first time, one that is whole and some that
    /// are not.
    fn poll(data: &Arc<Data>, _instance: usize, napi: &Napi<'_>, _budget: usize) -> usize {
        if data.wrong.xchg(false, Full) {
            let packets = [
                packets::whole(),
                // Without the checksum, without the header, without that before it.
                packets::cut(36),
                packets::cut(20),
                packets::cut(4),
                // The checksum of these is in a header that they do not have.
                packets::bundle(0),
                packets::bundle(100),
                packets::far_off(),
                packets::verified_bundle(),
                // Two segments of 60 and 40 bytes.
                packets::large(60, 2, 140),
                // One, three, none of two, so many; and of the two, not all that is more than one.
                packets::large(60, 1, 140),
                packets::large(60, 3, 140),
                packets::large(100, 1, 140),
                packets::large(101, 1, 140),
                packets::large(1, 60_000, 140),
                packets::large(60, 2, 100),
                packets::large(60, 2, 40),
            ];
            for skb in packets.into_iter().flatten() {
                napi.gro_receive(skb);
            }
        }
        let kept = core::mem::take(&mut *data.kept.lock());
        for skb in kept.into_iter().flatten() {
            napi.gro_receive(skb);
        }
        0
    }

    fn destruct(_data: Arc<Data>) {}
}
