//! I2 to I6 over the sources: what may be named where.

use crate::dependencies::PURE;
use crate::source::{Finding, Source, names};

/// A rule over the sources.
pub(crate) type SourceRule = fn(&[Source]) -> Vec<Finding>;

/// I2: the pure crates read no clock and open no socket.
pub(crate) fn pure_crates_name_no_clock_and_no_network(sources: &[Source]) -> Vec<Finding> {
    let pure = sources.iter().filter(|source| PURE.iter().any(|p| source.path.starts_with(&format!("{p}/"))));
    let advice = "this crate is pure: take the time, the bytes or the connection as an argument";
    pure.flat_map(|source| {
        let forbidden = ["SystemTime", "Instant::now", "std::net", "TcpStream", "UdpSocket", "Zoned::now"];
        forbidden.into_iter().flat_map(|pattern| source.find(pattern, advice))
    })
    .collect()
}

/// I3: what stands for a fact is made in the one file that checks it.
pub(crate) fn tokens_are_made_in_one_place(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (token, files) in TOKENS {
        let literal = format!("{token} {{");
        for source in sources.iter().filter(|source| !files.contains(&source.path.as_str())) {
            for (line, code) in source.production() {
                let declares = ["struct ", "impl ", "for ", "-> "]
                    .iter()
                    .any(|word| code.contains(&format!("{word}{literal}")));
                if names(code, &literal) && !declares {
                    findings.push(source.finding(line, format!("only {files:?} may make a {token}")));
                }
            }
        }
    }
    findings
}

/// I3: their fields are private, and they cannot be copied or read from bytes.
pub(crate) fn tokens_are_sealed(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let lines: Vec<_> = source.production().collect();
        for (token, _) in TOKENS {
            let Some(at) =
                lines.iter().position(|(_, code)| code.contains(&format!("pub struct {token} {{")))
            else {
                continue;
            };
            let fields = lines[at + 1..].iter().take_while(|(_, code)| *code != "}");
            let public = fields.filter(|(_, code)| code.trim().starts_with("pub "));
            findings.extend(
                public.map(|(line, _)| source.finding(*line, format!("a {token}'s fields are private"))),
            );
            let derived = lines[..at].iter().rev().take_while(|(_, code)| code.trim().starts_with("#["));
            let forged = derived.filter(|(_, code)| {
                let copied = !RESENT.contains(token) && names(code, "Clone");
                copied || names(code, "Default") || names(code, "Deserialize")
            });
            findings
                .extend(forged.map(|(line, _)| {
                    source.finding(*line, format!("a {token} cannot be made from nothing"))
                }));
        }
    }
    findings
}

/// I3: the site's client sends updates and metrics only from an `Outgoing`.
pub(crate) fn updates_are_sent_only_from_an_outgoing(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("site-agent/")) {
        let lines: Vec<_> = source.production().collect();
        for (at, (line, code)) in lines.iter().enumerate() {
            if ![".send_update(", ".send_metrics("].iter().any(|call| code.contains(call)) {
                continue;
            }
            let head = lines[..at].iter().rposition(|(_, code)| names(code, "fn ")).unwrap_or(0);
            let signature = lines[head..at].iter().take(8).any(|(_, code)| code.contains("&Outgoing"));
            if source.path != "site-agent/src/client.rs" || !signature {
                let advice = "only Client::send(&Outgoing) sends an update: take it from session::door";
                findings.push(source.finding(*line, advice));
            }
        }
    }
    findings
}

/// I3: a site says why it refuses or declines, and enters it in its ledger, only from a `PublicReason`.
pub(crate) fn reasons_are_said_only_as_public_ones(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("site-agent/")) {
        let lines: Vec<_> = source.production().collect();
        for (at, (line, code)) in lines.iter().enumerate() {
            let said = SAYS.iter().find(|(call, _, _)| names(code, call));
            let Some((_, file, token)) = said else { continue };
            let head = lines[..at].iter().rposition(|(_, code)| names(code, "fn ")).unwrap_or(0);
            let sealed = lines[..at].iter().skip(head).any(|(_, code)| code.contains(token));
            if source.path != *file || !sealed {
                let advice = format!("only {file} says why, from a PublicReason: make one of the error");
                findings.push(source.finding(*line, advice));
            }
        }
    }
    findings
}

/// I3: what a `PublicReason` can hold are names that plans contain and public numbers.
pub(crate) fn reasons_hold_public_words_alone(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path == REASONS) {
        let mut inside = false;
        for (line, code) in source.production() {
            inside = (inside || code.starts_with("enum ")) && code != "}";
            let variant = code.starts_with("    ") && code.trim().starts_with(char::is_uppercase);
            if !(inside && variant) {
                continue;
            }
            let fields = code.trim().trim_start_matches(char::is_alphanumeric);
            let words = fields.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let types = words.filter(|word| !word.is_empty() && !word.ends_with(':'));
            let others = types.filter(|word| !PUBLIC.contains(word));
            findings.extend(
                others.map(|word| source.finding(line, format!("{word} is not public: {PUBLIC:?} are"))),
            );
        }
    }
    findings
}

