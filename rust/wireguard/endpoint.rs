// SPDX-License-Identifier: GPL-2.0

//! Where a peer is, and the routes to it.

use kernel::{
    alloc::Flags,
    sync::SetOnce, //
};
use wg_kernel::{
    net::{
        family::{
            Inet,
            Inet6, //
        },
        route::DstCache,
        skbuff::Local, //
    },
    prelude::*, //
};

/// Our address that a peer last sent to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Unknown: routing decides.
    None,
    /// An IPv4 address, and the interface that the peer's packet arrived on.
    V4([u8; 4], u32),
    /// An IPv6 address.
    V6([u8; 16]),
}

/// The address of a peer. Never changed, only replaced, along with the cache of routes to it.
pub(crate) struct Endpoint {
    addr: SocketAddr,
    source: Source,
    /// Created when something is first sent, as it takes memory for each CPU.
    cache: SetOnce<KBox<Cache>>,
    /// Whether only the address counts, until it is replaced.
    void: Atomic<bool>,
}

/// The routes to an endpoint, of the family that its address has.
pub(crate) enum Cache {
    /// Over IPv4.
    V4(DstCache<Inet>),
    /// Over IPv6.
    V6(DstCache<Inet6>),
}

rcu_object!(Endpoint);
impl rcu::Release for Endpoint {}

impl Endpoint {
    /// Creates an endpoint.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn new(addr: SocketAddr, source: Source, flags: Flags) -> Result<RcuArc<Self>> {
        RcuArc::pin_init(Self::transient(addr, source), flags)
    }

    /// Returns an endpoint that is not shared.
    pub(crate) fn transient(addr: SocketAddr, source: Source) -> Self {
        Self {
            addr,
            source,
            cache: SetOnce::new(),
            void: Atomic::new(false),
        }
    }

    /// Returns the peer's address.
    #[inline]
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns our address that the peer last sent to.
    pub(crate) fn source(&self) -> Source {
        match self.void.load(Relaxed) {
            true => Source::None,
            false => self.source,
        }
    }

    /// Forgets our address and the routes, without memory, until the peer's next message.
    pub(crate) fn make_void(&self) {
        self.void.store(true, Relaxed);
    }

    /// Returns the cache of routes to it, if it was created.
    #[inline]
    pub(crate) fn cache(&self) -> Option<&Cache> {
        let cache = self.cache.as_ref()?;
        (!self.void.load(Relaxed)).then_some(&**cache)
    }

    /// Returns whether a cache may be created.
    pub(crate) fn lacks_cache(&self) -> bool {
        self.cache.as_ref().is_none() && !self.void.load(Relaxed)
    }

    /// Makes `cache` the cache of routes to it, unless another CPU has set one meanwhile.
    pub(crate) fn keep_cache(&self, cache: KBox<Cache>) {
        self.cache.populate(cache);
    }

    /// Closes the cache: no more routes are kept.
    pub(crate) fn close_cache(&self) {
        match self.cache.as_ref().map(|cache| &**cache) {
            Some(Cache::V4(cache)) => cache.close(),
            Some(Cache::V6(cache)) => cache.close(),
            None => (),
        }
    }

    /// Releases the cached routes, if there are any, and keeps no more. Process context only.
    ///
    /// No sender may be under way, except for those that a grace period since [`Endpoint::close_cache`] waits
    /// for.
    pub(crate) fn release_cache(&self) {
        match self.cache.as_ref().map(|cache| &**cache) {
            Some(Cache::V4(cache)) => cache.release(),
            Some(Cache::V6(cache)) => cache.release(),
            None => (),
        }
    }

    /// Returns whether the addresses are these, regardless of the flow label.
    #[inline]
    pub(crate) fn has(&self, addr: SocketAddr, source: Source) -> bool {
        self.source == source && self.addr.is_same_place(addr) && !self.void.load(Relaxed)
    }
}

/// Returns the addresses that an answer to a datagram is sent to and from.
#[inline]
pub(crate) fn answer_to(outer: &Outer) -> (SocketAddr, Source) {
    let source = match outer.destination {
        Local::V4 { addr, ifindex } => Source::V4(addr, ifindex),
        Local::V6 { addr } => Source::V6(addr),
    };
    (outer.source, source)
}
