//! An arm of a simulation: one federation that runs some studies at the same time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use fedtwin_daemon::clock;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{CohortName, Digest, FederationName, Plan, SiteName, Timestamp};
use fedtwin_proto::domain::{Event, StudyEvent, StudyOutcome as Ended};
use fedtwin_research::client::{Address, Client};
use fedtwin_research::study::initial::{self, name_in};
use fedtwin_research::study::metrics;
use fedtwin_research::study::plan::sign_draft;
use fedtwin_research::study::refusals::Refusals;
use futures_util::future::join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::budget::Budget;
use crate::federation::{Federation, Programs, RESEARCHER};
use crate::memory::MemoryWatch;
use crate::outcome::{self, FinishedStudy};
use crate::results::{self, ArmName, Row};
use crate::site_config::{self, SimulatedSite};

/// A federation and the drafts that it will run.
#[derive(Debug)]
pub struct Arm {
    /// The federation's name, which is also its folder's.
    pub federation: FederationName,
    /// The sites.
    pub sites: Vec<SimulatedSite>,
    /// The drafts, in groups that run one after the other; a group's run at the same time.
    pub drafts: Vec<Vec<ArmDraft>>,
    /// Score models along the way every so many rounds.
    pub score_every_rounds: u32,
}

/// One study to run.
#[derive(Debug, Clone)]
pub struct ArmDraft {
    /// What messages call the draft.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The model file that the study begins with; its seed draws the weights without one.
    pub initial_model: Option<PathBuf>,
}

/// What an arm came to.
#[derive(Debug)]
pub struct ArmOutcome {
    /// The federation, by the name in its authority's certificate.
    pub federation: FederationName,
    /// The studies, in the order of the drafts.
    pub studies: Vec<FinishedStudy>,
    /// The coordinator's peak memory in MiB.
    pub coordinator_mb: u64,
    /// The largest site's peak memory, agent and trainers, in MiB.
    pub site_mb: u64,
}

impl ArmOutcome {
    /// Returns all figures of whole federations.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.studies.iter().flat_map(|study| results::rows(study, ArmName::Federated)).collect()
    }
}

impl Arm {
    /// Starts the federation in a new folder below `folder`, runs all drafts, and stops it.
    ///
    /// # Errors
    /// Fails where a draft is refused, a process does not start or ends, or a study fails.
    pub async fn run(
        &self,
        folder: &Path,
        programs: &Programs,
        bars: &MultiProgress,
    ) -> anyhow::Result<ArmOutcome> {
        let folder = folder.join(self.federation.as_str());
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let names: Vec<SiteName> = self.sites.iter().map(|site| site.name.clone()).collect();
        let mut federation =
            Federation::start(&folder, programs.clone(), &self.federation, &names, clock::now())?;
        let groups = self.sign(&federation)?;
        let plans: Vec<&Plan> = groups.iter().flatten().map(|(plan, _)| plan).collect();
        self.start_sites(&mut federation, &plans)?;
        let memory = MemoryWatch::start(federation.process_ids());
        let mut studies = Vec::new();
        for (group, drafts) in groups.iter().zip(&self.drafts) {
            let mut opened = Vec::new();
            for ((plan, signed), draft) in group.iter().zip(drafts) {
                // One after the other: few given models wait for their studies, and the oldest go.
                opened.push((plan, open_study(&federation, plan, signed, draft).await?));
            }
            let running =
                opened.into_iter().map(|(plan, opened)| follow_study(&federation, plan, opened, bars));
            for study in join_all(running).await {
                federation.check()?;
                let logs = || format!("the sites' own logs say more: {}/sites/*/site.log", folder.display());
                studies.push(study.with_context(logs)?);
            }
        }
        let peaks = memory.peaks_mb();
        let coordinator = federation.process_ids()[0];
        let site_mb =
            peaks.iter().filter(|(id, _)| **id != coordinator).map(|(_, mb)| *mb).max().unwrap_or(0);
        let coordinator_mb = peaks.get(&coordinator).copied().unwrap_or(0);
        Ok(ArmOutcome { federation: self.federation.clone(), studies, coordinator_mb, site_mb })
    }

    fn sign(&self, federation: &Federation) -> anyhow::Result<Vec<Vec<(Plan, SignedPlan)>>> {
        let sign = |ArmDraft { name, text, initial_model }: &ArmDraft| {
            let text = match initial_model {
                Some(file) => name_in(name, text, file)?,
                None => text.clone(),
            };
            let (signed, plan) = sign_draft(name, &text, federation.researcher(), clock::now())?;
            Ok((plan, signed))
        };
        self.drafts.iter().map(|group| group.iter().map(sign).collect()).collect()
    }

    fn start_sites(&self, federation: &mut Federation, plans: &[&Plan]) -> anyhow::Result<()> {
        let mut refused = Vec::new();
        for site in &self.sites {
            let text = site_config::text(site, plans, self.score_every_rounds);
            federation.configure_site(&site.name, federation.address(), &text)?;
            if let Err(error) = federation.check_site(&site.name) {
                refused.push(format!("{error:#}"));
                continue;
            }
            for file in &site.cohort_files {
                let cohort = cohort_name(file)?;
                let plans: Vec<_> = plans.iter().copied().filter(|plan| plan.cohort.name == cohort).collect();
                for budget in Budget::for_plans(&plans) {
                    federation.open_budget(&site.name, &cohort, &budget)?;
                }
            }
            federation.restart_site(&site.name)?;
        }
        if refused.is_empty() { Ok(()) } else { anyhow::bail!("{}", refused.join("\n")) }
    }
}

