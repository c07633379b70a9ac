// SPDX-License-Identifier: GPL-2.0

//! The tree of one address family.
//!
//! It is a path-compressed radix tree: no node has one child and no value. As the prefix of a node is
//! longer than that of its parent, no path is longer than [`DEPTH`].
//!
//! Nothing recurses: the kernel's stack is small, and the user determines the depth.

use super::{
    key::Key,
    Family,
    OutOfMemory, //
};

/// Nodes on the longest path: prefixes of 0 to 128 bits, each beginning with the one before.
const DEPTH: usize = 129;

/// How many nodes are dropped between two pauses.
const PACE: u32 = 1024;

/// A tree.
pub(super) struct Tree<F: Family, K: Key, V>(Link<F, K, V>);

impl<F: Family, K: Key, V> Tree<F, K, V> {
    /// Returns a tree without prefixes.
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Returns the value of the longest prefix that `key` begins with, of those with a value that is
    /// `wanted`.
    #[inline]
    pub(super) fn lookup_where(&self, key: K, wanted: impl Fn(&V) -> bool) -> Option<&V> {
        let mut link = &self.0;
        let mut found = None;

        while let Some(node) = link {
            if node.key.common_bits(key) < node.len {
                break;
            }
            found = node.value.as_ref().filter(|value| wanted(value)).or(found);
            // A prefix that is a whole address has no children, whichever bit this returns.
            link = node.child(key.bit(node.len));
        }
        found
    }

    /// Drops the tree, calling `pause` every so often.
    pub(super) fn dismantle(self, pause: &mut impl FnMut()) {
        let mut pile = Pile::<F, K, V>::new([self.0, None]);

        while pile.drop_some(PACE) {
            pause();
        }
    }

    /// Returns the value of the prefix of `len` bits of `key`.
    pub(super) fn get(&self, key: K, len: u32) -> Option<&V> {
        let mut link = &self.0;

        loop {
            let node = link.as_ref()?;

            link = match node.compare(key, len) {
                Place::Above => node.child(key.bit(node.len)),
                Place::There => return node.value.as_ref(),
                Place::Off { .. } => return None,
            };
        }
    }

    /// Returns a tree in which the prefix of `len` bits of `key` has a value.
    pub(super) fn insert(&self, key: K, len: u32, value: V) -> Result<Self, OutOfMemory>
    where
        V: Clone,
    {
        let len = len.min(K::BITS);
        let key = key.masked(len);
        let mut path = Path::new();
        let mut link = &self.0;

        let new = loop {
            let Some(node) = link else {
                break Node::leaf(key, len, value);
            };

            match node.compare(key, len) {
                Place::Above => {
                    path.push(node)?;
                    link = node.child(key.bit(node.len));
                }
                Place::There => break node.with_value(Some(value)),
                Place::Off { common } if common == len => {
                    break Node {
                        key,
                        len,
                        value: Some(value),
                        children: fork(node.key.bit(len), link.clone(), None),
                    };
                }
                Place::Off { common } => {
                    let leaf = F::new(Node::leaf(key, len, value))?;

                    break Node {
                        key: key.masked(common),
                        len: common,
                        value: None,
                        children: fork(key.bit(common), Some(leaf), link.clone()),
                    };
                }
            }
        };

        path.rebuild(key, Some(F::new(new)?)).map(Self)
    }

    /// Returns a tree in which the prefix of `len` bits of `key` has no value, or nothing if it has
    /// none in this one.
    pub(super) fn remove(&self, key: K, len: u32) -> Result<Option<Self>, OutOfMemory>
    where
        V: Clone,
    {
        let mut path = Path::new();
        let mut link = &self.0;

        let node = loop {
            let Some(node) = link else {
                return Ok(None);
            };

            match node.compare(key, len) {
                Place::Above => {
                    path.push(node)?;
                    link = node.child(key.bit(node.len));
                }
                Place::There if node.value.is_some() => break node,
                Place::There | Place::Off { .. } => return Ok(None),
            }
        };

        let new = match &node.children {
            [Some(_), Some(_)] => Some(F::new(node.with_value(None))?),
            [Some(only), None] | [None, Some(only)] => Some(only.clone()),
            // A node above that has no value would be left with one child.
            [None, None] => path
                .pop_if(|above| above.value.is_none())
                .and_then(|above| above.child(!key.bit(above.len)).clone()),
        };

        path.rebuild(key, new).map(Self).map(Some)
    }
}

