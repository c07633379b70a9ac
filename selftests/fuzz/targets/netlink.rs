// SPDX-License-Identifier: GPL-2.0

//! Attributes of netlink, against a second parser.

#![no_main]

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::{
    allowed_ips::Addr,
    uapi::{
        allowed_ips,
        peers,
        AllowedIpRequest,
        Attributes,
        EndpointRequest,
        Error,
        PeerRequest, //
    }, //
};

/// An attribute: type with its flags, and payload.
type Attribute<'a> = (u16, &'a [u8]);

/// Splits a stream into attributes, and returns what is none as well.
fn split(stream: &[u8]) -> (Vec<Attribute<'_>>, &[u8]) {
    let mut found = Vec::new();
    let mut at = 0;

    while stream.len() - at >= 4 {
        let len = usize::from(u16::from_ne_bytes([stream[at], stream[at + 1]]));
        let kind = u16::from_ne_bytes([stream[at + 2], stream[at + 3]]);
        if len < 4 || at + len > stream.len() {
            break;
        }
        found.push((kind, &stream[at + 4..at + len]));
        at = (at + len.div_ceil(4) * 4).min(stream.len());
    }
    (found, &stream[at..])
}

/// Returns the last attribute of a type.
fn last<'a>(attributes: &[Attribute<'a>], kind: u16) -> Option<&'a [u8]> {
    let mut found = attributes.iter().filter(|(k, _)| k & 0x3fff == kind);

    found.next_back().map(|(_, payload)| *payload)
}

