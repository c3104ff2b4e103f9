//! Proofs over a log's tree: that an entry is in it, and that it only grew.
//!
//! RFC 6962 defines the proofs (sections 2.1.1 and 2.1.2); they are verified as RFC 9162 writes it out
//! (sections 2.1.3.2 and 2.1.4.2). Verification needs no log: a few hashes and two checkpoints.

use crate::hash::LeafHash;
use crate::merkle::{Frontier, node};

/// A log's size and the root over its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    /// The number of entries.
    pub size: u64,
    /// The Merkle root over them.
    pub root: [u8; 32],
}

impl Tree {
    /// Computes the tree over leaves.
    #[must_use]
    pub fn over(leaves: &[LeafHash]) -> Self {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        Self { size: frontier.size(), root: frontier.root() }
    }

    /// Says whether this tree holds `leaf` at `index`, by the proof of [`inclusion`].
    #[must_use]
    pub fn includes(&self, leaf: LeafHash, index: u64, proof: &[[u8; 32]]) -> bool {
        if index >= self.size {
            return false;
        }
        let mut walk = Walk { place: index, last: self.size - 1 };
        let mut root = leaf.0;
        for hash in proof {
            match walk.step() {
                None => return false,
                Some(Side::Left) => root = node(hash, &root),
                Some(Side::Right) => root = node(&root, hash),
            }
        }
        walk.last == 0 && root == self.root
    }

    /// Says whether `newer` is this tree with entries added at its end, by the proof of [`consistency`].
    #[must_use]
    pub fn is_prefix_of(&self, newer: &Self, proof: &[[u8; 32]]) -> bool {
        if self.size == 0 || self.size >= newer.size {
            let same = self.size == 0 || self == newer;
            return same && self.size <= newer.size && proof.is_empty();
        }
        // A perfect tree is a node of the newer one, and its root, being known, is not in the proof.
        let known = self.size.is_power_of_two().then_some(&self.root);
        let mut hashes = known.into_iter().chain(proof);
        let Some(first) = hashes.next() else { return false };
        let mut walk = Walk { place: self.size - 1, last: newer.size - 1 };
        walk.skip_complete();
        let (mut old, mut new) = (*first, *first);
        for hash in hashes {
            match walk.step() {
                None => return false,
                Some(Side::Left) => (old, new) = (node(hash, &old), node(hash, &new)),
                Some(Side::Right) => new = node(&new, hash),
            }
        }
        walk.last == 0 && old == self.root && new == newer.root
    }
}

/// Returns the proof that the entry at `index` is among `leaves`; nothing if there is none.
///
/// At most 64 hashes, from the leaf's sibling up.
#[must_use]
pub fn inclusion(leaves: &[LeafHash], index: usize) -> Option<Vec<[u8; 32]>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut proof, mut leaves, mut index) = (Vec::new(), leaves, index);
    while leaves.len() > 1 {
        let (left, right) = halves(leaves);
        let sibling;
        (leaves, sibling, index) =
            if index < left.len() { (left, right, index) } else { (right, left, index - left.len()) };
        proof.push(Tree::over(sibling).root);
    }
    proof.reverse();
    Some(proof)
}

/// Returns the proof that the first `size` of `leaves` are a prefix of all; nothing if there are fewer.
#[must_use]
pub fn consistency(leaves: &[LeafHash], size: usize) -> Option<Vec<[u8; 32]>> {
    if size > leaves.len() {
        return None;
    }
    if size == 0 {
        return Some(Vec::new());
    }
    let (mut proof, mut leaves, mut size) = (Vec::new(), leaves, size);
    // Whether the prefix is all of the subtree that the walk came down to from its own root.
    let mut whole = true;
    while size < leaves.len() {
        let (left, right) = halves(leaves);
        if size <= left.len() {
            proof.push(Tree::over(right).root);
            leaves = left;
        } else {
            proof.push(Tree::over(left).root);
            (leaves, size, whole) = (right, size - left.len(), false);
        }
    }
    if !whole {
        proof.push(Tree::over(leaves).root);
    }
    proof.reverse();
    Some(proof)
}

