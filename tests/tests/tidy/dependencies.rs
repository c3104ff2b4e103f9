//! I1 and I2 over the graph of packages: who may link what.

use crate::graph::Graph;

/// A rule over the graph; returns a sentence for each place where it is broken.
pub(crate) type GraphRule = fn(&Graph) -> Vec<String>;

/// I1: only the crate of `fedtwin-trainer` links libtorch.
pub(crate) fn only_models_links_libtorch(graph: &Graph) -> Vec<String> {
    let others =
        graph.members.iter().filter(|member| !["fedtwin-models", "fedtwin-tests"].contains(&member.as_str()));
    forbid(graph, others, &["tch", "torch-sys"], "leave tensors to fedtwin-trainer, behind its pipe")
}

/// I1: the coordinator and what researchers run cannot load a cohort.
pub(crate) fn coordinator_and_cli_link_no_data_loader(graph: &Graph) -> Vec<String> {
    let programs = ["coordinator", "auditor", "research", "simulation", "lab", "cli"]
        .map(|name| format!("fedtwin-{name}"));
    let loaders = ["fedtwin-cohort", "fedtwin-models", "fedtwin-twin", "csv"];
    forbid(graph, programs.iter(), &loaders, "patients' data are read at the site alone")
}

/// I2: what decides about privacy has no runtime, no clock and no network.
pub(crate) fn pure_crates_link_no_runtime(graph: &Graph) -> Vec<String> {
    let pure: Vec<_> = PURE.iter().map(|folder| format!("fedtwin-{folder}")).collect();
    let runtimes = ["tokio", "hyper", "tonic", "socket2", "mio", "fedtwin-daemon", "fedtwin-proto"];
    forbid(graph, pure.iter(), &runtimes, "take time, randomness and bytes as arguments")
}

/// Each crate imports only those below it.
pub(crate) fn crates_import_only_those_below(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for member in &graph.members {
        let Some((_, allowed)) = BELOW.iter().find(|(name, _)| member == &format!("fedtwin-{name}")) else {
            broken.push(format!(
                "{member} has no line in the table of tests/tests/tidy/dependencies.rs: add it"
            ));
            continue;
        };
        for linked in graph.direct(member) {
            let Some(name) = linked.strip_prefix("fedtwin-") else { continue };
            if !allowed.contains(&name) && !allowed.contains(&"*") {
                broken.push(format!("{member} imports {linked}: move what they share to a crate below both"));
            }
        }
    }
    broken
}

/// A package with one importer has one place where it can be replaced.
pub(crate) fn some_packages_have_one_importer(graph: &Graph) -> Vec<String> {
    let mut broken = Vec::new();
    for (package, importers) in IMPORTERS {
        let members = graph.members.iter().filter(|member| graph.direct(member).contains(*package));
        let others = members.filter(|member| !importers.contains(&member.as_str()));
        broken.extend(others.map(|member| format!("{member} imports {package}: go through {importers:?}")));
    }
    broken
}

fn forbid<'a>(
    graph: &Graph,
    packages: impl Iterator<Item = &'a String>,
    forbidden: &[&str],
    advice: &str,
) -> Vec<String> {
    let mut broken = Vec::new();
    for package in packages {
        let closure = graph.closure(package);
        let reached = forbidden.iter().filter(|name| closure.contains(**name));
        broken.extend(reached.map(|name| format!("{package} links {name}: {advice}")));
    }
    broken
}

/// Folders whose code is synchronous and knows no clock and no network.
pub(crate) const PURE: &[&str] = &[
    "plan",
    "units",
    "privacy",
    "audit-log",
    "metrics",
    "statistics",
    "attack",
    "secagg",
    "auditor",
    "page",
    "twin",
];

/// The crates and what each may import; `*` is everything.
const BELOW: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("units", &[]),
    ("audit-log", &[]),
    ("metrics", &[]),
    ("statistics", &["metrics"]),
    ("secagg", &["plan", "audit-log"]),
    ("certs", &["plan", "audit-log"]),
    ("privacy", &["plan", "audit-log", "secagg"]),
    ("attack", &["plan", "privacy", "trainer"]),
    ("cohort", &["plan", "units"]),
    ("twin", &["plan", "privacy"]),
    ("trainer", &["plan", "privacy"]),
    ("models", &["plan", "privacy", "trainer", "cohort", "metrics"]),
    ("proto", &["plan", "privacy", "secagg"]),
    ("daemon", &["plan", "certs"]),
    ("coordinator", &["proto", "plan", "privacy", "secagg", "audit-log", "certs", "daemon"]),
    (
        "site-agent",
        &[
            "proto",
            "plan",
            "privacy",
            "trainer",
            "secagg",
            "audit-log",
            "certs",
            "daemon",
            "cohort",
            "twin",
            "attack",
        ],
    ),
    ("page", &[]),
    ("auditor", &["plan", "privacy", "audit-log", "certs", "attack", "page"]),
    ("research", &["proto", "plan", "privacy", "certs", "daemon", "metrics"]),
    (
        "simulation",
        &["proto", "plan", "privacy", "trainer", "audit-log", "certs", "daemon", "metrics", "research"],
    ),
    ("lab", &["plan", "privacy", "trainer", "daemon", "metrics", "page", "research", "simulation"]),
    (
        "cli",
        &["plan", "privacy", "audit-log", "certs", "daemon", "attack", "auditor", "research", "simulation"],
    ),
    ("tests", &["*"]),
    ("xtask", &[]),
];

const IMPORTERS: &[(&str, &[&str])] = &[
    ("opendp", &["fedtwin-privacy"]),
    ("tch", &["fedtwin-models"]),
    ("prost", &["fedtwin-proto"]),
    ("rcgen", &["fedtwin-certs"]),
    ("png", &["fedtwin-cohort", "fedtwin-page"]),
];
