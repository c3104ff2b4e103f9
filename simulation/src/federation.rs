//! A whole federation on one machine: its own authority, a coordinator and sites as processes.
//!
//! Nothing is played: these are the programs that a hospital runs, over mutual TLS on loopback, each
//! with its own credentials and folder. They end with the process that started them, even if that is
//! killed, because their standard input then closes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use fedtwin_certs::{Authority, CertificateTerms, Credentials, Role, folder};
use fedtwin_plan::{CohortName, FederationName, SiteName, Timestamp};
use fedtwin_privacy::ledger::{BudgetKind, Purpose};

use crate::budget::Budget;
use crate::confinement::{Confinement, waived};

/// The programs to run.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The path of `fedtwin-coordinator`.
    pub coordinator: PathBuf,
    /// The site agent.
    pub site: PathBuf,
}

impl Programs {
    /// Finds the programs that were built or installed beside this one.
    ///
    /// # Errors
    /// Fails where one is missing, and says how to build it.
    pub fn beside_this_program() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let folder = own.parent().context("a program is in a folder")?;
        let find = |name: &str| {
            let path = folder.join(name);
            if path.exists() {
                return Ok(path);
            }
            bail!("{} is missing: build all programs with `cargo build --release`", path.display())
        };
        find("fedtwin-trainer")?;
        Ok(Self { coordinator: find("fedtwin-coordinator")?, site: find("fedtwin-site")? })
    }
}

impl Programs {
    /// Returns the trainer that the sites start.
    #[must_use]
    pub fn trainer(&self) -> PathBuf {
        self.site.with_file_name("fedtwin-trainer")
    }
}

/// A federation's folder and processes.
#[derive(Debug)]
pub struct Federation {
    folder: PathBuf,
    programs: Programs,
    researcher: Credentials,
    address: SocketAddr,
    coordinator: Process,
    sites: BTreeMap<SiteName, Process>,
    confinement: Confinement,
}

