// SPDX-License-Identifier: GPL-2.0

//! Packets, of which only the number matters.

pub mod skbuff {
    //! Packets.

    use core::cell::RefCell;
    use std::collections::VecDeque;

    thread_local! {
        static DROPPED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }

    /// Returns the numbers of the packets that were dropped since this was called last.
    pub fn take_dropped() -> Vec<u32> {
        DROPPED.take()
    }

    /// A packet.
    #[derive(Debug, PartialEq, Eq)]
    pub struct SkBuff(pub u32);

    impl SkBuff {
        pub fn set_sender_cpu(&mut self, _cpu: usize) {}

        /// Each is sent as if it were many.
        pub fn datagram_size(&self) -> Option<u32> {
            Some(1)
        }

        #[allow(clippy::len_without_is_empty)]
        pub fn len(&self) -> u32 {
            u32::from(u16::MAX)
        }

        /// Frees a packet that was delivered.
        pub fn consume(self) {
            core::mem::forget(self);
        }
    }

    impl Drop for SkBuff {
        fn drop(&mut self) {
            DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
        }
    }

    /// A list of packets.
    #[derive(Debug)]
    pub struct SkBuffList(VecDeque<SkBuff>);

    impl SkBuffList {
        pub const fn new() -> Self {
            Self(VecDeque::new())
        }

        /// Returns a list of packets with these numbers.
        pub fn of(numbers: &[u32]) -> Self {
            Self(numbers.iter().copied().map(SkBuff).collect())
        }

        /// Returns the numbers of packets that were delivered.
        pub fn consume(mut self) -> Vec<u32> {
            let mut numbers = Vec::new();
            while let Some(skb) = self.pop_front() {
                numbers.push(skb.0);
                skb.consume();
            }
            numbers
        }

        pub fn len(&self) -> usize {
            self.0.len()
        }

        pub fn is_empty(&self) -> bool {
            self.0.is_empty()
        }

        pub fn iter(&self) -> impl Iterator<Item = &SkBuff> {
            self.0.iter()
        }

        pub fn push_back(&mut self, skb: SkBuff) {
            self.0.push_back(skb);
        }

        pub fn pop_front(&mut self) -> Option<SkBuff> {
            self.0.pop_front()
        }

        pub fn append(&mut self, other: &mut Self) {
            self.0.append(&mut other.0);
        }

        pub fn prepend(&mut self, other: &mut Self) {
            other.0.append(&mut self.0);
            core::mem::swap(self, other);
        }

        pub fn for_each_mut(&mut self, f: impl FnMut(&mut SkBuff)) {
            self.0.iter_mut().for_each(f);
        }
    }
}
