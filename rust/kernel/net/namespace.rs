// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use core::ptr::NonNull;
use wg_bindings as bindings;

/// A reference to a network namespace.
///
/// # Invariants
///
/// The pointer is valid, and the namespace's count includes this reference.
pub struct NetRef(NonNull<bindings::net>);

impl NetRef {
    /// Returns the C namespace, valid while `self` is.
    pub(crate) fn as_raw(&self) -> *mut bindings::net {
        self.0.as_ptr()
    }
}
