// SPDX-License-Identifier: GPL-2.0
//
// What the others do, done right: if this does not compile, their refusal means nothing.
//
// compiles

#![forbid(unsafe_code)]

use kernel::{
    prelude::*,
    sync::Arc, //
};
use wg_kernel::{
    net::{
        napi::Napi,
        netdevice::Device,
        skbuff::{
            NewSkBuff,
            OutgoingSkBuff,
            Pages,
            SkBuff, //
        }, //
    },
    rcu_object,
    sync::{
        bh,
        rcu::{
            self,
            hash::HashTable,
            Borrow,
            Release,
            Slot, //
        },
        SpinLockBh, //
    },
    timer::{
        Expire,
        Timers, //
    }, //
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

pub struct Plain;

rcu_object!(Plain);
impl Release for Plain {}

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

pub fn deliver(napi: &Napi<'_>, skb: SkBuff, dev: &Device, bh: &bh::Guard) {
    dev.sw_rx_add(1, u64::from(skb.len()), bh);
    napi.gro_receive(skb);
}
