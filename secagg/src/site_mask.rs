//! One site's mask of one attempt: made once, and added once.

use crate::mask::Masks;

/// What hides a site's vector in one attempt: its own mask and those that it shares, as one.
///
/// ```
/// fn hide_one(mask: fedtwin_secagg::SiteMask, vector: &mut [i64]) {
///     mask.add_to(vector);
/// }
/// ```
///
/// Adding it uses it up, since two vectors under one mask bare their difference:
///
/// ```compile_fail,E0382
/// fn hide_two(mask: fedtwin_secagg::SiteMask, first: &mut [i64], second: &mut [i64]) {
///     mask.add_to(first);
///     mask.add_to(second);
/// }
/// ```
#[derive(Debug)]
pub struct SiteMask {
    masks: Masks,
    values: u64,
}

impl SiteMask {
    pub(crate) fn new(masks: Masks, values: u64) -> Self {
        Self { masks, values }
    }

    /// Returns how many masks there are: what masking takes is the length of a vector times as much.
    #[must_use]
    pub fn count(&self) -> usize {
        self.masks.count()
    }

    /// Adds the mask to the attempt's vector; results are right modulo 2^k.
    ///
    /// # Panics
    /// When the vector has another length than the attempt's context says.
    pub fn add_to(self, vector: &mut [i64]) {
        assert_eq!(vector.len() as u64, self.values, "a mask is of its attempt's vector");
        self.masks.add_to(0, vector);
    }
}
