//! Exact sensitivity and independence: neighbouring cohorts at equal randomness, in integers.
//!
//! What a noisy statistic can never see, and what every bound on noise rests on: that one patient moves a
//! sum by at most C_int, and moves nobody else's part of it at all. No tolerance is needed anywhere.
//! Adjacency: one patient zeroed out, and, for independence, one patient's record replaced.

use std::ops::AddAssign;

use fedtwin_plan::PatientId;
use fedtwin_privacy::random::RandomSource;
use fedtwin_trainer::stand_in::StandIn;
use serde::{Deserialize, Serialize};

use crate::replay::{NoiseTape, RandomTape};
use crate::spy::Spy;
use crate::step::{AttackError, Chance, Contributions, Restricted, Step};

/// A cohort in which one patient's record can be replaced.
pub trait Alterable: Contributions {
    /// Returns the number of patients with a record; their identifiers begin at 0.
    fn patients(&self) -> u32;

    /// Puts a stand-in in one patient's place and everybody else's own record in theirs.
    ///
    /// # Errors
    /// Fails where the cohort cannot be loaded so.
    fn alter(&mut self, altered: Option<(PatientId, StandIn)>) -> Result<(), AttackError>;
}

/// What comparisons of neighbours found; anything but zero violations is a defect.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    /// Pairs of neighbours whose integers were compared.
    pub pairs: u32,
    /// The largest distance between two, as a multiple of C_int.
    pub largest: f64,
    /// Pairs whose squared distance, an exact integer, is above C_int squared.
    pub too_far: u32,
    /// Pairs in which somebody's contribution changed with somebody else's record or presence.
    pub dependent: u32,
    /// Pairs of which one had an answer and the other none: whether there is one is a release of its own.
    #[serde(default)]
    pub failed: u32,
}

impl Differences {
    /// Says whether one patient moves a sum by at most C_int, nobody else's part of it, and not whether there is one.
    #[must_use]
    pub fn none_beyond_the_claim(&self) -> bool {
        self.too_far == 0 && self.dependent == 0 && self.failed == 0
    }

    const FAILED: Self = Self { pairs: 1, largest: 0.0, too_far: 0, dependent: 0, failed: 1 };

    fn pair(distance_squared: u128, c_int: u32, independent: bool) -> Self {
        Self {
            pairs: 1,
            largest: (distance_squared as f64).sqrt() / f64::from(c_int),
            too_far: u32::from(distance_squared > u128::from(c_int).pow(2)),
            dependent: u32::from(!independent),
            failed: 0,
        }
    }
}

impl AddAssign for Differences {
    fn add_assign(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.largest = self.largest.max(other.largest);
        self.too_far += other.too_far;
        self.dependent += other.dependent;
        self.failed += other.failed;
    }
}

/// Compares the sums of random samples with and without one patient, under the patient's own record and
/// every stand-in for it.
///
/// With S the sample, i the patient and j another one, for every record of i: |sum(S) - sum(S - i)| is at
/// most `c_int`; sum(S) - sum(S - i) = sum(i), so that i's part does not depend on who else is there; and
/// sum(S - i) and sum(j) are what they are under i's own record.
///
/// # Errors
/// Fails where the cohort does.
pub fn compare_cohorts(
    cohort: &mut dyn Alterable,
    weights: &[f32],
    c_int: u32,
    trials: u32,
    random: &mut dyn RandomSource,
) -> Result<Differences, AttackError> {
    let mut found = Differences::default();
    for _trial in 0..trials {
        cohort.alter(None)?;
        let trial = Trial::draw(cohort.patients(), random)?;
        let Ok(own) = trial.sums(cohort, weights) else {
            // Where there is no sum over nobody either, it is no patient's doing.
            cohort.sum(weights, &[], trial.seed)?;
            found += Differences::FAILED;
            continue;
        };
        found += own.difference(&own, c_int);
        for stand_in in StandIn::for_patient(trial.patient, cohort.patients()) {
            let altered = cohort.alter(Some((trial.patient, stand_in)));
            found += match altered.and_then(|()| trial.sums(cohort, weights)) {
                Ok(sums) => sums.difference(&own, c_int),
                Err(_without_an_answer) => Differences::FAILED,
            };
        }
    }
    cohort.alter(None)?;
    Ok(found)
}