/// Reads the name out of a cohort file; the site itself reads and checks the rest.
fn cohort_name(file: &Path) -> anyhow::Result<CohortName> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let table: toml::Table =
        text.parse().with_context(|| format!("{} is not a cohort file", file.display()))?;
    let name = table.get("name").and_then(|name| name.as_str());
    Ok(name.with_context(|| format!("{} has no name", file.display()))?.parse()?)
}

/// Gives a study its initial model, if it has one, and opens it; returns when that was.
async fn open_study(
    federation: &Federation,
    plan: &Plan,
    signed: &SignedPlan,
    draft: &ArmDraft,
) -> anyhow::Result<Timestamp> {
    let client = researcher(federation).await?;
    if let Some(file) = &draft.initial_model {
        let spec = plan.architecture().base();
        client.give_model(signed.clone(), initial::chunks(initial::read(file, &spec)?)).await?;
    }
    let opened = clock::now();
    client.open_study(signed.clone()).await?;
    Ok(opened)
}

/// Follows a study to its end, and gathers the sites' reports.
async fn follow_study(
    federation: &Federation,
    plan: &Plan,
    opened: Timestamp,
    bars: &MultiProgress,
) -> anyhow::Result<FinishedStudy> {
    let mut events = researcher(federation).await?.watch_study(&plan.study.id).await?;
    let mut follow = Follow::new(plan, bars);
    let model = loop {
        let event = events.next().await?.context("the coordinator ended before the study did")?;
        if let Some(ended) = follow.event(event) {
            break ended?;
        }
    };
    let mut sites = Vec::new();
    for site in &plan.study.sites {
        sites.push(outcome::of_site(federation.folder(), site, plan, SCORING_TIME_MAX).await?);
    }
    follow.bar.finish();
    Ok(FinishedStudy {
        plan: plan.clone(),
        model,
        seconds: clock::now().since(opened).as_secs_f64(),
        training_seconds: follow.last_close.since(follow.first_start).as_secs_f64(),
        update_bytes: follow.update_bytes,
        incomplete_rounds: follow.incomplete_rounds,
        sites,
    })
}

async fn researcher(federation: &Federation) -> anyhow::Result<Client> {
    let address = Address {
        coordinator: federation.address().to_string(),
        credentials: federation.folder().join("credentials").join(RESEARCHER),
        server_name: "localhost".to_owned(),
        revoked: None,
    };
    Ok(Client::connect(&address).await?)
}

/// What the events of a study add up to, and its progress bar.
struct Follow {
    bar: ProgressBar,
    refusals: Refusals,
    first_start: Timestamp,
    last_close: Timestamp,
    update_bytes: u64,
    incomplete_rounds: u32,
}

impl Follow {
    fn new(plan: &Plan, bars: &MultiProgress) -> Self {
        let bar = bars.add(ProgressBar::new(plan.rounds.count.get().into()));
        let style = ProgressStyle::with_template("{prefix:18} {wide_bar} round {pos}/{len} {elapsed} {msg}");
        bar.set_style(style.expect("the template is a constant"));
        bar.set_prefix(plan.study.id.to_string());
        let never = Timestamp(0);
        Self {
            bar,
            refusals: Refusals::default(),
            first_start: never,
            last_close: never,
            update_bytes: 0,
            incomplete_rounds: 0,
        }
    }

    /// Returns how the study ended, once it has.
    fn event(&mut self, StudyEvent { time, event, .. }: StudyEvent) -> Option<anyhow::Result<Digest>> {
        self.refusals.note(&event);
        match event {
            Event::SiteAnswered { site, refused: Some(reason) } => {
                self.bar.println(format!("{site} refused: {reason}"));
            }
            Event::SiteFailed { site, reason } => self.bar.println(format!("{site}: {reason}")),
            Event::AttemptFailed { reason } => self.bar.println(reason),
            Event::MetricsReleased(released) => self.bar.println(metrics::line(&released)),
            Event::AttemptStarted { attempt: 1, .. } => self.first_start = time,
            Event::UpdateReceived { bytes, .. } => self.update_bytes += bytes,
            Event::AttemptClosed { round, missing, .. } => {
                self.last_close = time;
                self.incomplete_rounds += u32::from(!missing.is_empty());
                self.bar.set_position(round.into());
            }
            Event::StudyClosed(closed) => {
                self.bar.set_message("scoring at the sites");
                return Some(match closed.outcome {
                    Ended::Finished { model } => Ok(model),
                    Ended::Failed { reason } => {
                        Err(anyhow!("study {} failed: {reason}{}", closed.study, self.refusals))
                    }
                });
            }
            Event::SiteAnswered { refused: None, .. } | Event::AttemptStarted { .. } => {}
        }
        None
    }
}

/// A large cohort's test patients take minutes on a slow machine.
const SCORING_TIME_MAX: Duration = Duration::from_secs(600);
