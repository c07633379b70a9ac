// SPDX-License-Identifier: GPL-2.0

//! Jobs that encrypt are done by several CPUs, and their packets sent in order, by one at a time.

use super::{
    check_both,
    rescue,
    work,
    World, //
};
use crate::{
    device::CRYPT,
    keypair::Keypair,
    queue::{
        Job,
        Task, //
    },
    seal::Sealing, //
};
use kernel::{
    model::{
        check,
        settle, //
    },
    workqueue::waiting, //
};
use loom::thread;
use wg_kernel::{
    net::skbuff::SkBuffList,
    sync::rcu::{
        read_lock,
        synchronize_net,
        RcuArc, //
    }, //
};

/// Sends packets as `send.rs` does: at once if no job is under way.
fn send(world: &World, keypair: &RcuArc<Keypair>, number: u32) {
    if world.peer.outbox.order.is_empty() {
        world.peer.log(vec![number]);
    } else {
        submit(world, keypair, &[number]);
    }
}

/// Gives packets to another CPU.
fn submit(world: &World, keypair: &RcuArc<Keypair>, numbers: &[u32]) {
    let task = Task::Encrypt {
        sealing: Sealing(keypair.clone()),
        cpu: 0,
    };
    let order = &world.peer.outbox.order;
    let packets = SkBuffList::of(numbers);
    let _guard = read_lock();
    assert!(Job::submit(
        &world.device,
        order,
        task,
        keypair.borrow(),
        packets
    ));
}

/// Ends a model: all packets were sent, or dropped because the session is over, and nothing is left.
fn end(world: World, count: u32, may_drop: bool) {
    world.account(count, may_drop);
    assert!(world.peer.outbox.order.is_empty());
    world.peer.sessions.clear();
}

/// Two CPUs do one job each. Whichever order they do them in, both are sent when both are done: nothing
/// comes later that would send what was left.
#[test]
fn jobs_done_at_once_are_sent() {
    check(|| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, &[0, 1]);
        submit(&world, &keypair, &[2]);
        drop(keypair);
        let other = thread::spawn(|| assert!(work()));
        assert!(work());
        other.join().expect("no failure");
        end(world, 3, false);
    });
}

/// A CPU sends while another does its jobs: packets that are sent at once do not overtake.
#[test]
fn packets_do_not_overtake_jobs() {
    check_both(0, |pair| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, &[0, 1]);
        let sender = world.handle();
        pair.run(move || send(&sender, &keypair, 2), || while work() {});
        while work() {}
        end(world, 3, false);
    });
}

/// The session ends while a job is submitted and another one is done.
#[test]
fn jobs_of_a_session_that_ends_go() {
    check(|| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, &[0]);
        let worker = thread::spawn(|| while work() {});
        let peer = world.peer.clone();
        let ender = thread::spawn(move || peer.sessions.clear());
        submit(&world, &keypair, &[1]);
        drop(keypair);
        worker.join().expect("no failure");
        ender.join().expect("no failure");
        settle();
        end(world, 2, true);
    });
}

/// The session ends while a job is submitted to a CPU that never comes to it. The job is gone then, and with
/// it the packets and the references to the session.
#[test]
fn jobs_that_are_never_begun_go() {
    check_both(1, |pair| {
        let (world, keypair) = World::with_session();
        let (sender, ender) = (world.handle(), world.handle());
        pair.run(
            move || submit(&sender, &keypair, &[0]),
            move || ender.peer.sessions.clear(),
        );
        assert_eq!(waiting(CRYPT), 0, "a job waits for nothing");
        while rescue() {}
        end(world, 1, true);
    });
}

/// The CPU is stuck that a job waits for, and others do it. When they have, nothing waits on that CPU.
#[test]
fn jobs_of_a_stuck_cpu_are_done_by_others() {
    check_both(0, |pair| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, &[0]);
        let inbox = world.device.inbox(0).expect("an inbox");
        inbox.backlog.stuck.set(true);
        let sender = world.handle();
        pair.run(
            move || submit(&sender, &keypair, &[1]),
            || while rescue() {},
        );
        while rescue() {}
        assert_eq!(waiting(CRYPT), 0, "a job waits for nothing");
        end(world, 2, false);
    });
}

/// A CPU that is not stuck is slow: it begins a job while another CPU takes the job over.
#[test]
fn jobs_are_begun_once() {
    check_both(0, |pair| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, &[0]);
        drop(keypair);
        let inbox = world.device.inbox(0).expect("an inbox");
        inbox.backlog.stuck.set(true);
        world.peer.outbox.order.rescue_stuck(&world.device, 0);
        pair.run(|| while work() {}, || while rescue() {});
        assert_eq!(waiting(CRYPT), 0, "a job waits for nothing");
        end(world, 1, false);
    });
}

/// The interface goes down, and up again, while jobs are done: once a grace period has passed, their packets
/// are void.
#[test]
fn nothing_is_sent_once_the_interface_was_down() {
    check_both(0, |pair| {
        let (world, keypair) = World::with_session();
        submit(&world, &keypair, &[0, 1]);
        submit(&world, &keypair, &[2]);
        drop(keypair);
        let other = world.handle();
        let down = move || {
            other.device.go_down();
            synchronize_net();
            let sent = other.peer.sent();
            other.device.go_up();
            sent
        };
        let (sent, ()) = pair.run(down, || while work() {});
        settle();
        assert_eq!(world.peer.sent(), sent, "sent in another epoch");
        end(world, 3, true);
    });
}
