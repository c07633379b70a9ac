// SPDX-License-Identifier: GPL-2.0

//! A link that loses, delays, reorders, repeats and corrupts.

use std::collections::BTreeMap;

use wg_proto::{
    allowed_ips::Addr,
    cookie::Source, //
};

use super::{
    random::Random,
    Sent,
    MS, //
};

/// An outer address and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address.
    pub addr: Addr,
    /// UDP port.
    pub port: u16,
}

impl Endpoint {
    /// Returns what a cookie is made for.
    pub fn source(&self) -> Source {
        match &self.addr {
            Addr::V4(addr) => Source::v4(addr, self.port),
            Addr::V6(addr) => Source::v6(addr, self.port),
        }
    }
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Where it comes from.
    pub src: Endpoint,
    /// Where it goes.
    pub dst: Endpoint,
    /// DS field of its outer header.
    pub ds: u8,
    /// The message.
    pub bytes: Vec<u8>,
}

/// What a script wants for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// What happens to any other.
    Chance,
    /// It gets lost.
    Lost,
    /// It arrives, and takes that many nanoseconds.
    Delayed(u64),
}

/// What may happen to what an interface sends.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// How many of a thousand get lost.
    pub loss: u32,
    /// How many of a thousand arrive twice.
    pub duplication: u32,
    /// How many of a thousand arrive with other bytes or another length.
    pub corruption: u32,
    /// Nanoseconds that each takes at least.
    pub delay: u64,
    /// Nanoseconds that one takes longer at most, and so may be overtaken.
    pub jitter: u64,
}

/// Decides what happens to a message.
type Script = Box<dyn FnMut(&Sent) -> Fate>;

/// A link in both directions.
pub struct Link {
    /// What may happen, by the sender.
    pub quality: [Quality; 2],
    /// What happens to certain messages.
    script: Option<Script>,
    /// What is under way, by when it arrives, and then the order in which it was sent.
    queue: BTreeMap<(u64, u64), Datagram>,
    /// What was sent so far.
    count: u64,
    /// A copy of each message that was sent, if they are kept.
    kept: Option<Vec<(Sent, Datagram)>>,
    /// Chance.
    random: Random,
}

impl Link {
    /// Returns a link without faults, 10 ms long.
    pub(super) fn new(seed: u64) -> Self {
        let quality = Quality {
            loss: 0,
            duplication: 0,
            corruption: 0,
            delay: 10 * MS,
            jitter: 0,
        };

        Self {
            quality: [quality; 2],
            script: None,
            queue: BTreeMap::new(),
            count: 0,
            kept: None,
            random: Random::new(seed),
        }
    }

    /// Sets what may happen in both directions.
    pub fn set(&mut self, f: impl Fn(&mut Quality)) {
        self.quality.iter_mut().for_each(f);
    }

    /// Decides from now on what happens to certain messages.
    pub fn script(&mut self, script: impl FnMut(&Sent) -> Fate + 'static) {
        self.script = Some(Box::new(script));
    }

    /// Loses from now on what is so described.
    pub fn cut(&mut self, lost: impl Fn(&Sent) -> bool + 'static) {
        self.script(move |sent| if lost(sent) { Fate::Lost } else { Fate::Chance });
    }

    /// Leaves all to chance from now on.
    pub fn heal(&mut self) {
        self.script = None;
    }

    /// Keeps a copy of each message from now on.
    pub fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// Returns the messages of which a copy was kept.
    pub fn kept(&self) -> Vec<(Sent, Datagram)> {
        self.kept.clone().unwrap_or_default()
    }

    /// Returns of how many messages a copy was kept.
    pub fn kept_count(&self) -> usize {
        self.kept.as_ref().map_or(0, Vec::len)
    }

    /// Returns one of the messages of which a copy was kept.
    pub fn kept_one(&self, at: usize) -> Option<(Sent, Datagram)> {
        self.kept.as_ref()?.get(at).cloned()
    }

    /// Lets a datagram arrive that nobody, or somebody earlier, has sent.
    pub fn inject(&mut self, at: u64, datagram: Datagram) {
        self.queue.insert((at, self.count), datagram);
        self.count += 1;
    }

    /// Takes a message.
    pub(super) fn carry(&mut self, sent: Sent, datagram: Datagram) {
        if let Some(kept) = &mut self.kept {
            kept.push((sent, datagram.clone()));
        }

        match self
            .script
            .as_mut()
            .map_or(Fate::Chance, |script| script(&sent))
        {
            Fate::Lost => {}
            Fate::Delayed(delay) => self.inject(sent.at + delay, datagram),
            Fate::Chance => self.carry_by_chance(sent, datagram),
        }
    }

    /// Takes a message for which no script cares.
    fn carry_by_chance(&mut self, sent: Sent, datagram: Datagram) {
        let quality = self.quality[sent.from];
        let copies = 1 + u32::from(self.random.chance(quality.duplication));

        for _ in 0..copies {
            let mut copy = datagram.clone();
            let delay = quality.delay + self.random.below(quality.jitter + 1);

            if self.random.chance(quality.loss) {
                continue;
            }
            if self.random.chance(quality.corruption) {
                self.corrupt(&mut copy.bytes);
            }
            self.inject(sent.at + delay, copy);
        }
    }

    /// Changes a message.
    fn corrupt(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.below(bytes.len() as u64) as usize;

        match self.random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.push(0),
            _ => bytes[at] ^= 1 << self.random.below(8),
        }
    }

    /// Returns when the next datagram arrives.
    pub(super) fn next_arrival(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Returns the next datagram, if it has arrived.
    pub(super) fn arrive(&mut self, now: u64) -> Option<Datagram> {
        let first = self.queue.first_entry()?;

        (first.key().0 <= now).then(|| first.remove())
    }
}
