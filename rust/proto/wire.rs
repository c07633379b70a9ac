// SPDX-License-Identifier: GPL-2.0

//! The four messages, byte for byte.
//!
//! A message begins with a byte for its type and three bytes of zero, which are read and compared as
//! one little-endian number. All integers are little endian; there is no padding.

use crate::segment::copy;

/// Length of a handshake initiation.
pub const INITIATION_LEN: usize = 148;
/// Length of a handshake response.
pub const RESPONSE_LEN: usize = 92;
/// Length of a cookie reply.
pub const COOKIE_REPLY_LEN: usize = 64;
/// Length of what precedes the ciphertext in a data message.
pub const DATA_HEADER_LEN: usize = 16;
/// Length of Poly1305's tag.
pub const TAG_LEN: usize = 16;
/// Length of a data message without a payload: a keepalive.
pub const DATA_MIN_LEN: usize = DATA_HEADER_LEN + TAG_LEN;
/// A plaintext is padded to a multiple of this length.
pub const PADDING_MULTIPLE: u32 = 16;
/// DS field of the outer header of both handshake messages: AF41.
pub const HANDSHAKE_DSCP: u8 = 0x88;

const TYPE_INITIATION: u32 = 1;
const TYPE_RESPONSE: u32 = 2;
const TYPE_COOKIE_REPLY: u32 = 3;
const TYPE_DATA: u32 = 4;

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An [`Initiation`].
    Initiation,
    /// A [`Response`].
    Response,
    /// A [`CookieReply`].
    CookieReply,
    /// A [`DataHeader`] and a ciphertext.
    Data,
}

impl Kind {
    /// Returns how many bytes are parsed: the whole message, or the header of a data message.
    #[inline]
    pub const fn header_len(self) -> usize {
        match self {
            Self::Initiation => INITIATION_LEN,
            Self::Response => RESPONSE_LEN,
            Self::CookieReply => COOKIE_REPLY_LEN,
            Self::Data => DATA_HEADER_LEN,
        }
    }
}

/// Returns the kind of a datagram from its first four bytes and its length.
///
/// Returns `None` if it is not a message of the protocol.
#[inline]
pub fn classify(head: &[u8; 4], len: usize) -> Option<Kind> {
    match (u32::from_le_bytes(*head), len) {
        (TYPE_INITIATION, INITIATION_LEN) => Some(Kind::Initiation),
        (TYPE_RESPONSE, RESPONSE_LEN) => Some(Kind::Response),
        (TYPE_COOKIE_REPLY, COOKIE_REPLY_LEN) => Some(Kind::CookieReply),
        (TYPE_DATA, DATA_MIN_LEN..) => Some(Kind::Data),
        _ => None,
    }
}

/// Returns how many zeros to append to a plaintext of `len` bytes.
///
/// They make its length a multiple of [`PADDING_MULTIPLE`], without exceeding `mtu`. If the
/// plaintext already does, its remainder modulo `mtu` is padded. An `mtu` of 0 stands for none.
#[inline]
pub const fn padding(len: u32, mtu: u32) -> u32 {
    let last = match len.checked_rem(mtu) {
        Some(remainder) if len > mtu => remainder,
        _ => len,
    };
    let wanted = last.wrapping_neg() % PADDING_MULTIPLE;
    let allowed = mtu.saturating_sub(last);

    if mtu == 0 || wanted < allowed {
        wanted
    } else {
        allowed
    }
}

/// The number by which a receiver finds its handshake or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u32);

impl Index {
    #[inline]
    const fn from_bytes(bytes: &[u8; 4]) -> Self {
        Self(u32::from_le_bytes(*bytes))
    }

    #[inline]
    const fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

/// The MACs at the end of both handshake messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Macs {
    /// Proves that the sender knows the receiver's public key.
    pub mac1: [u8; 16],
    /// Proves that the sender received a cookie; zero if it has none.
    pub mac2: [u8; 16],
}

