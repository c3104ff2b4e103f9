//! Which voxels of a mask are organ.
//!
//! Numbers in a mask are labels, or how likely a voxel is organ. Without a rule in the cohort file they decide
//! themselves: whole numbers, give or take what scaling leaves behind, are labels, and organ is each from 1 on, so that
//! a negative one ("ignore") is background; fractions from 0 to 1 are likelihoods, and organ is at least one half.
//! What can be read in two ways is refused with the rule that would decide it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What of a mask is organ, as the cohort file says it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskRule {
    /// These labels and no other.
    Labels(Labels),
    /// Every number from this one on.
    Threshold(Threshold),
}

/// One label or more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeSet<i64>")]
pub struct Labels(BTreeSet<i64>);

/// A finite number.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Threshold(f64);

/// What numbers a mask has.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    least: f64,
    most: f64,
    /// Whether all are finite.
    are_finite: bool,
    /// A number that is none of the labels, if there is one.
    fraction: Option<f64>,
    /// The labels from 1 on, and those below 0: two at most, which is enough to know that there are several.
    labels: BTreeSet<i64>,
    negative: BTreeSet<i64>,
    /// Whether background is there: a label below 1.
    has_background: bool,
}

/// What to do with each number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decision<'a> {
    /// Organ is what is nearest to one of the labels.
    OneOf(&'a Labels),
    /// Organ is what is at least this.
    AtLeast(f64),
}

impl Numbers {
    /// Looks at a mask's numbers, which `each` shows to a visitor one after the other.
    pub(crate) fn of(each: impl FnOnce(&mut dyn FnMut(f64))) -> Self {
        let mut numbers = Self {
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            are_finite: true,
            fraction: None,
            labels: BTreeSet::new(),
            negative: BTreeSet::new(),
            has_background: false,
        };
        each(&mut |number| numbers.add(number));
        numbers
    }

    fn add(&mut self, number: f64) {
        self.are_finite &= number.is_finite();
        self.least = self.least.min(number);
        self.most = self.most.max(number);
        let label = number.round();
        if (number - label).abs() > LABEL_TOLERANCE {
            self.fraction = Some(number);
            return;
        }
        self.has_background |= label < 1.0;
        let some = if label < 0.0 { &mut self.negative } else { &mut self.labels };
        if label != 0.0 && some.len() < LABELS_KEPT {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a label beyond 64 bits counts as the largest"
            )]
            some.insert(label as i64);
        }
    }

    /// Returns the labels from 1 on, two at most: enough to know whether another mask has others.
    pub(crate) fn labels_kept(&self) -> &BTreeSet<i64> {
        &self.labels
    }

    /// Decides what is organ, by the cohort file's rule if there is one.
    ///
    /// # Errors
    /// Says what can be read in two ways, and the rule that would decide it.
    pub(crate) fn decide<'a>(&self, rule: Option<&'a MaskRule>) -> Result<Decision<'a>, String> {
        if !self.are_finite {
            return Err("is a mask with a voxel that is no number".to_owned());
        }
        match (rule, self.fraction) {
            (Some(MaskRule::Threshold(Threshold(threshold))), _) => Ok(Decision::AtLeast(*threshold)),
            (Some(MaskRule::Labels(labels)), None) => Ok(Decision::OneOf(labels)),
            (Some(MaskRule::Labels(_)), Some(_)) => Err(format!(
                "is a mask with numbers that are no labels: they differ by more than {LABEL_TOLERANCE} from whole ones"
            )),
            (None, None) => self.labels(),
            (None, Some(_)) => self.likelihoods(),
        }
    }

    fn labels(&self) -> Result<Decision<'static>, String> {
        let most = self.most.round();
        if self.labels.len() > 1 && is_brightest(most) {
            return Err(brightest_beside(most, "beside others"));
        }
        if self.negative.len() > 1 && !self.labels.is_empty() {
            return Err(format!(
                "is a mask with numbers from {} to {most}, several below 0: a scan's intensities? Say which are organ, as in \
                 mask.labels = [1], or from where on, as in mask.threshold = 0.5",
                self.least
            ));
        }
        if self.labels.is_empty() && self.most - self.least > EMPTY_SPREAD {
            return Err(format!(
                "is a mask without a label from 1 on, whose numbers differ all the same, from {} to {}: labels that were \
                 scaled, or that \"ignore\" alone is left of? Say from where on they are organ, as in mask.threshold = {}, or \
                 which labels are, as in mask.labels = [1]",
                self.least,
                self.most,
                self.least.midpoint(self.most)
            ));
        }
        if !self.has_background {
            return Err(
                "is a mask in which everything would be organ: say which labels are, as in mask.labels = [2]"
                    .to_owned(),
            );
        }
        Ok(Decision::AtLeast(0.5))
    }

    fn likelihoods(&self) -> Result<Decision<'static>, String> {
        let (least, most) = (self.least, self.most);
        if least < -LABEL_TOLERANCE || most > 1.0 + LABEL_TOLERANCE {
            return Err("is a mask with numbers that are neither labels, which are whole, nor likelihoods, which are from \
                        0 to 1: say from where on they are organ, as in mask.threshold = 0.5"
                .to_owned());
        }
        if most < 0.5 || least >= 0.5 {
            return Err("is a mask with numbers from 0 to 1 that are all on one side of 0.5: say from where on they are \
                        organ, as in mask.threshold = 0.1"
                .to_owned());
        }
        Ok(Decision::AtLeast(0.5))
    }
}