/// I3: budgets are opened and raised by a person's confirmed proposal, never by a message.
pub(crate) fn budgets_are_set_by_people_alone(sources: &[Source]) -> Vec<Finding> {
    let advice = "only a confirmed proposal on the site's own disk opens or raises a budget";
    let others = |source: &&Source| !SETS_BUDGETS.contains(&source.path.as_str());
    let calls = sources.iter().filter(others).flat_map(|source| source.find("set_budget(", advice));
    let messages = sources.iter().filter(|source| source.path.ends_with(".proto")).flat_map(|source| {
        let lines = source.text.lines().enumerate().map(|(i, line)| (i + 1, line.to_lowercase()));
        let code = lines.map(|(line, text)| (line, text.split("//").next().unwrap_or_default().to_owned()));
        let about = code.filter(|(_, text)| text.contains("budget"));
        about
            .map(|(line, _)| source.finding(line, "no message is about a budget".to_owned()))
            .collect::<Vec<_>>()
    });
    calls.chain(messages).collect()
}

/// I4: the cores of the protocol are synchronous.
pub(crate) fn protocol_cores_have_no_await(sources: &[Source]) -> Vec<Finding> {
    let cores = sources.iter().filter(|source| CORES.iter().any(|core| source.path.starts_with(core)));
    let advice = "this core is synchronous: return an effect and let the driver perform it";
    cores
        .flat_map(|source| {
            let forbidden = [".await", "async ", "tokio::", "clock::now"];
            forbidden.into_iter().flat_map(|pattern| source.find(pattern, advice))
        })
        .collect()
}

/// I5: generated types stay in the files that speak to the wire.
pub(crate) fn wire_types_stay_at_the_wire(sources: &[Source]) -> Vec<Finding> {
    let others = sources.iter().filter(|source| !WIRE.iter().any(|file| source.path.starts_with(file)));
    let advice = "generated types stay in proto and the service and client files: use proto::domain";
    others
        .flat_map(|source| [source.find("wire::", advice), source.find("prost::", advice)].concat())
        .collect()
}

/// I6: every queue has a length, by a name that says why.
pub(crate) fn queues_are_bounded_by_a_named_constant(sources: &[Source]) -> Vec<Finding> {
    let advice = "bound the queue by a constant with a reason beside it";
    let mut findings = Vec::new();
    for source in sources {
        findings.extend(
            ["unbounded_channel", "UnboundedSender", "unbounded()"]
                .iter()
                .flat_map(|p| source.find(p, advice)),
        );
        for (line, code) in source.production() {
            for call in ["mpsc::channel", "broadcast::channel", "sync_channel"] {
                let Some(at) = code.find(call) else { continue };
                let arguments = &code[at + call.len()..];
                let Some((_, length)) = arguments.split_once('(') else { continue };
                let name = length.split([')', ',']).next().unwrap_or_default();
                let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
                if !named {
                    findings.push(source.finding(line, advice));
                }
            }
        }
    }
    findings
}

/// What stands for a fact, and where it is made.
const TOKENS: &[(&str, &[&str])] = &[
    ("Release", &["privacy/src/release.rs"]),
    ("Receipt", &["privacy/src/ledger/grant.rs", "privacy/src/ledger/mod.rs"]),
    ("BlockGrant", &["privacy/src/ledger/grant.rs", "privacy/src/ledger/mod.rs"]),
    ("Outgoing", &["site-agent/src/session/door.rs"]),
    ("PublicReason", &[REASONS]),
];

/// What may be said again as it was.
const RESENT: &[&str] = &["Outgoing", "PublicReason"];

/// What says why, the one file that may, and the token that its function takes.
const SAYS: &[(&str, &str, &str)] = &[
    (".answer_plan(", "site-agent/src/client.rs", "&PublicReason"),
    (".decline_round(", "site-agent/src/client.rs", "&PublicReason"),
    ("Answer::Refused {", "site-agent/src/client.rs", "&PublicReason"),
    ("AttemptDeclined {", "site-agent/src/client.rs", "&PublicReason"),
    (".refuse(", REASONS, "&self"),
    (".refuse_attempt(", REASONS, "&self"),
];

const REASONS: &str = "site-agent/src/reason.rs";

/// What reasons may hold: words of plans, counts that people declared, and this project's own words.
const PUBLIC: &[&str] = &[
    "u32",
    "u64",
    "f64",
    "SiteName",
    "CohortName",
    "PlanLine",
    "PlanFeature",
    "OutcomeKind",
    "Misfit",
    "Violation",
    "NotWhole",
    "NotHidden",
];

const SETS_BUDGETS: &[&str] = &["privacy/src/ledger/mod.rs", "site-agent/src/proposals.rs"];

const CORES: &[&str] = &[
    "coordinator/src/access.rs",
    "coordinator/src/history.rs",
    "coordinator/src/policy.rs",
    "coordinator/src/refusals.rs",
    "coordinator/src/register/",
    "coordinator/src/attempt.rs",
    "coordinator/src/study/",
    "site-agent/src/session/",
    "site-agent/src/study/",
];

const WIRE: &[&str] = &[
    "proto/",
    "coordinator/src/services/",
    "coordinator/src/server.rs",
    "site-agent/src/client.rs",
    "research/src/client.rs",
    "tests/src/fake_coordinator.rs",
    "tests/src/hand_made.rs",
];
