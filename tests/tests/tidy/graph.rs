//! Who depends on whom, from `cargo metadata`: normal dependencies, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use crate::source::root;

/// Packages and the packages that each links.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) links: BTreeMap<String, BTreeSet<String>>,
    pub(crate) members: BTreeSet<String>,
}

impl Graph {
    /// Asks cargo about this workspace, on the platform that runs the tests.
    pub(crate) fn of_the_workspace() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--filter-platform", &host(), "--manifest-path"])
            .arg(root().join("Cargo.toml"))
            .output()
            .expect("cargo built this test");
        let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "cargo does not describe the workspace: {error}\n{}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        let names: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (&package.id, package.name.clone())).collect();
        let mut graph = Self {
            members: metadata.workspace_members.iter().map(|id| names[id].clone()).collect(),
            ..Self::default()
        };
        for node in &metadata.resolve.nodes {
            let links = graph.links.entry(names[&node.id].clone()).or_default();
            // Normal dependencies have no kind; the others are `dev` and `build`.
            let normal = node
                .deps
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|dep_kind| dep_kind.kind.is_none()));
            links.extend(normal.map(|dependency| names[&dependency.pkg].clone()));
        }
        graph
    }

    /// Makes a graph of `(package, what it links)`, all of them members.
    pub(crate) fn new(links: &[(&str, &[&str])]) -> Self {
        let mut graph = Self::default();
        for (package, linked) in links {
            graph.members.insert((*package).to_owned());
            let linked = linked.iter().map(|name| (*name).to_owned());
            graph.links.entry((*package).to_owned()).or_default().extend(linked);
        }
        graph
    }

    /// Returns what `package` links directly.
    pub(crate) fn direct(&self, package: &str) -> BTreeSet<String> {
        self.links.get(package).cloned().unwrap_or_default()
    }

    /// Returns all that `package` links, directly or not.
    pub(crate) fn closure(&self, package: &str) -> BTreeSet<String> {
        let mut closure = BTreeSet::new();
        let mut open: Vec<_> = self.direct(package).into_iter().collect();
        while let Some(next) = open.pop() {
            if closure.insert(next.clone()) {
                open.extend(self.direct(&next));
            }
        }
        closure
    }
}

/// What `cargo metadata --format-version 1` prints, as far as it is read.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc built this test");
    let text = String::from_utf8(output.stdout).expect("rustc speaks UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}
