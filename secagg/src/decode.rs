//! Finds a secret among shares of which some are wrong.
//!
//! Shares are a word of a Reed-Solomon code: values of a polynomial whose degree is below the threshold. Gao, *A new
//! algorithm for decoding Reed-Solomon codes* (2003): of `n` shares up to `(n - threshold) / 2` may be wrong, in each
//! element of the secret other ones, and all work is at most quadratic in `n`. What is right is known here, by a commitment
//! or a public key: so one or two wrong shares more than that are found by trial where the trials are few, each of
//! which takes three products (see [`Trials`]).
//!
//! Steps depend on values: whoever decodes was given all of the shares and may know them.

use crate::field::{COLUMNS, Element, Row};
use crate::shamir::{Secret, place, weighted_sum, weights_at_zero};

/// The holders whose shares there are, and what depends on them alone.
pub(crate) struct Decoder {
    threshold: usize,
    places: Vec<Element>,
    /// Lagrange's weights at zero.
    at_zero: Vec<Element>,
    /// The product of X - place over all places, from the constant term on.
    vanishing: Vec<Element>,
    /// Lagrange's weights: the inverse of the vanishing polynomial's derivative at each place.
    weights: Vec<Element>,
}

/// A secret, and the shares that are not of it, by their number in the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) secret: Secret,
    pub(crate) wrong: Vec<usize>,
}

impl Decoder {
    /// Prepares for the shares of these holders, in this order.
    ///
    /// # Panics
    /// If a holder comes twice, or there are fewer than the threshold.
    pub(crate) fn new(holders: &[usize], threshold: usize) -> Self {
        assert!(holders.len() >= threshold, "fewer say nothing");
        let places: Vec<_> = holders.iter().map(|&holder| place(holder)).collect();
        let mut vanishing = vec![Element::ONE];
        for &at in &places {
            // Times X + place.
            vanishing.insert(0, Element::ZERO);
            for term in 0..vanishing.len() - 1 {
                let next = vanishing[term + 1];
                vanishing[term] += next * at;
            }
        }
        let at_zero = weights_at_zero(&places);
        // The weight at zero is that of the basis times the product of all other places.
        let constant = vanishing[0];
        let weights =
            places.iter().zip(&at_zero).map(|(&at, &zero)| zero * at * constant.inverse()).collect();
        Self { threshold, places, at_zero, vanishing, weights }
    }

    /// Finds the secret that fits among shares in the order of the holders.
    pub(crate) fn decode(&self, shares: &[&Secret], fits: &dyn Fn(&Secret) -> bool) -> Option<Decoded> {
        let rows: Vec<Row> = shares.iter().map(|share| Row::of(share)).collect();
        let trials = Trials::new(self, &rows);
        let secret = trials.without_none();
        if fits(&secret) {
            return Some(Decoded { secret, wrong: Vec::new() });
        }
        self.correct(&rows).filter(|decoded| fits(&decoded.secret)).or_else(|| trials.find(fits))
    }

    /// Corrects up to half of the shares to spare, without knowing what is right.
    fn correct(&self, rows: &[Row]) -> Option<Decoded> {
        let coefficients = self.interpolate(rows);
        let (mut secret, mut wrong) = (coefficients[0], vec![false; rows.len()]);
        for column in 0..COLUMNS {
            let polynomial = trimmed(coefficients.iter().map(|row| row.element(column)).collect());
            if polynomial.len() > self.threshold {
                secret.set(column, self.correct_column(polynomial, &mut wrong)?);
            }
        }
        let wrong = (0..rows.len()).filter(|&share| wrong[share]).collect();
        Some(Decoded { secret: secret.to_secret(), wrong })
    }

    /// Returns the polynomial through all shares, for all columns at once.
    fn interpolate(&self, rows: &[Row]) -> Vec<Row> {
        let mut coefficients = vec![Row::default(); rows.len()];
        for ((row, &weight), &at) in rows.iter().zip(&self.weights).zip(&self.places) {
            let weighted = row.scaled(weight);
            // The vanishing polynomial over X - place, from its highest term on.
            let mut quotient = Element::ZERO;
            for term in (0..rows.len()).rev() {
                quotient = self.vanishing[term + 1] + quotient * at;
                coefficients[term] += weighted.scaled(quotient);
            }
        }
        coefficients
    }

    /// Returns the value at zero of the polynomial of low degree that is nearest, and marks where it differs.
    fn correct_column(&self, interpolated: Vec<Element>, wrong: &mut [bool]) -> Option<Element> {
        let enough = self.places.len() + self.threshold;
        let (mut before, mut rest) = (self.vanishing.clone(), interpolated);
        // The rest is the interpolated polynomial times the locator, modulo the vanishing one.
        let (mut locator_before, mut locator) = (Vec::new(), vec![Element::ONE]);
        while 2 * rest.len() >= enough + 2 {
            let quotient = divide(&mut before, &rest);
            let next = plus_product(locator_before, &quotient, &locator);
            (before, rest) = (rest, before);
            (locator_before, locator) = (locator, next);
        }
        let quotient = divide(&mut rest, &locator);
        if !rest.is_empty() || quotient.len() > self.threshold {
            return None;
        }
        let mut roots = 0;
        for (wrong, &at) in wrong.iter_mut().zip(&self.places) {
            if value_at(&locator, at) == Element::ZERO {
                roots += 1;
                *wrong = true;
            }
        }
        // A polynomial that is not near has a locator with roots elsewhere.
        (roots + 1 == locator.len()).then(|| quotient.first().copied().unwrap_or_default())
    }
}

