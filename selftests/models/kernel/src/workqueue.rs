// SPDX-License-Identifier: GPL-2.0

//! Work items.
//!
//! An item is in one queue at most, and runs in one thread at a time. The models' threads that stand for
//! workers call [`run_one`]; what is left in the queues is run at the end of the model.

use crate::{
    model,
    sync::{
        atomic::smp_mb,
        Arc, //
    }, //
};
use core::marker::PhantomData;

/// A work item in a `T`.
// Of a size, so that each has an address of its own.
pub struct Work<T, const ID: u64 = 0>(pub u64, PhantomData<fn(T)>);

impl<T, const ID: u64> Work<T, ID> {
    pub fn new() -> Self {
        Self(ID, PhantomData)
    }
}

/// A type with a work item.
pub trait HasWork<T, const ID: u64 = 0> {
    fn work(&self) -> &Work<T, ID>;
}

/// What an item does.
pub trait WorkItem<const ID: u64 = 0> {
    type Pointer;

    fn run(this: Self::Pointer);
}

/// A reference that may be put in a queue.
pub trait RawWorkItem<const ID: u64>: Sized {
    fn key(&self) -> usize;
    fn run_item(self);
}

impl<T, const ID: u64> RawWorkItem<ID> for Arc<T>
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasWork<T, ID>,
{
    fn key(&self) -> usize {
        key_of::<T, ID>(self)
    }

    fn run_item(self) {
        T::run(self);
    }
}

/// Returns what tells an item from others.
pub fn key_of<T: HasWork<T, ID>, const ID: u64>(object: &T) -> usize {
    core::ptr::from_ref(object.work()) as usize
}

#[macro_export]
macro_rules! impl_has_work {
    ($(impl HasWork<$type:ty $(, $id:literal)?> for $self:ty { self.$field:ident })*) => {
        $(impl $crate::workqueue::HasWork<$type $(, $id)?> for $self {
            fn work(&self) -> &$crate::workqueue::Work<$type $(, $id)?> {
                &self.$field
            }
        })*
    };
}

#[macro_export]
macro_rules! new_work {
    ($name:literal) => {
        $crate::workqueue::Work::new()
    };
}
pub use impl_has_work;
pub use new_work;

struct Item {
    key: usize,
    queue: usize,
    cpu: Option<u32>,
    /// Nothing while the item is being cancelled, be it in a queue or not: it cannot be put in one then.
    run: Option<Box<dyn FnOnce()>>,
}

/// The items of all queues.
#[derive(Default)]
pub struct Works {
    waiting: Vec<Item>,
    running: Vec<usize>,
}

/// Puts an item in a queue, or returns it if it is in one.
pub fn enqueue<W: RawWorkItem<ID> + 'static, const ID: u64>(
    queue: usize,
    cpu: Option<u32>,
    work: W,
) -> Result<(), W> {
    smp_mb();
    let works = model::works();
    let mut works = works.lock().expect("no poison");
    let key = work.key();
    if works.waiting.iter().any(|item| item.key == key) {
        return Err(work);
    }
    let run = Box::new(move || work.run_item());
    works.waiting.push(Item {
        key,
        queue,
        cpu,
        run: Some(run),
    });
    Ok(())
}

/// Takes an item out of its queue, and returns whether it was in one.
pub fn cancel(key: usize) -> bool {
    smp_mb();
    let works = model::works();
    let mut locked = works.lock().expect("no poison");
    let taken = match locked.waiting.iter_mut().find(|item| item.key == key) {
        Some(item) => item.run.take(),
        None => {
            locked.waiting.push(Item {
                key,
                queue: usize::MAX,
                cpu: None,
                run: None,
            });
            None
        }
    };
    drop(locked);
    works
        .lock()
        .expect("no poison")
        .waiting
        .retain(|item| item.key != key);
    smp_mb();
    taken.is_some()
}

/// Returns how many items wait in a queue.
pub fn waiting(queue: usize) -> usize {
    let works = model::works();
    let works = works.lock().expect("no poison");
    works
        .waiting
        .iter()
        .filter(|item| item.queue == queue && item.run.is_some())
        .count()
}

/// Runs the last item of all queues.
pub fn run_last() -> bool {
    run(|waiting, _| waiting.iter().rposition(|item| item.run.is_some()))
}

/// Runs the first item in one of the queues, and for one of the CPUs, that `wanted` holds for, unless it is
/// running. Returns whether there was one.
pub fn run_one(wanted: impl Fn(usize, Option<u32>) -> bool) -> bool {
    run(|waiting, running| {
        waiting.iter().position(|item| {
            item.run.is_some() && wanted(item.queue, item.cpu) && !running.contains(&item.key)
        })
    })
}

/// Runs the item that `choose` chooses.
fn run(choose: impl Fn(&[Item], &[usize]) -> Option<usize>) -> bool {
    let works = model::works();
    let mut locked = works.lock().expect("no poison");
    let Works { waiting, running } = &mut *locked;
    let Some(chosen) = choose(waiting, running) else {
        return false;
    };
    let Item { key, run, .. } = waiting.remove(chosen);
    running.push(key);
    drop(locked);
    smp_mb();
    if let Some(run) = run {
        run();
    }
    let mut locked = works.lock().expect("no poison");
    locked.running.retain(|other| *other != key);
    true
}
