// SPDX-License-Identifier: GPL-2.0

//! Addresses, and how the kernel prints them.
//!
//! C header: [`include/linux/in6.h`](srctree/include/linux/in6.h)

use core::ops::Range;
use kernel::{
    fmt::{
        self,
        Display,
        Formatter, //
    },
    prelude::*, //
};

/// The bits of `sin6_flowinfo` that are printed.
const FLOWINFO_MASK: u32 = 0x0fff_ffff;

/// An Internet address and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketAddr {
    /// An IPv4 address.
    V4 {
        /// The address.
        addr: [u8; 4],
        /// The port.
        port: u16,
    },
    /// An IPv6 address.
    V6 {
        /// The address.
        addr: [u8; 16],
        /// The port.
        port: u16,
        /// Traffic class and flow label, in network byte order as in `sin6_flowinfo`.
        flowinfo: u32,
        /// The interface that a link-local address is scoped to.
        scope_id: u32,
    },
}

impl SocketAddr {
    /// Returns whether both are the same address and port. Flow labels are not compared.
    #[inline]
    pub fn is_same_place(self, other: Self) -> bool {
        match (self, other) {
            (
                Self::V6 {
                    addr,
                    port,
                    scope_id,
                    ..
                },
                Self::V6 {
                    addr: other_addr,
                    port: other_port,
                    scope_id: other_scope_id,
                    ..
                },
            ) => addr == other_addr && port == other_port && scope_id == other_scope_id,
            _ => self == other,
        }
    }
}

/// Prints the address as `%pISpfsc` does.
impl Display for SocketAddr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4 { addr, port } => f.write_fmt(fmt!("{}:{port}", Ipv4(addr))),
            Self::V6 {
                addr,
                port,
                flowinfo,
                scope_id,
            } => {
                let flowinfo = u32::from_be(flowinfo) & FLOWINFO_MASK;
                f.write_fmt(fmt!("[{}]:{port}/{flowinfo}%{scope_id}", Ipv6(addr)))
            }
        }
    }
}

/// Prints an optional address; none is printed as `%pISpfsc` prints an address without a family.
pub struct Unset(pub Option<SocketAddr>);

impl Display for Unset {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(addr) => addr.fmt(f),
            None => f.write_str("(einval)"),
        }
    }
}

/// Prints an IPv4 address as `%pI4` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4(pub [u8; 4]);

impl Display for Ipv4 {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        f.write_fmt(fmt!("{a}.{b}.{c}.{d}"))
    }
}

/// Prints an IPv6 address as `%pI6c` does, or with `{:#}` as `%pI6` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv6(pub [u8; 16]);

impl Ipv6 {
    /// Returns the address as eight words.
    fn words(&self) -> [u16; 8] {
        let all = u128::from_be_bytes(self.0);
        // CAST: What is shifted down to the low bits is cut off.
        [112, 96, 80, 64, 48, 32, 16, 0].map(|shift: u32| all.wrapping_shr(shift) as u16)
    }
}

impl Display for Ipv6 {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = self.words();
        if f.alternate() {
            for (index, word) in (0..8).zip(words) {
                let colon = if index == 0 { "" } else { ":" };
                f.write_fmt(fmt!("{colon}{word:04x}"))?;
            }
            return Ok(());
        }

        // The last two words of an address that embeds an IPv4 address are printed as such.
        let embeds_ipv4 = match words {
            [0, 0, 0, 0, 0, 0xffff, _, _] => true,
            [_, _, _, _, isatap, 0x5efe, _, _] => isatap | 0x0200 == 0x0200,
            _ => false,
        };
        let plain = if embeds_ipv4 { 6 } else { 8 };
        let zeros = longest_zeros((0..plain).zip(words));

        // The separator before the next word: none at the start and after the double colon.
        let mut colon = "";
        for (index, word) in (0..plain).zip(words) {
            if index == zeros.start && !zeros.is_empty() {
                f.write_str("::")?;
                colon = "";
            } else if !zeros.contains(&index) {
                f.write_fmt(fmt!("{colon}{word:x}"))?;
                colon = ":";
            }
        }
        if embeds_ipv4 {
            let [.., a, b, c, d] = self.0;
            f.write_fmt(fmt!("{colon}{}", Ipv4([a, b, c, d])))?;
        }
        Ok(())
    }
}

/// Returns where the first of the longest runs of zeros is. A single zero is no run.
fn longest_zeros(words: impl Iterator<Item = (usize, u16)>) -> Range<usize> {
    // The equivalent of `ExactSizeIterator` has checks of its own, and can panic.
    let len = |range: &Range<usize>| range.end.wrapping_sub(range.start);
    let mut longest = 0..0;
    let mut current = 0..0;
    for (index, word) in words {
        if word != 0 {
            current = 0..0;
            continue;
        }
        if current.is_empty() {
            current.start = index;
        }
        current.end = index.wrapping_add(1);
        if len(&current) > len(&longest) {
            longest = current.clone();
        }
    }
    if len(&longest) > 1 {
        longest
    } else {
        0..0
    }
}

/// Returns whether an IPv6 address has a scope: it may be that of different hosts on different links.
pub fn is_link_scoped(addr: &[u8; 16]) -> bool {
    match addr {
        [0xfe, second, ..] => second & 0xc0 == 0x80,
        // Interface-local or link-local multicast.
        [0xff, second, ..] => matches!(second & 0x0f, 1 | 2),
        _ => false,
    }
}
