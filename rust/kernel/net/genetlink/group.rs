// SPDX-License-Identifier: GPL-2.0

//! Multicast groups, and notifications to their members.

use super::{
    message,
    Descriptor,
    Family,
    Message, //
};
use crate::{
    net::namespace::NetRef,
    sync::rcu, //
};
use kernel::{
    bindings::GFP_ATOMIC,
    error::to_result,
    ffi::c_char,
    prelude::*, //
};
use wg_bindings as bindings;

/// A multicast group of a family. Joining it requires `CAP_NET_ADMIN` in the user namespace of the
/// network namespace.
#[repr(transparent)]
pub struct Group(bindings::genl_multicast_group);

impl Group {
    /// Makes a group.
    ///
    /// # Panics
    ///
    /// If there is no name, or it is longer than 15 bytes. This function is for constants, so that it
    /// panics at compile time.
    #[inline]
    pub const fn new(name: &CStr) -> Self {
        let from = name.to_bytes();
        let mut name = [0; bindings::GENL_NAMSIZ as usize];
        assert!(!from.is_empty(), "a group has no name");
        assert!(from.len() < name.len(), "the name of a group is too long");
        let mut at = 0;
        while at < from.len() {
            // CAST: Characters are bytes.
            name[at] = from[at] as c_char;
            at += 1;
        }
        Self(bindings::genl_multicast_group {
            name,
            flags: bindings::RUST_CONST_HELPER_GENL_MCAST_CAP_NET_ADMIN,
        })
    }

    /// Returns a table in the form that C expects, with its length, or panics, as [`Group::new`] does.
    #[inline]
    pub(super) const fn as_raw(
        table: &'static [Self],
    ) -> (*const bindings::genl_multicast_group, u8) {
        assert!(table.len() <= u8::MAX as usize, "too many groups");
        // CAST: `Group` is transparent. The length was just asserted.
        (table.as_ptr().cast(), table.len() as u8)
    }
}

impl<T: Family> Descriptor<T> {
    /// Notifies the members in namespace `net` of group number `GROUP` of the family with a message that
    /// `fill` fills. It is not called if there are no members.
    ///
    /// May be called with bottom halves off. `fill` must not sleep.
    ///
    /// # Errors
    ///
    /// Those of `fill`, [`ENODEV`] if the family is not registered, [`ENOMEM`] if there is no memory for
    /// the message, and `ENOBUFS` if some members, which are told so, did not get it.
    pub fn notify<const GROUP: usize>(
        &self,
        net: &NetRef,
        command: u8,
        fill: impl FnOnce(&mut Message<'_>) -> Result,
    ) -> Result {
        const { assert!(GROUP < T::GROUPS.len(), "there is no such group") };
        // CAST: There are 255 groups at most.
        let group = GROUP as u32;
        let guard = rcu::read_lock();
        let family = self.registered(&guard).ok_or(ENODEV)?;
        // SAFETY: The family is registered for the time of the guard, and has that group. There is a
        // reference to the namespace, which has its socket of generic netlink until it ends.
        if unsafe { bindings::genl_has_listeners(family, net.as_raw(), group) } == 0 {
            return Ok(());
        }
        // SAFETY: The family is registered.
        let skb = unsafe { message::fill(family, (0, 0), command, GFP_ATOMIC, fill) }?;
        // SAFETY: As above. The buffer is ours, and is given up.
        let result = to_result(unsafe {
            bindings::genlmsg_multicast_netns(family, net.as_raw(), skb, 0, group, GFP_ATOMIC)
        });
        drop(guard);
        match result {
            // The members have left meanwhile.
            Err(ESRCH) => Ok(()),
            result => result,
        }
    }
}
