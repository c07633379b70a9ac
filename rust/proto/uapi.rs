// SPDX-License-Identifier: GPL-2.0

//! Configuration as it comes through netlink: the table of attributes, and their parser.
//!
//! The kernel validates requests against a policy before anything is applied. The parser does not
//! rely on that: any input is safe. It covers peers and their allowed IPs, which repeat and nest; the
//! few attributes of the device itself are in a table that the caller has.
//!
//! C header: [`include/uapi/linux/wireguard.h`](srctree/include/uapi/linux/wireguard.h)

use core::ffi::CStr;

use crate::allowed_ips::{
    Addr,
    Prefix, //
};

/// Name of the generic netlink family.
pub const WG_GENL_NAME: &CStr = c"wireguard";
/// Version of the generic netlink family.
pub const WG_GENL_VERSION: u8 = 1;
/// Length of every key.
pub const WG_KEY_LEN: usize = 32;
/// Version of the protocol, as a peer's attribute.
pub const WG_PROTOCOL_VERSION: u32 = 1;

/// Command that dumps a device and its peers.
pub const WG_CMD_GET_DEVICE: u8 = 0;
/// Command that changes a device and its peers.
pub const WG_CMD_SET_DEVICE: u8 = 1;

/// Removes all peers before anything else is done.
pub const WGDEVICE_F_REPLACE_PEERS: u32 = 1;
/// Every flag of a device.
pub const WGDEVICE_F_ALL: u32 = WGDEVICE_F_REPLACE_PEERS;

/// Removes the peer.
pub const WGPEER_F_REMOVE_ME: u32 = 1;
/// Removes the peer's allowed IPs before the given ones are added.
pub const WGPEER_F_REPLACE_ALLOWEDIPS: u32 = 2;
/// Does nothing unless the peer exists.
pub const WGPEER_F_UPDATE_ONLY: u32 = 4;
/// Every flag of a peer.
pub const WGPEER_F_ALL: u32 =
    WGPEER_F_REMOVE_ME | WGPEER_F_REPLACE_ALLOWEDIPS | WGPEER_F_UPDATE_ONLY;

/// Removes the allowed IP if it is the peer's.
pub const WGALLOWEDIP_F_REMOVE_ME: u32 = 1;
/// Every flag of an allowed IP.
pub const WGALLOWEDIP_F_ALL: u32 = WGALLOWEDIP_F_REMOVE_ME;

/// `u32`: index of the interface.
pub const WGDEVICE_A_IFINDEX: u16 = 1;
/// String with its zero: name of the interface.
pub const WGDEVICE_A_IFNAME: u16 = 2;
/// 32 bytes: private key, zeros for none.
pub const WGDEVICE_A_PRIVATE_KEY: u16 = 3;
/// 32 bytes: public key.
pub const WGDEVICE_A_PUBLIC_KEY: u16 = 4;
/// `u32`: `WGDEVICE_F_*`.
pub const WGDEVICE_A_FLAGS: u16 = 5;
/// `u16`, in the byte order of the machine: UDP port, 0 for any.
pub const WGDEVICE_A_LISTEN_PORT: u16 = 6;
/// `u32`: mark of outgoing packets, 0 for none.
pub const WGDEVICE_A_FWMARK: u16 = 7;
/// Nest: an array of peers.
pub const WGDEVICE_A_PEERS: u16 = 8;
/// Last attribute of a device.
pub const WGDEVICE_A_MAX: u16 = WGDEVICE_A_PEERS;

/// Padding that aligns 64-bit values in answers.
pub const WGPEER_A_UNSPEC: u16 = 0;
/// 32 bytes: public key.
pub const WGPEER_A_PUBLIC_KEY: u16 = 1;
/// 32 bytes: preshared key, zeros for none.
pub const WGPEER_A_PRESHARED_KEY: u16 = 2;
/// `u32`: `WGPEER_F_*`.
pub const WGPEER_A_FLAGS: u16 = 3;
/// `struct sockaddr_in` or `struct sockaddr_in6`: where the peer is.
pub const WGPEER_A_ENDPOINT: u16 = 4;
/// `u16`: seconds, 0 for none.
pub const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: u16 = 5;
/// `struct __kernel_timespec`: wall clock, zeros for never.
pub const WGPEER_A_LAST_HANDSHAKE_TIME: u16 = 6;
/// `u64`: bytes received.
pub const WGPEER_A_RX_BYTES: u16 = 7;
/// `u64`: bytes sent.
pub const WGPEER_A_TX_BYTES: u16 = 8;
/// Nest: an array of allowed IPs.
pub const WGPEER_A_ALLOWEDIPS: u16 = 9;
/// `u32`: [`WG_PROTOCOL_VERSION`].
pub const WGPEER_A_PROTOCOL_VERSION: u16 = 10;
/// Last attribute of a peer.
pub const WGPEER_A_MAX: u16 = WGPEER_A_PROTOCOL_VERSION;

