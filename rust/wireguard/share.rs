// SPDX-License-Identifier: GPL-2.0

//! How much work a device may have under way in jobs, and how much of that may be of one peer.

use crate::device::Device;
use wg_kernel::{
    compat::u32_as_usize,
    prelude::*, //
};
use wg_proto::limits;

/// How many pages the packets take, of 4 KB, that a device may have in jobs that encrypt: 96 MB.
const MAX_OUT: usize = 24 << 10;

/// For how many of these that are left a peer may have one more job.
const PAGES_PER_JOB: usize = 4;

/// How much the messages weigh that a device may have in jobs that decrypt.
///
/// A session has half of it at most: if the first of its jobs is held up, the counters of the others must be in
/// the window once they are delivered. The last job may exceed this by the messages of a poll and a packet.
const MAX_IN: usize = 8 * limits::MAX_QUEUED_PACKETS;
const _: () = assert!(((MAX_IN / 2 + 1024) as u64) < limits::COUNTER_WINDOW_SIZE);

/// Which way the packets of a job go, and what those have under way that share its limit with all others of the
/// device.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    /// Out, and how many jobs of the peer are not sent yet.
    Out(usize),
    /// In, and how much those messages of the session weigh that are in jobs already.
    In(usize),
}

impl Direction {
    /// Returns whether there may be more of it, given the total.
    ///
    /// Nobody may have more than what is left for all others, or a multiple of that. So the more there are that
    /// want all they can get, the less each of them has, and however many there are, they leave room for those
    /// that have less.
    fn may_grow(self, total: usize) -> bool {
        match self {
            // Packets that are sent at once are, or were, one GSO packet or a part of it, unless they waited for
            // a session.
            Self::Out(jobs) => {
                let left = MAX_OUT.saturating_sub(total).div_ceil(PAGES_PER_JOB);
                jobs < limits::MAX_QUEUED_PACKETS.min(left)
            }
            Self::In(weight) => weight < MAX_IN.saturating_sub(total),
        }
    }

    /// Returns the sum of all shares of this kind.
    fn total(self, device: &Device) -> &Atomic<u32> {
        match self {
            Self::Out(_) => &device.load.pages_out,
            Self::In(_) => &device.load.weight_in,
        }
    }
}

/// A job's share of the work that a device may have under way at a time.
pub(crate) struct Share {
    device: Arc<Device>,
    direction: Direction,
    /// Zero once it was given back.
    size: Atomic<u32>,
}

impl Share {
    /// Returns the device.
    #[inline]
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Returns the share of a job of that `size`, in pages out or weight in. There is none if the limit is
    /// reached.
    pub(crate) fn take(device: &Arc<Device>, direction: Direction, size: usize) -> Option<Self> {
        let size = u32::try_from(size).ok()?;
        // What is refused is not to be in the total meanwhile, where it would have others refused.
        Self::is_left(device, direction).then_some(())?;
        let share = Self {
            device: device.clone(),
            direction,
            size: Atomic::new(size),
        };
        // Subtracted again when the share is given back.
        let taken = direction.total(device).fetch_add(size, Relaxed);
        direction.may_grow(u32_as_usize(taken)).then_some(share)
    }

    /// Returns whether there is a share left.
    #[inline]
    pub(crate) fn is_left(device: &Device, direction: Direction) -> bool {
        direction.may_grow(u32_as_usize(direction.total(device).load(Relaxed)))
    }

    /// Returns its size, or zero if it was given back.
    pub(crate) fn size(&self) -> u32 {
        self.size.load(Relaxed)
    }

    /// Gives the share back, as the job is about to be delivered: a stuck CPU may hold a reference to the job
    /// for long.
    pub(crate) fn give_back(&self) {
        let size = self.size.xchg(0, Relaxed);
        self.direction.total(&self.device).fetch_sub(size, Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}