impl Federation {
    /// Issues certificates in a new folder and starts the coordinator.
    ///
    /// # Errors
    /// Fails where the folder cannot be written or the coordinator does not start.
    pub fn start(
        folder: &Path,
        programs: Programs,
        name: &FederationName,
        sites: &[SiteName],
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let credentials = folder.join("credentials");
        fs::create_dir_all(&credentials)?;
        let until = now + VALIDITY;
        let authority = Authority::create(name, now, until)?;
        folder::create_authority(&credentials.join("ca"), &authority)?;
        let issue = |role: Role, name: &str, hosts: Vec<String>| -> anyhow::Result<Credentials> {
            let terms = CertificateTerms { from: now, tls_until: until, identity_until: until, hosts };
            let issued = authority.issue(role, &name.parse()?, &terms)?;
            folder::create_credentials(&credentials.join(name), &issued)?;
            Ok(issued)
        };
        issue(Role::Coordinator, COORDINATOR, vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let researcher = issue(Role::Researcher, RESEARCHER, Vec::new())?;
        // People at the sites would compare these by telephone.
        let peers = credentials.join("peers");
        fs::create_dir(&peers)?;
        for site in sites {
            issue(Role::Site, site.as_str(), Vec::new())?;
            let identity = credentials.join(site.as_str()).join("identity.pem");
            fs::copy(identity, peers.join(site.as_str()).with_extension("pem"))?;
        }

        let (coordinator, address) = start_coordinator(folder, &programs, "127.0.0.1:0")?;
        let folder = folder.to_path_buf();
        let confinement = Confinement::of(&programs.trainer())?;
        Ok(Self { folder, programs, researcher, address, coordinator, sites: BTreeMap::new(), confinement })
    }

    /// Kills the coordinator without warning.
    pub fn kill_coordinator(&mut self) {
        self.coordinator.kill();
    }

    /// Stops the coordinator in good order.
    ///
    /// # Errors
    /// Fails where it ends badly.
    pub fn stop_coordinator(&mut self) -> anyhow::Result<()> {
        let process = &mut self.coordinator.0;
        drop(process.stdin.take());
        let status = process.wait()?;
        if !status.success() {
            bail!("the coordinator ended badly ({status})");
        }
        Ok(())
    }

    /// Kills the coordinator without warning and starts it again at the same address.
    ///
    /// # Errors
    /// Fails where the program does not start.
    pub fn restart_coordinator(&mut self) -> anyhow::Result<()> {
        self.kill_coordinator();
        let address = self.address.to_string();
        (self.coordinator, self.address) = start_coordinator(&self.folder, &self.programs, &address)?;
        Ok(())
    }

    /// Writes a site's configuration, of which `rest` is the trainer, the policy and the cohorts.
    ///
    /// # Errors
    /// Fails where its folder cannot be written.
    pub fn configure_site(&self, site: &SiteName, address: SocketAddr, rest: &str) -> anyhow::Result<()> {
        let folder = self.site_folder(site);
        fs::create_dir_all(&folder)?;
        let mut config = format!(
            "coordinator = \"{address}\"\ncredentials = \"../../credentials/{site}\"\nstate = \"state\"\n{rest}"
        );
        if let Confinement::Lacking = self.confinement {
            config = waived(config);
        }
        Ok(fs::write(folder.join("site.toml"), config)?)
    }

    /// Opens or raises a budget of a configured site as a person there would: by its commands, in two steps.
    ///
    /// # Errors
    /// Returns what the site's program says against it.
    pub fn open_budget(&self, site: &SiteName, cohort: &CohortName, budget: &Budget) -> anyhow::Result<()> {
        let Budget { purpose, kind, epsilon, delta } = budget;
        let purpose = match purpose {
            Purpose::Training => "training",
            Purpose::Metrics => "metrics",
        };
        let order = match kind {
            BudgetKind::Gdp => None,
            BudgetKind::Rdp { order_milli } => Some(order_milli.to_string()),
        };
        let kind = match &order {
            None => vec!["--kind", "gdp"],
            Some(order) => vec!["--kind", "rdp", "--order", order],
        };
        let (epsilon, delta) = (epsilon.to_string(), delta.to_string());
        let words = ["budget", "propose", "--cohort", cohort.as_str(), "--purpose", purpose];
        let amounts = ["--epsilon", &epsilon, "--delta", &delta];
        let reasons = ["--who", "simulation", "--why", "a simulation on one machine", "--code-only"];
        let refused = || format!("a budget of {site} was not opened");
        let code = self.site_command(site, &[&words[..], &kind, &amounts, &reasons].concat());
        let code = code.with_context(refused)?;
        self.site_command(site, &["budget", "confirm", code.trim()]).map(drop).with_context(refused)
    }

    /// Runs one of a configured site's commands, as a person there would, and returns what it says.
    ///
    /// # Errors
    /// Returns what the site's program says against it.
    pub fn site_command(&self, site: &SiteName, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.programs.site);
        command.arg("--config").arg(self.site_folder(site).join("site.toml")).args(arguments);
        let program = self.programs.site.display();
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Has a configured site check itself as a person there would, without which it takes part in nothing; what it says
    /// is in its log.
    ///
    /// # Errors
    /// Returns what the site found not to be in order.
    pub fn check_site(&self, site: &SiteName) -> anyhow::Result<()> {
        let checked = self.site_command(site, &["check"]);
        let said = match &checked {
            Ok(said) => said.clone(),
            Err(error) => format!("{error:#}\n"),
        };
        let log = self.site_folder(site).join("site.log");
        fs::File::options().create(true).append(true).open(log)?.write_all(said.as_bytes())?;
        checked.map(drop).with_context(|| format!("site {site} is not in order"))
    }

    /// Starts a configured site, for the first time or again.
    ///
    /// # Errors
    /// Fails where the program does not start.
    pub fn restart_site(&mut self, site: &SiteName) -> anyhow::Result<()> {
        self.restart_site_with(site, &[])
    }

    /// Starts a configured site with more arguments.
    ///
    /// # Errors
    /// As [`Self::restart_site`].
    pub fn restart_site_with(&mut self, site: &SiteName, arguments: &[&OsStr]) -> anyhow::Result<()> {
        let folder = self.site_folder(site);
        let mut command = Command::new(&self.programs.site);
        command.arg("--config").arg(folder.join("site.toml")).arg("run").args(arguments);
        let process = Process::start(&mut command, &folder.join("site.log"))?;
        self.sites.insert(site.clone(), process);
        Ok(())
    }

    /// Kills a site without warning.
    pub fn kill_site(&mut self, site: &SiteName) {
        self.sites.remove(site);
    }

    /// Returns the folder of a site: its configuration, log and state.
    #[must_use]
    pub fn site_folder(&self, site: &SiteName) -> PathBuf {
        self.folder.join("sites").join(site.as_str())
    }

    /// Returns the federation's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the coordinator's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the researcher's credentials.
    #[must_use]
    pub fn researcher(&self) -> &Credentials {
        &self.researcher
    }

    /// Returns the process identifiers: the coordinator's first, then the sites'.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        std::iter::once(&self.coordinator).chain(self.sites.values()).map(|process| process.0.id()).collect()
    }

