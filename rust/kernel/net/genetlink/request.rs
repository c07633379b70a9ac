// SPDX-License-Identifier: GPL-2.0

//! Requests.

use super::{
    message,
    Message, //
};
use crate::{
    compat::u32_as_usize, //
    net::{
        namespace::Net,
        netdevice::{
            DeviceRef,
            Name,
            Operations, //
        },
        netlink, //
    },
};
use core::{
    marker::PhantomData,
    ptr::NonNull,
    slice, //
};
use kernel::{
    bindings::GFP_KERNEL,
    error::to_result,
    prelude::*, //
};
use wg_bindings as bindings;

/// Length of the headers of a request.
const HEADERS_LEN: usize = size_of::<bindings::nlmsghdr>() + size_of::<bindings::genlmsghdr>();

/// A request that was checked against the policies of the family.
///
/// # Invariants
///
/// `info` is valid for `'a`, as is the message that it is about: a header of netlink, one of generic
/// netlink, and attributes. It has as many attributes as `max` says, and one more, or none at all.
/// They are not used by others.
pub struct Request<'a> {
    /// The request.
    info: *const bindings::genl_info,

    /// The greatest type of attribute that is known.
    max: u16,

    /// The request is borrowed.
    _info: PhantomData<&'a mut bindings::genl_info>,
}

impl Request<'_> {
    /// Wraps a request.
    ///
    /// # Safety
    ///
    /// `info` must be valid for `'a`, with the message that it is about, have `max + 1` attributes
    /// unless it has none, and not be used by others. The family must have no header of its own.
    pub(super) unsafe fn new(info: *const bindings::genl_info, max: u16) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            info,
            max,
            _info: PhantomData,
        }
    }

    /// Returns the payload of the attribute of the given type, if it is present.
    pub fn attr(&self, type_: u16) -> Option<&[u8]> {
        let (data, len) = self.payload(type_)?;
        // SAFETY: By the type invariants the payload is valid while `self` is borrowed, and is not
        // changed, as that takes a mutable borrow.
        Some(unsafe { slice::from_raw_parts(data.as_ptr(), len) })
    }

    /// Returns all attributes as they came, headers and duplicates included.
    fn all_mut(&mut self) -> &mut [u8] {
        // SAFETY: The request is valid by the type invariants.
        let nlhdr = unsafe { (*self.info).nlhdr };
        // SAFETY: The request is valid by the type invariants.
        let genlhdr = unsafe { (*self.info).genlhdr };
        // SAFETY: The header is valid by the type invariants.
        let len = u32_as_usize(unsafe { (*nlhdr).nlmsg_len });
        let Some(len) = len.checked_sub(HEADERS_LEN) else {
            return &mut [];
        };
        // CAST: The attributes are bytes.
        let data = genlhdr.wrapping_add(1).cast::<u8>();
        // SAFETY: By the type invariants the message is valid, and the attributes are what is behind
        // both headers, whose sizes are multiples of the alignment. Nothing else writes to them while
        // `self` is borrowed. Who listens to all of netlink (nlmon) has copies of the buffer that share
        // its data, and may read them, in C, at any time: what that sees is the bytes before or after.
        unsafe { slice::from_raw_parts_mut(data, len) }
    }

    /// Zeroes the payloads of all attributes of the given type, of which there may be several
    /// although only the last one counts.
    pub fn wipe(&mut self, type_: u16) {
        netlink::for_each_mut(self.all_mut(), |other, payload| {
            if other == type_ {
                netlink::wipe(payload);
            }
        });
    }

    /// Zeroes attributes of type `inner` in all elements of the arrays that are the attributes of
    /// type `outer`, of which there may be several although only the last one counts.
    pub fn wipe_nested(&mut self, outer: u16, inner: u16) {
        netlink::for_each_mut(self.all_mut(), |other, array| {
            if other != outer {
                return;
            }
            netlink::for_each_mut(array, |_, element| {
                netlink::for_each_mut(element, |type_, payload| {
                    if type_ == inner {
                        netlink::wipe(payload);
                    }
                });
            });
        });
    }

    /// Answers with a message that `fill` fills.
    ///
    /// # Errors
    ///
    /// Those of `fill`, [`ENOMEM`] if there is no memory for the message, and others if it cannot be
    /// delivered.
    pub fn reply(&self, command: u8, fill: impl FnOnce(&mut Message<'_>) -> Result) -> Result {
        // SAFETY: The request is valid by the type invariants.
        let family = unsafe { (*self.info).family };
        // SAFETY: As above.
        let portid = unsafe { (*self.info).snd_portid };
        // SAFETY: As above.
        let seq = unsafe { (*self.info).snd_seq };
        // SAFETY: The request came in by the family, so that it was registered.
        let skb = unsafe { message::fill(family, (portid, seq), command, GFP_KERNEL, fill) }?;
        // SAFETY: The request is valid by the type invariants. The buffer is ours, and is given up.
        to_result(unsafe { bindings::genlmsg_reply(skb, self.info.cast_mut()) })
    }

    /// Returns the namespace that the request came from.
    pub fn net(&self) -> &Net {
        // SAFETY: The request is valid by the type invariants.
        let net = unsafe { bindings::genl_info_net(self.info) };
        // SAFETY: The socket that the request came from has a reference to the namespace.
        unsafe { Net::from_raw(net) }
    }

    /// Finds a device by its index, or else by its name, which may end with a null byte.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if there is no such device, and [`EOPNOTSUPP`] if it is none of `T`.
    pub fn device<T: Operations>(
        &self,
        index: Option<u32>,
        name: Option<&[u8]>,
    ) -> Result<DeviceRef<T>> {
        if let Some(index) = index {
            return DeviceRef::by_index(self.net(), index);
        }
        let name = name.and_then(Name::from_bytes).ok_or(ENODEV)?;
        DeviceRef::by_name(self.net(), name)
    }

    /// Returns where the payload of an attribute is, and its length.
    fn payload(&self, type_: u16) -> Option<(NonNull<u8>, usize)> {
        // SAFETY: The request is valid by the type invariants.
        let attrs = unsafe { (*self.info).attrs };
        if attrs.is_null() || type_ > self.max {
            return None;
        }
        // SAFETY: There is an attribute for each type up to `max` by the type invariants.
        let attr = unsafe { *attrs.add(usize::from(type_)) };
        if attr.is_null() {
            return None;
        }
        // SAFETY: The attribute is valid by the type invariants.
        let len = unsafe { bindings::nla_len(attr) };
        // SAFETY: The attribute is valid by the type invariants.
        let data = unsafe { bindings::nla_data(attr) };
        // CAST: The length was found not to be negative when the request was parsed.
        Some((NonNull::new(data)?.cast(), len as usize))
    }
}
