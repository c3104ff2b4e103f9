//! What people's commands do to a ledger that is not the one that this site signed last.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use clap::Parser;
use fedtwin_certs::folder::create_credentials;
use fedtwin_plan::text_file::parse;
use fedtwin_trainer::{NewTrainer, Trainer};

use super::tests::{NOW, Site, grant, key, noised, recollect};
use super::*;
use crate::budget_command::{self, BudgetArguments, Place};
use crate::check_command;
use crate::claims::Claims;
use crate::config::SiteConfig;
use crate::ledger_command::{self, LedgerAction};
use crate::study_command::{self, StudyAction};

#[derive(Parser)]
enum Command {
    Budget(BudgetArguments),
    #[command(subcommand)]
    Study(StudyAction),
    #[command(subcommand)]
    Ledger(LedgerAction),
}

/// Runs a command under these credentials, and returns what it says.
fn run(site: &Site, credentials: &Arc<Credentials>, words: &str) -> Result<String, String> {
    let config: SiteConfig = parse("site.toml", &(COPY.to_owned() + &site.text(""))).unwrap();
    let place = Place { config: &config, base: site.folder(), credentials };
    let mut out = Vec::new();
    let words = ["fedtwin-site"].into_iter().chain(words.split(' '));
    let done = match Command::try_parse_from(words).unwrap() {
        Command::Budget(arguments) => budget_command::run(place, arguments, &mut out),
        Command::Study(action) => study_command::run(place, action, &mut out),
        Command::Ledger(action) => ledger_command::run(place, action, &mut out),
    };
    done.map_err(|error| format!("{error:#}")).map(|()| String::from_utf8(out).unwrap())
}

/// Has a site take part in a study, and returns the files of its ledger.
fn take_part(site: &Site) -> (Session, [Vec<u8>; 2]) {
    let mut session = site.open_config(COPY);
    recollect(&mut session, 0, &[]).unwrap();
    site.offer(&mut session, "s", 1024).unwrap();
    (session, FILES.map(|file| fs::read(site.state().join(file)).unwrap()))
}

#[test]
fn who_has_new_credentials_is_told_to_enter_the_key_and_to_propose_again() {
    let site = Site::new();
    drop(site.open());
    let (old, renewed) = (site.folder().join("old"), Arc::new(site.renewed()));
    create_credentials(&old, &site.credentials).unwrap();
    let confirm = format!("budget confirm {}", site.propose_budget(12.0));
    for words in ["budget", "study list"] {
        let refused = run(&site, &renewed, words).unwrap_err();
        assert!(refused.contains("`fedtwin-site ledger rekey`"), "{words}: {refused}");
    }
    run(&site, &renewed, &format!("ledger rekey --old {} --who Ada --why moved", old.display())).unwrap();
    let refused = run(&site, &renewed, &confirm).unwrap_err();
    assert!(refused.contains("propose it again"), "{refused}");
    for words in ["budget", "study list"] {
        run(&site, &renewed, words).unwrap();
        let refused = run(&site, &site.credentials, words).unwrap_err();
        assert!(refused.contains("`fedtwin-site ledger rekey`"), "{words}: {refused}");
    }
}

#[test]
fn a_command_that_writes_closes_the_state_folder_to_others() {
    let site = Site::new();
    drop(site.open());
    for words in [
        "budget propose --cohort heart --kind rdp --order 8 --epsilon 12 --delta 1e-3 --who Ada --why more",
        "ledger confirm-mirror --entries 1 --who Ada --why restored",
    ] {
        fs::set_permissions(site.state(), fs::Permissions::from_mode(0o775)).unwrap();
        run(&site, &site.credentials, words).unwrap();
        assert_eq!(fs::metadata(site.state()).unwrap().permissions().mode() & 0o777, 0o700, "{words}");
    }
}