// Not derived: that would require the family and the values to be `Clone`.
impl<F: Family, K: Key, V> Clone for Tree<F, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A shared node, if there is one.
type Link<F, K, V> = Option<<F as Family>::Ptr<Node<F, K, V>>>;

/// A prefix with a value, or a fork.
///
/// # Invariants
///
/// - `len` is at most `K::BITS`, and `key` has no other bits set than the first `len`.
/// - The prefix of `children[b]` begins with that of this node and then bit `b`.
/// - Without a value there are two children.
struct Node<F: Family, K: Key, V> {
    /// Bits of the prefix.
    key: K,
    /// How many of them there are.
    len: u32,
    /// Value of the prefix, if it is one.
    value: Option<V>,
    /// Longer prefixes, by the bit that comes after this one.
    children: [Link<F, K, V>; 2],
}

impl<F: Family, K: Key, V> Node<F, K, V> {
    /// Returns a node without children.
    fn leaf(key: K, len: u32, value: V) -> Self {
        Self {
            key,
            len,
            value: Some(value),
            children: [None, None],
        }
    }

    /// Returns the child for prefixes that continue with `bit`.
    #[inline]
    fn child(&self, bit: bool) -> &Link<F, K, V> {
        let [zero, one] = &self.children;

        if bit {
            one
        } else {
            zero
        }
    }

    /// Returns where this node is on the path to the prefix of `len` bits of `key`.
    #[inline]
    fn compare(&self, key: K, len: u32) -> Place {
        let common = self.key.common_bits(key).min(len);

        if common < self.len {
            Place::Off { common }
        } else if self.len == len {
            Place::There
        } else {
            Place::Above
        }
    }

    /// Returns a copy with one child replaced.
    fn with_child(&self, bit: bool, child: Link<F, K, V>) -> Self
    where
        V: Clone,
    {
        Self {
            key: self.key,
            len: self.len,
            value: self.value.clone(),
            children: fork(bit, child, self.child(!bit).clone()),
        }
    }

    /// Returns a copy with the value replaced.
    fn with_value(&self, value: Option<V>) -> Self {
        Self {
            key: self.key,
            len: self.len,
            value,
            children: self.children.clone(),
        }
    }
}

// Nothing in a node is ever pinned.
impl<F: Family, K: Key, V> Unpin for Node<F, K, V> {}

impl<F: Family, K: Key, V> Drop for Node<F, K, V> {
    fn drop(&mut self) {
        let children = core::mem::take(&mut self.children);

        // `Pile` has usually taken them already.
        if children.iter().any(Option::is_some) {
            drop_all::<F, K, V>(children);
        }
    }
}

/// Drops the children of a node.
// Not inlined, so that its stack frame is added to no other.
#[inline(never)]
fn drop_all<F: Family, K: Key, V>(children: [Link<F, K, V>; 2]) {
    let mut pile = Pile::<F, K, V>::new(children);

    while pile.drop_some(PACE) {}
}

/// Nodes that are to be dropped, with their subtrees.
struct Pile<F: Family, K: Key, V> {
    /// Each node taken off the top is replaced by at most two deeper ones, so that at most one waits
    /// at each depth, and one more at the last.
    waiting: [Link<F, K, V>; DEPTH],
    /// How many there are.
    count: usize,
}

impl<F: Family, K: Key, V> Pile<F, K, V> {
    /// Returns a pile of these nodes: either the root alone, or nodes below it.
    fn new(nodes: [Link<F, K, V>; 2]) -> Self {
        let mut pile = Self {
            waiting: [const { None }; DEPTH],
            count: 0,
        };

        pile.push(nodes);
        pile
    }

