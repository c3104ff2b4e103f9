//! Shares of a secret, enough of which give it back and fewer of which say nothing about it.
//!
//! Shamir, *How to share a secret* (CACM 1979), byte by byte over the field of 256 elements: the secret is the value
//! at zero of a random polynomial whose degree is one less than the threshold; holder `i` has the value at
//! `i + 1`.

use chacha20::rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::field::{add, inverse, multiply};

/// A secret, or one holder's share of it.
pub(crate) type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// The bytes of a secret: those of a key.
pub(crate) const SECRET_BYTES: usize = 32;

/// The most holders: places other than zero.
pub(crate) const HOLDERS_MAX: usize = 255;

/// Splits a secret among holders.
///
/// # Panics
/// If `threshold` is not in `1..=holders`, or there are more than [`HOLDERS_MAX`].
pub(crate) fn split(
    secret: &Secret,
    threshold: usize,
    holders: usize,
    random: &mut impl CryptoRng,
) -> Vec<Secret> {
    assert!((1..=holders).contains(&threshold) && holders <= HOLDERS_MAX, "checked by the graph");
    let mut coefficients = vec![secret.clone()];
    for _ in 1..threshold {
        let mut coefficient = Secret::default();
        random.fill_bytes(coefficient.as_mut_slice());
        coefficients.push(coefficient);
    }
    (0..holders).map(|holder| value_at(&coefficients, place(holder))).collect()
}

/// Evaluates a polynomial by Horner's rule.
fn value_at(coefficients: &[Secret], x: u8) -> Secret {
    let mut value = Secret::default();
    for coefficient in coefficients.iter().rev() {
        for (value, coefficient) in value.iter_mut().zip(coefficient.iter()) {
            *value = add(multiply(*value, x), *coefficient);
        }
    }
    value
}

/// Returns the value at zero of the lowest polynomial through some holders' shares.
///
/// Any threshold of true shares gives the secret; what others give is for the caller to check.
///
/// # Panics
/// If two shares are of one holder.
pub(crate) fn interpolate(shares: &[(usize, &Secret)]) -> Secret {
    let mut value = Secret::default();
    for (index, (holder, share)) in shares.iter().enumerate() {
        // Lagrange's basis; places are public.
        let (mut above, mut below) = (1, 1);
        for (other, (another, _)) in shares.iter().enumerate() {
            if other != index {
                assert_ne!(holder, another, "one share of each holder");
                above = multiply(above, place(*another));
                below = multiply(below, add(place(*holder), place(*another)));
            }
        }
        let weight = multiply(above, inverse(below));
        for (value, share) in value.iter_mut().zip(share.iter()) {
            *value = add(*value, multiply(weight, *share));
        }
    }
    value
}

fn place(holder: usize) -> u8 {
    u8::try_from(holder + 1).expect("there are at most 255 holders")
}

#[cfg(test)]
mod tests {
    use blahaj::{Share, Sharks};
    use chacha20::ChaCha20Rng;
    use chacha20::rand_core::SeedableRng;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against blahaj, which has the same field and the same places: each reads the other's shares.
        #[test]
        fn enough_shares_give_the_secret_back(secret: [u8; 32], seed: [u8; 32], holders in 1_usize..30, part in 0_usize..30) {
            let threshold = 1 + part % holders;
            let mut random = ChaCha20Rng::from_seed(seed);
            let secret = Secret::new(secret);
            let shares = split(&secret, threshold, holders, &mut random);
            let last: Vec<_> = shares.iter().enumerate().skip(holders - threshold).collect();
            prop_assert_eq!(&interpolate(&last), &secret);
            let theirs: Vec<_> = last
                .iter()
                .map(|(holder, share)| Share::try_from([&[place(*holder)], share.as_slice()].concat().as_slice()).unwrap())
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
    fn fewer_shares_fit_every_secret() {
        // With one share too few, each value of a byte comes from exactly one value of the missing share.
        let mut random = ChaCha20Rng::from_seed([1; 32]);
        let shares = split(&Secret::new([7; 32]), 3, 5, &mut random);
        let mut seen = [false; 256];
        for guess in 0..=255 {
            let missing = Secret::new([guess; 32]);
            let value = interpolate(&[(0, &shares[0]), (3, &shares[3]), (4, &missing)]);
            seen[usize::from(value[0])] = true;
        }
        assert!(seen.iter().all(|&seen| seen));
    }
}
