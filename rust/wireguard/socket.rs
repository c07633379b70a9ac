// SPDX-License-Identifier: GPL-2.0

//! The two UDP sockets of a device, and the way of a message to a peer's endpoint.

use crate::{
    config::Config,
    control,
    device::Device,
    endpoint::{
        self,
        Cache,
        Endpoint,
        Source, //
    },
    peer::Peer, //
};
use wg_kernel::{
    net::{
        family::{
            Family,
            Inet,
            Inet6, //
        },
        route::{
            DstCache,
            Flow,
            Route, //
        },
        udp_tunnel::{
            self,
            Sender,
            Socket, //
        }, //
    },
    prelude::*, //
};

/// How often binding is retried if the port that was free for IPv4 is taken for IPv6.
const BIND_RETRIES: usize = 100;

/// The sockets of a device that is up.
pub(crate) struct Sockets {
    v4: Option<Socket<Device, Inet>>,
    v6: Option<Socket<Device, Inet6>>,
}

rcu_object!(Sockets);
impl rcu::Release for Sockets {}

impl Sockets {
    /// Binds both sockets to `port`, or to the same random one if it is 0.
    ///
    /// Logs which of them could not be created.
    ///
    /// # Errors
    ///
    /// [`ENONET`] if the namespace is gone, [`EADDRINUSE`] if the port is taken.
    fn bind(device: &Arc<Device>, port: u16) -> Result<(RcuArc<Self>, u16)> {
        let net = device.transport_net.upgrade().ok_or(ENONET)?;
        let mut retries = 0;
        loop {
            let v4 = Socket::<_, Inet>::bind(&net, port, device.outer_gro, device.clone())
                .inspect_err(|_| {
                    pr_err!("{}: Could not create IPv4 socket\n", device.name());
                })?;
            let bound = v4.port();
            let v6 = match udp_tunnel::ipv6_enabled() {
                false => None,
                true => {
                    match Socket::<_, Inet6>::bind(&net, bound, device.outer_gro, device.clone()) {
                        Ok(v6) => Some(v6),
                        Err(error) => {
                            v4.close();
                            if error == EADDRINUSE && port == 0 && retries < BIND_RETRIES {
                                retries = retries.wrapping_add(1);
                                continue;
                            }
                            pr_err!("{}: Could not create IPv6 socket\n", device.name());
                            return Err(error);
                        }
                    }
                }
            };
            let sockets = Self { v4: Some(v4), v6 };
            return Ok((RcuArc::pin_init(sockets, GFP_KERNEL)?, bound));
        }
    }

    /// Closes both sockets, and waits until nothing is sent or received by them. Process context only.
    fn close(&self) {
        udp_tunnel::close(self.v4.as_ref(), self.v6.as_ref());
    }
}

impl Device {
    /// Opens new sockets, bound to `port`, in place of the old ones.
    ///
    /// # Errors
    ///
    /// Those of [`Sockets::bind`]; the old sockets then stay.
    pub(crate) fn open_sockets(self: &Arc<Self>, config: &mut Config, port: u16) -> Result {
        let (sockets, bound) = Sockets::bind(self, port)?;
        config.port = bound;
        self.replace_sockets(Some(sockets));
        Ok(())
    }

    /// Closes the sockets, if there are any, and then waits for a grace period; returns whether there were
    /// any. Process context only.
    pub(crate) fn close_sockets(&self) -> bool {
        self.replace_sockets(None)
    }

    fn replace_sockets(&self, new: Option<RcuArc<Sockets>>) -> bool {
        let old = self.sockets.swap(new);
        if let Some(old) = &old {
            old.close();
        }
        old.is_some()
    }

    /// Sends a message from one of the sockets, and returns its length if that worked.
    ///
    /// `peer` is the peer that it is for, if that is known: the route is cached in `endpoint`, which is the
    /// peer's.
    fn send<'g>(
        &'g self,
        skb: SkBuff,
        endpoint: &Endpoint,
        peer: Option<&Peer>,
        ds: u8,
        softirq: Softirq<'g>,
    ) -> Result<u32> {
        let len = skb.len();
        let netdev = self.link.get(softirq.rcu()).ok_or(ENODEV)?;
        let sockets = self.sockets.load(softirq.rcu()).ok_or(ENONET)?.into_ref();
        let path = Path {
            device: self,
            netdev,
            endpoint,
            peer,
            ds,
            softirq,
        };
        match endpoint.addr() {
            SocketAddr::V4 { addr, port } => path.send(sockets.v4.as_ref(), skb, addr, port, 0)?,
            SocketAddr::V6 {
                addr,
                port,
                scope_id,
                ..
            } => path.send(sockets.v6.as_ref(), skb, addr, port, scope_id)?,
        }
        Ok(len)
    }
}

