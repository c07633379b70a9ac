// SPDX-License-Identifier: GPL-2.0

//! Encryption of outgoing packets: each becomes one message, or many if it is a GSO packet.

mod bundle;

pub(crate) use self::bundle::Bundle;

use crate::{
    control,
    keypair::Keypair, //
};
use core::ops::Deref;
use wg_kernel::{
    crypto::chacha20poly1305,
    prelude::*, //
};
use wg_proto::{
    ip,
    nonce::{
        Nonce,
        Nonces, //
    },
    wire, //
};

/// A session, how packets become messages of it, and a nonce for each of these.
///
/// It goes with the packets to the CPU that encrypts them. As nonces are taken and spent only here, and never
/// apart from their session, none is used with the key of another.
pub(crate) struct Sealing<K> {
    keypair: K,
    /// For a GSO packet, its messages. Otherwise each packet becomes one.
    bundle: Option<KBox<Bundle>>,
    nonces: Nonces,
}

impl<'g> Sealing<Borrow<'g, Keypair>> {
    /// Returns how `count` packets become a message each, unless the session has too few nonces left.
    #[inline]
    pub(crate) fn each(keypair: Borrow<'g, Keypair>, count: usize) -> Option<Self> {
        Some(Self {
            keypair,
            bundle: None,
            nonces: keypair.take_nonces(count as u64)?,
        })
    }

    /// Returns how a GSO packet becomes the planned messages, unless the session has too few nonces left.
    #[inline]
    pub(crate) fn bundle(keypair: Borrow<'g, Keypair>, bundle: KBox<Bundle>) -> Option<Self> {
        Some(Self {
            keypair,
            nonces: keypair.take_nonces(bundle.count() as u64)?,
            bundle: Some(bundle),
        })
    }

    /// Takes a reference to the session, unless the last one was dropped already.
    #[inline]
    pub(crate) fn hold(self) -> Option<Sealing<RcuArc<Keypair>>> {
        Some(Sealing {
            keypair: self.keypair.get()?,
            bundle: self.bundle,
            nonces: self.nonces,
        })
    }
}

impl<K: Deref<Target = Keypair>> Sealing<K> {
    /// Returns the session.
    #[inline]
    pub(crate) fn keypair(&self) -> &K {
        &self.keypair
    }

    /// Gives the session back. Nonces that are left are never used.
    #[inline]
    pub(crate) fn into_keypair(self) -> K {
        self.keypair
    }

    /// Returns whether the messages are made from a GSO packet, and leave as one if they may.
    #[inline]
    pub(crate) fn is_bundle(&self) -> bool {
        self.bundle.is_some()
    }

    /// Returns the number of messages.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.nonces.left() as usize
    }

    /// Encrypts packets, and drops what there is no memory for.
    pub(crate) fn seal(&mut self, mut packets: SkBuffList) -> SkBuffList {
        let (keypair, nonces) = (&*self.keypair, &mut self.nonces);
        let mut sealed = SkBuffList::new();
        match &self.bundle {
            Some(bundle) => {
                if let Some(skb) = packets.pop_front() {
                    bundle.seal(keypair, skb, nonces, &mut sealed);
                }
            }
            None => keypair.seal_each(packets, nonces, &mut sealed),
        }
        sealed
    }
}

impl Keypair {
    /// Encrypts packets in place, and drops those with which that does not work: each is somebody else's.
    pub(crate) fn seal_each(
        &self,
        mut packets: SkBuffList,
        nonces: &mut Nonces,
        sealed: &mut SkBuffList,
    ) {
        while let Some(mut skb) = packets.pop_front() {
            let Some(nonce) = nonces.next() else {
                return;
            };
            if self.seal_one(&mut skb, nonce) {
                sealed.push_back(skb);
            }
        }
    }

    /// Encrypts a packet in place.
    #[inline]
    fn seal_one(&self, skb: &mut SkBuff, nonce: Nonce) -> bool {
        let counter = nonce.spend();
        let header = wire::DataHeader {
            receiver: self.remote_index(),
            counter,
        };
        let ds = ip::ecn_encap(skb.ds_field());
        let sealed = chacha20poly1305::seal_skb(
            skb,
            &header.to_bytes(),
            wire::padding(skb.len(), control::mtu(skb)),
            counter,
            self.sending_key(),
            control::HEADROOM as u32,
        );
        if sealed {
            skb.scrub(true);
            control::set_dsfield(skb, ds);
        }
        sealed
    }
}
