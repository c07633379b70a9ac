// SPDX-License-Identifier: GPL-2.0

//! What users and machines do to an interface: other keys, restarts, clocks that are set.

use super::{
    device::Device,
    World,
    A,
    B, //
};

impl Device {
    /// Forgets all that is not configuration, as after a restart of the machine.
    pub fn restart(&mut self) {
        let peers = std::mem::take(&mut self.peers);
        let was_up = std::mem::replace(&mut self.up, false);

        self.indices.clear();
        self.buckets.clear();
        self.checker.forget();
        self.load = Default::default();
        for before in peers {
            let peer = self.add_peer(&before.public_key, &before.preshared_key, before.endpoint);
            self.peers[peer].persistent_keepalive = before.persistent_keepalive;
        }
        if was_up {
            self.up();
        }
    }

    /// Replaces a preshared key.
    pub fn set_preshared_key(&mut self, peer: usize, psk: &[u8; 32]) {
        self.peers[peer].preshared_key = *psk;
        self.peers[peer].handshake.set_preshared_key(psk);
    }

    /// Removes a peer and adds another in its place, which has another public key.
    pub fn replace_peer(&mut self, peer: usize, public: &[u8; 32]) {
        self.purge(peer);
        self.zero_keys(peer);
        let (psk, endpoint) = (self.peers[peer].preshared_key, self.peers[peer].endpoint);

        self.add_peer(public, &psk, endpoint);
        self.peers.swap_remove(peer);
    }

    /// Returns whether nothing is going on: no key, no handshake, and nothing that will happen.
    pub fn is_asleep(&self) -> bool {
        self.indices.is_empty() && self.next_timer().is_none()
    }
}

impl World {
    /// Gives an interface another private key, of which the other one is not told.
    pub fn change_key(&mut self, device: usize, private: &[u8; 32]) {
        self.act(device, |device| device.set_private_key(private));
    }

    /// Tells each interface the public key of the other.
    pub fn introduce(&mut self) {
        for device in [A, B] {
            let public = *self.devices[1 - device].public();

            if self.devices[device].peers[0].public_key != public {
                self.act(device, |device| device.replace_peer(0, &public));
            }
        }
    }

    /// Lets time pass in which no timer fires, as in a suspended machine.
    pub fn suspend(&mut self, ns: u64) {
        self.now += ns;
    }
}