/// All that a message's route depends on, besides the destination.
struct Path<'a> {
    device: &'a Device,
    netdev: &'a netdevice::Device,
    endpoint: &'a Endpoint,
    peer: Option<&'a Peer>,
    ds: u8,
    softirq: Softirq<'a>,
}

/// The operations that depend on the family of a destination.
trait Destination: Family {
    /// Creates a cache.
    fn new_cache() -> Result<Cache>;

    /// Returns the cache if it is of this family.
    fn cache(cache: &Cache) -> Option<&DstCache<Self>>;

    /// Looks up the route, from our address that the peer last sent to if that is possible now, and caches
    /// it.
    ///
    /// The endpoint stays as it is if it is not possible: the peer's next message, which comes in where no
    /// route leads out, would only bring the same address again.
    fn route<'g>(
        path: &Path<'_>,
        sender: &Sender<'g, Self>,
        flow: &mut Flow<Self>,
    ) -> Result<Route<'g, Self>>;
}

impl Destination for Inet {
    fn new_cache() -> Result<Cache> {
        DstCache::new().map(Cache::V4)
    }

    #[inline]
    fn cache(cache: &Cache) -> Option<&DstCache<Self>> {
        match cache {
            Cache::V4(cache) => Some(cache),
            Cache::V6(_) => None,
        }
    }

    fn route<'g>(
        path: &Path<'_>,
        sender: &Sender<'g, Self>,
        flow: &mut Flow<Self>,
    ) -> Result<Route<'g, Self>> {
        if let Source::V4(saddr, ifindex) = path.endpoint.source() {
            flow.saddr = saddr;
            let oif = flow.oif;
            if sender.has_addr(saddr) {
                let route = Route::lookup(sender, flow);
                let unusable = match &route {
                    Ok(route) => route.oif() != ifindex,
                    Err(error) => *error == EINVAL,
                };
                if ifindex == 0 || !unusable {
                    return path.kept(route, flow);
                }
            }
            // The lookup has set it. By that interface there may be no route without this source, in which
            // case the peer would be taken to be on its link.
            flow.oif = oif;
            // Not for good: whatever makes it usable makes the route that is cached now invalid.
            flow.saddr = [0; 4];
        }
        path.kept(Route::lookup(sender, flow), flow)
    }
}

impl Destination for Inet6 {
    fn new_cache() -> Result<Cache> {
        DstCache::new().map(Cache::V6)
    }

    #[inline]
    fn cache(cache: &Cache) -> Option<&DstCache<Self>> {
        match cache {
            Cache::V6(cache) => Some(cache),
            Cache::V4(_) => None,
        }
    }

    fn route<'g>(
        path: &Path<'_>,
        sender: &Sender<'g, Self>,
        flow: &mut Flow<Self>,
    ) -> Result<Route<'g, Self>> {
        if let Source::V6(saddr) = path.endpoint.source() {
            if !sender.has_addr(saddr) {
                // A route that is cached would stay valid when the address is there again.
                return path.reported(Route::lookup(sender, flow));
            }
            flow.saddr = saddr;
        }
        path.kept(Route::lookup(sender, flow), flow)
    }
}