/// `u16`: [`AF_INET`] or [`AF_INET6`].
pub const WGALLOWEDIP_A_FAMILY: u16 = 1;
/// 4 or 16 bytes: address.
pub const WGALLOWEDIP_A_IPADDR: u16 = 2;
/// `u8`: length of the prefix.
pub const WGALLOWEDIP_A_CIDR_MASK: u16 = 3;
/// `u32`: `WGALLOWEDIP_F_*`.
pub const WGALLOWEDIP_A_FLAGS: u16 = 4;
/// Last attribute of an allowed IP.
pub const WGALLOWEDIP_A_MAX: u16 = WGALLOWEDIP_A_FLAGS;

/// IPv4, as an address family of Linux.
pub const AF_INET: u16 = 2;
/// IPv6, as an address family of Linux.
pub const AF_INET6: u16 = 10;

/// Flag of an attribute that contains attributes.
pub const NLA_F_NESTED: u16 = 1 << 15;
/// Flag of an attribute in network byte order.
pub const NLA_F_NET_BYTEORDER: u16 = 1 << 14;

/// Why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Something is malformed, missing, or has an impossible value: `EINVAL`.
    Invalid,
    /// A version of the protocol that is not ours: `EPFNOSUPPORT`.
    ProtocolVersion,
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Type, without flags.
    pub kind: u16,
    /// Whether it is flagged as containing attributes.
    pub nested: bool,
    /// Payload, without header and padding.
    pub payload: &'a [u8],
}

impl Attribute<'_> {
    /// Returns the payload if it is `N` bytes long.
    fn array<const N: usize>(&self) -> Result<[u8; N], Error> {
        <[u8; N]>::try_from(self.payload).map_err(|_| Error::Invalid)
    }

    /// Returns the payload as a number.
    fn u8(&self) -> Result<u8, Error> {
        self.array().map(u8::from_ne_bytes)
    }

    /// Returns the payload as a number.
    fn u16(&self) -> Result<u16, Error> {
        self.array().map(u16::from_ne_bytes)
    }

    /// Returns the payload as a number.
    fn u32(&self) -> Result<u32, Error> {
        self.array().map(u32::from_ne_bytes)
    }
}

/// Iterates over consecutive attributes.
///
/// Ends before the first one that is truncated or shorter than its own header.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    /// The bytes that were not parsed yet, or that are not an attribute.
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Starts with the first attribute of `payload`.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// Returns the bytes not parsed yet: none at the end, unless they are not an attribute.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, _) = self.rest.split_first_chunk::<4>()?;
        let [len0, len1, kind0, kind1] = *header;
        let len = usize::from(u16::from_ne_bytes([len0, len1]));
        let kind = u16::from_ne_bytes([kind0, kind1]);
        let payload = self.rest.get(4..len)?;

        // The last one may lack its padding.
        self.rest = self.rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Attribute {
            kind: kind & !(NLA_F_NESTED | NLA_F_NET_BYTEORDER),
            nested: kind & NLA_F_NESTED != 0,
            payload,
        })
    }
}

/// Iterates over the elements of an array: attributes that contain attributes and whose type is
/// ignored.
#[derive(Clone, Debug)]
pub struct Elements<'a>(Attributes<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|element| {
            if element.nested {
                Ok(element.payload)
            } else {
                Err(Error::Invalid)
            }
        })
    }
}

/// Returns the peers in the payload of [`WGDEVICE_A_PEERS`], each to be given to
/// [`PeerRequest::parse`].
pub const fn peers(payload: &[u8]) -> Elements<'_> {
    Elements(Attributes::new(payload))
}

/// Returns the allowed IPs in the payload of [`WGPEER_A_ALLOWEDIPS`], each to be given to
/// [`AllowedIpRequest::parse`].
pub const fn allowed_ips(payload: &[u8]) -> Elements<'_> {
    Elements(Attributes::new(payload))
}

/// The request for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRequest<'a> {
    /// Which peer.
    pub public_key: &'a [u8; WG_KEY_LEN],
    /// Preshared key, zeros for none.
    pub preshared_key: Option<&'a [u8; WG_KEY_LEN]>,
    /// `WGPEER_F_*`.
    pub flags: u32,
    /// Where the peer is.
    pub endpoint: Option<EndpointRequest>,
    /// Seconds between keepalives, 0 for none.
    pub persistent_keepalive: Option<u16>,
    /// Array for [`allowed_ips`].
    pub allowed_ips: Option<&'a [u8]>,
}

impl<'a> PeerRequest<'a> {
    /// Parses one element of [`peers`]. Of duplicates, the last one counts.
    ///
    /// # Errors
    ///
    /// - [`Error::Invalid`] if an attribute is not one of a peer or has the wrong size, or there is
    ///   no public key.
    /// - [`Error::ProtocolVersion`] if a version is given that is not ours.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let mut public_key = None;
        let mut preshared_key = None;
        let mut flags = 0;
        let mut endpoint = None;
        let mut persistent_keepalive = None;
        let mut allowed_ips = None;
        let mut version = WG_PROTOCOL_VERSION;
        let mut attributes = Attributes::new(payload);

