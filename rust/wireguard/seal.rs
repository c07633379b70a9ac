// SPDX-License-Identifier: GPL-2.0

//! Encryption of what leaves: packets that become a message each, and large ones that become many.

mod bundle;

pub(crate) use self::bundle::Bundle;

use crate::{
    control::{
        mtu,
        set_dsfield,
        HEADROOM, //
    },
    keypair::Keypair, //
};
use wg_kernel::{
    crypto::chacha20poly1305,
    net::skbuff::{
        SkBuff,
        SkBuffList, //
    }, //
};
use wg_proto::{
    ip,
    nonce::{
        Nonce,
        Nonces, //
    },
    wire::{
        self,
        DataHeader, //
    }, //
};

/// How packets become messages, and a nonce for each of these. It goes with the packets to whoever
/// encrypts them.
pub(crate) struct Sealing {
    /// For a large packet, its messages. Otherwise each packet becomes one.
    bundle: Option<Bundle>,
    nonces: Nonces,
}

impl Sealing {
    /// Returns how packets become a message each.
    #[inline]
    pub(crate) fn each(nonces: Nonces) -> Self {
        Self {
            bundle: None,
            nonces,
        }
    }

    /// Returns how a large packet becomes what was planned.
    #[inline]
    pub(crate) fn bundle(bundle: Bundle, nonces: Nonces) -> Self {
        Self {
            bundle: Some(bundle),
            nonces,
        }
    }

    /// Returns whether they are made of a large packet, and leave as one if they may.
    #[inline]
    pub(crate) fn is_bundle(&self) -> bool {
        self.bundle.is_some()
    }

    /// Returns the number of messages.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.nonces.left() as usize
    }
}

impl Keypair {
    /// Encrypts packets. If that fails, they are all dropped.
    pub(crate) fn seal(&self, mut packets: SkBuffList, sealing: Sealing) -> SkBuffList {
        let Sealing { bundle, mut nonces } = sealing;
        let mut sealed = SkBuffList::new();
        let done = match bundle {
            Some(bundle) => match packets.pop_front() {
                Some(skb) => bundle.seal(self, skb, &mut nonces, &mut sealed),
                None => true,
            },
            None => self.seal_each(packets, &mut nonces, &mut sealed),
        };
        match done {
            true => sealed,
            false => SkBuffList::new(),
        }
    }

    /// Encrypts packets in place, and returns whether that worked for all.
    pub(crate) fn seal_each(
        &self,
        mut packets: SkBuffList,
        nonces: &mut Nonces,
        sealed: &mut SkBuffList,
    ) -> bool {
        while let Some(mut skb) = packets.pop_front() {
            let Some(nonce) = nonces.next() else {
                return false;
            };
            if !self.seal_one(&mut skb, nonce) {
                return false;
            }
            sealed.push_back(skb);
        }
        true
    }

    /// Encrypts a packet in place.
    #[inline]
    fn seal_one(&self, skb: &mut SkBuff, nonce: Nonce) -> bool {
        let counter = nonce.spend();
        let header = DataHeader {
            receiver: self.remote_index(),
            counter,
        };
        let ds = ip::ecn_encap(skb.ds_field());
        let sealed = chacha20poly1305::seal_skb(
            skb,
            &header.to_bytes(),
            wire::padding(skb.len(), mtu(skb)),
            counter,
            self.sending_key(),
            HEADROOM as u32,
        );
        if sealed {
            skb.scrub(true);
            set_dsfield(skb, ds);
        }
        sealed
    }
}