/// The first message of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initiation {
    /// Index at the sender.
    pub sender: Index,
    /// Ephemeral public key.
    pub ephemeral: [u8; 32],
    /// Static public key, encrypted.
    pub encrypted_static: [u8; 48],
    /// [`Timestamp`](crate::tai64n::Timestamp), encrypted.
    pub encrypted_timestamp: [u8; 28],
    /// The MACs.
    pub macs: Macs,
}

impl Initiation {
    /// Parses `bytes`, or returns `None` if they are another type of message.
    pub fn from_bytes(bytes: &[u8; INITIATION_LEN]) -> Option<Self> {
        let mut fields = Reader::new(bytes, TYPE_INITIATION)?;

        Some(Self {
            sender: Index::from_bytes(fields.take()?),
            ephemeral: *fields.take()?,
            encrypted_static: *fields.take()?,
            encrypted_timestamp: *fields.take()?,
            macs: Macs {
                mac1: *fields.take()?,
                mac2: *fields.take()?,
            },
        })
    }

    /// Writes the message.
    pub fn to_bytes(&self) -> [u8; INITIATION_LEN] {
        concat([
            &TYPE_INITIATION.to_le_bytes(),
            &self.sender.to_bytes(),
            &self.ephemeral,
            &self.encrypted_static,
            &self.encrypted_timestamp,
            &self.macs.mac1,
            &self.macs.mac2,
        ])
    }
}

/// The second message of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Index at the sender.
    pub sender: Index,
    /// Index at the receiver.
    pub receiver: Index,
    /// Ephemeral public key.
    pub ephemeral: [u8; 32],
    /// The empty string, encrypted, which is only a tag.
    pub encrypted_nothing: [u8; TAG_LEN],
    /// The MACs.
    pub macs: Macs,
}

impl Response {
    /// Parses `bytes`, or returns `None` if they are another type of message.
    pub fn from_bytes(bytes: &[u8; RESPONSE_LEN]) -> Option<Self> {
        let mut fields = Reader::new(bytes, TYPE_RESPONSE)?;

        Some(Self {
            sender: Index::from_bytes(fields.take()?),
            receiver: Index::from_bytes(fields.take()?),
            ephemeral: *fields.take()?,
            encrypted_nothing: *fields.take()?,
            macs: Macs {
                mac1: *fields.take()?,
                mac2: *fields.take()?,
            },
        })
    }

    /// Writes the message.
    pub fn to_bytes(&self) -> [u8; RESPONSE_LEN] {
        concat([
            &TYPE_RESPONSE.to_le_bytes(),
            &self.sender.to_bytes(),
            &self.receiver.to_bytes(),
            &self.ephemeral,
            &self.encrypted_nothing,
            &self.macs.mac1,
            &self.macs.mac2,
        ])
    }
}

/// The answer of a receiver under load to a handshake message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieReply {
    /// Index at the receiver, that is, of the sender of the handshake message.
    pub receiver: Index,
    /// Nonce of the encryption.
    pub nonce: [u8; 24],
    /// The cookie, encrypted.
    pub encrypted_cookie: [u8; 32],
}

impl CookieReply {
    /// Parses `bytes`, or returns `None` if they are another type of message.
    pub fn from_bytes(bytes: &[u8; COOKIE_REPLY_LEN]) -> Option<Self> {
        let mut fields = Reader::new(bytes, TYPE_COOKIE_REPLY)?;

        Some(Self {
            receiver: Index::from_bytes(fields.take()?),
            nonce: *fields.take()?,
            encrypted_cookie: *fields.take()?,
        })
    }

    /// Writes the message.
    pub fn to_bytes(&self) -> [u8; COOKIE_REPLY_LEN] {
        concat([
            &TYPE_COOKIE_REPLY.to_le_bytes(),
            &self.receiver.to_bytes(),
            &self.nonce,
            &self.encrypted_cookie,
        ])
    }
}

