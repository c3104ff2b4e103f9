use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use super::*;

fn sampler(m: u32) -> Sampler<'static> {
    Sampler::new(NoiseBits::try_from(i64::from(m)).unwrap(), Proposal::shared())
}

/// The probability with which a place in the strips must be accepted, to within a few units of 2^-53.
fn probability(m: u32, magnitude: u64) -> (f64, Acceptance) {
    let sampler = sampler(m);
    let weight = sampler.proposal.strips[usize::try_from(magnitude >> (m - 5)).unwrap()].weight;
    let exponent = (magnitude as f64).powi(2) / 2_f64.powi(2 * i32::try_from(m).unwrap() + 1);
    let acceptance = Acceptance { exponent: sampler.exponent(magnitude), doublings: 0, weight };
    (f64::from(HEIGHT) * (-exponent).exp() / f64::from(weight), acceptance)
}

fn no_words() -> u64 {
    panic!("64 bits suffice")
}

#[test]
fn the_proposal_is_nowhere_too_low_and_fills_its_slots() {
    let Proposal { slots, strips, tail_weight } = Proposal::shared();
    assert_eq!(strips.iter().map(|strip| strip.weight).sum::<u32>() + tail_weight, 4096);
    for (k, strip) in strips.iter().enumerate() {
        let slots = slots.iter().filter(|&&slot| usize::from(slot) == k).count();
        assert_eq!(slots, strip.weight as usize);
        let highest = f64::from(HEIGHT) * (-((k * k) as f64) / 2048.0).exp();
        assert!((highest..=highest + 1.0).contains(&f64::from(strip.weight)), "{k}");
        let least = f64::from(HEIGHT) * (-((k + 1).pow(2) as f64) / 2048.0).exp() / f64::from(strip.weight);
        let surely = f64::from(strip.surely) / 2_f64.powi(26);
        assert!(surely <= least && least - surely < 2_f64.powi(-25), "{k}");
    }
    for piece in 0..40 {
        let highest =
            f64::from(HEIGHT) * 2_f64.powi(6 + piece) * (-(f64::from(4 + piece)).powi(2) / 2.0).exp();
        assert!(highest <= f64::from(*tail_weight), "{piece}");
    }
}

/// This is what makes the law right: a place is accepted in proportion to g over its proposal. An error of
/// 2^-49 would show.
#[test]
fn every_place_is_accepted_with_its_probability() {
    for m in [10, 11, 20, 29, 30] {
        // All 4096 places at m = 10, as many at the others, and the last before the tail.
        let places = (0..4096).map(|i| (i << (m - 10)) | (i * 7919 % (1 << (m - 10)))).chain([(4 << m) - 1]);
        for magnitude in places {
            let (probability, acceptance) = probability(m, magnitude);
            let decide = |u: u64| acceptance.decide(Exponential::shared(), u, &mut no_words);
            // 2^64 probability, which f64 knows to within 2^14.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive number below 2^66"
            )]
            let edge = (probability * 2_f64.powi(64)) as u128;
            assert!(decide(u64::try_from(edge - (1 << 15)).unwrap()), "{m} {magnitude}");
            if let Ok(above) = u64::try_from(edge + (1 << 15)) {
                assert!(!decide(above), "{m} {magnitude}");
            }
            let strip = sampler(m).proposal.strips[usize::try_from(magnitude >> (m - 5)).unwrap()];
            assert!(f64::from(strip.surely) <= probability * 2_f64.powi(26), "{m} {magnitude}");
        }
    }
}

/// The first 256 bits of A g(x) / w_k from Python's decimal module, with 120 digits.
const PROBABILITIES: [(u32, u64, [u64; 4]); 3] = [
    (10, 1000, [0xfdbe_7490_d884_132f, 0x1b36_b8ed_67c4_f47b, 0x4710_0850_7ed1_b7e4, 0xd5fd_ad7c_6b30_d450]),
    (
        20,
        3_456_789,
        [0x6ea5_9924_6a0f_b371, 0x5305_e4af_4ff5_aae2, 0x1d67_3d60_1baa_af96, 0xabc8_8625_7bdf_2ab0],
    ),
    (
        30,
        4_000_000_001,
        [0x1891_25cc_5e88_6387, 0x7a77_b1eb_5776_8579, 0xc296_29bb_f30e_52ff, 0xe373_3588_3c7c_4860],
    ),
];

