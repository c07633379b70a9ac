// SPDX-License-Identifier: GPL-2.0

//! Objects that readers borrow while their last reference goes.

use super::check_both;
use kernel::{
    model::check_with,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        begin_counts_at,
        end_saturation,
        Arc, //
    }, //
};
use loom::{
    cell::UnsafeCell,
    thread, //
};
use wg_kernel::{
    rcu_object,
    sync::rcu::{
        self,
        Borrow,
        RcuArc,
        Release,
        Slot, //
    }, //
};

/// An object that notices when it is read before it is written, or after it is freed.
pub(super) struct Thing {
    alive: Atomic<bool>,
    number: UnsafeCell<u32>,
    released: Option<Arc<std::sync::atomic::AtomicU32>>,
}

// SAFETY: Loom looks after the cell.
unsafe impl Sync for Thing {}

rcu_object!(Thing);

impl Release for Thing {
    fn release(&self) {
        if let Some(released) = &self.released {
            released.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

impl Thing {
    pub(super) fn value(number: u32) -> Self {
        Self {
            alive: Atomic::new(true),
            number: UnsafeCell::new(number),
            released: None,
        }
    }

    fn new(number: u32) -> RcuArc<Self> {
        RcuArc::pin_init(Self::value(number), GFP_KERNEL).expect("memory")
    }

    pub(super) fn number(&self) -> u32 {
        assert!(self.alive.load(Relaxed));
        // SAFETY: Loom fails if it is written at the same time, or was, unordered.
        self.number.with(|number| unsafe { *number })
    }
}

/// Reads what is in the slot, keeps a reference if it gets one, and returns the number.
fn read(slot: &Slot<Thing>) -> Option<u32> {
    let guard = rcu::read_lock();
    let thing = slot.load(&guard)?;
    let number = thing.number();
    let kept = thing.get();
    assert_eq!(thing.number(), number);
    drop(guard);
    if let Some(kept) = kept {
        assert_eq!(kept.number(), number);
    }
    Some(number)
}

/// What a slot holds is replaced while it is read, and taken out while another reader has it.
#[test]
fn slots_are_read_while_they_change() {
    check_with(1, || {
        let slot = Arc::new(Slot::new(Some(Thing::new(1))));
        let readers = [(); 2].map(|()| {
            let slot = slot.clone();
            thread::spawn(move || {
                let first = read(&slot).expect("a thing");
                let second = read(&slot).expect("a thing");
                assert!(first <= second, "the slot has gone back");
            })
        });
        drop(slot.swap(Some(Thing::new(2))));
        readers
            .into_iter()
            .for_each(|r| r.join().expect("no failure"));
        assert_eq!(read(&slot), Some(2));
    });
}

/// A slot is emptied while readers are about to take a reference.
#[test]
fn the_last_reference_goes_once() {
    check_with(1, || {
        let released = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let mut thing = Thing::value(1);
        thing.released = Some(released.clone());
        let thing = RcuArc::pin_init(thing, GFP_KERNEL).expect("memory");
        let slot = Arc::new(Slot::new(Some(thing)));
        let readers = [(); 2].map(|()| {
            let slot = slot.clone();
            thread::spawn(move || read(&slot))
        });
        drop(slot.swap(None));
        readers.into_iter().for_each(|r| {
            r.join().expect("no failure");
        });
        assert_eq!(read(&slot), None);
        assert_eq!(released.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}

/// With `before` references, more are taken than can be counted: from then on, the object stays.
fn stays(before: i32, take: fn(Borrow<'_, Thing>) -> Option<RcuArc<Thing>>) {
    check_with(1, move || {
        let released = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = || released.load(std::sync::atomic::Ordering::Relaxed);
        let mut thing = Thing::value(1);
        thing.released = Some(released.clone());
        begin_counts_at(before);
        let thing = RcuArc::pin_init(thing, GFP_KERNEL).expect("memory");
        begin_counts_at(0);
        let slot = Slot::new(Some(thing));

        let guard = rcu::read_lock();
        let thing = slot.load(&guard).expect("a thing");
        let others = [(); 4].map(|()| take(thing).expect("a reference"));
        let more = others.clone();
        drop(others);
        drop(more);
        drop(slot.swap(None));
        let last = thing.get().expect("a reference, as it stays");
        drop(guard);
        assert_eq!(count(), 0, "an object was freed that others refer to");
        assert_eq!(last.number(), 1);
        // SAFETY: The object is there.
        assert!(unsafe { end_saturation() }, "no count has saturated");
        drop(last);
        assert_eq!(count(), 1);
    });
}

/// The last one that can be counted is followed by one that a borrow takes, or a clone. A count below zero does
/// not go on to it.
#[test]
fn an_object_with_too_many_references_stays() {
    for before in [i32::MAX - 2, -4] {
        stays(before, |thing| thing.get());
        stays(before, |thing| thing.get().map(|counted| counted.clone()));
    }
}

/// The owner of the last reference takes the object back while readers have it.
#[test]
fn objects_are_taken_back_when_readers_have_left() {
    check_both(1, |pair| {
        let slot = Arc::new(Slot::new(Some(Thing::new(1))));
        let reader = {
            let slot = slot.clone();
            move || {
                let guard = rcu::read_lock();
                let thing = slot.load(&guard);
                let kept = thing.and_then(Borrow::get);
                if let Some(thing) = thing {
                    assert_eq!(thing.number(), 1);
                }
                drop(guard);
                if let Some(kept) = kept {
                    assert_eq!(kept.number(), 1);
                }
            }
        };
        let owner = move || {
            let thing = slot.swap(None).expect("a thing");
            if let Some(retired) = RcuArc::retire(thing) {
                assert_eq!(retired.into_inner().number(), 1);
            }
        };
        pair.run(reader, owner);
    });
}