        for attribute in &mut attributes {
            match attribute.kind {
                WGPEER_A_PUBLIC_KEY => public_key = Some(key(attribute.payload)?),
                WGPEER_A_PRESHARED_KEY => preshared_key = Some(key(attribute.payload)?),
                WGPEER_A_FLAGS => flags = attribute.u32()?,
                WGPEER_A_ENDPOINT => endpoint = EndpointRequest::parse(attribute.payload),
                WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL => {
                    persistent_keepalive = Some(attribute.u16()?);
                }
                WGPEER_A_LAST_HANDSHAKE_TIME | WGPEER_A_RX_BYTES | WGPEER_A_TX_BYTES => {}
                WGPEER_A_ALLOWEDIPS => allowed_ips = Some(attribute.payload),
                WGPEER_A_PROTOCOL_VERSION => version = attribute.u32()?,
                _ => return Err(Error::Invalid),
            }
        }
        if !attributes.rest().is_empty() {
            return Err(Error::Invalid);
        }

        let public_key = public_key.ok_or(Error::Invalid)?;
        if version != WG_PROTOCOL_VERSION {
            return Err(Error::ProtocolVersion);
        }
        Ok(Self {
            public_key,
            preshared_key,
            flags,
            endpoint,
            persistent_keepalive,
            allowed_ips,
        })
    }
}

/// The endpoint of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointRequest {
    /// `struct sockaddr_in`.
    V4 {
        /// Address.
        addr: [u8; 4],
        /// UDP port.
        port: u16,
    },
    /// `struct sockaddr_in6`.
    V6 {
        /// Address.
        addr: [u8; 16],
        /// UDP port.
        port: u16,
        /// Flow label and traffic class, in network byte order as they came.
        flowinfo: u32,
        /// Interface that the address is scoped to.
        scope_id: u32,
    },
}

impl EndpointRequest {
    /// Parses a socket address of Linux: IPv4 or IPv6, and of the exact size.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&family, rest) = payload.split_first_chunk::<2>()?;
        let (&port, rest) = rest.split_first_chunk::<2>()?;
        let port = u16::from_be_bytes(port);

        match u16::from_ne_bytes(family) {
            AF_INET => {
                let (&addr, padding) = rest.split_first_chunk::<4>()?;

                (padding.len() == 8).then_some(Self::V4 { addr, port })
            }
            AF_INET6 => {
                let (&flowinfo, rest) = rest.split_first_chunk::<4>()?;
                let (&addr, rest) = rest.split_first_chunk::<16>()?;
                let scope_id = <[u8; 4]>::try_from(rest).ok()?;

                Some(Self::V6 {
                    addr,
                    port,
                    flowinfo: u32::from_ne_bytes(flowinfo),
                    scope_id: u32::from_ne_bytes(scope_id),
                })
            }
            _ => None,
        }
    }
}

/// The request for one allowed IP of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedIpRequest {
    /// Which addresses.
    pub prefix: Prefix,
    /// Whether they are to be removed from the peer, rather than added to it.
    pub remove: bool,
}

impl AllowedIpRequest {
    /// Parses one element of [`allowed_ips`]. Of duplicates, the last one counts.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if an attribute is not one of an allowed IP or has the wrong size, if family,
    /// address or length is missing, or if they do not match.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut family = None;
        let mut addr = None;
        let mut len = None;
        let mut flags = 0;
        let mut attributes = Attributes::new(payload);

        for attribute in &mut attributes {
            match attribute.kind {
                WGALLOWEDIP_A_FAMILY => family = Some(attribute.u16()?),
                WGALLOWEDIP_A_IPADDR => addr = Some(attribute),
                WGALLOWEDIP_A_CIDR_MASK => len = Some(attribute.u8()?),
                WGALLOWEDIP_A_FLAGS => flags = attribute.u32()?,
                _ => return Err(Error::Invalid),
            }
        }
        if !attributes.rest().is_empty() {
            return Err(Error::Invalid);
        }

        let addr = addr.ok_or(Error::Invalid)?;
        let addr = match family {
            Some(AF_INET) => Addr::V4(addr.array()?),
            Some(AF_INET6) => Addr::V6(addr.array()?),
            _ => return Err(Error::Invalid),
        };
        let prefix = len.and_then(|len| Prefix::new(addr, len));
        Ok(Self {
            prefix: prefix.ok_or(Error::Invalid)?,
            remove: flags & WGALLOWEDIP_F_REMOVE_ME != 0,
        })
    }
}

/// Returns `payload` as a key.
fn key(payload: &[u8]) -> Result<&[u8; WG_KEY_LEN], Error> {
    payload.try_into().map_err(|_| Error::Invalid)
}

#[cfg(test)]
mod tests;
