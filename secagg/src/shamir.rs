//! Shares of a secret, enough of which give it back and fewer of which say nothing about it.
//!
//! Shamir, *How to share a secret* (CACM 1979), two bytes at a time over the [field](crate::field) of 65,536 elements: the
//! secret is the value at zero of a random polynomial whose degree is one less than the threshold; holder `i` has the value
//! at `i + 1`. Up to 255 holders these are byte by byte the shares over the field of 256.

use chacha20::rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::field::{Element, Row};

/// A secret, or one holder's share of it.
pub(crate) type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// The bytes of a secret: those of a key.
pub(crate) const SECRET_BYTES: usize = 32;

/// The most holders: places other than zero.
pub(crate) const HOLDERS_MAX: usize = u16::MAX as usize;

/// Deals a secret among holders.
///
/// # Panics
/// If `threshold` is not in `1..=holders`, or there are more than [`HOLDERS_MAX`].
pub(crate) fn deal(
    secret: &Secret,
    threshold: usize,
    holders: usize,
    random: &mut impl CryptoRng,
) -> Vec<Secret> {
    assert!((1..=holders).contains(&threshold) && holders <= HOLDERS_MAX, "checked by whoever joins");
    let mut coefficients = vec![Zeroizing::new(Row::of(secret))];
    for _ in 1..threshold {
        let mut coefficient = Secret::default();
        random.fill_bytes(coefficient.as_mut_slice());
        coefficients.push(Zeroizing::new(Row::of(&coefficient)));
    }
    (0..holders).map(|holder| value_at(&coefficients, place(holder)).to_secret()).collect()
}

/// Evaluates a polynomial by Horner's rule.
fn value_at(coefficients: &[Zeroizing<Row>], x: Element) -> Zeroizing<Row> {
    let mut value = Zeroizing::new(Row::default());
    for coefficient in coefficients.iter().rev() {
        *value = value.scaled(x);
        *value += **coefficient;
    }
    value
}

/// Returns the holder's place, where it has the polynomial's value.
pub(crate) fn place(holder: usize) -> Element {
    Element::new(u16::try_from(holder + 1).expect("there are at most 65,535 holders"))
}

/// Returns Lagrange's weights at zero: the sum of the shares at these places, each by its weight, is the secret if all
/// are true and enough.
///
/// # Panics
/// If a place comes twice.
pub(crate) fn weights_at_zero(places: &[Element]) -> Vec<Element> {
    let weight = |(own, &at): (usize, &Element)| {
        let (mut above, mut below) = (Element::ONE, Element::ONE);
        for (other, &place) in places.iter().enumerate() {
            if other != own {
                assert_ne!(place, at, "one share of each holder");
                above = above * place;
                below = below * (at + place);
            }
        }
        above * below.inverse()
    };
    places.iter().enumerate().map(weight).collect()
}

/// Adds up rows, each by its weight.
pub(crate) fn weighted_sum<'a>(
    weights: impl IntoIterator<Item = Element>,
    rows: impl IntoIterator<Item = &'a Row>,
) -> Row {
    let mut sum = Row::default();
    for (weight, row) in weights.into_iter().zip(rows) {
        sum += row.scaled(weight);
    }
    sum
}

#[cfg(test)]
mod tests {
    use blahaj::{Share, Sharks};
    use chacha20::ChaCha20Rng;
    use chacha20::rand_core::SeedableRng;
    use proptest::prelude::*;

    use super::*;

    /// Returns what some holders' shares give.
    fn interpolate(shares: &[(usize, &Secret)]) -> Secret {
        let places: Vec<_> = shares.iter().map(|(holder, _)| place(*holder)).collect();
        let rows: Vec<_> = shares.iter().map(|(_, share)| Row::of(share)).collect();
        weighted_sum(weights_at_zero(&places), &rows).to_secret()
    }

    proptest! {
        /// Against blahaj, which shares byte by byte over the field of 256: each reads the other's shares.
        #[test]
        fn enough_shares_give_the_secret_back(secret: [u8; 32], seed: [u8; 32], holders in 1_usize..30, part in 0_usize..30) {
            let threshold = 1 + part % holders;
            let mut random = ChaCha20Rng::from_seed(seed);
            let secret = Secret::new(secret);
            let shares = deal(&secret, threshold, holders, &mut random);
            let last: Vec<_> = shares.iter().enumerate().skip(holders - threshold).collect();
            prop_assert_eq!(&interpolate(&last), &secret);
            let theirs: Vec<_> = last
                .iter()
                .map(|(holder, share)| {
                    let place = u8::try_from(holder + 1).unwrap();
                    Share::try_from([&[place], share.as_slice()].concat().as_slice()).unwrap()
                })
                .collect();
            prop_assert_eq!(Sharks(threshold.try_into().unwrap()).recover(&theirs).unwrap(), secret.to_vec());
        }

        #[test]
        fn shares_of_blahaj_give_the_secret_back(secret: [u8; 32], threshold in 1_u8..20) {
            let shares: Vec<Share> = Sharks(threshold).dealer(&secret).take(usize::from(threshold)).collect();
            let ours: Vec<(usize, Secret)> = shares
                .iter()
                .map(|share| {
                    let bytes = Vec::from(share);
                    (usize::from(bytes[0]) - 1, Secret::new(bytes[1..].try_into().unwrap()))
                })
                .collect();
            let ours: Vec<_> = ours.iter().map(|(holder, share)| (*holder, share)).collect();
            prop_assert_eq!(interpolate(&ours), Secret::new(secret));
        }
    }

    #[test]
    fn a_thousand_holders_give_the_secret_back() {
        let secret = Secret::new(std::array::from_fn(|byte| byte.to_le_bytes()[0] * 7 + 3));
        let shares = deal(&secret, 667, 1000, &mut ChaCha20Rng::from_seed([2; 32]));
        for skipped in [0, 100, 333] {
            let held: Vec<_> = shares.iter().enumerate().skip(skipped).take(667).collect();
            assert_eq!(interpolate(&held), secret);
        }
        // One share too few gives something else.
        let few: Vec<_> = shares.iter().enumerate().take(666).collect();
        assert_ne!(interpolate(&few), secret);
    }

    #[test]
    fn fewer_shares_fit_every_secret() {
        // With one share too few, each value of a byte comes from exactly one value of the missing share.
        let mut random = ChaCha20Rng::from_seed([1; 32]);
        let shares = deal(&Secret::new([7; 32]), 3, 5, &mut random);
        let mut seen = [false; 256];
        for guess in 0..=255 {
            let missing = Secret::new([guess; 32]);
            let value = interpolate(&[(0, &shares[0]), (3, &shares[3]), (4, &missing)]);
            seen[usize::from(value[0])] = true;
        }
        assert!(seen.iter().all(|&seen| seen));
    }
}