/// The labels of all masks of a cohort, where no rule in the cohort file says which are organ.
#[derive(Debug, Default)]
pub(crate) struct AllLabels {
    /// Two at most.
    some: BTreeSet<i64>,
    /// Numbers that grey levels end in and that are the only label of a mask, each with the first such mask.
    alone: BTreeMap<i64, PathBuf>,
}

impl AllLabels {
    /// Enters the labels of one mask.
    pub(crate) fn add(&mut self, mask: &Path, labels: &BTreeSet<i64>) {
        for &label in labels {
            if self.some.len() < LABELS_KEPT {
                self.some.insert(label);
            }
            #[expect(clippy::cast_precision_loss, reason = "what is compared is small enough to be exact")]
            if labels.len() == 1 && is_brightest(label as f64) {
                self.alone.entry(label).or_insert_with(|| mask.to_owned());
            }
        }
    }

    /// Returns a mask that has nothing but a number in which grey levels end, where others have other labels, and why
    /// it is refused.
    pub(crate) fn brightest_among_others(&self) -> Option<(&Path, String)> {
        let (&label, mask) =
            self.alone.iter().find(|(label, _)| self.some.iter().any(|other| other != *label))?;
        #[expect(clippy::cast_precision_loss, reason = "the greatest of these has five digits")]
        Some((mask, brightest_beside(label as f64, "alone, where other masks have others")))
    }
}

fn is_brightest(label: f64) -> bool {
    BRIGHTEST.iter().any(|&brightest| label.total_cmp(&brightest).is_eq())
}

fn brightest_beside(label: f64, others: &str) -> String {
    format!(
        "is a mask with the label {label} {others}, which is organ in some and \"ignore\" in others, or the brightest of grey \
         levels: say which labels are organ, as in mask.labels = [1], or from where on, as in mask.threshold = {}",
        label / 2.0
    )
}

impl Decision<'_> {
    /// Returns 1 for organ and 0 for everything else.
    pub(crate) fn organ(&self, number: f64) -> u8 {
        u8::from(match self {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a label beyond 64 bits is none of the declared ones"
            )]
            Self::OneOf(Labels(labels)) => labels.contains(&(number.round() as i64)),
            Self::AtLeast(threshold) => number >= *threshold,
        })
    }
}

impl TryFrom<BTreeSet<i64>> for Labels {
    type Error = &'static str;

    fn try_from(labels: BTreeSet<i64>) -> Result<Self, Self::Error> {
        if labels.is_empty() { Err("expected at least one label") } else { Ok(Self(labels)) }
    }
}

impl TryFrom<f64> for Threshold {
    type Error = &'static str;

    fn try_from(threshold: f64) -> Result<Self, Self::Error> {
        if threshold.is_finite() { Ok(Self(threshold)) } else { Err("expected a finite number") }
    }
}

/// How far a label may lie from a whole number: decimals that are held in 8 bits with a slope, over 20 labels, are off by
/// 0.04, and in 16 bits by a thousandth.
const LABEL_TOLERANCE: f64 = 0.05;

/// How many labels are remembered.
const LABELS_KEPT: usize = 2;

/// The largest numbers of ways to write grey levels and shares: of 7, 8, 15 and 16 bits, percent and thousandths. As labels they are
/// the last of as many by chance only.
const BRIGHTEST: [f64; 12] =
    [100.0, 127.0, 128.0, 254.0, 255.0, 1000.0, 4095.0, 10_000.0, 32_767.0, 32_768.0, 65_534.0, 65_535.0];

/// What resampling leaves of an empty mask differs by less.
const EMPTY_SPREAD: f64 = 5e-4;

