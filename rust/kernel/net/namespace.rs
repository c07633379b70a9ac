// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.
//!
//! [`Net`] is borrowed, [`NetRef`] keeps a namespace alive, and [`WeakNet`] remembers one without
//! keeping it alive. Objects such as sockets and routes, which belong to a namespace without keeping it
//! alive, reside there: the end of the namespace waits until they are gone.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

mod residence;

pub(super) use residence::Residence;

use super::{
    context,
    rtnetlink, //
};
use crate::module::Live;
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};
use residence::Residents;
use wg_bindings as bindings;

/// A network namespace.
///
/// # Invariants
///
/// The memory of the namespace is valid while it is borrowed, though the namespace may be dying.
#[repr(transparent)]
pub struct Net(Opaque<bindings::net>);

// SAFETY: What the methods do is safe from any thread.
unsafe impl Sync for Net {}

impl Net {
    /// Creates a reference to a namespace.
    ///
    /// # Safety
    ///
    /// The memory of the namespace must be valid for `'a`.
    pub(crate) unsafe fn from_raw<'a>(net: *mut bindings::net) -> &'a Self {
        // CAST: `Net` is transparent.
        let net = net.cast::<Self>();
        // SAFETY: By the safety requirements of this function.
        unsafe { &*net }
    }

    /// Returns the pointer that C wants.
    pub(crate) fn as_raw(&self) -> *mut bindings::net {
        self.0.get()
    }

    /// Returns a number that identifies the namespace among those that are alive.
    ///
    /// The number of a namespace that has died may be given to another.
    pub fn id(&self) -> usize {
        self.as_raw() as usize
    }

    /// Returns the cookie, which identifies the namespace among all, dead or alive.
    fn cookie(&self) -> u64 {
        // SAFETY: The pointer is valid by the type invariants, and the cookie is never written once
        // the namespace has been set up.
        unsafe { bindings::wg_net_cookie(self.as_raw()) }
    }
}

/// A reference that keeps a namespace alive.
///
/// # Invariants
///
/// Owns a reference to the namespace.
pub struct NetRef(NonNull<bindings::net>);

// SAFETY: References may be dropped in any thread, and `Net` may be shared.
unsafe impl Send for NetRef {}

// SAFETY: `Net` may be shared.
unsafe impl Sync for NetRef {}

impl NetRef {
    /// Returns a reference unless the namespace is dying.
    pub fn new(net: &Net) -> Option<Self> {
        // SAFETY: The memory of the namespace is valid by the invariants of `Net`.
        let net = unsafe { bindings::maybe_get_net(net.as_raw()) };
        // INVARIANT: The reference was just taken.
        NonNull::new(net).map(Self)
    }
}

impl Deref for NetRef {
    type Target = Net;

    fn deref(&self) -> &Net {
        // SAFETY: By the type invariants the namespace lives at least as long as `self`.
        unsafe { Net::from_raw(self.0.as_ptr()) }
    }
}

impl Clone for NetRef {
    fn clone(&self) -> Self {
        // SAFETY: The namespace is alive by the type invariants.
        unsafe { bindings::maybe_get_net(self.0.as_ptr()) };
        // INVARIANT: The reference was just taken, which cannot fail as there was one already.
        Self(self.0)
    }
}

impl Drop for NetRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariants there is a reference to give up.
        unsafe { bindings::put_net(self.0.as_ptr()) };
    }
}

/// Remembers a namespace without keeping it alive.
///
/// Holds the cookie of the namespace rather than a pointer; [`upgrade`](Self::upgrade) looks it up.
/// That takes time proportional to the number of namespaces, but nothing needs to be undone when a
/// namespace goes.
pub struct WeakNet(Atomic<u64>);

impl WeakNet {
    /// No namespace has this cookie.
    const NONE: u64 = 0;

    /// Remembers `net`.
    pub fn new(net: &Net) -> Self {
        Self(Atomic::new(net.cookie()))
    }

    /// Returns the namespace, unless it is gone or dying, or was forgotten.
    pub fn upgrade(&self) -> Option<NetRef> {
        let cookie = self.0.load(Relaxed);
        if cookie == Self::NONE {
            return None;
        }
        // SAFETY: May be called from any context.
        let net = unsafe { bindings::wg_get_net_by_cookie(cookie) };
        // INVARIANT: The reference was just taken.
        NonNull::new(net).map(NetRef)
    }

