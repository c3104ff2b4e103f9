//! Counts by rank that can be changed and summed below a rank in logarithmic time (Fenwick 1994).

/// How many are held at each rank.
#[derive(Debug, Clone)]
pub(crate) struct Fenwick {
    /// At index i, the count of the ranks that end at i and are as many as i's lowest bit.
    sums: Vec<u64>,
}

impl Fenwick {
    /// Returns a tree of zeros for ranks below `ranks`.
    pub(crate) fn new(ranks: usize) -> Self {
        Self { sums: vec![0; ranks + 1] }
    }

    /// Adds one at the rank.
    pub(crate) fn add(&mut self, rank: usize) {
        self.change(rank, |sum| *sum += 1);
    }

    /// Takes one away that was added at the rank.
    pub(crate) fn remove(&mut self, rank: usize) {
        self.change(rank, |sum| *sum -= 1);
    }

    /// Counts what is held below the rank.
    pub(crate) fn below(&self, rank: usize) -> u64 {
        let (mut at, mut count) = (rank, 0);
        while at > 0 {
            count += self.sums[at];
            at &= at - 1;
        }
        count
    }

    fn change(&mut self, rank: usize, apply: impl Fn(&mut u64)) {
        let mut at = rank + 1;
        while at < self.sums.len() {
            apply(&mut self.sums[at]);
            at += at & at.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn counts_below_a_rank_are_those_of_a_plain_list() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for ranks in [1, 2, 7, 16] {
            let (mut tree, mut plain) = (Fenwick::new(ranks), vec![0_u64; ranks]);
            for _ in 0..200 {
                let rank = rng.random_range(0..ranks);
                if plain[rank] > 0 && rng.random_bool(0.4) {
                    tree.remove(rank);
                    plain[rank] -= 1;
                } else {
                    tree.add(rank);
                    plain[rank] += 1;
                }
                for end in 0..=ranks {
                    assert_eq!(tree.below(end), plain[..end].iter().sum::<u64>());
                }
            }
        }
    }
}
