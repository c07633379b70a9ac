// SPDX-License-Identifier: GPL-2.0

//! However bad the link, the two find each other, and give out nothing but what was given in.

use wg_proto::wire::Kind;
use wg_selftests::pair::{
    random::Random,
    World,
    A,
    B,
    MS,
    SECOND, //
};

/// Makes the link as bad as a seed says.
fn spoil(world: &mut World, random: &mut Random, loss: u32) {
    for quality in &mut world.link.quality {
        quality.loss = loss;
        quality.duplication = random.below(200) as u32;
        quality.corruption = random.below(100) as u32;
        quality.delay = random.below(300) * MS;
        quality.jitter = random.below(500) * MS;
    }
}

/// Asserts that, once the link is good again, packets arrive, at once or almost.
fn assert_heals(world: &mut World, seed: u64) {
    world.link.heal();
    world.link.set(|quality| {
        quality.loss = 0;
        quality.duplication = 0;
        quality.corruption = 0;
        quality.delay = 10 * MS;
        quality.jitter = 0;
    });
    world.send(A);
    // Not at the same moment: if both begin at once, each answers the other and is then not allowed to
    // try again, should the jitter be less than the link is long.
    world.run(SECOND);
    world.send(B);
    // As long as it takes to notice silence, and to be allowed another initiation.
    world.run(22 * SECOND);
    assert!(world.agree(), "{seed}");
    assert!(world.reaches(A, SECOND), "{seed}");
    assert!(world.reaches(B, SECOND), "{seed}");
    assert!(
        world.devices.iter().all(|device| device.indices() <= 4),
        "{seed}"
    );
}

#[test]
fn handshake_converges_at_a_third_of_loss() {
    for seed in 0..300 {
        let mut world = World::new(seed);

        world.link.set(|quality| quality.loss = 300);
        world.send(A);
        // Each attempt fails in one of two cases.
        for _ in 0..12 {
            world.run(5 * SECOND + 400 * MS);
            if world.agree() {
                break;
            }
            // Something to say, so that it is noticed that a confirmation got lost.
            world.send(A);
        }
        assert!(world.agree(), "{seed}");
    }
}

#[test]
fn data_gets_through_at_a_third_of_loss() {
    let mut arrived = 0;

    for seed in 0..20 {
        let mut world = World::new(seed);

        world.link.set(|quality| quality.loss = 300);
        for i in 0..600 {
            world.send(i % 2);
            world.run(SECOND);
        }
        arrived += world.received(A).len() + world.received(B).len();
        assert_heals(&mut world, seed);
    }
    // 70 %, less some that were sent in a session that the other one never got.
    assert!((7500..8600).contains(&arrived), "{arrived}");
}

#[test]
fn any_link_heals() {
    for seed in 0..150 {
        let mut random = Random::new(!seed);
        let mut world = World::new(seed);

        for _ in 0..8 {
            let loss = [0, 50, 300, 700, 1000][random.below(5) as usize];

            spoil(&mut world, &mut random, loss);
            for _ in 0..random.below(40) {
                world.send(random.below(2) as usize);
                world.run(random.below(4 * SECOND));
            }
            // Silence of up to ten minutes.
            world.run(random.below(11) * random.below(60) * SECOND);
            if random.chance(100) {
                let device = random.below(2) as usize;
                world.down(device);
                world.run(random.below(10 * SECOND));
                world.up(device);
            }
            // What of it is on its way.
            if random.chance(300) {
                assert_heals(&mut world, seed);
            }
        }
        assert_heals(&mut world, seed);
    }
}

#[test]
fn corruption_is_noticed() {
    let mut world = World::connected(1);

    world.link.set(|quality| quality.corruption = 1000);
    for _ in 0..500 {
        world.send(A);
        world.send(B);
        world.run(30 * MS);
    }
    assert_eq!(world.received(A), []);
    assert_eq!(world.received(B), []);
    for device in &world.devices {
        assert!(device.counters.rx_ignored >= 500);
        assert_eq!(device.counters.rx_replayed, 0);
    }
}

#[test]
fn lost_confirmation_is_made_up_for() {
    // Whatever comes first in the new session confirms it.
    let mut world = World::new(2);
    let mut keepalives = 0;

    world.link.script(move |sent| {
        keepalives += u32::from(sent.is_keepalive());
        if sent.is_keepalive() && keepalives == 1 {
            wg_selftests::pair::link::Fate::Lost
        } else {
            wg_selftests::pair::link::Fate::Chance
        }
    });
    world.act(A, |device| device.initiate(0, false));
    world.run(SECOND);
    assert!(!world.agree());
    assert!(world.reaches(A, SECOND));
    assert!(world.agree());
}

#[test]
fn lost_confirmation_does_not_keep_the_responder_quiet() {
    let mut world = World::new(3);

    world
        .link
        .cut(|sent| sent.from == A && sent.kind == Kind::Data);
    world.act(A, |device| device.initiate(0, false));
    world.run(SECOND);
    world.link.heal();
    // It has no session to send in, and so begins a handshake itself once it may.
    world.send(B);
    world.run(5 * SECOND);
    world.send(B);
    world.run(SECOND);
    assert!(world.agree());
    assert_eq!(world.received(A).len(), 2);
}