    /// Fails if a process has ended by itself, with what it logged last.
    ///
    /// # Errors
    /// Names the program and quotes the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let log = self.folder.join("coordinator.log");
        self.coordinator.check("the coordinator", &log)?;
        for (site, process) in &mut self.sites {
            let log = self.folder.join("sites").join(site.as_str()).join("site.log");
            process.check(&format!("site {site}"), &log)?;
        }
        Ok(())
    }
}

/// A child that is killed when it is dropped.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = fs::File::options().create(true).append(true).open(log)?;
        let started = command
            .arg("--stop-with-parent")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        let program = command.get_program().display().to_string();
        Ok(Self(started.with_context(|| format!("cannot start {program}"))?))
    }

    fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill, only to reap.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }

    fn check(&mut self, what: &str, log: &Path) -> anyhow::Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{what} ended ({status}); its log ends with:\n{}", tail(log)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start_coordinator(
    folder: &Path,
    programs: &Programs,
    listen: &str,
) -> anyhow::Result<(Process, SocketAddr)> {
    let config = format!(
        "listen = \"{listen}\"\ncredentials = \"credentials/{COORDINATOR}\"\nstate = \"coordinator\"\n"
    );
    let (file, address_file, log) =
        (folder.join("coordinator.toml"), folder.join("coordinator.address"), folder.join("coordinator.log"));
    fs::write(&file, config)?;
    // One of an earlier start would say that this one is ready.
    match fs::remove_file(&address_file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let mut command = Command::new(&programs.coordinator);
    command.arg("--config").arg(file).arg("--address-file").arg(&address_file);
    let coordinator = Process::start(&mut command, &log)?;
    let address = wait_for_address(&address_file, &log)?;
    Ok((coordinator, address))
}

fn wait_for_address(file: &Path, log: &Path) -> anyhow::Result<SocketAddr> {
    for _ in 0..START_TRIES {
        match fs::read_to_string(file) {
            Ok(text) if !text.is_empty() => return Ok(text.parse()?),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        std::thread::sleep(START_PAUSE);
    }
    bail!("the coordinator did not start; its log says:\n{}", tail(log))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// The name of the researcher that a simulation acts as.
pub const RESEARCHER: &str = "researcher";
const COORDINATOR: &str = "coordinator";
/// A simulation's certificates outlast it.
const VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);
const START_TRIES: u32 = 500;
const START_PAUSE: Duration = Duration::from_millis(20);
