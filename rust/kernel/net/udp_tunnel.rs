// SPDX-License-Identifier: GPL-2.0

//! Kernel UDP sockets, over which packets are tunnelled.
//!
//! A [`Socket`] passes received packets to its owner's [`Receive`]. To send, get its [`Sender`] under
//! an RCU [`Guard`].
//!
//! C header: [`include/net/udp_tunnel.h`](srctree/include/net/udp_tunnel.h)

use crate::{
    net::{
        context,
        family::{
            Family,
            Inet,
            Inet6, //
        },
        namespace::{
            NetRef,
            Residence, //
        },
        SkBuff, //
    },
    sync::{
        bh::Softirq,
        rcu::{
            self,
            Guard, //
        }, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full, //
        },
        Arc, //
    }, //
};
use wg_bindings as bindings;

/// The handler of packets that an owner's sockets receive.
pub trait Receive: Send + Sync + Sized + 'static {
    /// Takes a packet whose data begin with its UDP header; with bottom halves off.
    fn receive(this: &Arc<Self>, skb: SkBuff, softirq: Softirq<'_>);
}

/// What a socket receives of many datagrams that follow each other, all but the last of which are as long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Large {
    /// Single datagrams. UDP segments those that reach it as one GSO packet.
    Segmented,
    /// GSO packets that reach it as such.
    Whole,
    /// The same, and GRO makes them of what network devices receive, before rules of netfilter see it.
    Merged,
}

/// Returns whether the kernel supports IPv6.
pub fn ipv6_enabled() -> bool {
    // SAFETY: May be called from any context.
    unsafe { bindings::ipv6_mod_enabled() }
}

/// A UDP socket that is bound to a port of all addresses of its family.
///
/// It is to be [closed](Self::close) where sleeping is allowed; after that, it may be dropped anywhere.
/// Dropping an open socket closes it.
///
/// A socket does not keep its namespace alive. Its owner must close it when the namespace ends, which
/// waits for that: see [`PernetOperations`](super::namespace::PernetOperations).
///
/// # Invariants
///
/// - `sk` is null, or a valid socket of ours and of family `F`, which is freed a grace period after `sk`
///   became null.
/// - `residence` is in the socket's namespace until it is freed.
/// - `data` is a reference that the socket holds until then.
pub struct Socket<T: Receive, F: Family> {
    sk: Atomic<*mut bindings::sock>,
    data: *const T,
    residence: Residence,
    port: u16,
    family: PhantomData<F>,
}

// SAFETY: Sockets may be used on any CPU, and `T` is `Send` and `Sync`.
unsafe impl<T: Receive, F: Family> Send for Socket<T, F> {}

// SAFETY: As above.
unsafe impl<T: Receive, F: Family> Sync for Socket<T, F> {}

impl<T: Receive> Socket<T, Inet> {
    /// Opens a socket, on any free port if `port` is zero.
    ///
    /// `large` is whether it receives UDP GSO packets.
    ///
    /// # Errors
    ///
    /// [`EADDRINUSE`] if the port is not free, or any other error of making a socket;
    /// [`ENODEV`] if no operations are registered for the end of namespaces.
    pub fn bind(net: &NetRef, port: u16, large: Large, data: Arc<T>) -> Result<Self> {
        let mut config = bindings::udp_port_cfg {
            // CAST: A small constant.
            family: bindings::AF_INET as u8,
            local_udp_port: port.to_be(),
            ..Default::default()
        };
        config.set_use_udp_checksums(1);
        let residence = reside(net)?;
        let mut socket = null_mut();
        // SAFETY: `net` is alive, and the others are valid for writes.
        to_result(unsafe { bindings::udp_sock_create4(net.as_raw(), &mut config, &mut socket) })?;
        // SAFETY: The socket is new, of this namespace and family, and ours.
        Ok(unsafe { Self::set_up(net, residence, socket, large, data) })
    }
}

