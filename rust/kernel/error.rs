// SPDX-License-Identifier: GPL-2.0

//! Errors that the `kernel` crate does not name in all series that are supported.
//!
//! C header: [`include/uapi/asm-generic/errno.h`](srctree/include/uapi/asm-generic/errno.h)

use kernel::{
    bindings,
    prelude::*, //
};

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $number:ident;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            pub fn $name() -> Error {
                errno(bindings::$number)
            }
        )*
    };
}

errors! {
    /// Returns `EADDRINUSE`: the address is in use already.
    address_in_use = EADDRINUSE;
    /// Returns `EBADR`: the request names nothing.
    bad_request = EBADR;
    /// Returns `EDESTADDRREQ`: it is not known where to send to.
    destination_required = EDESTADDRREQ;
    /// Returns `ENOKEY`: there is no key.
    no_key = ENOKEY;
    /// Returns `ENONET`: the network is gone.
    no_network = ENONET;
    /// Returns `EOPNOTSUPP`: this cannot be done with it.
    not_supported = EOPNOTSUPP;
    /// Returns `EPFNOSUPPORT`: a family of protocols that is not known.
    unknown_family = EPFNOSUPPORT;
    /// Returns `EPROTONOSUPPORT`: a protocol that is not known.
    unknown_protocol = EPROTONOSUPPORT;
    /// Returns `ENETUNREACH`: there is no route to the network.
    unreachable = ENETUNREACH;
}

/// Returns the error of that number.
fn errno(number: u32) -> Error {
    // CAST: There are some hundred of them.
    Error::from_errno((number as i32).wrapping_neg())
}
