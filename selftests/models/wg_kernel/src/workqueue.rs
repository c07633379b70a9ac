// SPDX-License-Identifier: GPL-2.0

//! Workqueues.

use crate::{
    cpu::Active,
    sync::rcu::{
        Object,
        RcuArc, //
    }, //
};
use kernel::{
    sync::Arc,
    workqueue::{
        self,
        HasWork,
        RawWorkItem,
        WorkItem, //
    }, //
};

/// A queue, by its number.
pub struct OwnedQueue(pub usize);

impl OwnedQueue {
    pub fn enqueue<W: RawWorkItem<ID> + 'static, const ID: u64>(&self, work: W) -> Result<(), W> {
        workqueue::enqueue(self.0, None, work)
    }

    pub fn enqueue_on<W: RawWorkItem<ID> + 'static, const ID: u64>(
        &self,
        cpu: Active,
        work: W,
    ) -> Result<(), W> {
        workqueue::enqueue(self.0, Some(cpu.as_raw()), work)
    }
}

/// Removes an item from its queue.
pub fn cancel<T, const ID: u64>(item: &Arc<T>) -> bool
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasWork<T, ID>,
{
    workqueue::cancel(RawWorkItem::<ID>::key(item))
}

/// The same, of one in an [`RcuArc`].
pub fn cancel_rcu<T, const ID: u64>(item: &RcuArc<T>) -> bool
where
    T: Object + WorkItem<ID, Pointer = RcuArc<T>> + HasWork<T, ID>,
{
    workqueue::cancel(RawWorkItem::<ID>::key(item))
}

impl<T, const ID: u64> RawWorkItem<ID> for RcuArc<T>
where
    T: Object + WorkItem<ID, Pointer = Self> + HasWork<T, ID>,
{
    fn key(&self) -> usize {
        workqueue::key_of::<T, ID>(self)
    }

    fn run_item(self) {
        T::run(self);
    }
}
