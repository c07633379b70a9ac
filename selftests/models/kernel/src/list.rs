// SPDX-License-Identifier: GPL-2.0

//! Lists, which are the kernel's own and trusted.

use crate::{
    alloc::Flags,
    error::{
        Error,
        Result, //
    },
    sync::{
        Arc,
        PinInitArc, //
    }, //
};
use core::ops::Deref;
use pinned_init::PinInit;
use std::collections::{
    vec_deque,
    VecDeque, //
};

/// The links of an element.
pub struct ListLinks;

impl ListLinks {
    pub fn new() -> Self {
        Self
    }
}

#[macro_export]
macro_rules! impl_list_arc_safe {
    ($($any:tt)*) => {};
}
#[macro_export]
macro_rules! impl_list_item {
    ($($any:tt)*) => {};
}
pub use impl_list_arc_safe;
pub use impl_list_item;

/// The reference that may be put on a list.
pub struct ListArc<T>(Arc<T>);

impl<T> ListArc<T> {
    pub fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        Arc::pin_init(init, flags).map(Self)
    }

    pub fn clone_arc(&self) -> Arc<T> {
        self.0.clone()
    }

    pub fn into_arc(self) -> Arc<T> {
        self.0
    }
}

/// A list.
pub struct List<T>(VecDeque<Arc<T>>);

impl<T> List<T> {
    pub fn new() -> Self {
        Self(VecDeque::new())
    }

    pub fn push_back(&mut self, element: ListArc<T>) {
        self.0.push_back(element.0);
    }

    pub fn pop_front(&mut self) -> Option<ListArc<T>> {
        self.0.pop_front().map(ListArc)
    }

    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self.0.iter())
    }

    pub fn cursor_front(&mut self) -> CursorMut<'_, T> {
        CursorMut { list: self, at: 0 }
    }
}

/// An element that is on the list.
pub struct ArcBorrow<'a, T>(&'a Arc<T>);

impl<T> Deref for ArcBorrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T> From<ArcBorrow<'_, T>> for Arc<T> {
    fn from(borrow: ArcBorrow<'_, T>) -> Self {
        borrow.0.clone()
    }
}

/// The elements.
pub struct Iter<'a, T>(vec_deque::Iter<'a, Arc<T>>);

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = ArcBorrow<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(ArcBorrow)
    }
}

/// A place between elements.
pub struct CursorMut<'a, T> {
    list: &'a mut List<T>,
    at: usize,
}

impl<'a, T> CursorMut<'a, T> {
    pub fn peek_next(&mut self) -> Option<CursorPeek<'_, 'a, T>> {
        (self.at < self.list.0.len()).then_some(CursorPeek(self))
    }

    pub fn move_next(&mut self) -> bool {
        let moves = self.at < self.list.0.len();
        self.at += usize::from(moves);
        moves
    }
}

/// The element behind that place.
pub struct CursorPeek<'a, 'b, T>(&'a mut CursorMut<'b, T>);

impl<T> CursorPeek<'_, '_, T> {
    pub fn remove(self) -> ListArc<T> {
        ListArc(self.0.list.0.remove(self.0.at).expect("an element"))
    }
}

impl<T> Deref for CursorPeek<'_, '_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.list.0.get(self.0.at).expect("an element")
    }
}
