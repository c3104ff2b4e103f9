//! Symmetric systems of a few equations.
//!
//! Matrices are packed by their lower rows: entry (i, j) for j up to i is at i (i + 1) / 2 + j.

/// Returns where entry (i, j) of a packed matrix is.
pub(crate) fn at(i: usize, j: usize) -> usize {
    let (row, column) = (i.max(j), i.min(j));
    row * (row + 1) / 2 + column
}

/// Returns how many entries a packed matrix of `size` rows has.
pub(crate) fn packed_len(size: usize) -> usize {
    size * (size + 1) / 2
}

/// The lower factor of a positive definite matrix (Cholesky's decomposition).
pub(crate) struct Cholesky {
    size: usize,
    factor: Vec<f64>,
}

impl Cholesky {
    /// Factors a packed matrix, or returns the first row that is, numerically, a combination of those before it.
    pub(crate) fn of(matrix: &[f64], size: usize) -> Result<Self, usize> {
        let mut factor = vec![0.0; packed_len(size)];
        for i in 0..size {
            for j in 0..=i {
                let products: f64 = (0..j).map(|k| factor[at(i, k)] * factor[at(j, k)]).sum();
                let rest = matrix[at(i, j)] - products;
                if i > j {
                    factor[at(i, j)] = rest / factor[at(j, j)];
                } else if rest > PIVOT_MIN * matrix[at(i, i)] && rest > 0.0 {
                    factor[at(i, i)] = rest.sqrt();
                } else {
                    return Err(i);
                }
            }
        }
        Ok(Self { size, factor })
    }

    /// Solves for a right-hand side, `[size]`.
    pub(crate) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for i in 0..self.size {
            let known: f64 = (0..i).map(|k| self.factor[at(i, k)] * x[k]).sum();
            x[i] = (x[i] - known) / self.factor[at(i, i)];
        }
        for i in (0..self.size).rev() {
            let known: f64 = (i + 1..self.size).map(|k| self.factor[at(k, i)] * x[k]).sum();
            x[i] = (x[i] - known) / self.factor[at(i, i)];
        }
        x
    }

    /// Returns the packed inverse.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let mut inverse = vec![0.0; packed_len(self.size)];
        for i in 0..self.size {
            let mut unit = vec![0.0; self.size];
            unit[i] = 1.0;
            let column = self.solve(&unit);
            for (j, value) in column.into_iter().enumerate().take(i + 1) {
                inverse[at(i, j)] = value;
            }
        }
        inverse
    }
}

/// Relative to the diagonal: what is left of a row may be rounding below this, with some six digits of the sums wrong.
const PIVOT_MIN: f64 = 1e-10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_inverted() {
        // [[4, 2, 0], [2, 5, 3], [0, 3, 6]]
        let matrix = [4.0, 2.0, 5.0, 0.0, 3.0, 6.0];
        let factored = Cholesky::of(&matrix, 3).ok().unwrap();
        let x = factored.solve(&[8.0, 21.0, 24.0]);
        for (i, right) in [8.0, 21.0, 24.0].into_iter().enumerate() {
            let left: f64 = (0..3).map(|j| matrix[at(i, j)] * x[j]).sum();
            assert!((left - right).abs() < 1e-12, "{x:?}");
        }
        let inverse = factored.inverse();
        for i in 0..3 {
            for j in 0..3 {
                let entry: f64 = (0..3).map(|k| matrix[at(i, k)] * inverse[at(k, j)]).sum();
                assert!((entry - if i == j { 1.0 } else { 0.0 }).abs() < 1e-12, "{inverse:?}");
            }
        }
    }

    #[test]
    fn a_row_that_is_a_combination_is_found() {
        for (matrix, row) in [([1.0, 2.0, 4.0], 1), ([0.0, 0.0, 1.0], 0), ([f64::NAN, 0.0, 1.0], 0)] {
            assert_eq!(Cholesky::of(&matrix, 2).err(), Some(row));
        }
        assert_eq!(Cholesky::of(&[1.0, 0.0, -1.0], 2).err(), Some(1));
    }
}