impl<T: Receive> Socket<T, Inet6> {
    /// Opens a socket, on any free port if `port` is zero.
    ///
    /// # Errors
    ///
    /// As for IPv4; also [`EPFNOSUPPORT`] or [`EAFNOSUPPORT`] if there is no IPv6.
    pub fn bind(net: &NetRef, port: u16, large: Large, data: Arc<T>) -> Result<Self> {
        let mut config = bindings::udp_port_cfg {
            // CAST: A small constant.
            family: bindings::AF_INET6 as u8,
            local_udp_port: port.to_be(),
            ..Default::default()
        };
        config.set_use_udp6_tx_checksums(1);
        config.set_use_udp6_rx_checksums(1);
        config.set_ipv6_v6only(1);
        let residence = reside(net)?;
        let mut socket = null_mut();
        // SAFETY: `net` is alive, and the others are valid for writes.
        to_result(unsafe { bindings::udp_sock_create6(net.as_raw(), &mut config, &mut socket) })?;
        // SAFETY: The socket is new, of this namespace and family, and ours.
        Ok(unsafe { Self::set_up(net, residence, socket, large, data) })
    }
}

impl<T: Receive, F: Family> Socket<T, F> {
    /// Makes a new socket a tunnel's.
    ///
    /// # Safety
    ///
    /// `socket` must be a bound UDP socket of `net` and of family `F` that the caller owns, and `residence`
    /// be there.
    unsafe fn set_up(
        net: &NetRef,
        residence: Residence,
        socket: *mut bindings::socket,
        large: Large,
        data: Arc<T>,
    ) -> Self {
        const {
            // The low bits of `sk_user_data` are flags.
            assert!(align_of::<T>() >= 8);
        };
        // SAFETY: By the safety requirements, the socket is valid.
        let sk = unsafe { (*socket).sk };
        // SAFETY: As above, and nothing else uses it yet.
        unsafe { bindings::wg_udp_tunnel_set_sock_opts(sk) };
        let data = Arc::into_raw(data);
        let mut config = bindings::udp_tunnel_sock_cfg {
            sk_user_data: data.cast_mut().cast(),
            encap_type: 1,
            encap_rcv: Some(receive_callback::<T>),
            ..Default::default()
        };
        // SAFETY: As above. From now on the callback has a reference to what `data` points at.
        unsafe { bindings::setup_udp_tunnel_sock(net.as_raw(), sk, &mut config) };
        // `CHECKSUM_COMPLETE` would only help to verify inner checksums. Those are not verified, and without
        // it the stack need not compute checksums for the datagrams of a GSO packet.
        // SAFETY: The socket is valid, and the count was just raised.
        unsafe { bindings::inet_dec_convert_csum(sk) };
        if large != Large::Segmented {
            // If that fails, the stack segments GSO packets.
            // SAFETY: As above, and the callback is the one it has. The socket has its residence in the
            // namespace, so it will be closed when the hook goes.
            unsafe {
                bindings::wg_udp_tunnel_accept_large(
                    sk,
                    receive_callback::<T> as *mut c_void,
                    large == Large::Merged,
                )
            };
        }
        // SAFETY: As above.
        let port = unsafe { bindings::wg_inet_sport(sk) };
        // INVARIANT: The socket is ours, and the reference was given to it. The residence is in its
        // namespace, by the safety requirements.
        Self {
            sk: Atomic::new(sk),
            data,
            residence,
            port: u16::from_be(port),
            family: PhantomData,
        }
    }

    /// Returns the port that the socket is, or was, bound to.
    #[inline]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns a sender by this socket for the life of `guard`, unless it was closed.
    #[inline]
    pub fn sender<'g>(&'g self, _guard: &'g Guard) -> Option<Sender<'g, F>> {
        // Pairs with the exchange in `begin_close`, and with the publication of `self`.
        let sk = NonNull::new(rcu::dereference(&self.sk))?;
        // INVARIANT: By those of `Socket`, the socket is valid for as long as the guard lives.
        Some(Sender {
            sk,
            residence: &self.residence,
            port: self.port.to_be(),
            guard: PhantomData,
        })
    }

    /// Closes the socket: no packet is received by it, nor sent, when this returns.
    ///
    /// Sleeps for a grace period. Does nothing if the socket was closed before, or is being closed.
    pub fn close(&self) {
        if let Some(sk) = self.begin_close() {
            // SAFETY: May be called where one may sleep.
            unsafe { bindings::synchronize_net() };
            // SAFETY: A grace period has passed since `begin_close`.
            unsafe { self.finish_close(sk) };
        }
    }

    /// Begins to close the socket; returns it if it was open.
    fn begin_close(&self) -> Option<NonNull<bindings::sock>> {
        // INVARIANT: The caller waits for a grace period before the socket is freed.
        let sk = NonNull::new(self.sk.xchg(null_mut(), Full))?;
        // SAFETY: The socket is valid, for it was ours alone to close. The callback drops what it
        // receives from now on.
        unsafe { bindings::rcu_assign_sk_user_data(sk.as_ptr(), null_mut()) };
        Some(sk)
    }

