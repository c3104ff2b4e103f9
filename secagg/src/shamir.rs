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
        #[test]
        fn enough_shares_give_the_secret_back(secret: [u8; 32], seed: [u8; 32], holders in 1_usize..30, part in 0_usize..30) {
            let threshold = 1 + part % holders;
            let mut random = ChaCha20Rng::from_seed(seed);
            let secret = Secret::new(secret);
            let shares = deal(&secret, threshold, holders, &mut random);
            let last: Vec<_> = shares.iter().enumerate().skip(holders - threshold).collect();
            prop_assert_eq!(&interpolate(&last), &secret);
        }
    }

    /// Shares by blahaj 0.7.0, which shares byte by byte over the field of 256 with the holder's place in front:
    /// `Sharks(threshold).dealer_rng(&secret, &mut ChaCha20Rng::seed_from_u64(threshold))`, its shares from the fourth on.
    /// What is read rightly here was made at the same places of the same field, so that blahaj reads ours too: of a
    /// degree below the threshold there is one polynomial through them.
    #[test]
    fn shares_of_blahaj_give_the_secret_back() {
        let secret = Secret::new(hex("0b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2173c6186"));
        for shares in BLAHAJ {
            let shares: Vec<(usize, Secret)> = shares
                .iter()
                .map(|share| {
                    let [place, share] = [&share[..2], &share[2..]];
                    (usize::from_str_radix(place, 16).unwrap() - 1, Secret::new(hex(share)))
                })
                .collect();
            let shares: Vec<_> = shares.iter().map(|(holder, share)| (*holder, share)).collect();
            assert_eq!(interpolate(&shares), secret, "threshold {}", shares.len());
            if shares.len() > 1 {
                assert_ne!(interpolate(&shares[1..]), secret, "one share below threshold {}", shares.len());
            }
        }
    }

    fn hex(text: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
    }

    const BLAHAJ: [&[&str]; 4] = [
        &["040b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2173c6186"],
        &[
            "040911df40d51205568336addfa71c1fb912d22b6e3af908ca7b6bcc1eff5447c1",
            "05875e73c049a93e40afa39987bf20925347488647488543ef45928b25c54ec019",
        ],
        &[
            "040f027f5cbbcf0ec346bf10261aca76acbba434efee71dd213d25b68d455d1521",
            "052a845a6139cdc4d53fba5866ba66b340d92c191ecae6302c63217f13f2cac87c",
            "067de000015045ab587d1398132cbd0c1113571a31e4cc82a92b6d2ddc0015324d",
        ],
        &[
            "048b9703fa83c8cab0a857010ca885b3de3fa75d718d612acc647f940d9b84926b",
            "05178986399de03f94f22a4415699668d150e97d0046bf74b5605a31a5c1ce8284",
            "06a0a03f9e10a8985b574b29c10095ba2fdbd72b3b7cfe49cf9fe73303ce5c3041",
            "076d084575763c604967799d30a4d99aa687d0d37c2df256b811dccef1ce1c3139",
            "08dd034ac5c74e6e32dd1f845facd3d011648b6a48b65f551005c2e234d30fbf8d",
            "09fec73acf21da20e3794cc4e42dc970191c7d751dc3e1e8d304c48fbd44fd8310",
            "0a403423e55f7a487516cdfbbf4c12d79588301bc04448611328fc7c41ce6e35b7",
        ],
    ];

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
