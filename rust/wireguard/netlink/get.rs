// SPDX-License-Identifier: GPL-2.0

//! Showing the configuration of an interface.
//!
//! What does not fit into one message continues in the next. A dump remembers its position by numbers: that
//! of the last complete peer, and that of the next allowed IP of the peer after it. So it holds nothing that
//! may be removed meanwhile, except the interface.

use super::{
    interface,
    with_config,
    Interface,
    GET_POLICY, //
};
use crate::{
    config::{
        Config,
        PeerConfig, //
    },
    device::Device, //
};
use wg_kernel::{
    net::{
        genetlink::{
            self,
            DumpMessage,
            Message,
            Progress,
            Request, //
        },
        netlink::Policy, //
    },
    prelude::*, //
};
use wg_proto::{
    allowed_ips::{
        Addr,
        Prefix, //
    },
    uapi,
    wire, //
};

/// The position of a dump.
pub(crate) struct Dump {
    interface: Interface,
    /// Number of the last complete peer.
    last_peer: Option<u64>,
    /// Where the allowed IPs of the next peer continue, if it was begun.
    next_allowed_ip: Option<Position>,
}

/// A place among the allowed IPs of a peer.
#[derive(Clone, Copy)]
struct Position {
    /// The number of the next one.
    next: u64,
    /// The state of the table, without which the number means nothing.
    sequence: u64,
}

impl genetlink::Dump for Dump {
    const COMMAND: u8 = uapi::WG_CMD_GET_DEVICE;
    const POLICY: &'static [Policy] = &GET_POLICY;

    fn start(request: &Request<'_>) -> Result<Self> {
        Ok(Self {
            interface: interface(request)?,
            last_peer: None,
            next_allowed_ip: None,
        })
    }

    fn fill(&mut self, message: &mut DumpMessage<'_>) -> Result<Progress> {
        let Self {
            interface,
            last_peer,
            next_allowed_ip,
        } = self;
        with_config(interface, |config| {
            let message = message.begin(Self::COMMAND, config.generation())?;
            if last_peer.is_none() {
                put_device(message, interface, config)?;
            }
            let gone = last_peer.is_some_and(|id| !config.has_peer(id));
            if config.has_no_peers() || gone {
                return Ok(Progress::Done);
            }
            message.nest(uapi::WGDEVICE_A_PEERS, |message| {
                Ok(put_peers(message, config, last_peer, next_allowed_ip))
            })
        })
    }
}

/// Adds the attributes of the interface itself.
fn put_device(message: &mut Message<'_>, interface: &Interface, config: &Config) -> Result {
    let device: &Device = interface.data();

    message.put_u16(uapi::WGDEVICE_A_LISTEN_PORT, config.port)?;
    message.put_u32(uapi::WGDEVICE_A_FWMARK, device.fwmark())?;
    message.put_u32(uapi::WGDEVICE_A_IFINDEX, interface.ifindex())?;
    message.put(
        uapi::WGDEVICE_A_IFNAME,
        interface.name().as_bytes_with_nul(),
    )?;
    if let Some(identity) = device.identity() {
        message.put(uapi::WGDEVICE_A_PRIVATE_KEY, identity.private())?;
        message.put(uapi::WGDEVICE_A_PUBLIC_KEY, identity.public())?;
    }
    Ok(())
}

/// Adds the peers that fit.
fn put_peers(
    message: &mut Message<'_>,
    config: &mut Config,
    last_peer: &mut Option<u64>,
    next_allowed_ip: &mut Option<Position>,
) -> Progress {
    let sequence = config.allowed_ips_sequence();
    let mut rest = config.peers_from(last_peer.map_or(0, |id| id.wrapping_add(1)));
    while let Some(mut cursor) = rest {
        let (&id, peer) = cursor.current_mut();
        let from = next_allowed_ip.take();
        let fit = message.nest(uapi::WGPEER_A_UNSPEC, |message| {
            put_peer(message, sequence, peer, from)
        });
        match fit {
            Ok(None) => {
                *last_peer = Some(id);
                rest = cursor.move_next();
            }
            cut => {
                *next_allowed_ip = cut.unwrap_or(from);
                return Progress::More;
            }
        }
    }
    Progress::Done
}

