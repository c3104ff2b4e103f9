//! A federation of scripted sites as processes, and a researcher who opens studies and watches them.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fedtwin_certs::{CertificateTerms, Credentials, Role, folder, tls};
use fedtwin_daemon::{clock, transport};
use fedtwin_plan::{Digest, SiteName, StudyId};
use fedtwin_privacy::ledger::{BudgetKind, Purpose};
use fedtwin_research::client::{Address, Client};
use fedtwin_simulation::budget::Budget;
use fedtwin_simulation::federation::{Federation, Programs, RESEARCHER};
use fedtwin_simulation::site_config::{PEERS, RESEARCHERS};
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::script::{Behaviour, LOADED_FILE, Script};
use crate::vector_study::{COHORT, PATIENTS, VectorStudy};
use crate::watch::Watch;

/// A running federation in a folder of its own; dropping it ends all processes and removes the folder.
#[derive(Debug)]
pub struct Testbed {
    /// The processes.
    pub federation: Federation,
    /// The sites, in the order of their numbers.
    pub sites: Vec<SiteName>,
    folder: TempDir,
}

impl Testbed {
    /// Starts a coordinator, and no site yet.
    ///
    /// # Errors
    /// Fails where a program is missing or does not start.
    pub fn start(sites: usize) -> anyhow::Result<Self> {
        Self::start_programs(sites, programs()?)
    }

