// SPDX-License-Identifier: GPL-2.0

//! Jobs that decrypt are done by several CPUs, and delivered by NAPI: in the order of their session.

use super::{
    check_both,
    rescue,
    work,
    World, //
};
use crate::{
    keypair::Keypair,
    queue::{
        Batch,
        Job,
        Task, //
    },
    quota::Quota, //
};
use kernel::model::{
    check,
    settle, //
};
use loom::thread;
use wg_kernel::{
    net::skbuff::{
        SkBuff,
        SkBuffList, //
    },
    sync::rcu::{
        self,
        RcuArc, //
    }, //
};
use wg_proto::handshake::Role;

/// Gives a message to another CPU, as `receive.rs` does.
fn submit(world: &World, keypair: &RcuArc<Keypair>, number: u32) {
    let inbox = world.device.inbox(0).expect("an inbox");
    let task = Task::Decrypt {
        keypair: keypair.clone(),
        instance: 0,
    };
    let packets = SkBuffList::of(&[number]);
    let _guard = rcu::read_lock();
    assert!(Job::submit(
        &world.device,
        &inbox.order,
        task,
        keypair.borrow(),
        packets
    ));
}

/// Polls for as long as NAPI is scheduled. One poll delivers as `receive.rs` does.
fn poll(world: &World) {
    let order = &world.device.inbox(0).expect("an inbox").order;
    while world.device.link.begin_poll() {
        while let Some(batch) = order.pop_done_of_session() {
            let Batch {
                keypair,
                packets,
                epoch,
                size,
            } = batch;
            let guard = rcu::read_lock();
            match keypair.peer().is_active_in(epoch, &guard) {
                true => keypair.peer().log(packets.consume()),
                false => drop(packets),
            }
            keypair.end_job(size);
            order.delivered();
        }
        world.device.link.complete();
    }
}

/// Ends a model: all was delivered, or dropped with the session, and nothing is left.
fn end(world: World, keypair: Option<RcuArc<Keypair>>, count: u32, may_drop: bool) {
    poll(&world);
    world.account(count, may_drop);
    assert!(world.device.inbox(0).expect("an inbox").order.is_empty());
    if let Some(keypair) = keypair {
        assert!(!keypair.has_jobs());
    }
    world.peer.sessions.clear();
}

/// Two CPUs do one job each while a third polls.
#[test]
fn messages_of_a_session_are_delivered_in_order() {
    check(|| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, 0);
        submit(&world, &keypair, 1);
        let worker = thread::spawn(|| assert!(work()));
        let poller = thread::spawn({
            let world = world.handle();
            move || poll(&world)
        });
        assert!(work());
        worker.join().expect("no failure");
        poller.join().expect("no failure");
        end(world, Some(keypair), 2, false);
    });
}

/// Messages of another session do not wait for those of one whose job is held up.
#[test]
fn sessions_do_not_wait_for_each_other() {
    check_both(0, |pair| {
        let (world, first) = World::with_session();
        assert!(world.install(Role::Initiator));
        let second = world.current().expect("a session");
        submit(&world, &first, 1);
        submit(&world, &second, 0);
        // The first job is begun only when all else is over.
        let poller = world.handle();
        let other = || assert!(kernel::workqueue::run_last());
        pair.run(other, move || poll(&poller));
        poll(&world);
        assert_eq!(world.peer.sent(), [0]);
        drop(first);
        while work() {}
        end(world, Some(second), 2, false);
    });
}

/// The session ends while a job is submitted and another one is done.
#[test]
fn jobs_of_a_session_that_ends_are_cancelled() {
    check(|| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, 0);
        let worker = thread::spawn(|| while work() {});
        let ender = thread::spawn({
            let world = world.handle();
            move || {
                world.peer.sessions.clear();
                poll(&world);
            }
        });
        submit(&world, &keypair, 1);
        drop(keypair);
        worker.join().expect("no failure");
        ender.join().expect("no failure");
        while rescue() {}
        settle();
        end(world, None, 2, true);
    });
}

/// Puts a message that has this weight into an inbox, and returns whether there was room for it.
fn put(world: &World, quota: &Quota, weight: u32) -> bool {
    let inbox = world.device.inbox(0).expect("an inbox");
    wg_kernel::net::skbuff::take_dropped();
    inbox.push(SkBuff(weight << 16), 1, quota);
    wg_kernel::net::skbuff::take_dropped().is_empty()
}

/// Puts messages of one session into an inbox, each of which weighs a sixteenth of what there is room for,
/// until there is no room, and returns how many there was room for.
fn fill(world: &World, quota: &Quota) -> usize {
    (0..16).take_while(|_| put(world, quota, 256)).count()
}

/// Takes as much as a poll does, and returns how many messages that was.
fn take(world: &World) -> usize {
    let (packets, _, _) = world.device.inbox(0).expect("an inbox").take(64);
    packets.consume().len()
}

/// Sessions that send more than there is room for leave room for others, and have some again later.
#[test]
fn sessions_leave_room_for_each_other() {
    check(|| {
        let world = World::new();
        let (first, second, third) = (Quota::new(), Quota::new(), Quota::new());
        assert_eq!(fill(&world, &first), 8);
        assert_eq!(fill(&world, &second), 4);
        assert_eq!(fill(&world, &third), 2);
        // One of long messages, and what is taken is not more for there being much.
        assert_eq!(take(&world), 1);
        // A round has begun. Each of two leaves as much as it takes, the second with what is taken meanwhile.
        assert_eq!(fill(&world, &first), 1);
        assert_eq!(take(&world), 1);
        assert_eq!(fill(&world, &first), 1);
        for _ in 0..11 {
            assert_eq!(take(&world), 1);
            assert_eq!(fill(&world, &first), 0, "more than its part of a round");
        }
        assert_eq!(take(&world), 1);
        assert!(fill(&world, &first) > 4);
        world.device.inbox(0).expect("an inbox").clear();
        assert_eq!(fill(&world, &second), 8);
        world.device.inbox(0).expect("an inbox").clear();
    });
}

/// Sessions with heavy datagrams leave something to those with light ones, and to themselves.
#[test]
fn heavy_datagrams_take_not_all() {
    check(|| {
        let world = World::new();
        let quotas = [(); 40].map(|()| Quota::new());
        let had = quotas.iter().take_while(|quota| put(&world, quota, 128));
        // The rest is more than 64, and less than that and another one.
        assert_eq!(had.count(), 31);
        for quota in &quotas[32..] {
            assert!(put(&world, quota, 1));
            assert!(!put(&world, quota, 128));
            assert!(
                put(&world, quota, 1),
                "nothing light after what was too heavy"
            );
        }
        assert!(!put(&world, &quotas[0], 1), "more than it leaves");
        world.device.inbox(0).expect("an inbox").clear();
    });
}
