// SPDX-License-Identifier: GPL-2.0

//! The outer headers of a received datagram.

use super::{
    header::{
        IPV4,
        IPV6, //
    },
    SkBuff, //
};
use crate::net::addr::{
    is_link_scoped,
    SocketAddr, //
};
use kernel::prelude::*;

/// Length of a UDP header.
const UDP_HEADER_LEN: u32 = 8;

/// An address of ours, with what a route from it depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Local {
    /// An IPv4 address.
    V4 {
        /// The address.
        addr: [u8; 4],
        /// The index of the interface that it was used on.
        ifindex: u32,
    },
    /// An IPv6 address.
    V6 {
        /// The address.
        addr: [u8; 16],
    },
}

/// The outer headers of a received datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outer {
    /// The sender.
    pub source: SocketAddr,
    /// The address that it was sent to.
    pub destination: Local,
    /// The DS field.
    pub ds: u8,
}

impl SkBuff {
    /// Checks the headers of a datagram that a UDP socket received, and removes them.
    ///
    /// The data are the datagram's payload then, whose length is returned. The headers remain in
    /// the headroom, where [`SkBuff::outer`] finds them.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if a header is not what it should be, or a length is not possible.
    pub fn pull_udp(&mut self) -> Result<u32> {
        let protocol = self.real_protocol();
        if protocol == 0 || protocol != self.protocol() {
            return Err(EINVAL);
        }
        let transport = self.headers().transport_header;
        let Some([_, _, _, _, length_high, length_low, _, _]) = self.header_at(transport) else {
            return Err(EINVAL);
        };
        // The number of bytes to be removed, and the number of bytes that are left then.
        let offset = u32::from(transport)
            .checked_sub(self.headroom())
            .and_then(|offset| offset.checked_add(UDP_HEADER_LEN))
            .filter(|offset| *offset <= self.linear_len())
            .ok_or(EINVAL)?;
        let len = u32::from(u16::from_be_bytes([length_high, length_low]))
            .checked_sub(UDP_HEADER_LEN)
            .filter(|len| *len <= self.len().wrapping_sub(offset))
            .ok_or(EINVAL)?;
        if !self.trim(offset.wrapping_add(len)) || offset > self.linear_len() {
            return Err(EINVAL);
        }
        // SAFETY: There are `offset` bytes of linear data.
        unsafe { self.pull(offset) };
        Ok(self.len())
    }

    /// Returns the outer headers of a datagram, of which only the payload is left.
    ///
    /// Returns [`None`] if they are gone, as after [`SkBuff::scrub`].
    #[inline]
    pub fn outer(&self) -> Option<Outer> {
        let [port_high, port_low] = self.header_at(self.headers().transport_header)?;
        let port = u16::from_be_bytes([port_high, port_low]);
        let ifindex = u32::try_from(self.headers().skb_iif).unwrap_or(0);
        let (source, destination) = match self.protocol() {
            IPV4 => {
                let header = self.network_header::<20>()?;
                let (_, addresses) = header.split_last_chunk::<8>()?;
                let (source, destination) = addresses.split_first_chunk()?;
                (
                    SocketAddr::V4 {
                        addr: *source,
                        port,
                    },
                    Local::V4 {
                        addr: *destination.first_chunk()?,
                        ifindex,
                    },
                )
            }
            IPV6 => {
                let header = self.network_header::<40>()?;
                let (_, addresses) = header.split_last_chunk::<32>()?;
                let (source, destination) = addresses.split_first_chunk()?;
                (
                    SocketAddr::V6 {
                        addr: *source,
                        port,
                        flowinfo: 0,
                        scope_id: if is_link_scoped(source) { ifindex } else { 0 },
                    },
                    Local::V6 {
                        addr: *destination.first_chunk()?,
                    },
                )
            }
            _ => return None,
        };
        Some(Outer {
            source,
            destination,
            ds: self.ds_field(),
        })
    }
}