impl Path<'_> {
    /// Sends a message to an address and a port by one of the sockets, if there is one, and by the interface
    /// `oif`, if that is not 0.
    #[inline]
    fn send<F: Destination>(
        &self,
        socket: Option<&Socket<Device, F>>,
        skb: SkBuff,
        daddr: F::Addr,
        dport: u16,
        oif: u32,
    ) -> Result {
        let mut flow = Flow {
            saddr: F::Addr::default(),
            daddr,
            dport,
            mark: self.device.fwmark(),
            oif,
        };
        let sender = socket.and_then(|socket| socket.sender(self.softirq.rcu()));
        let sender = sender.ok_or(ENONET)?;
        let cached = self
            .cache()
            .and_then(|cache| cache.get(&sender, &mut flow, self.softirq.bh()));
        let route = match cached {
            Some(route) => route,
            None => self.route(&sender, &mut flow)?,
        };
        let large = skb.is_gso();
        let whole = route.send(skb, &flow, self.ds, Some(self.netdev), self.softirq.bh());
        if let (true, Some(peer)) = (large, self.peer) {
            peer.outbox.note_large(whole);
        }
        Ok(())
    }

    /// Looks up the route, as [`Destination::route`] does.
    #[cold]
    fn route<'g, F: Destination>(
        &self,
        sender: &Sender<'g, F>,
        flow: &mut Flow<F>,
    ) -> Result<Route<'g, F>> {
        // An endpoint that was made for a new mark must not keep a route of the old one.
        flow.mark = self.device.latest_fwmark();
        F::route(self, sender, flow)
    }

    /// Caches a route for the next message.
    fn kept<'g, F: Destination>(
        &self,
        route: Result<Route<'g, F>>,
        flow: &Flow<F>,
    ) -> Result<Route<'g, F>> {
        let route = self.reported(route)?;
        if let Some(cache) = self.new_cache() {
            cache.set(&route, flow, self.softirq.bh());
        }
        Ok(route)
    }

    /// Returns the cache of routes, which exists only for messages to peers.
    #[inline]
    fn cache<F: Destination>(&self) -> Option<&DstCache<F>> {
        F::cache(self.peer.and(self.endpoint.cache())?)
    }

    /// Returns the cache of routes, created if there is none yet; none if the peer has had a new one just
    /// before, or if there is no memory for it.
    fn new_cache<F: Destination>(&self) -> Option<&DstCache<F>> {
        if self.endpoint.lacks_cache() && self.peer?.allow_new_cache() {
            let cache = KBox::new(F::new_cache().ok()?, GFP_ATOMIC).ok()?;
            self.endpoint.keep_cache(cache);
        }
        self.cache()
    }

    /// Logs that there is no route.
    fn reported<R>(&self, route: Result<R>) -> Result<R> {
        route.inspect_err(|error| {
            pr_debug_ratelimited!(
                "{}: No route to {}, error {}\n",
                self.device.name(),
                self.endpoint.addr(),
                error.to_errno()
            );
        })
    }
}

impl Peer {
    /// Sends a message to the peer, and counts it. Returns whether that worked.
    #[inline]
    pub(crate) fn send(&self, skb: SkBuff, ds: u8, softirq: Softirq<'_>) -> bool {
        // The task that removes the peer waits for a grace period, and then releases the route.
        let endpoint = self.endpoint(softirq.rcu()).filter(|_| !self.is_dead());
        let Some(endpoint) = endpoint else {
            return false;
        };
        let sent = self.device().send(skb, &endpoint, Some(self), ds, softirq);
        if let Ok(len) = sent {
            self.add_tx_bytes(u64::from(len));
        }
        sent.is_ok()
    }

    /// Sends the bytes of a message to the peer.
    pub(crate) fn send_bytes(&self, message: &[u8], ds: u8) {
        let Some(skb) = message_skb(message) else {
            return;
        };
        let bh = bh::disable();
        let guard = rcu::read_lock();
        self.send(skb, ds, Softirq::new(&guard, &bh));
    }
}

impl Device {
    /// Answers a datagram with the bytes of a message, allocating only its packet.
    pub(crate) fn send_reply(&self, outer: &Outer, message: &[u8]) {
        let Some(skb) = message_skb(message) else {
            return;
        };
        let (addr, source) = endpoint::answer_to(outer);
        let endpoint = Endpoint::transient(addr, source);
        let bh = bh::disable();
        let guard = rcu::read_lock();
        let _ = self.send(skb, &endpoint, None, 0, Softirq::new(&guard, &bh));
    }
}

/// Makes a packet of the bytes of a message.
fn message_skb(message: &[u8]) -> Option<SkBuff> {
    let mut skb = SkBuff::alloc(control::MESSAGE_HEADROOM, message.len())?;
    skb.put_data(message).then(|| skb.into())
}