/// The secrets that there are if one or two shares are left out.
///
/// Without share `i` the weight at zero of share `j` is the former times 1 + `x_j` / `x_i`, which is zero for `i` itself; so
/// the sums of shares by weight, by weight times place, and by weight times its square, give each of them.
struct Trials<'a> {
    decoder: &'a Decoder,
    sums: [Row; 3],
}

impl<'a> Trials<'a> {
    fn new(decoder: &'a Decoder, rows: &[Row]) -> Self {
        let by = |power: usize| {
            let weights = decoder.at_zero.iter().zip(&decoder.places);
            let weights = weights.map(move |(&weight, &at)| (0..power).fold(weight, |weight, _| weight * at));
            weighted_sum(weights, rows)
        };
        Self { decoder, sums: [by(0), by(1), by(2)] }
    }

    fn without_none(&self) -> Secret {
        self.sums[0].to_secret()
    }

    fn without(&self, left_out: [Element; 2]) -> Secret {
        let [one, other] = left_out;
        let mut secret = self.sums[0];
        secret += self.sums[1].scaled(one + other);
        secret += self.sums[2].scaled(one * other);
        secret.to_secret()
    }

    /// Tries to leave out one share, and two where there are few.
    fn find(&self, fits: &dyn Fn(&Secret) -> bool) -> Option<Decoded> {
        let count = self.decoder.places.len();
        let spare = count - self.decoder.threshold;
        let inverse: Vec<_> = self.decoder.places.iter().map(|place| place.inverse()).collect();
        let singles = (0..count).filter(|_| spare >= 1).map(|one| vec![one]);
        let pairs = (0..count).filter(|_| spare >= 2 && count <= PAIRS_TRIED_MAX);
        let pairs = pairs.flat_map(|one| (one + 1..count).map(move |other| vec![one, other]));
        singles.chain(pairs).find_map(|wrong| {
            let left_out = |number: usize| wrong.get(number).map_or(Element::ZERO, |&share| inverse[share]);
            let secret = self.without([left_out(0), left_out(1)]);
            fits(&secret).then_some(Decoded { secret, wrong })
        })
    }
}

/// Returns a polynomial without leading zeros.
fn trimmed(mut polynomial: Vec<Element>) -> Vec<Element> {
    while polynomial.last() == Some(&Element::ZERO) {
        polynomial.pop();
    }
    polynomial
}

/// Returns the quotient of two trimmed polynomials and leaves the remainder, trimmed.
fn divide(dividend: &mut Vec<Element>, divisor: &[Element]) -> Vec<Element> {
    let leading = divisor.last().expect("no division by zero").inverse();
    let mut quotient = vec![Element::ZERO; (dividend.len() + 1).saturating_sub(divisor.len())];
    for shift in (0..quotient.len()).rev() {
        let factor = dividend[shift + divisor.len() - 1] * leading;
        for (term, &other) in dividend[shift..].iter_mut().zip(divisor) {
            *term += factor * other;
        }
        quotient[shift] = factor;
    }
    *dividend = trimmed(std::mem::take(dividend));
    quotient
}

/// Returns the sum of a polynomial and the product of two others.
fn plus_product(mut sum: Vec<Element>, one: &[Element], other: &[Element]) -> Vec<Element> {
    sum.resize(sum.len().max(one.len() + other.len() - 1), Element::ZERO);
    for (shift, &factor) in one.iter().enumerate() {
        for (term, &value) in sum[shift..].iter_mut().zip(other) {
            *term += factor * value;
        }
    }
    trimmed(sum)
}

fn value_at(polynomial: &[Element], x: Element) -> Element {
    polynomial.iter().rev().fold(Element::ZERO, |value, &coefficient| value * x + coefficient)
}