/// The header before the ciphertext of a data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// Index at the receiver.
    pub receiver: Index,
    /// Counter of the message, which is its nonce.
    pub counter: u64,
}

impl DataHeader {
    /// Parses `bytes`, or returns `None` if they are another type of message.
    #[inline]
    pub fn from_bytes(bytes: &[u8; DATA_HEADER_LEN]) -> Option<Self> {
        let [k0, k1, k2, k3, i0, i1, i2, i3, counter @ ..] = *bytes;

        (u32::from_le_bytes([k0, k1, k2, k3]) == TYPE_DATA).then_some(Self {
            receiver: Index::from_bytes(&[i0, i1, i2, i3]),
            counter: u64::from_le_bytes(counter),
        })
    }

    /// Writes the header.
    #[inline]
    pub fn to_bytes(&self) -> [u8; DATA_HEADER_LEN] {
        let number = u128::from(TYPE_DATA)
            | u128::from(self.receiver.0) << 32
            | u128::from(self.counter) << 64;

        number.to_le_bytes()
    }
}

/// Parses a message from beginning to end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts after the type of the message, or returns `None` if that is not `kind`.
    fn new(message: &'a [u8], kind: u32) -> Option<Self> {
        let mut fields = Self(message);

        (*fields.take()? == kind.to_le_bytes()).then_some(fields)
    }

    /// Takes the next `N` bytes.
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;

        self.0 = rest;
        Some(field)
    }
}

