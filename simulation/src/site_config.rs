//! The configuration of a simulated site: a policy that allows its plans and nothing else.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use fedtwin_plan::plan::Mode;
use fedtwin_plan::{Plan, SiteName};

/// What a site of a simulation has.
#[derive(Debug, Clone)]
pub struct SimulatedSite {
    /// Its name.
    pub name: SiteName,
    /// The files that describe its cohorts.
    pub cohort_files: Vec<PathBuf>,
}

/// Writes all of `site.toml` but the addresses.
#[must_use]
pub fn text(site: &SimulatedSite, plans: &[&Plan], score_every_rounds: u32) -> String {
    let mut text = format!("\n[trainer]\nthreads = 1\nscore_every_rounds = {score_every_rounds}\n\n");
    text.push_str(&policy(plans));
    for file in &site.cohort_files {
        write!(text, "\n[[cohort]]\nfile = {}\n", quoted(file)).expect("writing to a String does not fail");
    }
    text
}

fn policy(plans: &[&Plan]) -> String {
    let distinct = |mut names: Vec<String>| {
        names.sort();
        names.dedup();
        names
    };
    let models = distinct(plans.iter().map(|plan| plan.model.family.name().to_owned()).collect());
    let cohorts = distinct(plans.iter().map(|plan| plan.cohort.name.to_string()).collect());
    let modes = distinct(plans.iter().map(|plan| plan.privacy.mode().to_string()).collect());
    let parameters = plans.iter().map(|plan| plan.architecture().values()).max().unwrap_or(0);
    let attempts = plans.iter().map(|plan| plan.rounds.attempts_max.get()).max().unwrap_or(0);
    let sites = plans.iter().map(|plan| plan.rounds.sites_min.get()).min().unwrap_or(1);
    let metrics = match plans.iter().map(|plan| plan.metrics_releases()).max() {
        None | Some(0) => String::new(),
        Some(releases) => {
            format!("metrics = {{ noise_patients_min = 1e-6, releases_max = {releases} }}\n")
        }
    };
    let blocks = plans.iter().map(|plan| plan.rounds.blocks.get()).max().unwrap_or(1);
    let running = plans.len().clamp(1, 64);
    let shared = if modes.contains(&Mode::Shared.to_string()) {
        "colluders_min = 0\nown_noise_multiplier_min = 1e-6\n"
    } else {
        ""
    };
    let peers = if plans.iter().any(|plan| plan.privacy.is_secure()) {
        format!("secure_aggregation = {{ peers = {}, sites_min = 3 }}\n", quoted(Path::new(PEERS)))
    } else {
        String::new()
    };
    format!(
        "# A simulation allows what its own plans ask for.\n[policy]\nmodels = {models:?}\n\
         parameters_max = {parameters}\ncohorts = {cohorts:?}\nmodes = {modes:?}\n\
         noise_multiplier_min = 1e-6\ndelta_max = 0.5\nattempts_max = {attempts}\nsites_min = {sites}\n\
         blocks_max = {blocks}\nstudies_max = {running}\nresearchers = {RESEARCHERS}\n{shared}{metrics}{peers}"
    )
}

/// Where a site finds the identity certificates of all sites, from its own folder.
pub const PEERS: &str = "../../credentials/peers";

/// The one researcher, by the identity certificate that a site finds from its own folder.
pub const RESEARCHERS: &str = "{ researcher = \"../../credentials/researcher/identity.pem\" }";

/// Writes a path as a TOML text.
#[must_use]
pub fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}
