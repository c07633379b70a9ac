// SPDX-License-Identifier: GPL-2.0
//
// An item holds what was enqueued, and cancelling it gives that back: it is not a reference if a box was
// enqueued.
//
// refused: E0271
// says: type mismatch resolving `<Item as WorkItem>::Pointer == Arc<Item>`

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
use wg_kernel::workqueue;

#[pin_data]
pub struct Item {
    #[pin]
    work: Work<Item>,
}

impl_has_work! {
    impl HasWork<Self> for Item { self.work }
}

impl WorkItem for Item {
    type Pointer = Pin<KBox<Self>>;

    fn run(_: Pin<KBox<Self>>) {}
}

pub fn cancel(item: &Arc<Item>) -> bool {
    workqueue::cancel(item)
}