#[cfg(test)]
mod tests {
    use super::*;

    fn organ(rule: Option<&MaskRule>, numbers: &[f64]) -> Result<Vec<u8>, String> {
        let found = Numbers::of(|visit| numbers.iter().for_each(|&number| visit(number)));
        let decision = found.decide(rule)?;
        Ok(numbers.iter().map(|&number| decision.organ(number)).collect())
    }

    fn labels(labels: &[i64]) -> MaskRule {
        MaskRule::Labels(labels.iter().copied().collect::<BTreeSet<_>>().try_into().unwrap())
    }

    #[test]
    fn labels_are_the_nearest_whole_numbers_and_organ_is_from_one_on() {
        let check = |numbers: &[f64], expected: &[u8]| assert_eq!(organ(None, numbers).unwrap(), expected);
        check(&[0.0, 1.0, 2.0, 7.0], &[0, 1, 1, 1]);
        // Background that a slope and an intercept leave behind, and a label "ignore".
        check(&[1.5e-5, 1.000_000_06, -1.0, -0.99], &[0, 1, 0, 0]);
        check(&[0.0, 254.999_8], &[0, 1]);
        check(&[0.0, 255.000_015_2], &[0, 1]);
        check(&[0.0, 0.04, 0.96], &[0, 0, 1]);
        // Numbered nuclei, 255 among them.
        check(&[0.0, 1.0, 255.0, 300.0], &[0, 1, 1, 1]);
        check(&[-100.0, 0.0, 7.0, 300.0], &[0, 0, 1, 1]);
        check(&[0.0, 0.0], &[0, 0]);
        check(&[1.5e-5, -1.5e-5], &[0, 0]);
    }

    #[test]
    fn likelihoods_are_organ_from_one_half_on() {
        let check = |numbers: &[f64], expected: &[u8]| assert_eq!(organ(None, numbers).unwrap(), expected);
        check(&[1e-4, 0.9, 0.3, 0.5], &[0, 1, 0, 1]);
        check(&[-0.01, 0.25, 0.75, 1.02], &[0, 0, 1, 1]);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused_with_the_rule_that_decides() {
        let check = |numbers: &[f64], expected: &str| {
            let message = organ(None, numbers).unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        check(&[0.0, 1.0, f64::NAN], "no number");
        check(&[0.0, 1.0, f64::INFINITY], "no number");
        check(&[0.0, 1.0, 255.0], "the label 255 beside others");
        check(&[0.0, 31.0, 128.0, 255.0], "mask.threshold = 127.5");
        // Soft edges of 16 bits, shares in percent, a scan in place of its mask.
        check(&[0.0, 1000.0, 65535.0], "mask.threshold = 32767.5");
        check(&[0.0, 3.0, 100.0], "the label 100 beside others");
        check(&[-1000.0, -17.0, 40.0, 1400.0], "a scan's intensities?");
        // Labels with a slope of 1/255, and 255 in 8 bits with a sign.
        check(&[0.0, 1.0 / 255.0], "without a label from 1 on");
        check(&[0.0, -1.0], "without a label from 1 on");
        check(&[1.0, 2.0, 2.0], "everything would be organ");
        check(&[0.0, 0.5, 2.0], "neither labels");
        check(&[0.0, -0.5, 1.0], "neither labels");
        check(&[0.0, 0.3], "on one side of 0.5");
        check(&[0.6, 0.7], "on one side of 0.5");
    }

    #[test]
    fn a_declared_rule_decides() {
        assert_eq!(organ(Some(&labels(&[2])), &[0.0, 1.0, 1.999, 255.0]), Ok(vec![0, 0, 1, 0]));
        assert_eq!(organ(Some(&labels(&[1, 255])), &[0.0, 1.0, 2.0, 255.0]), Ok(vec![0, 1, 0, 1]));
        assert_eq!(organ(Some(&labels(&[1])), &[1.0, 1.0]), Ok(vec![1, 1]));
        assert!(organ(Some(&labels(&[1])), &[0.0, 0.7]).unwrap_err().contains("no labels"));
        let threshold = MaskRule::Threshold(127.5.try_into().unwrap());
        assert_eq!(organ(Some(&threshold), &[0.0, 31.0, 127.0, 127.5, 255.0]), Ok(vec![0, 0, 0, 1, 1]));
        assert!(organ(Some(&threshold), &[f64::NAN]).unwrap_err().contains("no number"));
        assert!(Labels::try_from(BTreeSet::new()).is_err() && Threshold::try_from(f64::NAN).is_err());
    }
}