/// Returns all `fields`, one after the other, with zeros behind them up to the length that is wanted.
pub fn concat<const N: usize, const M: usize>(fields: [&[u8]; M]) -> [u8; N] {
    let mut all = [0; N];
    let mut rest = all.as_mut_slice();
    for field in &fields {
        let Some((to, after)) = core::mem::take(&mut rest).split_at_mut_checked(field.len()) else {
            break;
        };
        copy(to, field);
        rest = after;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns numbered bytes behind the type of a message.
    fn numbered<const N: usize>(kind: u8) -> [u8; N] {
        let mut bytes: [u8; N] = core::array::from_fn(|i| i as u8);

        bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
        bytes
    }

    /// Returns `N` numbers from `first` on.
    fn count<const N: usize>(first: u8) -> [u8; N] {
        core::array::from_fn(|i| first + i as u8)
    }

    #[test]
    fn classifies_by_type_and_length() {
        for len in (0..2000).chain([65507, usize::MAX]) {
            for kind in (0..=255).chain([0x0100_0001, 0x0100_0004, 0x8000_0002, u32::MAX]) {
                let expected = match (kind, len) {
                    (1, 148) => Some(Kind::Initiation),
                    (2, 92) => Some(Kind::Response),
                    (3, 64) => Some(Kind::CookieReply),
                    (4, len) if len >= 32 => Some(Kind::Data),
                    _ => None,
                };

                assert_eq!(classify(&kind.to_le_bytes(), len), expected);
            }
        }
    }

    #[test]
    fn reads_reserved_bytes_as_part_of_the_type() {
        for kind in 1..=4 {
            for bit in 8..32 {
                let head = (kind | 1u32 << bit).to_le_bytes();

                for len in [64, 92, 148] {
                    assert_eq!(classify(&head, len), None);
                }
            }
        }
    }

    #[test]
    fn looks_at_whole_messages_but_data() {
        assert_eq!(Kind::Initiation.header_len(), 148);
        assert_eq!(Kind::Response.header_len(), 92);
        assert_eq!(Kind::CookieReply.header_len(), 64);
        assert_eq!(Kind::Data.header_len(), 16);
    }

    #[test]
    fn lays_out_an_initiation() {
        let bytes = numbered(1);
        let message = Initiation {
            sender: Index(0x0706_0504),
            ephemeral: count(8),
            encrypted_static: count(40),
            encrypted_timestamp: count(88),
            macs: Macs {
                mac1: count(116),
                mac2: count(132),
            },
        };

        assert_eq!(Initiation::from_bytes(&bytes).as_ref(), Some(&message));
        assert_eq!(message.to_bytes(), bytes);
    }

    #[test]
    fn lays_out_a_response() {
        let bytes = numbered(2);
        let message = Response {
            sender: Index(0x0706_0504),
            receiver: Index(0x0b0a_0908),
            ephemeral: count(12),
            encrypted_nothing: count(44),
            macs: Macs {
                mac1: count(60),
                mac2: count(76),
            },
        };

        assert_eq!(Response::from_bytes(&bytes).as_ref(), Some(&message));
        assert_eq!(message.to_bytes(), bytes);
    }

    #[test]
    fn lays_out_a_cookie_reply() {
        let bytes = numbered(3);
        let message = CookieReply {
            receiver: Index(0x0706_0504),
            nonce: count(8),
            encrypted_cookie: count(32),
        };

        assert_eq!(CookieReply::from_bytes(&bytes).as_ref(), Some(&message));
        assert_eq!(message.to_bytes(), bytes);
    }

    #[test]
    fn lays_out_a_data_header() {
        let bytes = numbered(4);
        let header = DataHeader {
            receiver: Index(0x0706_0504),
            counter: 0x0f0e_0d0c_0b0a_0908,
        };

        assert_eq!(DataHeader::from_bytes(&bytes), Some(header));
        assert_eq!(header.to_bytes(), bytes);
    }

    #[test]
    fn parses_no_other_type() {
        for kind in 0..=255u8 {
            for reserved in [0, 1] {
                let mut initiation = numbered(kind);
                let mut response = numbered(kind);
                let mut reply = numbered(kind);
                let mut data = numbered(kind);

                initiation[3] = reserved;
                response[2] = reserved;
                reply[1] = reserved;
                data[1] = reserved;

                let is = |number| kind == number && reserved == 0;

                assert_eq!(Initiation::from_bytes(&initiation).is_some(), is(1));
                assert_eq!(Response::from_bytes(&response).is_some(), is(2));
                assert_eq!(CookieReply::from_bytes(&reply).is_some(), is(3));
                assert_eq!(DataHeader::from_bytes(&data).is_some(), is(4));
            }
        }
    }

    /// The rule, as its text has it, in numbers that cannot overflow.
    fn naive_padding(len: u64, mtu: u64) -> u64 {
        let round_up = |n: u64| n.div_ceil(16) * 16;

        if mtu == 0 {
            return round_up(len) - len;
        }

        let last = if len > mtu { len % mtu } else { len };

        round_up(last).min(mtu) - last
    }

    #[test]
    fn pads_as_the_rule_says() {
        let mtus = [0, 1, 15, 16, 17, 100, 576, 1280, 1419, 1420, 1421, 65535];
        let wide = [
            1 << 16,
            u32::MAX - 16,
            u32::MAX - 15,
            u32::MAX - 1,
            u32::MAX,
        ];

        for mtu in mtus.into_iter().chain(wide) {
            for len in (0..4500).chain(wide) {
                assert_eq!(
                    u64::from(padding(len, mtu)),
                    naive_padding(len.into(), mtu.into()),
                    "{len} bytes, MTU {mtu}"
                );
            }
        }
    }

    #[test]
    fn pads_to_sixteen_within_the_mtu() {
        assert_eq!(padding(0, 1420), 0);
        assert_eq!(padding(1, 1420), 15);
        assert_eq!(padding(1408, 1420), 0);
        assert_eq!(padding(1409, 1420), 11);
        assert_eq!(padding(1420, 1420), 0);
        // One more than the MTU counts as one.
        assert_eq!(padding(1421, 1420), 15);
        assert_eq!(padding(1421, 0), 3);
    }
}
