// SPDX-License-Identifier: GPL-2.0

use std::{
    vec,
    vec::Vec, //
};

use proptest::prelude::*;

use super::*;

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
    let first = attribute(1, &[5]);
    let expected = [Ok(&first[..]), Err(Error::Invalid), Ok(&[])];

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
            nest(WGPEER_A_ALLOWEDIPS, core::slice::from_ref(&allowed_ips)),
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
            peer(core::slice::from_ref(&attribute)),
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
        [good.concat(), attribute(0, &[])].concat(),
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