/// Decides on u with these bits, and tells how many words it took.
fn decide(m: u32, magnitude: u64, bits: &[u64]) -> (bool, usize) {
    let (_, acceptance) = probability(m, magnitude);
    let mut further = bits[1..].iter();
    let accepted =
        acceptance.decide(Exponential::shared(), bits[0], &mut || *further.next().expect("enough bits"));
    (accepted, bits.len() - further.len())
}

#[test]
fn where_64_bits_leave_it_open_further_bits_decide_exactly() {
    for (m, magnitude, [first, second, third, fourth]) in PROBABILITIES {
        let check = |bits: &[u64], accepted: bool, words: usize| {
            assert_eq!(decide(m, magnitude, bits), (accepted, words), "{m} {magnitude} {bits:x?}");
        };
        // Far from the probability, 64 bits do; within the bounds' width, the next ones are asked for, and
        // decide.
        check(&[first - 1000], true, 1);
        check(&[first + 1000], false, 1);
        check(&[first, 0], true, 2);
        check(&[first, u64::MAX], false, 2);
        check(&[first, second - 2], true, 2);
        check(&[first, second + 2], false, 2);
        // Equal in 128 bits, and in 192.
        check(&[first, second, third - 2], true, 3);
        check(&[first, second, third + 2], false, 3);
        check(&[first, second, third, fourth - 2], true, 4);
        check(&[first, second, third, fourth + 2], false, 4);
    }
}

/// The same, from the words of a whole draw at m = 10: a proposal of -1000 whose u agrees with the
/// probability in 128 bits is decided by the next 64, and if it is rejected, the next word's proposal is
/// taken.
#[test]
fn a_draw_whose_uniform_number_lies_in_the_gap_ends_as_it_must() {
    let (_, _, [first, second, third, _]) = PROBABILITIES[0];
    let slot = Proposal::shared().slots.iter().position(|&k| k == 31).unwrap() as u64;
    let proposed = first >> 38 << 38 | (1000 % 32) << 13 | 1 << 12 | slot;
    let draw = |last: u64| {
        let mut words = [proposed, first << 26, second, last, 5 << 13].into_iter();
        let value = sampler(10).draw(&mut || words.next().unwrap());
        (value, words.len())
    };
    assert_eq!(draw(third - 2), (-1000, 1));
    assert_eq!(draw(third + 2), (5, 0));
}

#[test]
fn minus_zero_is_drawn_again() {
    let mut words = [1 << 12, 1 << 12, 3 << 13 | 1 << 12].into_iter();
    assert_eq!(sampler(10).draw(&mut || words.next().unwrap()), -3);
}

#[test]
fn the_tail_has_its_law_far_out() {
    // Conditional on 4 sigma, with 64 cells of a quarter of a standard deviation: the fifth to the ninth.
    let (m, mut stream) = (10, ChaCha20Rng::from_seed([7; 32]));
    let weight = |x: u64| (-((x * x) as f64) / 2_f64.powi(21)).exp();
    let total: f64 = (4096..16384).map(weight).sum();
    let mut counts = [0_u32; 20];
    let mut accepted = 0_u32;
    let mut words = || stream.next_u64();
    while accepted < 200_000 {
        if let Some(magnitude) = sampler(m).in_tail(&mut words) {
            assert!(magnitude >= 4096);
            counts[usize::try_from((magnitude - 4096) / 256).unwrap().min(19)] += 1;
            accepted += 1;
        }
    }
    let mut chi2 = 0.0;
    let mut rare = (0.0, 0.0);
    for (cell, &count) in counts.iter().enumerate() {
        let from = 4096 + 256 * cell as u64;
        let expected = f64::from(accepted) * (from..from + 256).map(weight).sum::<f64>() / total;
        if expected > 20.0 {
            chi2 += (f64::from(count) - expected).powi(2) / expected;
        } else {
            rare = (rare.0 + f64::from(count), rare.1 + expected);
        }
    }
    // Seven or fewer degrees of freedom: 37 is exceeded with a probability below 1e-5.
    assert!(chi2 < 37.0, "{chi2} {counts:?}");
    assert!(rare.0 < rare.1 + 6.0 * rare.1.sqrt() + 6.0, "{rare:?} {counts:?}");
    assert!(counts[4..].iter().sum::<u32>() > 1000, "nine in a thousand are beyond five: {counts:?}");
}

#[test]
fn far_pieces_of_the_tail_are_decided_exactly() {
    // Sixty-nine zeros: piece 69, where the first stage's integers would not hold the doublings.
    let mut words = [0, 1 << 5, 0, 1 << 40].into_iter();
    assert_eq!(sampler(10).in_tail(&mut || words.next().unwrap()), None);
    assert_eq!(words.len(), 0);
}
