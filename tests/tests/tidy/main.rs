//! The architecture's invariants and the conventions that no lint checks.
//!
//! Each rule is shown something that breaks it first: a rule that cannot fail says nothing.

mod boundaries;
mod dependencies;
mod extending;
mod graph;
mod protocol_table;
mod source;
mod style;

use self::boundaries::SourceRule;
use self::dependencies::GraphRule;
use self::graph::Graph;
use self::source::Source;

/// Checks that `rule` notices each of `violations`, one workspace of files each, and holds here.
fn holds(rule: SourceRule, violations: &[&[(&str, &str)]]) {
    for files in violations {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        assert!(!rule(&sources).is_empty(), "the rule did not notice {files:?}");
    }
    let findings: Vec<_> = rule(&Source::all()).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Checks that `rule` notices the graph of `violation`, and holds here.
fn graph_holds(rule: GraphRule, violation: &[(&str, &[&str])]) {
    assert!(!rule(&Graph::new(violation)).is_empty(), "the rule did not notice {violation:?}");
    let broken = rule(&Graph::of_the_workspace());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn i1_only_models_links_libtorch() {
    let violation: &[(&str, &[&str])] =
        &[("fedtwin-site-agent", &["fedtwin-models"]), ("fedtwin-models", &["tch"])];
    graph_holds(dependencies::only_models_links_libtorch, violation);
}

#[test]
fn i1_coordinator_and_cli_link_no_data_loader() {
    let violation: &[(&str, &[&str])] =
        &[("fedtwin-cli", &["fedtwin-proto"]), ("fedtwin-proto", &["fedtwin-cohort"])];
    graph_holds(dependencies::coordinator_and_cli_link_no_data_loader, violation);
}

#[test]
fn i2_pure_crates_link_no_runtime() {
    graph_holds(
        dependencies::pure_crates_link_no_runtime,
        &[("fedtwin-plan", &["toml"]), ("toml", &["tokio"])],
    );
}

#[test]
fn i2_pure_crates_name_no_clock_and_no_network() {
    let file = "privacy/src/ledger/mod.rs";
    holds(
        boundaries::pure_crates_name_no_clock_and_no_network,
        &[&[(file, "let now = SystemTime::now();")], &[(file, "use std::net::TcpStream;")]],
    );
}

#[test]
fn i3_tokens_are_made_in_one_place() {
    holds(
        boundaries::tokens_are_made_in_one_place,
        &[
            &[("site-agent/src/session/mod.rs", "let out = Outgoing { key, digest, bytes };")],
            &[("privacy/src/sampling.rs", "Ok(Receipt { study, round })")],
            &[("site-agent/src/study_task.rs", "let reason = PublicReason { why };")],
        ],
    );
}

#[test]
fn i3_tokens_are_sealed() {
    let file = "privacy/src/release.rs";
    holds(
        boundaries::tokens_are_sealed,
        &[
            &[(file, "pub struct Release {\n    pub bytes: Vec<u8>,\n}\n")],
            &[(file, "#[derive(Debug, Clone)]\npub struct Release {\n    bytes: Vec<u8>,\n}\n")],
            &[(file, "#[derive(Deserialize)]\npub struct Receipt {\n    digest: Digest,\n}\n")],
        ],
    );
}

#[test]
fn i3_updates_are_sent_only_from_an_outgoing() {
    let sends = "fn send(&mut self, bytes: &[u8]) {\n    self.0.send_update(bytes);\n}\n";
    let elsewhere = "fn send(&mut self, outgoing: &Outgoing) {\n    self.0.send_update(outgoing);\n}\n";
    holds(
        boundaries::updates_are_sent_only_from_an_outgoing,
        &[&[("site-agent/src/client.rs", sends)], &[("site-agent/src/agent.rs", elsewhere)]],
    );
}

#[test]
fn i3_reasons_are_said_only_as_public_ones() {
    let client = "site-agent/src/client.rs";
    let text = "fn decline(&mut self, reason: String) {\n    self.0.decline_round(reason);\n}\n";
    let elsewhere =
        "fn decline(&mut self, reason: &PublicReason) {\n    client.0.decline_round(reason);\n}\n";
    let entered =
        "fn offered(&mut self) {\n    self.ledger.refuse(&study, plan, &error.to_string(), now)?;\n}\n";
    holds(
        boundaries::reasons_are_said_only_as_public_ones,
        &[
            &[(client, text)],
            &[("site-agent/src/agent.rs", elsewhere)],
            &[("site-agent/src/session/mod.rs", entered)],
            &[("site-agent/src/study_task.rs", "let answer = Answer::Refused { reason };")],
        ],
    );
}

#[test]
fn i3_reasons_hold_public_words_alone() {
    let file = "site-agent/src/reason.rs";
    holds(
        boundaries::reasons_hold_public_words_alone,
        &[
            &[(file, "enum Why {\n    Cohort(String),\n}\n")],
            &[(file, "enum Why {\n    Policy(PlanLine),\n    File { name: PathBuf, size: u32 },\n}\n")],
            &[(file, "enum Why {\n    Trainer(TrainerError),\n}\n")],
        ],
    );
}

#[test]
fn i3_budgets_are_set_by_people_alone() {
    holds(
        boundaries::budgets_are_set_by_people_alone,
        &[
            &[("site-agent/src/agent.rs", "session.ledger.set_budget(&request, now)?;")],
            &[("proto/proto/fedtwin.proto", "rpc RaiseBudget(Raise) returns (Acknowledged);")],
        ],
    );
}

#[test]
fn i4_protocol_cores_have_no_await() {
    holds(
        boundaries::protocol_cores_have_no_await,
        &[
            &[("coordinator/src/study/turn.rs", "store.save().await")],
            &[("site-agent/src/session/mod.rs", "pub async fn offered() {}")],
            &[("site-agent/src/study/mod.rs", "client.decline().await")],
        ],
    );
}

#[test]
fn i5_wire_types_stay_at_the_wire() {
    holds(
        boundaries::wire_types_stay_at_the_wire,
        &[&[("coordinator/src/driver.rs", "use fedtwin_proto::wire::Notice;")]],
    );
}

#[test]
fn i6_queues_are_bounded_by_a_named_constant() {
    let file = "coordinator/src/server.rs";
    holds(
        boundaries::queues_are_bounded_by_a_named_constant,
        &[
            &[(file, "let (a, b) = mpsc::unbounded_channel();")],
            &[(file, "let (a, b) = mpsc::channel::<Command>(64);")],
            &[(file, "let (a, b) = std::sync::mpsc::channel();")],
        ],
    );
}

#[test]
fn crates_import_only_those_below() {
    graph_holds(dependencies::crates_import_only_those_below, &[("fedtwin-plan", &["fedtwin-proto"])]);
}

#[test]
fn some_packages_have_one_importer() {
    graph_holds(dependencies::some_packages_have_one_importer, &[("fedtwin-cohort", &["opendp"])]);
}

#[test]
fn files_are_short() {
    holds(style::files_are_short, &[&[("plan/src/a.rs", &"\n".repeat(401))]]);
}

#[test]
fn no_test_is_ignored() {
    holds(style::no_test_is_ignored, &[&[("plan/tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}")]]);
}

#[test]
fn nothing_is_left_undone() {
    holds(style::nothing_is_left_undone, &[&[("plan/src/a.rs", "fn a() { todo!() }")]]);
}

#[test]
fn production_code_does_not_unwrap() {
    holds(style::production_code_does_not_unwrap, &[&[("plan/src/a.rs", "let a = b.unwrap();")]]);
}

#[test]
fn every_crate_has_the_workspaces_lints() {
    holds(
        style::every_crate_has_the_workspaces_lints,
        &[&[("plan/Cargo.toml", "[package]")], &[("Cargo.toml", "[workspace]")]],
    );
}

#[test]
fn one_version_of_what_carries_trust() {
    let twice = "[[package]]\nname = \"rustls\"\n[[package]]\nname = \"rustls\"\n";
    holds(
        style::one_version_of_what_carries_trust,
        &[&[("Cargo.lock", twice)], &[("Cargo.lock", "name = \"aws-lc-rs\"\n")]],
    );
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    holds(style::no_file_names_a_path_of_one_machine, &[&[("README.md", "run it in /home/me/fedtwin")]]);
}

#[test]
fn additions_touch_what_extending_lists() {
    let page = "## Add a model family\n1. `plan/src/a.rs`: all\n## Add a source\n1. `cohort/src/a.rs`: all\n";
    let (family, source) = (("plan/src/a.rs", "struct PoissonRate;"), ("cohort/src/a.rs", "mod json_lines;"));
    holds(
        extending::additions_touch_what_is_listed,
        &[
            &[("docs/EXTENDING.md", page), family],
            &[("docs/EXTENDING.md", page), family, source, ("models/src/b.rs", "use x::PoissonRate;")],
            &[("docs/EXTENDING.md", "## Add a source\n"), source],
        ],
    );
}

#[test]
fn every_claims_tests_exist() {
    let claims = "## Claims and their tests\n| it holds | [here](a.rs): `it_holds`, `it_really_does` | |\n";
    holds(
        style::every_claims_tests_exist,
        &[
            &[("docs/PRIVACY.md", claims), ("plan/src/a.rs", "fn it_holds() {}")],
            &[(
                "docs/PROTOCOL.md",
                "## What is covered, and by which test\n| a lie | refused | `it_holds` |\n",
            )],
        ],
    );
}

#[test]
fn the_code_map_names_every_crate() {
    holds(
        style::the_code_map_names_every_crate,
        &[&[("docs/ARCHITECTURE.md", "### `plan`\n"), ("certs/Cargo.toml", "")]],
    );
}
