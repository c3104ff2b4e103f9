//! The drafts of the demonstration's and the results' studies, each with and without noise.

use fedtwin_plan::SiteName;

use super::cohorts::Cohort;

/// How an arm protects patients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ArmPrivacy {
    /// Not at all: a reference run.
    None,
    /// Without noise, but the coordinator sees nothing but sums.
    SumsOnly,
    /// Each site's own noise, calibrated to this epsilon at [`DELTA`].
    Local {
        /// What all rounds together cost a patient.
        epsilon: f64,
    },
    /// The sites' noise together, calibrated to this epsilon of the sum at [`DELTA`].
    Shared {
        /// What all rounds together cost a patient.
        epsilon: f64,
        /// Sites whose noise is known to the coordinator.
        colluders: usize,
        /// Sites that may be missing.
        dropouts: usize,
    },
}

impl ArmPrivacy {
    /// Shares the noise of a cohort's sites, one of which may collude with the coordinator.
    #[must_use]
    pub fn shared(cohort: Cohort, epsilon: f64) -> Self {
        Self::Shared { epsilon, colluders: 1, dropouts: cohort.dropouts() }
    }
}

/// What is said of a study beside its cohort and its sites.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DraftTerms<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// Its rounds, one step each.
    pub rounds: u32,
    /// Its noise.
    pub protection: ArmPrivacy,
}

impl<'a> DraftTerms<'a> {
    /// Says what is said of a study.
    #[must_use]
    pub fn new(id: &'a str, rounds: u32, protection: ArmPrivacy) -> Self {
        Self { id, rounds, protection }
    }
}

/// What differs between the arms of one study.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmTerms<'a> {
    /// What is said of the study.
    pub study: DraftTerms<'a>,
    /// The sites.
    pub sites: Vec<SiteName>,
    /// Training patients of all sites together.
    pub patients: u32,
}

/// The delta of all arms: below one in the number of patients of every site.
pub const DELTA: f64 = 1e-3;

/// Returns the heart draft.
///
/// Step sizes and clips were chosen by five-fold cross-validation on training rows; see `docs/RESULTS.md`.
#[must_use]
pub fn heart(terms: &ArmTerms<'_>) -> String {
    let (clip, rate) = match terms.study.protection {
        ArmPrivacy::None | ArmPrivacy::SumsOnly => (10.0, "0.2"),
        ArmPrivacy::Local { .. } | ArmPrivacy::Shared { .. } => (1.0, "1.0"),
    };
    let title = "Risk of narrowed coronary vessels from routine findings";
    fill(include_str!("drafts/heart.toml"), terms, title)
        .replace("{rate}", rate)
        .replace("{privacy}]\n", &noise(clip, terms.study.protection))
}

/// Returns the hippocampus draft; without noise, a step takes few patients as ordinary training does, and
/// with noise all of them.
///
/// Settings were chosen on training patients; see `docs/RESULTS.md`.
#[must_use]
pub fn hippocampus(terms: &ArmTerms<'_>) -> String {
    let (clip, sampling, optimiser) = match terms.study.protection {
        ArmPrivacy::None | ArmPrivacy::SumsOnly => {
            (10.0, few_patients(terms), "learning_rate = 0.002\ntau = 0.000001")
        }
        // With so large a tau the step is one along the momentum, whatever noise is in the second moment.
        ArmPrivacy::Local { epsilon } | ArmPrivacy::Shared { epsilon, .. } => {
            let clip = if epsilon < 4.0 { 0.25 } else { 0.5 };
            (clip, "1".to_owned(), "learning_rate = 1.0\ntau = 1.0")
        }
    };
    let title = "Outlining the hippocampus in magnetic resonance images";
    fill(include_str!("drafts/hippocampus.toml"), terms, title)
        .replace("{sampling}", &sampling)
        .replace("{optimiser}", optimiser)
        .replace("{privacy}]\n", &noise(clip, terms.study.protection))
}

/// Returns the nuclei draft, which is for training without noise.
#[must_use]
pub fn nuclei(terms: &ArmTerms<'_>) -> String {
    // With noise, the time of an update must not tell how many patients were in the step.
    let slot = match terms.study.protection {
        ArmPrivacy::None | ArmPrivacy::SumsOnly => "0",
        ArmPrivacy::Local { .. } | ArmPrivacy::Shared { .. } => "10",
    };
    fill(include_str!("drafts/nuclei.toml"), terms, "Outlining nuclei in micrographs")
        .replace("{slot}", slot)
        .replace("{sampling}", &few_patients(terms))
        .replace("{privacy}]\n", &noise(10.0, terms.study.protection))
}

/// Eight patients in a step, wherever they are.
fn few_patients(terms: &ArmTerms<'_>) -> String {
    format!("8/{}", terms.patients.max(8))
}

/// Writes the rest of a draft's section `[privacy.`.
fn noise(clip: f64, protection: ArmPrivacy) -> String {
    let noised = |epsilon: f64| format!("delta = {DELTA:?}\ntarget.epsilon = {epsilon:?}\n");
    match protection {
        ArmPrivacy::None => format!("none]\nclip = {clip:?}\n"),
        ArmPrivacy::SumsOnly => format!("none]\nclip = {clip:?}\nsums_only = true\n"),
        ArmPrivacy::Local { epsilon } => format!("local]\nclip = {clip:?}\n{}", noised(epsilon)),
        ArmPrivacy::Shared { epsilon, colluders, dropouts } => format!(
            "shared]\nclip = {clip:?}\ncolluders = {colluders}\ndropouts = {dropouts}\n{}",
            noised(epsilon)
        ),
    }
}

fn fill(template: &str, terms: &ArmTerms<'_>, title: &str) -> String {
    let sites: Vec<_> = terms.sites.iter().map(SiteName::as_str).collect();
    let away = match terms.study.protection {
        // One site may be away in a round of many.
        ArmPrivacy::None | ArmPrivacy::SumsOnly | ArmPrivacy::Local { .. } => 1,
        // The noise of all others has to be in the sum.
        ArmPrivacy::Shared { dropouts, .. } => dropouts,
    };
    let sites_min = terms.sites.len().saturating_sub(away).max(1);
    template
        .replace("{id}", terms.study.id)
        .replace("{title}", title)
        .replace("{sites}", &format!("{sites:?}"))
        .replace("{rounds}", &terms.study.rounds.to_string())
        .replace("{sites_min}", &sites_min.to_string())
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::plan::Draft;
    use fedtwin_plan::text_file::parse;

    use super::*;

    #[test]
    fn every_arm_is_a_draft() {
        let local = ArmPrivacy::Local { epsilon: 8.0 };
        let (one, three, four) = (vec!["a"], vec!["a", "b", "c"], vec!["a", "b", "c", "d"]);
        // Nobody hides alone.
        let shared = (ArmPrivacy::shared(Cohort::Hippocampus, 8.0), &three);
        let sums = (ArmPrivacy::SumsOnly, &four);
        for (protection, sites) in [
            (ArmPrivacy::None, &one),
            (ArmPrivacy::None, &three),
            (local, &one),
            (local, &three),
            shared,
            sums,
        ] {
            let terms = ArmTerms {
                study: DraftTerms::new("demo", 20, protection),
                sites: sites.iter().map(|site| site.parse().unwrap()).collect(),
                patients: 160,
            };
            let drafts =
                [("heart", heart(&terms)), ("hippocampus", hippocampus(&terms)), ("nuclei", nuclei(&terms))];
            for (name, text) in drafts {
                let draft = parse::<Draft>(name, &text);
                assert!(draft.is_ok(), "{name}: {draft:?}\n{text}");
            }
        }
    }
}