    /// Returns whether `net` is the remembered namespace.
    pub fn is(&self, net: &Net) -> bool {
        self.0.load(Relaxed) == net.cookie()
    }

    /// Forgets the namespace.
    pub fn clear(&self) {
        self.0.store(Self::NONE, Relaxed);
    }

    /// Returns whether the current task has `CAP_NET_ADMIN` for the namespace.
    ///
    /// No task has it if the namespace is gone or was forgotten.
    pub fn ns_capable_net_admin(&self) -> bool {
        let Some(net) = self.upgrade() else {
            return false;
        };
        // CAST: A small constant.
        let capability = bindings::CAP_NET_ADMIN as c_int;
        // SAFETY: There is a reference to the namespace, which holds one to its user namespace.
        unsafe { bindings::wg_net_ns_capable(net.as_raw(), capability) }
    }
}

/// What a driver does when a namespace ends.
pub trait PernetOperations: 'static {
    /// Called for each namespace that is dying, and for all there are when the registration is
    /// dropped.
    ///
    /// All sockets in the namespace must be closed, and all caches of routes be released, unless that
    /// happens by itself. The end of the namespace waits for that, as it frees the objects that they
    /// refer to. Neither needs memory.
    fn exit_rtnl(net: &Net, rtnl: &rtnetlink::Guard);
}

/// The registration of [`PernetOperations`]. Sockets can be opened only while there is one.
///
/// # Invariants
///
/// The operations are registered, and no others: this is the only registration there is.
pub struct PernetRegistration<T: PernetOperations>(
    Pin<KBox<Opaque<bindings::pernet_operations>>>,
    Live,
    PhantomData<T>,
);

// SAFETY: All there is to do with a registration is to drop it, which may be done in any thread.
unsafe impl<T: PernetOperations> Send for PernetRegistration<T> {}

// SAFETY: All there is to do with a registration is to drop it.
unsafe impl<T: PernetOperations> Sync for PernetRegistration<T> {}

impl<T: PernetOperations> PernetRegistration<T> {
    /// Registers the operations, as those of a device.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the module has no [`End`](crate::module::End), [`EBUSY`] if there are such
    /// operations, [`ENOMEM`] if there is no memory for them.
    pub fn new() -> Result<Self> {
        let live = Live::new()?;
        let ops = bindings::pernet_operations {
            exit_rtnl: Some(Self::exit_rtnl_callback),
            id: residence::id(),
            size: size_of::<Residents>(),
            ..pin_init::zeroed()
        };
        let ops = KBox::pin(Opaque::new(ops), GFP_KERNEL)?;
        residence::open(|| {
            // SAFETY: The operations are valid and stay where they are until `drop` unregisters them.
            // The number is used for nothing else, as there is no other registration.
            to_result(unsafe { bindings::register_pernet_device(ops.get()) })
        })?;
        // INVARIANT: The operations were just registered, and no others.
        Ok(Self(ops, live, PhantomData))
    }

    /// `pernet_operations::exit_rtnl`.
    ///
    /// # Safety
    ///
    /// `net` must be a valid namespace that has not ended, RTNL be held for the call, and the operations be
    /// registered.
    unsafe extern "C" fn exit_rtnl_callback(
        net: *mut bindings::net,
        _dev_kill_list: *mut bindings::list_head,
    ) {
        // SAFETY: By the safety requirements of this function, the namespace is valid.
        let net = unsafe { Net::from_raw(net) };
        // SAFETY: By the safety requirements, RTNL is held.
        let rtnl = unsafe { context::rtnl() };
        T::exit_rtnl(net, rtnl);
        // SAFETY: By the safety requirements, the operations are registered, and the namespace has not ended.
        unsafe { Residents::of(net.as_raw()) }.wait_until_gone();
        // SAFETY: The namespace is valid. All sockets there are closed, as they reside in it.
        unsafe { bindings::wg_udp_tunnel_exit_net(net.as_raw()) };
    }
}

impl<T: PernetOperations> Drop for PernetRegistration<T> {
    fn drop(&mut self) {
        residence::close(|| {
            // SAFETY: The operations are registered by the type invariants. For each namespace, the
            // callback waits until nothing resides there.
            unsafe { bindings::unregister_pernet_device(self.0.get()) };
        });
    }
}
