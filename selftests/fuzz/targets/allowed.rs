// SPDX-License-Identifier: GPL-2.0

//! Allowed IPs, against a list of prefixes.

#![no_main]

use std::{
    cell::Cell,
    rc::Rc, //
};

use wg_fuzz::{
    fuzz_target,
    Bytes, //
};
use wg_proto::allowed_ips::{
    Addr,
    Family,
    OutOfMemory,
    Prefix,
    Table, //
};

thread_local! {
    /// How many allocations succeed from now on.
    static MEMORY: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Pointers of the standard library, with memory that ends.
struct Pointers;

impl Family for Pointers {
    type Ptr<T> = Rc<T>;

    fn new<T>(value: T) -> Result<Rc<T>, OutOfMemory> {
        let left = MEMORY.get().checked_sub(1).ok_or(OutOfMemory)?;

        MEMORY.set(left);
        Ok(Rc::new(value))
    }

    fn drop_last<T: Unpin, R>(ptr: Rc<T>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        Rc::into_inner(ptr).map(|mut value| f(&mut value))
    }
}

/// A peer, which counts who refers to it.
type Peer = Rc<u8>;

/// The bits of an address, from the first one on.
fn bits(addr: &Addr) -> Vec<bool> {
    let bytes: &[u8] = match addr {
        Addr::V4(bytes) => bytes,
        Addr::V6(bytes) => bytes,
    };

    bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte & (0x80 >> bit) != 0))
        .collect()
}

/// All prefixes, in no order.
#[derive(Clone, Default)]
struct Model(Vec<(Vec<bool>, usize, u8)>);

impl Model {
    fn find(&self, addr: &Addr, len: u8) -> Option<usize> {
        let (all, len) = (bits(addr), usize::from(len));
        let mut entries = self.0.iter();

        // As many bits in all: of the same family.
        entries.position(|(prefix, family, _)| {
            *family == all.len() && prefix.len() == len && all.starts_with(prefix)
        })
    }

    fn insert(&mut self, addr: &Addr, len: u8, peer: u8) {
        match self.find(addr, len) {
            Some(at) => self.0[at].2 = peer,
            None => {
                let all = bits(addr);
                self.0
                    .push((all[..usize::from(len)].to_vec(), all.len(), peer));
            }
        }
    }

    fn lookup(&self, addr: &Addr, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let all = bits(addr);
        let entries = self.0.iter().filter(|(prefix, family, peer)| {
            *family == all.len() && all.starts_with(prefix) && wanted(*peer)
        });

        entries
            .max_by_key(|(prefix, _, _)| prefix.len())
            .map(|(_, _, peer)| *peer)
    }
}

/// Returns an address, most often one that has much in common with others.
fn addr(bytes: &mut Bytes<'_>) -> Addr {
    let how = bytes.u8();
    let mut v6 = [0x20; 16];

    match how >> 1 & 3 {
        0 => v6[usize::from(how >> 3 & 15)] ^= bytes.u8(),
        1 => v6[..4].copy_from_slice(&bytes.array::<4>()),
        2 => {
            let bit = bytes.below(128);
            v6[bit / 8] ^= 0x80 >> (bit % 8);
            let bit = bytes.below(128);
            v6[bit / 8] ^= 0x80 >> (bit % 8);
        }
        _ => v6 = bytes.array(),
    }
    match how & 1 {
        0 => Addr::V4([v6[0], v6[1], v6[2], v6[3]]),
        _ => Addr::V6(v6),
    }
}

/// Returns an address and how long a prefix of it is.
fn prefix(bytes: &mut Bytes<'_>) -> (Addr, u8) {
    let addr = addr(bytes);
    let bits = if matches!(addr, Addr::V4(_)) { 32 } else { 128 };

    (addr, (bytes.u8() % (bits + 1)))
}

/// The table and the model, and peers by their number.
struct Both {
    table: Table<Pointers, Peer>,
    model: Model,
    peers: Vec<Peer>,
}