/// Pairs of 64 are 2,016 trials, each of which may take the making of a public key, some 30 µs.
const PAIRS_TRIED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use chacha20::rand_core::{Rng as _, SeedableRng};
    use proptest::prelude::*;

    use super::*;
    use crate::shamir::deal;

    /// Shares of a secret among the holders of which some are wrong, and all that a decoder may know of it.
    struct Planted {
        secret: Secret,
        holders: Vec<usize>,
        threshold: usize,
        shares: Vec<Secret>,
        wrong: Vec<usize>,
    }

    impl Planted {
        /// Shares among `count` of a federation's holders; `liars` of them give wrong ones.
        fn new(count: usize, threshold: usize, liars: usize, seed: [u8; 32]) -> Self {
            let mut random = ChaCha20Rng::from_seed(seed);
            let mut secret = Secret::default();
            random.fill_bytes(secret.as_mut_slice());
            let all = deal(&secret, threshold, 2 * count, &mut random);
            // Any holders, in any order.
            let mut holders: Vec<usize> = (0..2 * count).collect();
            holders.sort_by_cached_key(|_| random.next_u64());
            holders.truncate(count);
            let mut shares: Vec<Secret> = holders.iter().map(|&holder| all[holder].clone()).collect();
            let mut wrong: Vec<usize> = (0..count).collect();
            wrong.sort_by_cached_key(|_| random.next_u64());
            wrong.truncate(liars);
            wrong.sort_unstable();
            for &liar in &wrong {
                // One byte more, or many: liars need not lie in the same places.
                for _ in 0..1 + random.next_u32() % 40 {
                    let byte = random.next_u32() as usize % shares[liar].len();
                    shares[liar][byte] ^= random.next_u32().to_le_bytes()[0];
                }
                shares[liar][0] = !all[holders[liar]][0];
            }
            Self { secret, holders, threshold, shares, wrong }
        }

        fn decode(&self) -> Option<Decoded> {
            let shares: Vec<_> = self.shares.iter().collect();
            let fits = |secret: &Secret| *secret == self.secret;
            Decoder::new(&self.holders, self.threshold).decode(&shares, &fits)
        }

        /// The trial that leaves out none, one or two shares and takes the first of the others.
        fn by_trial(&self) -> Option<Secret> {
            let count = self.shares.len();
            let pairs = (0..count).flat_map(|one| (one..count).map(move |other| [one, other]));
            [[count; 2]].into_iter().chain(pairs).find_map(|left_out| {
                let kept: Vec<_> =
                    (0..count).filter(|share| !left_out.contains(share)).take(self.threshold).collect();
                if kept.len() < self.threshold {
                    return None;
                }
                let places: Vec<_> = kept.iter().map(|&share| place(self.holders[share])).collect();
                let rows: Vec<_> = kept.iter().map(|&share| Row::of(&self.shares[share])).collect();
                let secret = weighted_sum(weights_at_zero(&places), &rows).to_secret();
                (secret == self.secret).then_some(secret)
            })
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn up_to_half_of_the_spare_shares_may_be_wrong(
            threshold in 1_usize..40, spare in 0_usize..24, liars in 0_usize..12, seed: [u8; 32],
        ) {
            let planted = Planted::new(threshold + spare, threshold, liars.min(spare / 2), seed);
            let expected = Decoded { secret: planted.secret.clone(), wrong: planted.wrong.clone() };
            prop_assert_eq!(planted.decode(), Some(expected));
        }

        /// Whatever was found by trial is found, and it is the secret.
        #[test]
        fn nothing_is_lost_against_the_trial(
            threshold in 1_usize..8, spare in 0_usize..5, liars in 0_usize..3, seed: [u8; 32],
        ) {
            let planted = Planted::new(threshold + spare, threshold, liars.min(threshold + spare), seed);
            let found = planted.decode().map(|decoded| decoded.secret);
            let tried = planted.by_trial();
            if liars <= spare.min(2) {
                prop_assert_eq!(&found, &Some(planted.secret.clone()));
                prop_assert_eq!(&tried, &found);
            }
            prop_assert!(found.is_none_or(|found| found == planted.secret));
        }

        /// More liars than can be corrected are never taken for honest.
        #[test]
        fn what_does_not_fit_is_not_found(spare in 0_usize..9, liars in 0_usize..9, seed: [u8; 32]) {
            let planted = Planted::new(6 + spare, 6, spare + 1 + liars % 6, seed);
            prop_assert_eq!(planted.decode().filter(|decoded| decoded.secret != planted.secret), None);
        }
    }

    #[test]
    fn forty_two_liars_of_255_and_more_of_a_thousand_are_found() {
        for (count, threshold) in [(255, 171), (1000, 667)] {
            let liars = (count - threshold) / 2;
            let planted = Planted::new(count, threshold, liars, [5; 32]);
            assert_eq!(planted.decode().unwrap().wrong, planted.wrong);
            let one_more = Planted::new(count, threshold, liars + 1, [5; 32]);
            assert_eq!(one_more.decode(), None);
        }
    }

    #[test]
    fn a_planted_wrong_weight_is_noticed() {
        let planted = Planted::new(9, 5, 2, [6; 32]);
        let shares: Vec<_> = planted.shares.iter().collect();
        let mut decoder = Decoder::new(&planted.holders, planted.threshold);
        decoder.weights[0] += Element::ONE;
        let found = decoder.correct(&shares.iter().map(|share| Row::of(share)).collect::<Vec<_>>());
        assert!(found.is_none_or(|found| found.secret != planted.secret));
    }
}