    /// Starts a coordinator, with these programs for it and the sites to come.
    ///
    /// # Errors
    /// Fails where the coordinator does not start.
    pub fn start_programs(sites: usize, programs: Programs) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let sites: Vec<SiteName> =
            (0..sites).map(|number| format!("site-{number}").parse()).collect::<Result<_, _>>()?;
        let federation =
            Federation::start(folder.path(), programs, &"testbed".parse()?, &sites, clock::now())?;
        Ok(Self { federation, sites, folder })
    }

    /// Starts a coordinator and as many good sites.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with_sites(sites: usize) -> anyhow::Result<Self> {
        let mut testbed = Self::start(sites)?;
        for number in 0..sites {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        Ok(testbed)
    }

    /// Starts a coordinator and as many sites, of which the last one never has its update.
    ///
    /// # Errors
    /// As [`Self::start`].
    ///
    /// # Panics
    /// Without a site.
    pub fn start_with_a_silent_site(sites: usize) -> anyhow::Result<Self> {
        let mut testbed = Self::start(sites)?;
        let silent = sites.checked_sub(1).expect("there is a last site");
        for number in 0..silent {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        let good = SiteTerms::good(silent);
        let script = Script { behaviour: Behaviour::Hangs, ..good.script };
        testbed.start_site(silent, &SiteTerms { script, ..good })?;
        Ok(testbed)
    }

    /// Runs a study of two rounds, kills the site that hangs when the others' updates are in, and checks that it is
    /// missing in the first round and back in the second.
    ///
    /// # Errors
    /// Fails where the study or the programs do.
    ///
    /// # Panics
    /// If another site is missing, or the killed one in both rounds.
    pub async fn assert_last_site_comes_back(&mut self, study: &VectorStudy) -> anyhow::Result<()> {
        let last = self.sites.len() - 1;
        let mut watch = self.open(study).await?;
        watch.updates(last).await?;
        let killed = self.sites[last].clone();
        self.federation.kill_site(&killed);
        let (included, missing) = watch.round_closed(1).await?;
        assert_eq!((included.as_slice(), missing.as_slice()), self.sites.split_at(last));
        Script::good(u32::try_from(last)?).save(&self.site_folder(last))?;
        self.federation.restart_site(&killed)?;
        let (included, missing) = watch.round_closed(2).await?;
        assert_eq!((included, missing), (self.sites.clone(), Vec::new()));
        watch.finished().await?;
        Ok(())
    }

    /// Starts a site.
    ///
    /// # Errors
    /// Fails where its folder cannot be written or the program does not start.
    pub fn start_site(&mut self, number: usize, terms: &SiteTerms) -> anyhow::Result<()> {
        self.start_site_at(number, terms, self.federation.address())
    }

    /// Starts a site that dials another address than the coordinator's.
    ///
    /// # Errors
    /// As [`Self::start_site`].
    pub fn start_site_at(
        &mut self,
        number: usize,
        terms: &SiteTerms,
        address: SocketAddr,
    ) -> anyhow::Result<()> {
        let (site, folder) = (self.sites[number].clone(), self.site_folder(number));
        fs::create_dir_all(&folder)?;
        terms.script.save(&folder)?;
        fs::write(folder.join("cohort.toml"), &terms.cohort)?;
        self.federation.configure_site(&site, address, &terms.config)?;
        self.federation.check_site(&site)?;
        self.federation.open_budget(&site, &COHORT.parse()?, &terms.budget)?;
        if let Some(epsilon) = terms.metrics_epsilon {
            let budget = Budget { purpose: Purpose::Metrics, epsilon, ..terms.budget };
            self.federation.open_budget(&site, &COHORT.parse()?, &budget)?;
        }
        self.federation.restart_site(&site)
    }

    /// Returns a site's folder.
    #[must_use]
    pub fn site_folder(&self, number: usize) -> PathBuf {
        self.federation.site_folder(&self.sites[number])
    }

    /// Says whether a site's trainer was ever asked to load its cohort.
    #[must_use]
    pub fn trainer_was_loaded(&self, number: usize) -> bool {
        self.site_folder(number).join(LOADED_FILE).exists()
    }

    /// Returns the federation's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder of somebody's credentials.
    #[must_use]
    pub fn credentials_folder(&self, name: &str) -> PathBuf {
        self.folder().join("credentials").join(name)
    }

    /// Returns somebody's credentials.
    ///
    /// # Errors
    /// Fails where there are none.
    pub fn credentials(&self, name: &str) -> anyhow::Result<Credentials> {
        Ok(folder::load_credentials(&self.credentials_folder(name))?)
    }

    /// Returns somebody's credentials, issued now if there are none of this name.
    ///
    /// # Errors
    /// Fails where they cannot be read or written.
    pub fn issue(&self, role: Role, name: &str) -> anyhow::Result<Credentials> {
        if self.credentials_folder(name).exists() {
            return self.credentials(name);
        }
        let authority = self.authority()?;
        let (from, until) = authority.certificate().validity();
        let terms = CertificateTerms { from, tls_until: until, identity_until: until, hosts: Vec::new() };
        let issued = authority.issue(role, &name.parse()?, &terms)?;
        folder::create_credentials(&self.credentials_folder(name), &issued)?;
        Ok(issued)
    }

    /// Opens a connection that can carry any call.
    ///
    /// # Errors
    /// Returns why there is no connection.
    pub async fn channel(&self, credentials: &Credentials) -> anyhow::Result<Channel> {
        let config = Arc::new(tls::client_config(credentials, clock::for_tls())?);
        Ok(transport::connect(&self.federation.address().to_string(), "localhost", config).await?)
    }

    /// Connects with somebody's credentials.
    ///
    /// # Errors
    /// Returns why there is no connection.
    pub async fn connect(&self, name: &str) -> anyhow::Result<Client> {
        let address = Address {
            coordinator: self.federation.address().to_string(),
            credentials: self.credentials_folder(name),
            server_name: "localhost".to_owned(),
            revoked: None,
        };
        Ok(Client::connect(&address).await?)
    }

    /// Opens a study and returns its events from the beginning.
    ///
    /// # Errors
    /// Returns the coordinator's refusal.
    pub async fn open(&self, study: &VectorStudy) -> anyhow::Result<Watch> {
        let researcher = self.connect(RESEARCHER).await?;
        researcher.open_study(study.sign(self.federation.researcher())).await?;
        self.watch(&study.id).await
    }

    /// Returns a study's events from the beginning.
    ///
    /// # Errors
    /// Returns the coordinator's refusal.
    pub async fn watch(&self, study: &str) -> anyhow::Result<Watch> {
        let study: StudyId = study.parse()?;
        let events = self.connect(RESEARCHER).await?.watch_study(&study).await?;
        Ok(Watch { events, seen: Vec::new() })
    }

    /// Finds the only model of a study that is in its first round.
    ///
    /// # Errors
    /// Fails where there is none.
    pub fn first_model(&self, study: &str) -> anyhow::Result<Digest> {
        for file in fs::read_dir(self.folder().join("coordinator/studies").join(study))? {
            let name = file?.file_name().into_string().unwrap_or_default();
            if let Some(digest) = name.strip_suffix(".safetensors") {
                return Ok(digest.parse()?);
            }
        }
        bail!("the study {study} has no model")
    }

    /// Downloads a model file.
    ///
    /// # Errors
    /// Returns the coordinator's refusal.
    pub async fn model(&self, model: &Digest) -> anyhow::Result<Vec<u8>> {
        let file = self.folder().join(format!("{model}.safetensors"));
        self.connect(RESEARCHER).await?.fetch_model(model, &file).await?;
        Ok(fs::read(file)?)
    }

    /// Returns somebody's log so far; the coordinator's is `coordinator.log`.
    #[must_use]
    pub fn log(&self, site: Option<usize>) -> String {
        let file = match site {
            Some(number) => self.site_folder(number).join("site.log"),
            None => self.folder().join("coordinator.log"),
        };
        fs::read_to_string(file).unwrap_or_default()
    }

    /// Returns the authority, to issue more credentials.
    ///
    /// # Errors
    /// Fails where its folder cannot be read.
    pub fn authority(&self) -> anyhow::Result<fedtwin_certs::Authority> {
        Ok(folder::load_authority(&self.credentials_folder("ca"))?)
    }
}