/// Adds a peer or, if some of it is in the message before, the rest of it. `sequence` is the state of
/// the table of allowed IPs.
///
/// Returns where its allowed IPs continue in the next message, if they do not all fit.
fn put_peer(
    message: &mut Message<'_>,
    sequence: u64,
    peer_config: &mut PeerConfig,
    from: Option<Position>,
) -> Result<Option<Position>> {
    let peer = peer_config.peer();
    message.put(uapi::WGPEER_A_PUBLIC_KEY, peer.public_key())?;

    if from.is_none() {
        let keying = peer.keying.lock();
        message.put(uapi::WGPEER_A_PRESHARED_KEY, keying.preshared_key())?;
        drop(keying);

        let (seconds, nanoseconds) = peer.latest_handshake();
        let time: [u8; 16] = wire::concat([&seconds.to_ne_bytes(), &nanoseconds.to_ne_bytes()]);
        let (rx_bytes, tx_bytes) = peer.transfer();
        let pad = uapi::WGPEER_A_UNSPEC;

        message.put(uapi::WGPEER_A_LAST_HANDSHAKE_TIME, &time)?;
        message.put_u16(
            uapi::WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
            peer.persistent_keepalive(),
        )?;
        message.put_u64(uapi::WGPEER_A_TX_BYTES, tx_bytes, pad)?;
        message.put_u64(uapi::WGPEER_A_RX_BYTES, rx_bytes, pad)?;
        message.put_u32(uapi::WGPEER_A_PROTOCOL_VERSION, uapi::WG_PROTOCOL_VERSION)?;

        let guard = rcu::read_lock();
        let endpoint = peer.endpoint(&guard).map(|endpoint| endpoint.addr());
        drop(guard);
        if let Some(endpoint) = endpoint {
            put_endpoint(message, endpoint)?;
        }
    }

    let first = match from {
        // If the table has changed, the rest cannot be told from what was shown already.
        Some(position) if position.sequence != sequence => return Ok(None),
        Some(position) => position.next,
        None => 0,
    };
    let Some(first) = peer_config.prefixes_from(first) else {
        return Ok(None);
    };
    message.nest(uapi::WGPEER_A_ALLOWEDIPS, |message| {
        let mut rest = Some(first);
        while let Some(cursor) = rest {
            let (&next, prefix) = cursor.current();
            if put_allowed_ip(message, prefix).is_err() {
                return Ok(Some(Position { next, sequence }));
            }
            rest = cursor.move_next();
        }
        Ok(None)
    })
}

/// Adds an address in the form of its C structure.
fn put_endpoint(message: &mut Message<'_>, endpoint: SocketAddr) -> Result {
    match endpoint {
        SocketAddr::V4 { addr, port } => {
            let family = uapi::AF_INET.to_ne_bytes();
            let bytes: [u8; 16] = wire::concat([&family, &port.to_be_bytes(), &addr]);
            message.put(uapi::WGPEER_A_ENDPOINT, &bytes)
        }
        SocketAddr::V6 {
            addr,
            port,
            flowinfo,
            scope_id,
        } => {
            let bytes: [u8; 28] = wire::concat([
                &uapi::AF_INET6.to_ne_bytes(),
                &port.to_be_bytes(),
                &flowinfo.to_ne_bytes(),
                &addr,
                &scope_id.to_ne_bytes(),
            ]);
            message.put(uapi::WGPEER_A_ENDPOINT, &bytes)
        }
    }
}

/// Adds an allowed IP.
fn put_allowed_ip(message: &mut Message<'_>, prefix: &Prefix) -> Result {
    let (family, addr): (u16, &[u8]) = match &prefix.addr {
        Addr::V4(addr) => (uapi::AF_INET, addr),
        Addr::V6(addr) => (uapi::AF_INET6, addr),
    };
    message.nest(0, |message| {
        message.put_u8(uapi::WGALLOWEDIP_A_CIDR_MASK, prefix.len)?;
        message.put_u16(uapi::WGALLOWEDIP_A_FAMILY, family)?;
        message.put(uapi::WGALLOWEDIP_A_IPADDR, addr)
    })
}
