//! An exact sampler of the discrete Gaussian with a standard deviation of 2^m, in machine integers.
//!
//! The target is g(x) = exp(-x^2 / 2^(2m+1)) over all integers x, up to its constant. The sampler is
//! rejection (von Neumann 1951) from strips of a dyadic width, in the manner of Marsaglia and Tsang's
//! ziggurat (J. Stat. Softw. 5(8), 2000), made exact in the way of Karney (arXiv 1303.6257) and of Canonne,
//! Kamath and Steinke (arXiv 2004.00010): every probability with which it decides is either a ratio over a
//! power of two, or decided by as many bits as it takes.
//!
//! # The proposal
//! A sign, and a magnitude x >= 0: 32 strips to a standard deviation, each of 2^(m-5) integers, up to four
//! standard deviations. Strip k is proposed with probability w_k / 4096 and x uniformly within it. With
//! probability w_T / 4096 the proposal is in the tail: piece i = 0, 1, 2, ... with probability 2^-(i+1),
//! and x uniform among the 2^m integers from (4 + i) 2^m on. (Minus zero is drawn again.) All of these are
//! exact with a finite number of bits, and none depends on m.
//!
//! # Why it is exact
//! 1. With A the integer [`HEIGHT`], let a(x) = A g(x) / w_k in strip k, and a(x) = A 2^(6+i) g(x) / w_T in
//!    piece i of the tail: g(x) over the probability of proposing x, times one and the same constant. If
//!    a(x) <= 1 everywhere, and a proposal is accepted with exactly that probability, then what is accepted
//!    has exactly the law of g.
//! 2. a(x) <= 1: g is largest at the strip's left edge, where it is exp(-k^2 / 2048) whatever m is, and w_k
//!    is at least A times that, rounded up. In the tail g(x) 2^(6+i) is at most 2^(6+i) exp(-(4+i)^2 / 2),
//!    which is largest at i = 0, as each next piece has a factor of 2 exp(-(9+2i)/2) < 1; and w_T is at
//!    least A times that, rounded up.
//! 3. "Accept with probability a(x)" is: take a uniform real u in [0, 1), accept if u < a(x). Of u only as
//!    many bits are drawn as the comparison needs, and a(x) is known between bounds. 26 bits are compared
//!    with what a(x) is at least in all of the strip; if that does not accept, 64 bits are compared with
//!    the bounds of [`Exponential::falling`]; if u may lie on either side (which happens less than once in
//!    2^52 proposals), more bits of u are drawn and closer bounds are computed, 64 bits at a time, until it
//!    does not. The answer is that of the real numbers. It comes with probability 1, since u = a(x) has
//!    probability 0.
//! 4. The bits that tell strip, sign, place and u are disjoint bits of uniform words, hence independent.
//!
//! What remains is the generator: the words are ChaCha20's, under a key of the operating system's.
//!
//! # Time
//! How many proposals are rejected does not depend on what is accepted in the end. But comparing takes
//! longer for some values than for others: the time of a long vector tells a little about the sum of its
//! magnitudes, and nothing about patients, as noise is drawn before they are read.

use std::sync::LazyLock;

use dashu_int::UBig;

use super::exponential::{Exponent, Exponential, ONE, growth};
use crate::accountant::NoiseBits;

/// The proposal's probabilities.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    /// Names a strip, or [`TAIL`]: strip k stands in w_k of the slots.
    slots: [u8; SLOTS],
    strips: [Strip; STRIPS],
    /// w_T.
    tail_weight: u32,
}

/// One strip of the proposal.
#[derive(Debug, Clone, Copy, Default)]
struct Strip {
    /// w_k.
    weight: u32,
    /// At most 2^26 times the least probability of acceptance in the strip.
    surely: u32,
}

impl Proposal {
    /// Returns the proposal, which is computed once.
    pub(super) fn shared() -> &'static Self {
        static PROPOSAL: LazyLock<Proposal> = LazyLock::new(Proposal::new);
        &PROPOSAL
    }

    fn new() -> Self {
        let exponential = Exponential::shared();
        let strips = std::array::from_fn(|k| {
            // k^2 / 2048 in units of 2^-64.
            let edge = |k: usize| exponential.falling(Exponent(((k * k) as u128) << 53));
            let weight = (u128::from(HEIGHT) * u128::from(edge(k).high)).div_ceil(u128::from(ONE));
            let least = u128::from(HEIGHT) * u128::from(edge(k + 1).low) / weight;
            let small = |number: u128| u32::try_from(number).expect("at most 4096, and at most 2^26");
            Strip { weight: small(weight), surely: small(least >> (63 - FIRST_BITS)) }
        });
        let mut slots = [TAIL; SLOTS];
        let mut free = slots.as_mut_slice();
        for (k, strip) in strips.iter().enumerate() {
            let (own, rest) = free.split_at_mut(strip.weight as usize);
            own.fill(u8::try_from(k).expect("128 strips"));
            free = rest;
        }
        let tail_weight = u32::try_from(free.len()).expect("at most 4096");
        // exp(-4^2 / 2) is where the tail begins.
        let tail_highest = u128::from(HEIGHT << (STRIPS_PER_SIGMA_BITS + 1))
            * u128::from(exponential.falling(Exponent(8 << 64)).high);
        assert!(tail_highest <= u128::from(tail_weight) * u128::from(ONE), "the tail has its slots");
        Self { slots, strips, tail_weight }
    }
}

