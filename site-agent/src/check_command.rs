//! `fedtwin-site check`: opens everything that `run` would need, says what is there, and opens cohorts to studies.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::anyhow;
use fedtwin_cohort::CohortFile;
use fedtwin_daemon::clock;
use fedtwin_plan::CohortName;
use fedtwin_trainer::NewTrainer;

use crate::budget_command::Place;
use crate::checked::Checked;
use crate::{pins, state_folder};

/// Checks credentials, policy, program and cohorts, and keeps a record of each cohort that is in order.
///
/// # Errors
/// Says of the first thing that is not in order what it is and what to do; the other cohorts' reasons are written to
/// `out` before. A cohort that is not in order is closed to studies.
pub(crate) fn run(place: Place<'_>, new_trainer: &NewTrainer, out: &mut dyn Write) -> anyhow::Result<()> {
    let Place { config, base, credentials } = place;
    credentials.check_time(clock::now())?;
    state_folder::open(&place.state())?;
    writeln!(out, "credentials of {}: good", credentials.identity())?;
    config.policy.researchers.read(base, credentials)?;
    if let Some(policy) = &config.policy.secure_aggregation {
        let peers = pins::peers(&base.join(&policy.peers), credentials)?;
        let names: Vec<_> = peers.keys().map(ToString::to_string).collect();
        writeln!(
            out,
            "peers: {}, this site hides among at least {}",
            names.join(", "),
            policy.sites_min.get()
        )?;
    }
    let (mut checked, mut first) = (BTreeSet::new(), None);
    for cohort in &config.cohorts {
        match check_cohort(place, &cohort.file, new_trainer, out) {
            Ok(name) => drop(checked.insert(name)),
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => writeln!(out, "{error:#}")?,
        }
    }
    if let Some(error) = first {
        return Err(error);
    }
    for name in config.policy.cohorts.iter().filter(|name| !checked.contains(name)) {
        writeln!(out, "note: the policy allows cohort {name}, and no [[cohort]] has that name")?;
    }
    Ok(writeln!(out, "configuration: good; start with `fedtwin-site run`")?)
}

/// Returns the name of a cohort that is in order, and is open to studies then.
pub(crate) fn check_cohort(
    place: Place<'_>,
    path: &Path,
    new_trainer: &NewTrainer,
    out: &mut dyn Write,
) -> anyhow::Result<CohortName> {
    let (path, state) = (place.base.join(path), place.state());
    let refused = || format!("the cohort of {} is closed to studies until this is mended", path.display());
    let cohort = match CohortFile::load(&path) {
        Ok(cohort) => cohort,
        Err(error) => {
            let Some(name) = name_in(&path) else {
                return Err(anyhow!(error).context(format!(
                    "no cohort's name can be read in {}: if an earlier check opened it to studies, an agent that runs \
                     goes on with it as it was then, and none starts before this is mended",
                    path.display()
                )));
            };
            Checked::forget(&state, &name)?;
            return Err(anyhow!(error).context(refused()));
        }
    };
    let checked = new_trainer().and_then(|mut trainer| trainer.check(&path));
    let inventory = match checked {
        Ok(inventory) => inventory,
        Err(error) => {
            Checked::forget(&state, cohort.name())?;
            return Err(anyhow!(error).context(refused()));
        }
    };
    if inventory.declared != cohort.patients() {
        Checked::forget(&state, cohort.name())?;
        return Err(anyhow!("it was changed while it was checked: check it again").context(refused()));
    }
    let lines = inventory.to_string().replace('\n', "\n  ");
    writeln!(out, "cohort {}: {lines}", cohort.name())?;
    Checked::keep(&state, &cohort, inventory, clock::now())?;
    Ok(cohort.name().clone())
}

/// Finds a cohort's name in a description that is not in order otherwise.
fn name_in(path: &Path) -> Option<CohortName> {
    let contents: toml::Table = fs::read_to_string(path).ok()?.parse().ok()?;
    contents.get("name")?.as_str()?.parse().ok()
}