    /// Frees a socket.
    ///
    /// # Safety
    ///
    /// It must be what [`Self::begin_close`] returned a grace period ago.
    unsafe fn finish_close(&self, sk: NonNull<bindings::sock>) {
        // SAFETY: By the safety requirements, the socket is valid and nothing sends by it.
        unsafe { bindings::sk_clear_memalloc(sk.as_ptr()) };
        // SAFETY: As above.
        unsafe { bindings::udp_tunnel_sock_release(sk.as_ptr()) };
        // INVARIANT: The socket is freed.
        self.residence.begin_to_leave(|| ());
        self.residence.leave(|| ());
        // SAFETY: By the type invariants, this is the socket's reference, which no callback uses.
        drop(unsafe { Arc::from_raw(self.data) });
    }
}

/// Takes up residence in a namespace.
fn reside(net: &NetRef) -> Result<Residence> {
    let residence = Residence::new();
    let _guard = rcu::read_lock();
    // SAFETY: The namespace is alive, and this is under RCU.
    match unsafe { residence.take_up(net.as_raw()) } {
        true => Ok(residence),
        false => Err(ENODEV),
    }
}

/// Closes sockets of both families as [`Socket::close`] does, within one grace period.
pub fn close<T: Receive>(v4: Option<&Socket<T, Inet>>, v6: Option<&Socket<T, Inet6>>) {
    let v4 = v4.and_then(|socket| Some((socket, socket.begin_close()?)));
    let v6 = v6.and_then(|socket| Some((socket, socket.begin_close()?)));
    if v4.is_none() && v6.is_none() {
        return;
    }
    // SAFETY: May be called where one may sleep.
    unsafe { bindings::synchronize_net() };
    if let Some((socket, sk)) = v4 {
        // SAFETY: A grace period has passed since `begin_close`.
        unsafe { socket.finish_close(sk) };
    }
    if let Some((socket, sk)) = v6 {
        // SAFETY: As above.
        unsafe { socket.finish_close(sk) };
    }
}

impl<T: Receive, F: Family> Drop for Socket<T, F> {
    fn drop(&mut self) {
        self.close();
    }
}

/// An open socket, to send by.
///
/// # Invariants
///
/// `sk` is a valid socket of family `F` while `'g` lasts, and `residence` is in its namespace.
#[derive(Clone, Copy)]
pub struct Sender<'g, F: Family> {
    sk: NonNull<bindings::sock>,
    residence: &'g Residence,
    /// In network byte order.
    port: u16,
    guard: PhantomData<(&'g Guard, F)>,
}

impl<F: Family> Sender<'_, F> {
    /// Returns the C socket, valid while `self` is.
    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::sock {
        self.sk.as_ptr()
    }

    /// Returns the socket's namespace, valid while `self` is.
    #[inline]
    pub(crate) fn net(&self) -> *mut bindings::net {
        // SAFETY: By the type invariants, the socket is valid.
        unsafe { bindings::sock_net(self.as_raw()) }
    }

    /// Returns what is in that namespace for as long.
    #[inline]
    pub(crate) fn residence(&self) -> &Residence {
        self.residence
    }

    /// Returns the port in network byte order.
    #[inline]
    pub(crate) fn port_be(&self) -> u16 {
        self.port
    }
}

/// Passes a packet that a socket received to its owner.
///
/// # Safety
///
/// `sk` must be a socket of [`Socket::set_up`], or null, and `skb` an unshared buffer that this
/// function may consume. Bottom halves must be off, as they are wherever packets are received.
unsafe extern "C" fn receive_callback<T: Receive>(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: By the safety requirements, this is an unshared buffer that is ours. If its destination is
    // only borrowed, it is alive, this being under RCU.
    let skb = unsafe { SkBuff::from_raw(skb) };
    if sk.is_null() {
        return 0;
    }
    // SAFETY: By the safety requirements, bottom halves are off.
    let softirq = unsafe { context::softirq() };
    // SAFETY: By the safety requirements, the socket is valid, and this is under RCU.
    let data = unsafe { bindings::rcu_dereference_sk_user_data(sk) };
    if !data.is_null() {
        // SAFETY: The socket's reference lasts for a grace period after its data became null.
        let this = ManuallyDrop::new(unsafe { Arc::<T>::from_raw(data.cast()) });
        T::receive(&this, skb, softirq);
    }
    0
}