/// What distinguishes one scripted site from another.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteTerms {
    /// What its trainer does.
    pub script: Script,
    /// The cohort file.
    pub cohort: String,
    /// The configuration but for addresses: policy and cohorts.
    pub config: String,
    /// The training budget that a person at the site opens.
    pub budget: Budget,
    /// The epsilon of the budget for metrics, if a person opens one.
    pub metrics_epsilon: Option<f64>,
}

impl SiteTerms {
    /// Returns the terms of a site that takes part in every scripted study.
    ///
    /// # Panics
    /// If there are more than 2^32 sites.
    #[must_use]
    pub fn good(number: usize) -> Self {
        let number = u32::try_from(number).expect("a federation has few sites");
        let cohort = format!(
            "name = \"{COHORT}\"\npatients = {PATIENTS}\n\
             [source.synthetic-table]\nseed = 1\nsite = 0\npatients = 80\n\
             [split.modulo]\ndivisor = 5\ntest = 3\n"
        );
        let config = format!(
            "[policy]\nmodels = [\"vector\", \"linear-risk\"]\nparameters_max = 1_000_000_000\n\
             cohorts = [\"{COHORT}\"]\nmodes = [\"none\", \"local\", \"shared\", \"sums-only\"]\nnoise_multiplier_min = 0.5\n\
             delta_max = 1e-3\nattempts_max = 1000\nsites_min = 1\nstudies_max = 64\nresearchers = {RESEARCHERS}\n\
             colluders_min = 0\nown_noise_multiplier_min = 0.1\n\
             metrics = {{ noise_patients_min = 0.1, releases_max = 10 }}\n\
             secure_aggregation = {{ peers = \"{PEERS}\", sites_min = 3 }}\n\
             [[cohort]]\nfile = \"cohort.toml\"\n"
        );
        let delta = 1e-5.try_into().expect("the delta is a constant");
        let budget = Budget { purpose: Purpose::Training, kind: BudgetKind::Gdp, epsilon: 4.0, delta };
        Self { script: Script::good(number), cohort, config, budget, metrics_epsilon: None }
    }
}

/// Runs a test's body, which takes seconds, for a minute at most.
///
/// # Panics
/// If it takes longer, or fails.
pub async fn in_time<T>(body: impl Future<Output = anyhow::Result<T>>) -> T {
    let result = tokio::time::timeout(TEST_TIME_MAX, body).await;
    let result = result.unwrap_or_else(|_elapsed| panic!("the test took more than {TEST_TIME_MAX:?}"));
    result.unwrap_or_else(|error| panic!("{error:?}"))
}

/// Waits until something holds that another process brings about; [`in_time`] bounds the wait.
pub async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Finds the programs that were built along with this test or benchmark, with scripted sites.
///
/// # Errors
/// Names the program that is missing, and says how to build it.
pub fn programs() -> anyhow::Result<Programs> {
    Ok(Programs { coordinator: program("fedtwin-coordinator")?, site: program("fedtwin-scripted-site")? })
}

/// Finds the same programs with sites that train.
///
/// # Errors
/// Names the program that is missing, and says how to build it.
pub fn programs_that_train() -> anyhow::Result<Programs> {
    program("fedtwin-trainer")?;
    Ok(Programs { site: program("fedtwin-site")?, ..programs()? })
}

fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let folder = own.parent().context("a program is in a folder")?;
    // Tests lie one folder deeper than programs.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    bail!("{} is missing: build all programs with `cargo build --workspace --bins`", path.display())
}

const TEST_TIME_MAX: Duration = Duration::from_secs(60);
