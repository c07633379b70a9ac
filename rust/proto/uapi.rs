// SPDX-License-Identifier: GPL-2.0

//! Configuration as it comes through netlink: the table of attributes, and their parser.
//!
//! What arrives was validated against a policy by the kernel before anything is applied. The parser
//! does not rely on that: it reads any bytes without harm. It does for peers and their allowed IPs,
//! which repeat and nest; the few attributes of the device itself are a table that the caller has.
//!
//! C header: [`include/uapi/linux/wireguard.h`](srctree/include/uapi/linux/wireguard.h)

use core::iter::FusedIterator;

use crate::allowed_ips::{
    Addr,
    Prefix, //
};

/// Name of the generic netlink family.
pub const WG_GENL_NAME: &str = "wireguard";
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
/// Last command.
pub const WG_CMD_MAX: u8 = WG_CMD_SET_DEVICE;

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

/// Padding that aligns 64-bit values in answers.
pub const WGDEVICE_A_UNSPEC: u16 = 0;
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

/// Padding that aligns 64-bit values in answers.
pub const WGALLOWEDIP_A_UNSPEC: u16 = 0;
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

/// Mark of an attribute that holds attributes.
pub const NLA_F_NESTED: u16 = 1 << 15;
/// Mark of an attribute in network byte order.
pub const NLA_F_NET_BYTEORDER: u16 = 1 << 14;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Something is malformed, missing, or of impossible value: `EINVAL`.
    Invalid,
    /// A version of the protocol that is not ours: `EPFNOSUPPORT`.
    ProtocolVersion,
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Number, without marks.
    pub kind: u16,
    /// Whether it is marked as holding attributes.
    pub nested: bool,
    /// What it holds, without header and padding.
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

/// Iterates over attributes that stand one after the other.
///
/// Ends before the first one that is cut off or shorter than its own header.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    /// What was not yet read; whole, or the piece that is no attribute.
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Starts with the first attribute of `payload`.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// Returns what was not yet read: at the end nothing, unless it is no attribute.
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

impl FusedIterator for Attributes<'_> {}

/// Iterates over the elements of an array: attributes that hold attributes and whose number is of
/// no meaning.
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

impl FusedIterator for Elements<'_> {}

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

/// What is asked for one peer.
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
    /// Parses one element of [`peers`]. Of duplicates the last one counts.
    ///
    /// # Errors
    ///
    /// - [`Error::Invalid`] if there is something that is no attribute of a peer, or of wrong size,
    ///   or no public key.
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

/// Where a peer is said to be.
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
        /// Interface for which the address is meant.
        scope_id: u32,
    },
}

impl EndpointRequest {
    /// Parses a socket address of Linux; no other than those of IPv4 and IPv6, of exact size.
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

/// What is asked for one allowed IP of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedIpRequest {
    /// Which addresses.
    pub prefix: Prefix,
    /// Whether they are to be taken from the peer, rather than given to it.
    pub remove: bool,
}

impl AllowedIpRequest {
    /// Parses one element of [`allowed_ips`]. Of duplicates the last one counts.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is something that is no attribute of an allowed IP, or of wrong
    /// size, if family, address or length is missing, or if they do not fit each other.
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const KEY: [u8; 32] = [7; 32];

