//! Pictures of what was learnt: a test patient at each hospital with the true and the predicted outline.
//!
//! They show patients, whom the demonstration invents or has from a public data set, and are made by a program that no
//! hospital runs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use fedtwin_page::chart::{Outline, Picture};
use fedtwin_plan::SiteName;
use fedtwin_plan::numbers::Positive;
use fedtwin_simulation::arm::ArmOutcome;
use fedtwin_simulation::federation::Programs;
use fedtwin_simulation::outcome::FinishedStudy;
use fedtwin_trainer::middle_slice::MiddleSlice;
use fedtwin_trainer::report::Report;

/// A hospital's patient, as models outline the organ.
#[derive(Debug)]
pub struct Outlined {
    /// The hospital.
    pub site: SiteName,
    /// One picture for each model, by growing noise.
    pub pictures: Vec<Picture>,
}

/// Draws a test patient of every site that took part in studies of images, once for each of their models.
///
/// # Errors
/// Fails where the program that outlines is missing or refuses.
pub fn outlined(programs: &Programs, arms: &[&ArmOutcome], folder: &Path) -> anyhow::Result<Vec<Outlined>> {
    let mut all = Vec::<Outlined>::new();
    for arm in arms {
        let studies: Vec<&FinishedStudy> = arm.studies.iter().filter(|study| has_images(study)).collect();
        let mut sites: Vec<&SiteName> = studies.iter().flat_map(|study| &study.plan.study.sites).collect();
        sites.sort();
        sites.dedup();
        for site in sites {
            let of_site: Vec<_> =
                studies.iter().copied().filter(|study| study.plan.study.sites.contains(site)).collect();
            let pictures = pictures(programs, arm, &of_site, (site, folder))?;
            match all.iter_mut().find(|outlined| outlined.site == *site) {
                Some(outlined) => outlined.pictures.extend(pictures),
                None => all.push(Outlined { site: site.clone(), pictures }),
            }
        }
    }
    Ok(all)
}

fn has_images(study: &FinishedStudy) -> bool {
    study.sites.iter().any(|site| matches!(site.report, Report::Segmentation(_)))
}

/// Has one site's patient outlined by the models of some studies.
fn pictures(
    programs: &Programs,
    arm: &ArmOutcome,
    studies: &[&FinishedStudy],
    (site, folder): (&SiteName, &Path),
) -> anyhow::Result<Vec<Picture>> {
    let program = programs.trainer().with_file_name("fedtwin-outline");
    let kept = folder.join(arm.federation.as_str()).join("sites").join(site.as_str()).join("state/studies");
    let mut command = Command::new(&program);
    command.arg("--cohort").arg(folder.join("cohorts").join(format!("{site}.cohort.toml")));
    command.args(studies.iter().map(|study| kept.join(study.plan.study.id.as_str())));
    let output = command.output().with_context(|| format!("{} does not start", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "no outlines of a patient at {site}: {}", said.trim());
    let slices: Vec<MiddleSlice> = serde_json::from_slice(&output.stdout)?;
    Ok(studies.iter().zip(slices).map(|(study, slice)| picture(study, slice)).collect())
}

fn picture(study: &FinishedStudy, slice: MiddleSlice) -> Picture {
    let MiddleSlice { width, pixels, truth, predicted } = slice;
    let title = match study.plan.calibrated.epsilon.map(Positive::get) {
        Some(epsilon) => format!("epsilon {epsilon:.0}"),
        None => "no noise".to_owned(),
    };
    let outlines = [("true", truth), ("predicted", predicted)];
    let outline = |(name, inside): (&str, _)| Outline { name: name.to_owned(), inside };
    Picture { title, width, pixels, outlines: outlines.map(outline).into() }
}