/// Returns whether all attributes of a type have that length.
fn all_have(attributes: &[Attribute<'_>], kind: u16, len: usize) -> bool {
    let mut found = attributes.iter().filter(|(k, _)| k & 0x3fff == kind);

    found.all(|(_, payload)| payload.len() == len)
}

fn u32_of(payload: Option<&[u8]>) -> u32 {
    payload.map_or(0, |payload| u32::from_ne_bytes(payload.try_into().unwrap()))
}

/// Asserts what is made of an endpoint.
fn check_endpoint(payload: &[u8]) -> Option<EndpointRequest> {
    let number = |at: usize| u32::from_ne_bytes(payload[at..at + 4].try_into().unwrap());
    let family = payload.get(..2).map(|f| u16::from_ne_bytes([f[0], f[1]]));
    let expected = match (family, payload.len()) {
        // struct sockaddr_in
        (Some(2), 16) => Some(EndpointRequest::V4 {
            addr: payload[4..8].try_into().unwrap(),
            port: u16::from_be_bytes([payload[2], payload[3]]),
        }),
        // struct sockaddr_in6
        (Some(10), 28) => Some(EndpointRequest::V6 {
            addr: payload[8..24].try_into().unwrap(),
            port: u16::from_be_bytes([payload[2], payload[3]]),
            flowinfo: number(4),
            scope_id: number(24),
        }),
        _ => None,
    };

    assert_eq!(EndpointRequest::parse(payload), expected);
    expected
}

/// Asserts what is made of a peer, and returns its allowed IPs.
fn check_peer(stream: &[u8]) -> Option<&[u8]> {
    let (attributes, rest) = split(stream);
    let sizes = [(1, 32), (2, 32), (3, 4), (5, 2), (10, 4)];
    let well_formed = rest.is_empty()
        && attributes
            .iter()
            .all(|(kind, _)| (1..=10).contains(&(kind & 0x3fff)))
        && sizes
            .iter()
            .all(|(kind, len)| all_have(&attributes, *kind, *len))
        && last(&attributes, 1).is_some();
    let got = PeerRequest::parse(stream);

    if !well_formed {
        assert_eq!(got, Err(Error::Invalid));
        return None;
    }
    let version = last(&attributes, 10);
    if version.is_some() && u32_of(version) != 1 {
        assert_eq!(got, Err(Error::ProtocolVersion));
        return None;
    }

    let keepalive = last(&attributes, 5).map(|p| u16::from_ne_bytes([p[0], p[1]]));
    let expected = PeerRequest {
        public_key: last(&attributes, 1).unwrap().try_into().unwrap(),
        preshared_key: last(&attributes, 2).map(|key| key.try_into().unwrap()),
        flags: u32_of(last(&attributes, 3)),
        endpoint: last(&attributes, 4).and_then(check_endpoint),
        persistent_keepalive: keepalive,
        allowed_ips: last(&attributes, 9),
    };
    assert_eq!(got, Ok(expected));
    expected.allowed_ips
}

/// Asserts what is made of an allowed IP.
fn check_allowed_ip(stream: &[u8]) {
    let (attributes, rest) = split(stream);
    let sizes = [(1, 2), (3, 1), (4, 4)];
    let well_formed = rest.is_empty()
        && attributes
            .iter()
            .all(|(kind, _)| (1..=4).contains(&(kind & 0x3fff)))
        && sizes
            .iter()
            .all(|(kind, len)| all_have(&attributes, *kind, *len));
    let family = last(&attributes, 1).and_then(|family| family.try_into().ok());
    let family = family.map(u16::from_ne_bytes);
    let addr = last(&attributes, 2);
    let len = last(&attributes, 3).and_then(|len| len.first().copied());
    let bits = match (family, addr.map(<[u8]>::len)) {
        (Some(2), Some(4)) => 32,
        (Some(10), Some(16)) => 128,
        _ => 0,
    };
    let got = AllowedIpRequest::parse(stream);

    let Some(len) = len.filter(|len| well_formed && bits > 0 && *len <= bits) else {
        assert_eq!(got, Err(Error::Invalid));
        return;
    };
    let got = got.unwrap();
    // What is not of the prefix is cleared.
    let mut addr = addr.unwrap().to_vec();
    for bit in len..bits {
        addr[usize::from(bit / 8)] &= !(0x80 >> (bit % 8));
    }
    match got.prefix.addr {
        Addr::V4(got) => assert_eq!(got[..], addr),
        Addr::V6(got) => assert_eq!(got[..], addr),
    }
    assert_eq!(got.prefix.len, len);
    assert_eq!(got.remove, u32_of(last(&attributes, 4)) & 1 != 0);
}

/// Asserts that a stream falls into what it should.
fn check_stream(stream: &[u8]) {
    let (expected, rest) = split(stream);
    let mut got = Attributes::new(stream);

    for (kind, payload) in &expected {
        let got = got.next().unwrap();
        assert_eq!(got.kind, kind & 0x3fff);
        assert_eq!(got.nested, kind & 0x8000 != 0);
        assert!(std::ptr::eq(got.payload, *payload));
    }
    assert_eq!(got.next(), None);
    assert_eq!(got.rest(), rest);

    // As an array: types do not matter, but each is to contain attributes.
    for (got, (kind, payload)) in peers(stream).zip(&expected) {
        let nested = kind & 0x8000 != 0;
        assert_eq!(
            got,
            if nested {
                Ok(*payload)
            } else {
                Err(Error::Invalid)
            }
        );
    }
    assert_eq!(peers(stream).count(), expected.len());
    assert_eq!(allowed_ips(stream).count(), expected.len());
}

/// Appends an attribute.
fn append(stream: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    stream.extend((payload.len() as u16 + 4).to_ne_bytes());
    stream.extend(kind.to_ne_bytes());
    stream.extend(payload);
    stream.resize(stream.len().next_multiple_of(4), 0);
}

/// Makes a stream whose attributes have, as a rule, the lengths that they should.
fn compose(bytes: &mut Bytes<'_>, lengths: &[usize], depth: usize) -> Vec<u8> {
    let mut stream = Vec::new();

    for _ in 0..bytes.below(12) {
        let kind = bytes.below(lengths.len() + 2);
        let mut len = lengths.get(kind).copied().unwrap_or(4);
        let mut flags = 0;
        let how = bytes.u8();
        if how >= 0xf0 {
            len = bytes.u8().into();
        }
        if how & 3 == 1 {
            flags = u16::from(bytes.u8()) << 8 & 0xc000;
        }
        let mut payload = bytes.up_to(len).to_vec();
        if kind == 9 && depth > 0 {
            payload.clear();
            for _ in 0..bytes.below(4) {
                let len = if how & 4 == 0 { 4 } else { 16 };
                let element = compose(bytes, &[0, 2, len, 1, 4], depth - 1);
                append(&mut payload, 0x8000 | kind as u16, &element);
            }
        }
        if how < 0xe0 && kind != 9 {
            payload.resize(len, 0);
        }
        if how & 8 == 0 {
            repair(&mut payload, kind, lengths.len());
        }
        append(&mut stream, kind as u16 | flags, &payload);
    }
    if bytes.u8() == 0xff {
        let cut = stream.len().saturating_sub(bytes.below(8));
        stream.truncate(cut);
    }
    stream
}

/// Gives an attribute a value of which there are few good ones.
fn repair(payload: &mut [u8], kind: usize, kinds: usize) {
    match (kinds, kind, payload.len()) {
        (11, 10, 4) => payload.copy_from_slice(&1u32.to_ne_bytes()),
        (11, 4, 16) => payload[..2].copy_from_slice(&2u16.to_ne_bytes()),
        (11, 4, 28) => payload[..2].copy_from_slice(&10u16.to_ne_bytes()),
        (5, 1, 2) => {
            let family = if payload[0] & 1 == 0 { 2u16 } else { 10 };
            payload.copy_from_slice(&family.to_ne_bytes());
        }
        (5, 3, 1) => payload[0] %= 130,
        _ => {}
    }
}

/// Asserts what is made of a stream, whatever it is meant to be.
fn check(stream: &[u8]) {
    check_stream(stream);
    check_endpoint(stream);
    check_allowed_ip(stream);
    for peer in peers(stream).flatten() {
        check_peer(peer);
    }
    if let Some(ips) = check_peer(stream) {
        check_stream(ips);
        for ip in allowed_ips(ips).flatten() {
            check_allowed_ip(ip);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);

    match bytes.u8() % 4 {
        0 => check(bytes.rest()),
        1 => check(&compose(&mut bytes, &[0, 2, 4, 1, 4], 0)),
        2 => check(&compose(&mut bytes, &[0, 2, 16, 1, 4], 0)),
        _ => {
            let endpoint = if bytes.flag() { 28 } else { 16 };
            let lengths = [0, 32, 32, 4, endpoint, 2, 16, 8, 8, 0, 4];
            check(&compose(&mut bytes, &lengths, 1));
        }
    }
});
