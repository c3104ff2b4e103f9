//! `fedtwin study new` and `fedtwin study check`.

use std::path::{Path, PathBuf};

use fedtwin_certs::folder::{self, FolderError};
use fedtwin_certs::{Credentials, Identity, PlanSignatureError, sign_plan, verify_plan};
use fedtwin_plan::plan::Draft;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::text_file::{TextError, parse};
use fedtwin_plan::{Plan, Timestamp};

use super::file::{self, StudyFileError};
use super::initial::{InitialModelError, name_in};
use super::report::{PricedPlan, Untenable};
use crate::calibration::{self, CannotCalibrate};

/// Why there is no signed plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] StudyFileError),
    /// The researcher's credentials, or the authority's certificate, cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file is no text.
    #[error("{0} is not UTF-8 text")]
    Encoding(PathBuf),
    /// The text is no draft or plan.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The file is no initial model of the draft.
    #[error(transparent)]
    Initial(#[from] InitialModelError),
    /// No integers do what the draft asks for.
    #[error("{file} cannot be calibrated")]
    Calibration {
        /// The draft.
        file: String,
        /// Why.
        source: CannotCalibrate,
    },
    /// Nobody would accept the signed plan.
    #[error("the plan is not one that a federation accepts")]
    Refused(#[from] PlanSignatureError),
    /// The plan claims less than it costs.
    #[error(transparent)]
    Untenable(#[from] Untenable),
}

/// Calibrates and signs the draft in `draft`, and writes the plan to `out` and its signature beside it.
///
/// With an `initial` model, the plan names the file's digest beside its seed.
///
/// # Errors
/// Refuses a draft with unknown keys or impossible values, with file and line; a target that no noise
/// meets; a file that is no model of the draft; credentials of anybody but a researcher; and files that exist.
pub fn new(
    draft: &Path,
    initial: Option<&Path>,
    credentials: &Path,
    out: &Path,
    now: Timestamp,
) -> Result<PricedPlan, PlanError> {
    let (name, mut text) = (draft.display().to_string(), read_text(draft)?);
    if let Some(initial) = initial {
        text = name_in(&name, &text, initial)?;
    }
    let credentials = folder::load_credentials(credentials)?;
    let (signed, plan) = sign_draft(&name, &text, &credentials, now)?;
    let report = PricedPlan::of(&plan)?;
    file::write(out, &signed)?;
    Ok(report)
}

/// Calibrates and signs a draft's text; `name` is for messages.
///
/// The researcher's own text stays as it is, comments included; the calibrated integers follow it.
///
/// # Errors
/// As [`new`], but for the files.
pub fn sign_draft(
    name: &str,
    text: &str,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<(SignedPlan, Plan), PlanError> {
    let draft: Draft = parse(name, text)?;
    let calibrated = calibration::calibrate(&draft)
        .map_err(|source| PlanError::Calibration { file: name.to_owned(), source })?;
    let plan = format!("{}\n\n{HEADING}\n{}", text.trim_end(), calibration::section(&calibrated));
    let signed = sign_plan(credentials, plan.into_bytes());
    let (plan, _signer) = verify_plan(&signed, credentials.authority(), now)?;
    Ok((signed, plan))
}

/// Derives a signed plan's cost anew; with an authority's certificate, verifies the signature first and
/// returns the signer.
///
/// # Errors
/// Refuses a changed byte, where there is an authority to tell; and a plan that claims less than it costs.
pub fn check(
    file: &Path,
    authority: Option<&Path>,
    now: Timestamp,
) -> Result<(PricedPlan, Option<Identity>), PlanError> {
    let (plan, signer) = match authority {
        Some(authority) => {
            let authority = folder::load_authority_certificate(authority)?;
            let (plan, signer) = verify_plan(&file::read(file)?, &authority, now)?;
            (plan, Some(signer.identity))
        }
        None => (parse(&file.display().to_string(), &read_text(file)?)?, None),
    };
    Ok((PricedPlan::of(&plan)?, signer))
}

fn read_text(file: &Path) -> Result<String, PlanError> {
    let bytes = file::read_bounded(file)?;
    String::from_utf8(bytes).map_err(|_invalid| PlanError::Encoding(file.to_owned()))
}

const HEADING: &str = "# Written by `fedtwin study new`: what the study draws, clips and costs. To change \
                       anything, change the draft and calibrate anew.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::file::signature_file;
    use crate::study::testing::{HEART, HIPPOCAMPUS, NOW, draft_with, federation};

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            federation(folder.path());
            Self { folder }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn sign(&self, draft: &str, holder: &str) -> Result<PricedPlan, PlanError> {
            std::fs::write(self.path("draft.toml"), draft).unwrap();
            let credentials = self.path("holders").join(holder);
            new(&self.path("draft.toml"), None, &credentials, &self.path("plan.toml"), NOW)
        }

        fn check(&self) -> Result<(PricedPlan, Option<Identity>), PlanError> {
            check(&self.path("plan.toml"), Some(&self.path("ca/ca.pem")), NOW)
        }
    }

    fn causes(error: &PlanError) -> String {
        fedtwin_daemon::program::describe(error)
    }

    #[test]
    fn both_example_drafts_become_plans_that_check() {
        for draft in [HEART, HIPPOCAMPUS] {
            let bench = Bench::new();
            let written = bench.sign(draft, "ada").unwrap();
            let (checked, signer) = bench.check().unwrap();
            assert_eq!(written.to_string(), checked.to_string());
            assert_eq!(signer.unwrap().to_string(), "spiffe://demo/researcher/ada");
            let text = std::fs::read_to_string(bench.path("plan.toml")).unwrap();
            assert!(text.starts_with(draft.trim_end()), "the researcher's text stays");
            assert!(check(&bench.path("plan.toml"), None, NOW).unwrap().1.is_none());
        }
    }

    #[test]
    fn what_the_example_offers_in_comments_is_a_plan_too() {
        let keys = ["trainable", "augmentation", "adaptive_clip", "average"];
        let offered = keys.iter().fold(HIPPOCAMPUS.to_owned(), |draft, key| {
            draft_with(&draft, &[(&format!("# {key} ="), &format!("{key} ="))])
        });
        let bench = Bench::new();
        bench.sign(&offered, "ada").unwrap();
        let plan: Plan = parse("plan", &std::fs::read_to_string(bench.path("plan.toml")).unwrap()).unwrap();
        assert!(plan.trained().values() < plan.architecture().values() / 5);
        assert!(plan.norm_division().below > 0);
    }

    #[test]
    fn a_changed_byte_is_refused() {
        let bench = Bench::new();
        bench.sign(HEART, "ada").unwrap();
        let plan = std::fs::read(bench.path("plan.toml")).unwrap();
        for at in [0, plan.len() / 2, plan.len() - 2] {
            let mut changed = plan.clone();
            changed[at] ^= 1;
            std::fs::write(bench.path("plan.toml"), changed).unwrap();
            assert!(
                causes(&bench.check().unwrap_err()).contains("it was changed after signing"),
                "byte {at}"
            );
        }
        std::fs::write(bench.path("plan.toml"), &plan).unwrap();
        assert!(bench.check().is_ok());
        let signature = signature_file(&bench.path("plan.toml"));
        std::fs::write(signature, "none").unwrap();
        assert!(
            causes(&bench.check().unwrap_err()).contains("plan.toml.sig does not hold a plan's signature")
        );
    }

    #[test]
    fn drafts_are_refused_with_file_and_line() {
        let bench = Bench::new();
        let refused =
            |changes: &[(&str, &str)]| causes(&bench.sign(&draft_with(HEART, changes), "ada").unwrap_err());
        let line = 1 + HEART.lines().position(|line| line.starts_with("count =")).unwrap();
        let unknown = refused(&[("count = 5", "cuont = 5")]);
        assert!(unknown.contains(&format!("draft.toml:{line}: unknown field `cuont`")), "{unknown}");
        let few = refused(&[("attempts_max = 6", "attempts_max = 4")]);
        assert!(few.contains("rounds.attempts_max is 4, expected at least rounds.count (5)"), "{few}");
        let twice = causes(&bench.sign(&format!("{HEART}\n[calibrated]\nm = 10\n"), "ada").unwrap_err());
        assert!(twice.contains("this draft is calibrated already"), "{twice}");
        assert!(!bench.path("plan.toml").exists(), "nothing is written");
    }

    #[test]
    fn only_researchers_sign_and_nothing_is_overwritten() {
        let bench = Bench::new();
        let refused = causes(&bench.sign(HEART, "eve").unwrap_err());
        assert!(refused.contains("signed by spiffe://demo/auditor/eve, expected a researcher"), "{refused}");
        let late =
            causes(&bench.sign(&draft_with(HEART, &[("2027-12-31", "2026-01-01")]), "ada").unwrap_err());
        assert!(late.contains("the plan expired at the end of 2026-01-01"), "{late}");
        bench.sign(HEART, "ada").unwrap();
        assert!(causes(&bench.sign(HEART, "ada").unwrap_err()).contains("exists already"));
    }

    #[test]
    fn a_plan_that_claims_too_little_is_untenable() {
        let bench = Bench::new();
        bench.sign(HEART, "ada").unwrap();
        let plan = std::fs::read_to_string(bench.path("plan.toml")).unwrap();
        let calibrated = plan.find("[calibrated]").unwrap();
        let epsilon = calibrated + plan[calibrated..].find("epsilon").unwrap();
        std::fs::write(bench.path("plan.toml"), format!("{}epsilon = 0.5\n", &plan[..epsilon])).unwrap();
        let refused = check(&bench.path("plan.toml"), None, NOW).unwrap_err().to_string();
        assert!(refused.starts_with("the plan claims epsilon 0.5 but costs "), "{refused}");
    }
}