/// Splits leaves at the largest power of two below their number, which is above one.
fn halves(leaves: &[LeafHash]) -> (&[LeafHash], &[LeafHash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

/// The way from a node up to the root: its place in its level, and the level's last place.
struct Walk {
    place: u64,
    last: u64,
}

/// On which side of the node a sibling is.
enum Side {
    Left,
    Right,
}

impl Walk {
    /// Goes up to the next level that has a sibling, and past it; nothing at the root.
    fn step(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let left = self.place & 1 == 1 || self.place == self.last;
        if left {
            // Levels at which the node is the last one and has no sibling.
            while self.place & 1 == 0 && self.place != 0 {
                self.up();
            }
        }
        self.up();
        Some(if left { Side::Left } else { Side::Right })
    }

    /// Goes up as long as the node is a right child: to the root of a perfect subtree that ends here.
    fn skip_complete(&mut self) {
        while self.place & 1 == 1 {
            self.up();
        }
    }

    fn up(&mut self) {
        self.place >>= 1;
        self.last >>= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<LeafHash> {
        (0..count).map(|i| LeafHash::of(&[i])).collect()
    }

    /// PATH of RFC 6962, section 2.1.1, word for word.
    fn path(m: usize, leaves: &[LeafHash]) -> Vec<[u8; 32]> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let (left, right) = halves(leaves);
        let (mut proof, other) =
            if m < left.len() { (path(m, left), right) } else { (path(m - left.len(), right), left) };
        proof.push(Tree::over(other).root);
        proof
    }

    /// SUBPROOF of RFC 6962, section 2.1.2, word for word.
    fn subproof(m: usize, leaves: &[LeafHash], b: bool) -> Vec<[u8; 32]> {
        if m == leaves.len() {
            return if b { Vec::new() } else { vec![Tree::over(leaves).root] };
        }
        let (left, right) = halves(leaves);
        let (mut proof, other) = if m <= left.len() {
            (subproof(m, left, b), right)
        } else {
            (subproof(m - left.len(), right, false), left)
        };
        proof.push(Tree::over(other).root);
        proof
    }

    #[test]
    fn proofs_are_those_of_the_definition() {
        let all = leaves(40);
        for size in 1..=40 {
            let leaves = &all[..size];
            for i in 0..size {
                assert_eq!(inclusion(leaves, i).unwrap(), path(i, leaves), "{i} of {size}");
                assert_eq!(
                    consistency(leaves, i + 1).unwrap(),
                    subproof(i + 1, leaves, true),
                    "{i} of {size}"
                );
            }
            assert_eq!((inclusion(leaves, size), consistency(leaves, size + 1)), (None, None));
        }
    }

    #[test]
    fn every_entry_is_proven_at_its_own_place_only() {
        let all = leaves(21);
        for size in 1..=21 {
            let tree = Tree::over(&all[..size]);
            for index in 0..size {
                let proof = inclusion(&all[..size], index).unwrap();
                for (claimed, leaf) in all.iter().enumerate() {
                    let holds = tree.includes(all[index], claimed as u64, &proof);
                    assert_eq!(holds, claimed == index, "{index} of {size} at {claimed}");
                    assert_eq!(tree.includes(*leaf, index as u64, &proof), claimed == index);
                }
            }
        }
    }

    #[test]
    fn every_prefix_is_proven_and_nothing_else() {
        let all = leaves(21);
        let forked: Vec<_> = all.iter().map(|leaf| LeafHash::of(&leaf.0)).collect();
        for size in 0..=21 {
            let newer = Tree::over(&all[..size]);
            for old in 0..=size {
                let proof = consistency(&all[..size], old).unwrap();
                assert!(Tree::over(&all[..old]).is_prefix_of(&newer, &proof), "{old} of {size}");
                for other in 0..=21 {
                    let claimed = Tree::over(&all[..other]);
                    let holds = claimed.is_prefix_of(&newer, &proof);
                    let trivial = other == 0 && proof.is_empty() || other == size && proof.is_empty();
                    assert_eq!(holds, other == old || trivial, "{other} by the proof of {old} in {size}");
                    let fork = Tree::over(&forked[..other]);
                    assert!(other == 0 || !fork.is_prefix_of(&newer, &proof), "a fork of {other} in {size}");
                }
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_a_proof_is_noticed() {
        let all = leaves(13);
        for size in 2..=13 {
            let tree = Tree::over(&all[..size]);
            for at in 0..size {
                let proof = inclusion(&all[..size], at).unwrap();
                each_flip(&proof, |bad| assert!(!tree.includes(all[at], at as u64, bad), "{at} of {size}"));
                let old = Tree::over(&all[..at]);
                let proof = consistency(&all[..size], at).unwrap();
                each_flip(&proof, |bad| assert!(!old.is_prefix_of(&tree, bad), "{at} of {size}"));
                let (short, long) =
                    (&proof[..proof.len().saturating_sub(1)], [&proof[..], &[[0; 32]]].concat());
                assert!(proof.is_empty() || !old.is_prefix_of(&tree, short));
                assert!(!old.is_prefix_of(&tree, &long));
            }
        }
    }

    fn each_flip(proof: &[[u8; 32]], check: impl Fn(&[[u8; 32]])) {
        for (hash, bit) in (0..proof.len()).flat_map(|hash| (0..256).map(move |bit| (hash, bit))) {
            let mut bad = proof.to_vec();
            bad[hash][bit / 8] ^= 1 << (bit % 8);
            check(&bad);
        }
    }
}