#[test]
fn a_check_that_fails_closes_the_cohort_wherever_its_name_can_be_read() {
    let site = Site::new();
    let (file, record) = (site.folder().join("cohort.toml"), site.state().join("checked/heart.json"));
    let good = fs::read_to_string(&file).unwrap();
    let config: SiteConfig = parse("site.toml", &site.text("")).unwrap();
    let place = Place { config: &config, base: site.folder(), credentials: &site.credentials };
    let check = |text: &str, found: Option<u32>| {
        fs::write(&file, text).unwrap();
        let new_trainer: NewTrainer =
            Arc::new(move || Ok(Box::new(Claims { declared: found, loaded: None }) as Box<dyn Trainer>));
        let checked = check_command::check_cohort(place, &file, &new_trainer, &mut Vec::new());
        checked.map_err(|error| format!("{error:#}"))
    };
    let bad = good.replace("divisor = 5", "divisor = 0");
    for (text, found) in [(&good, Some(79)), (&bad, None)] {
        check(&good, None).unwrap();
        assert!(record.exists());
        let refused = check(text, found).unwrap_err();
        assert!(refused.contains("is closed to studies until this is mended"), "{refused}");
        assert!(!record.exists(), "{refused}");
    }
    check(&good, None).unwrap();
    let refused = check("name = [", None).unwrap_err();
    assert!(record.exists() && refused.contains("as it was then"), "{refused}");
}

/// `check` and `audit attack` start trainers too, for which no study asks.
#[test]
fn the_ledger_says_that_trainers_run_unprotected_before_a_command_starts_one() {
    let site = Site::new();
    let waive = |lines: &str| {
        let config: SiteConfig = parse("site.toml", &(site.text("") + lines)).unwrap();
        let place = Place { config: &config, base: site.folder(), credentials: &site.credentials };
        place.note_waiver(NOW).map_err(|error| error.to_string())
    };
    drop(site.open());
    let lines = || site.ledger().lines().filter(|line| line.contains("\"entry\":\"trainer\"")).count();
    waive("").unwrap();
    assert_eq!(lines(), 0, "confined is what goes without saying");
    let running = site.open();
    assert!(waive(UNPROTECTED).unwrap_err().contains("stop it first"));
    drop(running);
    for _again in 0..2 {
        waive(UNPROTECTED).unwrap();
        assert_eq!(lines(), 1);
    }
    let _running = site.open();
    waive(UNPROTECTED).expect("the ledger says so already");
}

const UNPROTECTED: &str = "[trainer]\nunprotected = true";
const COPY: &str = "ledger.checkpoint_copy = \"elsewhere.checkpoint\"\n";
const FILES: [&str; 2] = ["ledger.log", "ledger.log.head"];

#[test]
fn no_command_writes_into_a_ledger_that_was_rolled_back() {
    let site = Site::new();
    let (mut session, backup) = take_part(&site);
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    session.release(&paid, noised(&paid), NOW).unwrap();
    drop(session);
    let newest = FILES.map(|file| fs::read(site.state().join(file)).unwrap());
    let restore = |files: &[Vec<u8>; 2]| {
        FILES.iter().zip(files).for_each(|(file, bytes)| fs::write(site.state().join(file), bytes).unwrap());
    };
    let old = site.folder().join("old");
    create_credentials(&old, &site.credentials).unwrap();
    let renewed = Arc::new(site.renewed());
    let rekey = format!("ledger rekey --old {} --who Ada --why moved", old.display());
    let confirm = format!("budget confirm {}", site.propose_budget(12.0));
    for (credentials, words) in [
        (&site.credentials, confirm.as_str()),
        (&site.credentials, "study close s --who Ada --why forgotten"),
        (&site.credentials, "ledger confirm-mirror --entries 1 --who Ada --why restored"),
        (&renewed, rekey.as_str()),
    ] {
        restore(&backup);
        let refused = run(&site, credentials, words).unwrap_err();
        assert!(refused.contains("the ledger was rolled back"), "{words}: {refused}");
        assert_eq!(site.ledger().into_bytes(), backup[0], "{words}: an entry would fork it");
        restore(&newest);
        run(&site, credentials, words).unwrap();
    }
}