/// Compares a step's releases with and without one patient at equal randomness, noise included.
///
/// # Errors
/// Fails where the step does.
pub fn compare_releases(
    step: &mut dyn Step,
    cohort: &mut dyn Contributions,
    weights: &[f32],
    c_int: u32,
    chance: &mut Chance<'_>,
) -> Result<Differences, AttackError> {
    let mut found = Differences::default();
    // A small cohort's samples are often empty, and then there is nobody to leave out.
    for _sample in 0..EMPTY_SAMPLES_MAX {
        let noise = NoiseTape::new(chance.noise);
        let mut random = RandomTape::new(chance.random);
        let mut spy = Spy::on(cohort);
        let whole = step.release(&mut spy, weights, &mut Chance { noise: &noise, random: &mut random });
        let sampled = spy.samples().last().cloned().unwrap_or_default();
        let Some(&left_out) = sampled.get(sampled.len() / 2) else {
            whole?;
            continue;
        };
        noise.rewind();
        random.rewind();
        let without = &|patient| patient != left_out;
        let mut neighbour = Restricted::to(cohort, without);
        let chance = &mut Chance { noise: &noise, random: &mut random };
        let neighbour = step.release(&mut neighbour, weights, chance);
        found += match (whole, neighbour) {
            (Ok(whole), Ok(neighbour)) => {
                let same_length = neighbour.len() == whole.len();
                Differences::pair(distance_squared(&whole, &neighbour), c_int, same_length)
            }
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => Differences::FAILED,
            (Err(error), Err(_)) => return Err(error),
        };
        break;
    }
    Ok(found)
}

/// One sample and the patient who is compared.
struct Trial {
    sampled: Vec<PatientId>,
    patient: PatientId,
    other: Option<PatientId>,
    seed: u64,
}

impl Trial {
    /// Samples every patient by a fair coin, and the compared one always.
    fn draw(patients: u32, random: &mut dyn RandomSource) -> Result<Self, AttackError> {
        let mut seed = [0; 8];
        random.fill(&mut seed)?;
        let patient = PatientId(random.below(patients.max(1))?);
        let mut sampled = Vec::new();
        for other in (0..patients).map(PatientId) {
            if random.below(2)? == 1 || other == patient {
                sampled.push(other);
            }
        }
        let other = sampled.iter().copied().find(|&other| other != patient);
        Ok(Self { sampled, patient, other, seed: u64::from_le_bytes(seed) })
    }

    fn sums(&self, cohort: &mut dyn Alterable, weights: &[f32]) -> Result<Sums, AttackError> {
        let mut sum = |sampled: &[PatientId]| -> Result<Vec<i64>, AttackError> {
            Ok(cohort.sum(weights, sampled, self.seed)?.0)
        };
        let rest: Vec<_> = self.sampled.iter().copied().filter(|&p| p != self.patient).collect();
        Ok(Sums {
            all: sum(&self.sampled)?,
            rest: sum(&rest)?,
            alone: sum(&[self.patient])?,
            other: self.other.map(|other| sum(&[other])).transpose()?.unwrap_or_default(),
        })
    }
}

/// The sums over a sample, over the rest of it, over the patient alone, and over one other patient alone.
struct Sums {
    all: Vec<i64>,
    rest: Vec<i64>,
    alone: Vec<i64>,
    other: Vec<i64>,
}

impl Sums {
    fn difference(&self, own: &Self, c_int: u32) -> Differences {
        let part = self.all.iter().zip(&self.rest).map(|(all, rest)| all - rest);
        let independent = part.eq(self.alone.iter().copied())
            && self.rest == own.rest
            && self.other == own.other
            && self.all.len() == self.rest.len();
        Differences::pair(distance_squared(&self.all, &self.rest), c_int, independent)
    }
}

fn distance_squared(a: &[i64], b: &[i64]) -> u128 {
    a.iter().zip(b).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).fold(0, u128::saturating_add)
}

/// At a rate of 1/20 a cohort of eight has nobody in all of so many samples once in 10^8 times.
const EMPTY_SAMPLES_MAX: u32 = 50;