/// Draws from the discrete Gaussian with a standard deviation of 2^m.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampler<'a> {
    m: u32,
    proposal: &'a Proposal,
    exponential: &'a Exponential,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(m: NoiseBits, proposal: &'a Proposal) -> Self {
        Self { m: m.get(), proposal, exponential: Exponential::shared() }
    }

    /// Draws one value from uniform words.
    #[inline]
    pub(super) fn draw(&self, words: &mut impl FnMut() -> u64) -> i64 {
        let strip_bits = self.m - STRIPS_PER_SIGMA_BITS;
        let place_mask = (1 << strip_bits) - 1;
        loop {
            // From the lowest bit: 12 of the slot, one of the sign, at most 25 of the place, and 26 of u.
            let word = words();
            let negative = word >> 12 & 1 == 1;
            #[expect(clippy::cast_possible_truncation, reason = "a slot has 12 bits, and u 26")]
            let (slot, first) = ((word % SLOTS as u64) as usize, (word >> (64 - FIRST_BITS)) as u32);
            let k = self.proposal.slots[slot];
            let magnitude = match self.proposal.strips.get(usize::from(k)) {
                Some(strip) => {
                    let magnitude = u64::from(k) << strip_bits | (word >> 13 & place_mask);
                    let accepted = first < strip.surely || self.in_strip(*strip, magnitude, first, words);
                    accepted.then_some(magnitude)
                }
                None => self.in_tail(words),
            };
            match magnitude {
                Some(0) if negative => {}
                Some(magnitude) => {
                    let value = magnitude.cast_signed();
                    return if negative { -value } else { value };
                }
                None => {}
            }
        }
    }

    /// Decides on a place in a strip for which the first bits of u do not suffice.
    #[cold]
    fn in_strip(&self, strip: Strip, magnitude: u64, first: u32, words: &mut impl FnMut() -> u64) -> bool {
        let uniform = u64::from(first) << (64 - FIRST_BITS) | words() >> FIRST_BITS;
        let acceptance =
            Acceptance { exponent: self.exponent(magnitude), doublings: 0, weight: strip.weight };
        acceptance.decide(self.exponential, uniform, words)
    }

    /// Proposes a place in the tail, and decides on it.
    #[cold]
    fn in_tail(&self, words: &mut impl FnMut() -> u64) -> Option<u64> {
        let mut piece = 0;
        let last = loop {
            let coins = words();
            if coins != 0 {
                break coins;
            }
            piece += u64::BITS;
        };
        piece += last.trailing_zeros();
        let place = words() & ((1 << self.m) - 1);
        let magnitude = u64::from(TAIL_SIGMAS + piece) << self.m | place;
        let doublings = STRIPS_PER_SIGMA_BITS + 1 + piece;
        let acceptance =
            Acceptance { exponent: self.exponent(magnitude), doublings, weight: self.proposal.tail_weight };
        let uniform = words();
        acceptance.decide(self.exponential, uniform, words).then_some(magnitude)
    }

    /// x^2 / 2^(2m+1); with m <= 30 this is a multiple of 2^-64.
    fn exponent(&self, magnitude: u64) -> Exponent {
        Exponent(u128::from(magnitude).pow(2) << (63 - 2 * self.m))
    }
}

/// The probability A 2^doublings exp(-E) / weight.
#[derive(Debug, Clone, Copy)]
struct Acceptance {
    exponent: Exponent,
    doublings: u32,
    weight: u32,
}

impl Acceptance {
    /// Tells whether the uniform real number that begins with the 64 bits of `uniform` is below the
    /// probability. Its further bits are drawn where they are needed.
    #[inline]
    fn decide(&self, exponential: &Exponential, uniform: u64, words: &mut impl FnMut() -> u64) -> bool {
        // u is in [uniform, uniform + 1) / 2^64. Both sides times weight 2^64: below 2^76, and below
        // 2^(7+48+64).
        if self.doublings <= 48 {
            let bounds = exponential.falling(self.exponent);
            let side = |exp: u64| (u128::from(HEIGHT * 2) * u128::from(exp)) << self.doublings;
            let (least, most) = (
                u128::from(uniform) * u128::from(self.weight),
                (u128::from(uniform) + 1) * u128::from(self.weight),
            );
            if most <= side(bounds.low) {
                return true;
            }
            if least >= side(bounds.high) {
                return false;
            }
        }
        self.decide_exactly(uniform, words)
    }

    /// Draws bits and computes bounds until they tell: u < A 2^d exp(-E) / w is u w exp(E) < A 2^d.
    #[cold]
    fn decide_exactly(&self, uniform: u64, words: &mut impl FnMut() -> u64) -> bool {
        let mut uniform = UBig::from(uniform);
        for bits in (64..).step_by(64) {
            let (low, high) = growth(self.exponent, bits + 64);
            let side = UBig::from(HEIGHT) << (self.doublings as usize + bits + bits + 64);
            if (&uniform + UBig::ONE) * self.weight * high <= side {
                return true;
            }
            if &uniform * self.weight * low >= side {
                return false;
            }
            uniform = (uniform << 64) + words();
        }
        unreachable!("the precisions do not end")
    }
}

/// A: as high as 4096 slots allow.
const HEIGHT: u32 = 99;

/// So many that a slot's name has 12 bits, and all of them fit the fastest cache.
const SLOTS: usize = 4096;

/// 2^5 strips to a standard deviation.
const STRIPS_PER_SIGMA_BITS: u32 = 5;

/// Where the tail begins, in standard deviations.
const TAIL_SIGMAS: u32 = 4;

/// 4 x 32.
const STRIPS: usize = 128;

/// The slots of the tail: no strip has this number.
const TAIL: u8 = 128;

/// The bits of u in the word of the proposal.
const FIRST_BITS: u32 = 26;

#[cfg(test)]
mod tests;
