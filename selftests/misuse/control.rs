// SPDX-License-Identifier: GPL-2.0
//
// What the others do, done right: if this does not compile, or does not use what they misuse, their
// refusal means nothing. Some of that nobody may name, or is of Rust or of the kernel crate:
//
// but for: Inner Live Message Object forget map_or populate swap to_ne_bytes
// compiles

#![forbid(unsafe_code)]

use kernel::{
    impl_has_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use wg_kernel::{
    crypto::chacha20poly1305::{
        Opener,
        Sealed,
        Sealer,
        KEY_LEN, //
    },
    module::End,
    net::{
        family::{
            Family,
            Inet,
            Inet6, //
        },
        genetlink::{
            Do,
            Operation,
            Request, //
        },
        napi::Napi,
        netdevice::{
            Device,
            Link, //
        },
        netlink::Policy,
        route::{
            DstCache,
            Flow,
            Route, //
        },
        rtnetlink,
        skbuff::{
            NewSkBuff,
            OutgoingSkBuff,
            Pages,
            SkBuff,
            SkBuffList, //
        },
        udp_tunnel::{
            Receive,
            Sender,
            Socket, //
        }, //
    },
    rcu_object,
    sync::{
        bh,
        rcu::{
            self,
            hash::{
                HashTable,
                Key, //
            },
            Borrow,
            RcuArc,
            Release,
            Slot, //
        },
        SpinLockBh, //
    },
    timer::{
        Expire,
        Timers, //
    },
    workqueue, //
};

#[pin_data]
pub struct Peer {
    #[pin]
    timers: Timers<Peer, 1>,
}

rcu_object!(Peer, timers: timers);
impl Release for Peer {}

impl Expire<1> for Peer {
    fn expired(this: Borrow<'_, Self>, timer: usize) {
        this.timers.arm(timer, 1);
    }
}

pub fn peer() -> impl PinInit<Peer> {
    pin_init!(Peer { timers <- Timers::new() })
}

pub struct Plain;

rcu_object!(Plain);
impl Release for Plain {}

pub fn take(plain: RcuArc<Plain>) -> Option<Plain> {
    Some(RcuArc::retire(plain)?.into_inner())
}

pub fn look(slot: &Slot<Peer>) -> bool {
    let guard = rcu::read_lock();
    let pending = slot
        .load(&guard)
        .is_some_and(|peer| peer.timers.is_pending(0));
    drop(guard);
    pending
}

pub fn find(table: &HashTable<[u8; 32], Arc<Plain>>, key: [u8; 32]) -> bool {
    let guard = rcu::read_lock();
    let found = table.get(&key, &guard).is_some();
    drop(guard);
    found
}

pub fn device(link: &Link, bh: &bh::Guard) -> Option<(u32, usize)> {
    link.schedule_napi(0, bh);
    let guard = rcu::read_lock();
    let dev = link.get(&guard)?;
    Some((dev.mtu(), dev.net(&guard).id()))
}

pub fn set_up(dev: &Device) {
    dev.disable_redirects(&rtnetlink::lock());
}

pub fn keep(skb: OutgoingSkBuff<'_>, kept: &SpinLockBh<Option<SkBuff>>) {
    let skb = skb.detach();
    *kept.lock() = Some(skb);
}

pub fn fill(pages: &mut Pages, original: &mut SkBuff) -> Option<SkBuff> {
    let mut datagram: NewSkBuff = SkBuff::alloc(128, 0)?;
    pages.give(&mut datagram, 0, 64).then_some(())?;
    datagram.set_udp_gso(32, 2).then_some(())?;
    Some(datagram.charge(original, true))
}

pub fn write(skb: &mut NewSkBuff) -> bool {
    skb.put_data(&[0; 16]) && skb.linear_mut(1).is_some() && skb.set_tcp_gso(1000, 2, false)
}

pub fn complain(skb: &mut OutgoingSkBuff<'_>) {
    skb.icmp_unreachable();
}

pub fn queue(skb: OutgoingSkBuff<'_>, kept: &mut SkBuffList) {
    kept.push_back(skb.detach());
}

pub fn first(list: &mut SkBuffList) -> Option<u32> {
    let len = list.front()?.len();
    drop(list.pop_front());
    Some(len)
}

pub fn exchange(skb: OutgoingSkBuff<'_>, kept: &mut SkBuff) {
    core::mem::swap(&mut skb.detach(), kept);
}

pub fn route<T: Receive, F: Family>(socket: &Socket<T, F>, flow: &mut Flow<F>) -> Option<u32> {
    let guard = rcu::read_lock();
    let sender = socket.sender(&guard)?;
    let route = Route::lookup(&sender, flow).ok()?;
    Some(route.oif())
}

pub fn cached(
    cache: &DstCache<Inet>,
    sender: &Sender<'_, Inet>,
    flow: &mut Flow<Inet>,
    bh: &bh::Guard,
) -> bool {
    let Ok(route) = Route::<Inet>::lookup(sender, flow) else {
        return false;
    };
    cache.set(&route, flow, bh);
    cache.get(sender, flow, bh).is_some()
}

pub fn cached6(
    cache: &DstCache<Inet6>,
    sender: &Sender<'_, Inet6>,
    flow: &mut Flow<Inet6>,
    bh: &bh::Guard,
) -> Option<u32> {
    Some(cache.get(sender, flow, bh)?.oif())
}

pub fn here() -> bh::Guard {
    bh::disable()
}

pub fn hash<K: Key>(key: &K) -> usize {
    key.with_bytes(<[u8]>::len)
}

static NEST: [Policy; 2] = Policy::table([(1, Policy::U8)]);

pub static POLICY: [Policy; 2] = Policy::table([(1, Policy::nested_array(&NEST))]);

struct Nothing;

impl Do for Nothing {
    const COMMAND: u8 = 0;
    const POLICY: &'static [Policy] = &POLICY;

    fn doit(request: &mut Request<'_>) -> Result {
        request.reply(1, |message| message.put_u8(1, 1))
    }
}

pub const OPERATION: Operation = Operation::doit::<Nothing>();

#[pin_data]
pub struct Module {
    #[pin]
    end: End,
}

pub fn load() -> impl PinInit<Module, Error> {
    try_pin_init!(Module { end <- End::new() }? Error)
}

pub fn deliver(napi: &Napi<'_>, skb: SkBuff, dev: &Device, bh: &bh::Guard) {
    dev.sw_rx_add(1, u64::from(skb.len()), bh);
    napi.gro_receive(skb);
}

pub fn cut(skb: &mut SkBuff) -> Option<u8> {
    let first = skb.linear(20)?.first().copied();
    skb.trim(0);
    first
}

#[pin_data]
pub struct Item {
    #[pin]
    work: Work<Item>,
}

impl_has_work! {
    impl HasWork<Self> for Item { self.work }
}

impl WorkItem for Item {
    type Pointer = Arc<Self>;

    fn run(_: Arc<Self>) {}
}

pub fn cancel(item: &Arc<Item>) -> bool {
    workqueue::cancel(item)
}

pub fn seal(pages: &mut Pages, skb: &mut NewSkBuff, key: &[u8; KEY_LEN]) -> bool {
    let mut sealer = Sealer::new(key, 8, 100);
    let buffer = pages.spare();
    sealer.seal(buffer, 64, 100, 0) && sealer.finish(buffer) && pages.give(skb, 64, 116)
}

pub fn open(skb: &mut SkBuff, other: &mut SkBuff, key: &[u8; KEY_LEN]) -> bool {
    let mut opener = Opener::new(key);
    let sealed = Sealed {
        skb,
        offset: 0,
        len: 100,
        nonce: 0,
        at: 64,
    };
    let Some(buffer) = other.own_linear_mut(256) else {
        return false;
    };
    let [first, ..] = opener.open_from(buffer, &[sealed]);
    first && opener.open_one(buffer, &sealed) && skb.trim(20)
}
