// SPDX-License-Identifier: GPL-2.0

//! Messages: what is one, where its fields are, and how long padding is.

#![no_main]

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::wire::{
    classify,
    padding,
    CookieReply,
    DataHeader,
    Index,
    Initiation,
    Kind,
    Macs,
    Response, //
};

/// The messages as section 5.4 of the paper draws them: type, and the lengths of the fields after the
/// type and three bytes of zero.
const MESSAGES: [(u8, Kind, &[usize]); 4] = [
    (1, Kind::Initiation, &[4, 32, 32 + 16, 12 + 16, 16, 16]),
    (2, Kind::Response, &[4, 4, 32, 16, 16, 16]),
    (3, Kind::CookieReply, &[4, 24, 16 + 16]),
    (4, Kind::Data, &[4, 8]),
];

/// Returns what a datagram is and its fields, by the table.
fn reference(datagram: &[u8]) -> Option<(Kind, Vec<&[u8]>)> {
    let (kind, lengths) = MESSAGES.iter().find_map(|(number, kind, lengths)| {
        let matches = datagram.starts_with(&[*number, 0, 0, 0]);
        matches.then_some((*kind, *lengths))
    })?;
    let mut rest = &datagram[4..];
    let mut fields = Vec::new();

    for len in lengths {
        let (field, after) = rest.split_at_checked(*len)?;
        fields.push(field);
        rest = after;
    }
    // What is encrypted in a data message has a tag at least; nothing else may follow.
    match kind {
        Kind::Data => rest.len() >= 16,
        _ => rest.is_empty(),
    }
    .then_some((kind, fields))
}

fn index(field: &[u8]) -> Index {
    Index(u32::from_le_bytes(field.try_into().unwrap()))
}

fn array<const N: usize>(field: &[u8]) -> [u8; N] {
    field.try_into().unwrap()
}

fn macs(fields: &[&[u8]]) -> Macs {
    Macs {
        mac1: array(fields[0]),
        mac2: array(fields[1]),
    }
}

/// Asserts that each parser that takes so many bytes takes those of its own type and no others.
fn check_types(bytes: &[u8]) {
    let is = |number| bytes.starts_with(&[number, 0, 0, 0]);

    if let Ok(bytes) = bytes.try_into() {
        assert_eq!(Initiation::from_bytes(bytes).is_some(), is(1));
    }
    if let Ok(bytes) = bytes.try_into() {
        assert_eq!(Response::from_bytes(bytes).is_some(), is(2));
    }
    if let Ok(bytes) = bytes.try_into() {
        assert_eq!(CookieReply::from_bytes(bytes).is_some(), is(3));
    }
    if let Some(bytes) = bytes.first_chunk() {
        assert_eq!(DataHeader::from_bytes(bytes).is_some(), is(4));
    }
}

/// Asserts that fields are where they are by the table, and are written where they were read.
fn check_fields(bytes: &[u8], kind: Kind, fields: &[&[u8]]) {
    match kind {
        Kind::Initiation => {
            let message = Initiation {
                sender: index(fields[0]),
                ephemeral: array(fields[1]),
                encrypted_static: array(fields[2]),
                encrypted_timestamp: array(fields[3]),
                macs: macs(&fields[4..]),
            };
            assert_eq!(message.to_bytes(), *bytes);
            assert_eq!(Initiation::from_bytes(&array(bytes)), Some(message));
        }
        Kind::Response => {
            let message = Response {
                sender: index(fields[0]),
                receiver: index(fields[1]),
                ephemeral: array(fields[2]),
                encrypted_nothing: array(fields[3]),
                macs: macs(&fields[4..]),
            };
            assert_eq!(message.to_bytes(), *bytes);
            assert_eq!(Response::from_bytes(&array(bytes)), Some(message));
        }
        Kind::CookieReply => {
            let message = CookieReply {
                receiver: index(fields[0]),
                nonce: array(fields[1]),
                encrypted_cookie: array(fields[2]),
            };
            assert_eq!(message.to_bytes(), *bytes);
            assert_eq!(CookieReply::from_bytes(&array(bytes)), Some(message));
        }
        Kind::Data => {
            let header = DataHeader {
                receiver: index(fields[0]),
                counter: u64::from_le_bytes(array(fields[1])),
            };
            assert_eq!(header.to_bytes(), bytes[..16]);
            assert_eq!(DataHeader::from_bytes(&array(&bytes[..16])), Some(header));
        }
    }
}

/// Asserts that padding is as section 5.4.6 of the paper and the MTU want it.
fn check_padding(len: u32, mtu: u32) {
    let [len, mtu] = [len, mtu].map(u64::from);
    let last = if mtu != 0 && len > mtu {
        len % mtu
    } else {
        len
    };
    let padded = last.next_multiple_of(16);
    let padded = if mtu != 0 { padded.min(mtu) } else { padded };

    assert_eq!(u64::from(padding(len as u32, mtu as u32)), padded - last);
}

fuzz_target!(|data: &[u8]| {
    let expected = reference(data);
    let got = data
        .first_chunk()
        .and_then(|head| classify(head, data.len()));

    assert_eq!(got, expected.as_ref().map(|(kind, _)| *kind));
    check_types(data);
    if let Some((kind, fields)) = &expected {
        check_fields(data, *kind, fields);
    }

    let mut bytes = Bytes::new(data);
    // The same bytes, cut or lengthened to what is the length of some message.
    for len in [148, 92, 64, 32, 31, 16] {
        let mut other = data.to_vec();
        other.resize(len, 0);
        check_types(&other);
        let head = other.first_chunk().unwrap();
        let expected = reference(&other).map(|(kind, _)| kind);
        assert_eq!(classify(head, len), expected);
    }
    check_padding(bytes.number() as u32, bytes.number() as u32);
    check_padding(bytes.u16().into(), bytes.u16().into());
});
