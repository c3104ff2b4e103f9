//! The Merkle tree of RFC 6962, grown leaf by leaf.

use crate::hash::{LeafHash, sha256};

/// The roots of the perfect subtrees that a log's leaves form: all that growing the tree needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One root for each set bit of `size`, largest subtree first.
    roots: Vec<[u8; 32]>,
}

impl Frontier {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: LeafHash) {
        let mut root = leaf.0;
        // Each trailing one of the old size is a subtree as large as the one just completed.
        for _ in 0..self.size.trailing_ones() {
            let left = self.roots.pop().expect("one root for each set bit of the size");
            root = node(&left, &root);
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// Returns the number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the Merkle tree hash (RFC 6962, section 2.1); that of no leaves is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut subtrees = self.roots.iter().rev();
        let Some(smallest) = subtrees.next() else {
            return sha256(&[]);
        };
        subtrees.fold(*smallest, |right, left| node(left, &right))
    }
}

pub(crate) fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[NODE_PREFIX], left, right])
}

/// Domain separation of inner nodes from leaves (RFC 6962, section 2.1).
const NODE_PREFIX: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::to_hex;

    /// The recursive definition of RFC 6962, section 2.1.
    fn definition(leaves: &[LeafHash]) -> [u8; 32] {
        match leaves {
            [] => sha256(&[]),
            [leaf] => leaf.0,
            [..] => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&definition(&leaves[..split]), &definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn frontier_matches_the_recursive_definition() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        for i in 0..70_u8 {
            assert_eq!(frontier.root(), definition(&leaves), "{i} leaves");
            let leaf = LeafHash::of(&[i]);
            leaves.push(leaf);
            frontier.push(leaf);
        }
    }

    /// The test tree of the certificate-transparency project (eight inputs, roots at sizes 1, 2, 3 and 8).
    #[test]
    fn roots_match_the_published_vectors() {
        let inputs: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let mut frontier = Frontier::default();
        let mut roots = vec![to_hex(&frontier.root())];
        for input in inputs {
            frontier.push(LeafHash::of(input));
            roots.push(to_hex(&frontier.root()));
        }
        for (size, root) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(roots[size], root, "{size} leaves");
        }
    }
}