    /// Returns an attribute with its padding.
    fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + payload.len()).unwrap();
        let mut bytes = vec![];

        bytes.extend(len.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0xee);
        bytes
    }

    /// Returns an attribute that holds attributes.
    fn nest(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
        attribute(kind | NLA_F_NESTED, &attributes.concat())
    }

    /// Parses a peer that has, besides a public key, `attributes`.
    fn peer(attributes: &[Vec<u8>]) -> Result<PeerRequest<'static>, Error> {
        let key = attribute(WGPEER_A_PUBLIC_KEY, &KEY);

        PeerRequest::parse([key, attributes.concat()].concat().leak())
    }

    /// Returns the attributes of an allowed IP.
    fn allowed_ip(family: u16, addr: &[u8], len: u8) -> [Vec<u8>; 3] {
        [
            attribute(WGALLOWEDIP_A_FAMILY, &family.to_ne_bytes()),
            attribute(WGALLOWEDIP_A_IPADDR, addr),
            attribute(WGALLOWEDIP_A_CIDR_MASK, &[len]),
        ]
    }

    fn sockaddr_in(family: u16) -> Vec<u8> {
        [
            &family.to_ne_bytes()[..],
            &[0xca, 0x6c],
            &[1, 2, 3, 4],
            &[0; 8],
        ]
        .concat()
    }

    fn sockaddr_in6(family: u16) -> Vec<u8> {
        [
            &family.to_ne_bytes()[..],
            &[0xca, 0x6c],
            &[0, 1, 2, 3],
            &[9; 16],
            &5u32.to_ne_bytes(),
        ]
        .concat()
    }

    #[test]
    fn iterates_over_attributes() {
        let bytes = [
            attribute(1, &[]),
            attribute(2 | NLA_F_NESTED, &[1]),
            attribute(3 | NLA_F_NET_BYTEORDER, &[1, 2, 3, 4]),
        ]
        .concat();
        let mut attributes = Attributes::new(&bytes);
        let expected = [
            (1, false, &[] as &[u8]),
            (2, true, &[1]),
            (3, false, &[1, 2, 3, 4]),
        ];

        assert_eq!(bytes.len(), 4 + 8 + 8);
        for (kind, nested, payload) in expected {
            let expected = Attribute {
                kind,
                nested,
                payload,
            };
            assert_eq!(attributes.next(), Some(expected));
        }
        assert_eq!(attributes.next(), None);
        assert_eq!(attributes.rest(), []);

        // The last one may lack its padding.
        assert_eq!(Attributes::new(&attribute(2, &[1])[..5]).count(), 1);
    }

    #[test]
    fn stops_at_what_is_no_attribute() {
        let good = attribute(1, &[1, 2, 3, 4]);
        let pieces = [
            vec![1],
            vec![1, 2, 3],
            [0u16.to_ne_bytes(), [1, 0]].concat(),
            [3u16.to_ne_bytes(), [1, 0]].concat(),
            [9u16.to_ne_bytes(), [1, 0], [1, 2], [3, 4]].concat(),
            [u16::MAX.to_ne_bytes(), [1, 0]].concat(),
        ];

        for piece in pieces {
            let bytes = [good.clone(), piece.clone()].concat();
            let mut attributes = Attributes::new(&bytes);

            assert_eq!((&mut attributes).count(), 1);
            assert_eq!(attributes.rest(), piece);
            assert_eq!(attributes.next(), None);
        }
    }

    #[test]
    fn elements_must_be_nested() {
        let bytes = [
            nest(0, &[attribute(1, &[5])]),
            attribute(0, &[5]),
            nest(7, &[]),
        ]
        .concat();
        let expected = [Ok(&attribute(1, &[5])[..]), Err(Error::Invalid), Ok(&[])];

        assert!(peers(&bytes).eq(expected));
        assert!(allowed_ips(&bytes).eq(expected));
    }

    #[test]
    fn parses_a_peer() {
        let allowed_ips = nest(0, &allowed_ip(AF_INET, &[10, 0, 0, 0], 8));

        assert_eq!(
            peer(&[]),
            Ok(PeerRequest {
                public_key: &KEY,
                preshared_key: None,
                flags: 0,
                endpoint: None,
                persistent_keepalive: None,
                allowed_ips: None,
            })
        );
        assert_eq!(
            peer(&[
                attribute(WGPEER_A_PRESHARED_KEY, &[1; 32]),
                attribute(WGPEER_A_FLAGS, &WGPEER_F_ALL.to_ne_bytes()),
                attribute(WGPEER_A_ENDPOINT, &sockaddr_in(AF_INET)),
                attribute(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &25u16.to_ne_bytes()),
                attribute(WGPEER_A_LAST_HANDSHAKE_TIME, &[1; 16]),
                attribute(WGPEER_A_RX_BYTES, &[1; 8]),
                attribute(WGPEER_A_TX_BYTES, &[1; 8]),
                nest(WGPEER_A_ALLOWEDIPS, &[allowed_ips.clone()]),
                attribute(WGPEER_A_PROTOCOL_VERSION, &1u32.to_ne_bytes()),
            ]),
            Ok(PeerRequest {
                public_key: &KEY,
                preshared_key: Some(&[1; 32]),
                flags: 7,
                endpoint: Some(EndpointRequest::V4 {
                    addr: [1, 2, 3, 4],
                    port: 51820
                }),
                persistent_keepalive: Some(25),
                allowed_ips: Some(&allowed_ips),
            })
        );
    }

    #[test]
    fn last_duplicate_wins() {
        let peer = peer(&[
            attribute(WGPEER_A_FLAGS, &1u32.to_ne_bytes()),
            attribute(WGPEER_A_ENDPOINT, &sockaddr_in(AF_INET)),
            attribute(WGPEER_A_PROTOCOL_VERSION, &2u32.to_ne_bytes()),
            attribute(WGPEER_A_PUBLIC_KEY, &[8; 32]),
            attribute(WGPEER_A_FLAGS, &2u32.to_ne_bytes()),
            attribute(WGPEER_A_ENDPOINT, &sockaddr_in(99)),
            attribute(WGPEER_A_PROTOCOL_VERSION, &1u32.to_ne_bytes()),
        ])
        .unwrap();

        assert_eq!(peer.public_key, &[8; 32]);
        assert_eq!(peer.flags, 2);
        assert_eq!(peer.endpoint, None);
    }

    #[test]
    fn refuses_a_malformed_peer() {
        let key = attribute(WGPEER_A_PUBLIC_KEY, &KEY);
        let invalid = [
            vec![],
            attribute(WGPEER_A_PRESHARED_KEY, &[1; 32]),
            attribute(WGPEER_A_PUBLIC_KEY, &[1; 31]),
            attribute(WGPEER_A_PUBLIC_KEY, &[1; 33]),
            // No version excuses the lack of a key.
            attribute(WGPEER_A_PROTOCOL_VERSION, &2u32.to_ne_bytes()),
            [&key[..], &[0; 3]].concat(),
            [&key[..], &[3, 0, 3, 0]].concat(),
        ];

        for bytes in invalid {
            assert_eq!(PeerRequest::parse(&bytes), Err(Error::Invalid), "{bytes:?}");
        }

        let invalid = [
            attribute(WGPEER_A_UNSPEC, &[]),
            attribute(WGPEER_A_PRESHARED_KEY, &[1; 31]),
            attribute(WGPEER_A_FLAGS, &[1; 2]),
            attribute(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &[1; 4]),
            attribute(WGPEER_A_PROTOCOL_VERSION, &[1; 2]),
            attribute(WGPEER_A_MAX + 1, &[]),
        ];

        for attribute in invalid {
            assert_eq!(
                peer(&[attribute.clone()]),
                Err(Error::Invalid),
                "{attribute:?}"
            );
        }
    }

    #[test]
    fn refuses_other_versions() {
        for version in [0, 2, u32::MAX] {
            let attribute = attribute(WGPEER_A_PROTOCOL_VERSION, &version.to_ne_bytes());

            assert_eq!(peer(&[attribute]), Err(Error::ProtocolVersion));
        }
    }

    #[test]
    fn parses_endpoints() {
        let flowinfo = u32::from_ne_bytes([0, 1, 2, 3]);

        assert_eq!(
            EndpointRequest::parse(&sockaddr_in(AF_INET)),
            Some(EndpointRequest::V4 {
                addr: [1, 2, 3, 4],
                port: 51820
            })
        );
        assert_eq!(
            EndpointRequest::parse(&sockaddr_in6(AF_INET6)),
            Some(EndpointRequest::V6 {
                addr: [9; 16],
                port: 51820,
                flowinfo,
                scope_id: 5
            })
        );
        // Neither address nor port is looked at.
        assert!(EndpointRequest::parse(&[&AF_INET.to_ne_bytes()[..], &[0; 14]].concat()).is_some());
    }

    #[test]
    fn ignores_other_endpoints() {
        for family in [0, 1, AF_INET, AF_INET6, 99, u16::MAX] {
            for len in (0..200).filter(|len| (family, *len) != (AF_INET, 16)) {
                let addr = [&family.to_ne_bytes()[..], &vec![0; len]].concat();
                let addr = &addr[..len];

                if (family, len) != (AF_INET6, 28) {
                    assert_eq!(EndpointRequest::parse(addr), None, "{family} {len}");
                }
            }
        }
    }

    #[test]
    fn parses_allowed_ips() {
        let v4 = allowed_ip(AF_INET, &[10, 1, 2, 3], 9).concat();
        let v6 = [
            &allowed_ip(AF_INET6, &[0xff; 16], 3).concat()[..],
            &attribute(WGALLOWEDIP_A_FLAGS, &1u32.to_ne_bytes()),
        ]
        .concat();
        let mut addr = [0; 16];

        assert_eq!(
            AllowedIpRequest::parse(&v4),
            Ok(AllowedIpRequest {
                prefix: Prefix::new(Addr::V4([10, 0, 0, 0]), 9).unwrap(),
                remove: false,
            })
        );
        addr[0] = 0xe0;
        assert_eq!(
            AllowedIpRequest::parse(&v6),
            Ok(AllowedIpRequest {
                prefix: Prefix::new(Addr::V6(addr), 3).unwrap(),
                remove: true,
            })
        );
    }

    #[test]
    fn refuses_malformed_allowed_ips() {
        let good = allowed_ip(AF_INET, &[0; 4], 0);
        let invalid = [
            vec![],
            good[..2].concat(),
            good[1..].concat(),
            [&good[..1], &good[2..]].concat().concat(),
            allowed_ip(AF_INET, &[0; 4], 33).concat(),
            allowed_ip(AF_INET, &[0; 4], 255).concat(),
            allowed_ip(AF_INET6, &[0; 16], 129).concat(),
            allowed_ip(AF_INET, &[0; 16], 32).concat(),
            allowed_ip(AF_INET6, &[0; 4], 32).concat(),
            allowed_ip(AF_INET, &[0; 5], 32).concat(),
            allowed_ip(99, &[0; 4], 32).concat(),
            [good.concat(), attribute(WGALLOWEDIP_A_UNSPEC, &[])].concat(),
            [good.concat(), attribute(WGALLOWEDIP_A_MAX + 1, &[])].concat(),
            [good.concat(), attribute(WGALLOWEDIP_A_FLAGS, &[1])].concat(),
            [good.concat(), attribute(WGALLOWEDIP_A_CIDR_MASK, &[1; 2])].concat(),
            [good.concat(), attribute(WGALLOWEDIP_A_FAMILY, &[2])].concat(),
            [good.concat(), vec![0; 3]].concat(),
        ];

        assert!(AllowedIpRequest::parse(&good.concat()).is_ok());
        for bytes in invalid {
            let request = AllowedIpRequest::parse(&bytes);

            assert_eq!(request, Err(Error::Invalid), "{bytes:?}");
        }
    }

    /// Returns whether `bytes`, as the payload of the array of peers, are wholly understood.
    fn understand(bytes: &[u8]) -> Result<usize, Error> {
        let mut count = 0;

        for peer in peers(bytes) {
            let peer = PeerRequest::parse(peer?)?;

            for allowed_ip in allowed_ips(peer.allowed_ips.unwrap_or(&[])) {
                AllowedIpRequest::parse(allowed_ip?)?;
                count += 1;
            }
        }
        Ok(count)
    }

    #[test]
    fn reads_garbage_without_harm() {
        let allowed_ips = [
            nest(0, &allowed_ip(AF_INET, &[10, 0, 0, 0], 8)),
            nest(0, &allowed_ip(AF_INET6, &[0xfd; 16], 64)),
        ];
        let peer = [
            attribute(WGPEER_A_PUBLIC_KEY, &KEY),
            attribute(WGPEER_A_ENDPOINT, &sockaddr_in6(AF_INET6)),
            nest(WGPEER_A_ALLOWEDIPS, &allowed_ips),
        ];
        let good = [nest(0, &peer), nest(0, &peer)].concat();
        let mut refused = 0;
        // xorshift64
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };

        assert_eq!(understand(&good), Ok(4));
        for _ in 0..100_000 {
            let mut bytes = good.clone();

            for _ in 0..1 + random() % 4 {
                let at = random() as usize % bytes.len();

                match random() % 4 {
                    0 => bytes[at] = random() as u8,
                    1 => bytes[at] ^= 1 << (random() % 8),
                    2 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, random() as u8),
                }
            }
            refused += u32::from(understand(&bytes).is_err());

            let len = random() as usize % 64;
            bytes.clear();
            bytes.extend((0..len).map(|_| random() as u8));
            let _ = understand(&bytes);
            let _ = PeerRequest::parse(&bytes);
            let _ = AllowedIpRequest::parse(&bytes);
        }
        assert!((10_000..100_000).contains(&refused), "{refused}");
    }

    proptest! {
        #[test]
        fn finds_what_was_put(
            attributes in proptest::collection::vec(
                (0..0x4000u16, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..70)),
                0..20,
            )
        ) {
            let mark = |nested| if nested { NLA_F_NESTED } else { 0 };
            let bytes: Vec<u8> = attributes
                .iter()
                .flat_map(|(kind, nested, payload)| attribute(kind | mark(*nested), payload))
                .collect();
            let found: Vec<_> = Attributes::new(&bytes)
                .map(|found| (found.kind, found.nested, found.payload.to_vec()))
                .collect();

            prop_assert_eq!(found, attributes);
        }
    }
}
