//! What people's commands do to a ledger that is not the one that this site signed last.

use std::fs;

use clap::Parser;
use fedtwin_certs::folder::create_credentials;
use fedtwin_plan::text_file::parse;

use super::tests::{NOW, Site, grant, key, noised, recollect};
use super::*;
use crate::budget_command::{self, BudgetArguments, Place};
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

const COPY: &str = "ledger.checkpoint_copy = \"elsewhere.checkpoint\"\n";
const FILES: [&str; 2] = ["ledger.log", "ledger.log.head"];

#[test]
fn no_command_writes_into_a_ledger_that_was_rolled_back() {
    let site = Site::new();
    let (mut session, backup) = take_part(&site);
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    session.release(&paid, &noised(), NOW).unwrap();
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
