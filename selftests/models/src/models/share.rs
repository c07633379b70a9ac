// SPDX-License-Identifier: GPL-2.0

//! What a device may have under way in jobs is divided among peers, and given back once.

use super::{
    check_both,
    World, //
};
use crate::{
    device::Device,
    real_share::{
        Direction,
        Share, //
    }, //
};
use kernel::{
    model::check,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

/// Pages of packets that are to be sent, weight of messages that were received.
const OUT: usize = 24 << 10;
const IN: usize = 8 << 10;

fn under_way(device: &Device) -> (u32, u32) {
    let load = &device.load;
    (load.pages_out.load(Relaxed), load.weight_in.load(Relaxed))
}

/// A job is cancelled while it is taken for delivery.
#[test]
fn shares_are_given_back_once() {
    check_both(0, |pair| {
        let world = World::new();
        let share = Share::take(&world.device, Direction::Out(0), 3).expect("a share");
        let other = Share::take(&world.device, Direction::Out(1), 5).expect("a share");
        let share = Arc::new(share);
        let (first, second) = (share.clone(), share.clone());
        pair.run(move || first.give_back(), move || second.give_back());
        drop(share);
        assert_eq!(under_way(&world.device), (5, 0));
        drop(other);
        assert_eq!(under_way(&world.device), (0, 0));
    });
}

/// Who has much gets no more, and who has little does.
#[test]
fn shares_are_divided() {
    check(|| {
        let world = World::new();
        let device = &world.device;
        let takes = |direction, size| Share::take(device, direction, size).is_some();
        assert!(takes(Direction::Out(1023), 16));
        assert!(!takes(Direction::Out(1024), 16));
        let most = Share::take(device, Direction::Out(9), OUT - 100).expect("a share");
        assert!(takes(Direction::Out(24), 16));
        assert!(!takes(Direction::Out(25), 16));
        assert!(Share::is_left(device, Direction::Out(0)));
        let rest = Share::take(device, Direction::Out(0), 100).expect("a share");
        assert!(!Share::is_left(device, Direction::Out(0)));
        assert!(!takes(Direction::Out(0), 1));
        assert_eq!(under_way(device), (OUT as u32, 0));
        drop((most, rest));
        let most = Share::take(device, Direction::In(0), IN / 2).expect("a share");
        assert!(takes(Direction::In(IN / 2 - 1), 64));
        assert!(!takes(Direction::In(IN / 2), 64));
        drop(most);
        assert_eq!(under_way(device), (0, 0));
    });
}