    /// Puts nodes on top.
    fn push(&mut self, nodes: [Link<F, K, V>; 2]) {
        for node in nodes.into_iter().flatten() {
            if let Some(slot) = self.waiting.get_mut(self.count) {
                *slot = Some(node);
                self.count = self.count.wrapping_add(1);
            }
        }
    }

    /// Drops some nodes, and returns whether there are more.
    fn drop_some(&mut self, limit: u32) -> bool {
        for _ in 0..limit {
            let Some(top) = self.count.checked_sub(1) else {
                return false;
            };
            let node = self.waiting.get_mut(top).and_then(Option::take);
            let children = node.and_then(|ptr| {
                F::drop_last(ptr, |node: &mut Node<F, K, V>| {
                    core::mem::take(&mut node.children)
                })
            });

            self.count = top;
            self.push(children.unwrap_or_default());
        }
        true
    }
}

/// Returns the two children of a fork, of which `child` is the one for `bit`.
fn fork<T>(bit: bool, child: T, other: T) -> [T; 2] {
    if bit {
        [other, child]
    } else {
        [child, other]
    }
}

/// Where a node is, relative to a prefix.
enum Place {
    /// It is on the path: the prefix is longer, and begins with that of the node.
    Above,
    /// It is the node of the prefix.
    There,
    /// It is not on the path.
    Off {
        /// How many bits the two prefixes have in common.
        common: u32,
    },
}

/// The nodes above a place in the tree.
struct Path<'a, F: Family, K: Key, V> {
    /// From the root.
    nodes: [Option<&'a Node<F, K, V>>; DEPTH],
    /// How many there are.
    depth: usize,
}

impl<'a, F: Family, K: Key, V> Path<'a, F, K, V> {
    /// Returns the path to the root.
    fn new() -> Self {
        Self {
            nodes: [None; DEPTH],
            depth: 0,
        }
    }

    /// Descends below `node`.
    fn push(&mut self, node: &'a Node<F, K, V>) -> Result<(), OutOfMemory> {
        // There is always room, by the definition of `DEPTH`.
        let slot = self.nodes.get_mut(self.depth).ok_or(OutOfMemory)?;

        *slot = Some(node);
        self.depth = self.depth.wrapping_add(1);
        Ok(())
    }

    /// Removes the last node from the path, if there is one and it is as described.
    fn pop_if(
        &mut self,
        condition: impl FnOnce(&Node<F, K, V>) -> bool,
    ) -> Option<&'a Node<F, K, V>> {
        let above = self.depth.checked_sub(1)?;
        let node = self.nodes.get(above).copied().flatten()?;

        condition(node).then(|| {
            self.depth = above;
            node
        })
    }

    /// Returns a tree with `link` at this place, which is on the path to `key`.
    fn rebuild(&self, key: K, link: Link<F, K, V>) -> Result<Link<F, K, V>, OutOfMemory>
    where
        V: Clone,
    {
        let nodes = self.nodes.iter().take(self.depth).rev().flatten();

        nodes.copied().try_fold(link, |child, node| {
            F::new(node.with_child(key.bit(node.len), child)).map(Some)
        })
    }
}

#[cfg(test)]
impl<F: Family, K: Key + PartialEq + core::fmt::Debug, V> Tree<F, K, V> {
    /// Calls `f` for every node, in order, and asserts that the invariants hold.
    pub(super) fn check(&self, f: &mut impl FnMut(K, u32, Option<&V>)) {
        if let Some(node) = &self.0 {
            node.check(f);
        }
    }
}

#[cfg(test)]
impl<F: Family, K: Key + PartialEq + core::fmt::Debug, V> Node<F, K, V> {
    /// Does so for all below.
    fn check(&self, f: &mut impl FnMut(K, u32, Option<&V>)) {
        assert!(self.len <= K::BITS);
        assert_eq!(self.key, self.key.masked(self.len));
        assert!(self.value.is_some() || self.children.iter().all(Option::is_some));
        f(self.key, self.len, self.value.as_ref());

        for bit in [false, true] {
            if let Some(child) = self.child(bit) {
                assert!(child.len > self.len);
                assert_eq!(child.key.masked(self.len), self.key);
                assert_eq!(child.key.bit(self.len), bit);
                child.check(f);
            }
        }
    }
}