impl Both {
    /// Asserts that a lookup finds the same in either.
    fn check(&self, addr: &Addr) {
        let got = self.table.lookup(addr).map(|peer| **peer);
        assert_eq!(got, self.model.lookup(addr, |_| true), "{addr:?}");
        let got = self.table.lookup_where(addr, |peer| **peer % 2 == 0);
        let expected = self.model.lookup(addr, |peer| peer % 2 == 0);
        assert_eq!(got.map(|peer| **peer), expected, "{addr:?}");
    }

    /// Asserts this of each prefix: its first and its last address, and those just outside.
    fn check_all(&self) {
        for (prefix, family, peer) in &self.model.0 {
            for fill in [false, true] {
                let mut all = prefix.clone();
                all.resize(*family, fill);
                self.check(&to_addr(&all));
                if let Some(last) = prefix.len().checked_sub(1) {
                    all[last] ^= true;
                    self.check(&to_addr(&all));
                }
            }
            let mut all = prefix.clone();
            all.resize(*family, false);
            let found = Prefix::new(to_addr(&all), prefix.len() as u8).unwrap();
            assert_eq!(self.table.get(&found).map(|peer| **peer), Some(*peer));
        }
    }

    fn insert(&mut self, (addr, len): (Addr, u8), peer: u8) {
        let prefix = Prefix::new(addr, len).unwrap();
        let peer_ref = self.peers[usize::from(peer)].clone();

        if let Ok(table) = self.table.insert(prefix, peer_ref) {
            self.table = table;
            self.model.insert(&addr, len, peer);
        }
    }

    fn remove(&mut self, (addr, len): (Addr, u8)) {
        let prefix = Prefix::new(addr, len).unwrap();
        let found = self.model.find(&addr, len);

        assert_eq!(self.table.get(&prefix).is_some(), found.is_some());
        match self.table.remove(&prefix) {
            Err(OutOfMemory) => {}
            Ok(None) => assert_eq!(found, None),
            Ok(Some(table)) => {
                self.table = table;
                self.model.0.swap_remove(found.unwrap());
            }
        }
    }

    /// Removes all prefixes of a peer, as when it goes.
    fn remove_peer(&mut self, peer: u8) {
        let of_peer: Vec<_> = self
            .model
            .0
            .iter()
            .filter(|entry| entry.2 == peer)
            .collect();
        let prefixes: Vec<_> = of_peer
            .iter()
            .map(|(prefix, family, _)| {
                let mut all = prefix.clone();
                all.resize(*family, false);
                (to_addr(&all), prefix.len() as u8)
            })
            .collect();

        for prefix in prefixes {
            self.remove(prefix);
        }
    }
}

/// Returns the address of all these bits.
fn to_addr(bits: &[bool]) -> Addr {
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let bytes: Vec<u8> = bits.chunks(8).map(byte).collect();

    match bytes.as_slice().try_into() {
        Ok(v4) => Addr::V4(v4),
        Err(_) => Addr::V6(bytes.try_into().unwrap()),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes::new(data);
    let mut both = Both {
        table: Table::new(),
        model: Model::default(),
        peers: (0..8).map(Rc::new).collect(),
    };
    let mut old = None;

    MEMORY.set(u32::MAX);
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        match bytes.u8() % 16 {
            0..=6 => {
                let prefix = prefix(&mut bytes);
                both.insert(prefix, bytes.u8() % 8);
            }
            7..=9 => both.remove(prefix(&mut bytes)),
            10 => both.remove_peer(bytes.u8() % 8),
            11..=12 => both.check(&addr(&mut bytes)),
            // A reader that keeps what it has seen.
            13 => old = Some((both.table.clone(), both.model.clone())),
            14 => MEMORY.set(bytes.below(8) as u32),
            _ => MEMORY.set(u32::MAX),
        }
    }
    both.check_all();
    MEMORY.set(u32::MAX);

    // What was seen then is still so.
    if let Some((table, model)) = old {
        let peers = both.peers.clone();
        let mut then = Both {
            table,
            model,
            peers,
        };
        then.check_all();
        for peer in 0..8 {
            then.remove_peer(peer);
        }
        assert!(then.model.0.is_empty());
    }
    both.check_all();

    // And nothing is left.
    let Both { table, peers, .. } = both;
    table.dismantle(|| {});
    assert!(peers.iter().all(|peer| Rc::strong_count(peer) == 1));
});
