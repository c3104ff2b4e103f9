//! Plans at every limit of a policy, and one step beyond each.

use std::sync::Arc;

use fedtwin_certs::{Authority, CertificateTerms, Credentials, PlanSigner, PublicKey, Role};
use fedtwin_plan::text_file::{Check, Problem, parse};
use fedtwin_plan::{Plan, Timestamp};

use super::*;
use crate::reason::PublicReason;
use crate::session::OfferError;

const PLAN: &str = r#"
    [study]
    id = "risk"
    title = "A plan that the policy below just allows"
    sites = ["va", "other"]
    expires = "2099-12-31"
    [cohort]
    name = "heart"
    patients_max = 100
    [data.table]
    outcome = "disease"
    features.age.number = { unit = "years", low = 20, high = 100 }
    [model]
    family = "linear-risk"
    seed = 1
    [rounds]
    count = 10
    attempts_max = 12
    blocks = 1
    sites_min = 2
    join_s = 60
    deadline_s = 60
    slot_s = 0
    [training]
    sampling = "1"
    loss = "bce"
    site = "gradient"
    server.fedavg.learning_rate = 1.0
    [privacy.local]
    clip = 1.0
    delta = 1e-5
    target.noise-multiplier = 8.0
    [calibrated]
    m = 20
    c_int = 131072
    modulus_bits = 32
    steps = 12
    epsilon = 3.0
"#;

const POLICY: &str = r#"
    models = ["linear-risk"]
    parameters_max = 3
    cohorts = ["heart"]
    modes = ["local"]
    noise_multiplier_min = 8.0
    delta_max = 1e-5
    attempts_max = 12
    sites_min = 2
"#;

/// Returns what a refusal says at home, once it is seen that others hear of the plan's line and of nothing that the policy
/// allows.
fn told(denied: &PolicyError) -> String {
    let public = public(denied);
    assert!(public.ends_with(&denied.line.to_string()) && !public.contains(&denied.rule), "{public}");
    denied.to_string()
}

fn public(denied: &PolicyError) -> String {
    PublicReason::from(&OfferError::Denied(denied.clone())).to_string()
}

/// Replaces one text of the policy or the plan, and returns what the policy says.
fn check(from: &str, to: &str) -> Result<(), String> {
    let change = |text: &str| text.replacen(from, to, 1);
    assert!(PLAN.contains(from) || POLICY.contains(from), "nothing says {from:?}");
    let policy: Policy = toml::from_str(&change(POLICY)).unwrap();
    let plan: Plan = parse("the plan", &change(PLAN)).unwrap();
    policy.check(&plan, &"va".parse().unwrap()).map_err(|denied| told(&denied))
}

#[test]
fn a_plan_at_every_limit_is_allowed() {
    assert_eq!(check("", ""), Ok(()));
}

#[test]
fn each_rule_refuses_and_names_itself_and_what_was_asked() {
    for (from, to, expected) in [
        (r#"sites = ["va", "other"]"#, r#"sites = ["cleveland", "other"]"#, "is that of va"),
        (r#"models = ["linear-risk"]"#, r#"models = ["unet"]"#, "allows the models unet"),
        ("parameters_max = 3", "parameters_max = 2", "allows 2 weights; the plan asks for 3"),
        (r#"name = "heart""#, r#"name = "lung""#, "allows the cohorts"),
        ("attempts_max = 12\n    sites_min", "attempts_max = 11\n    sites_min", "allows 11 attempts"),
        ("sites_min = 2\n    join_s", "sites_min = 1\n    join_s", "at least 2 sites; the plan asks for 1"),
        (r#"modes = ["local"]"#, r#"modes = ["none"]"#, "allows the privacy modes none"),
        ("delta = 1e-5", "delta = 1e-4", "allows a delta of at most 0.00001; the plan asks for 0.0001"),
        ("c_int = 131072", "c_int = 131073", "asks for a noise multiplier of at least 8"),
    ] {
        let denied = check(from, to).expect_err(expected);
        assert!(denied.contains("this site's policy") && denied.contains(expected), "{to}: {denied}");
    }
}

#[test]
fn metrics_need_a_line_that_allows_them() {
    let section = "[metrics]\nepsilon = 1.0\ndelta = 1e-5\nevery_rounds = 5\n[privacy.local]";
    let noise = "\n[calibrated.metrics]\nm = 20\nc_int = 262144\nreleases = 2\nepsilon = 9.0";
    let plan = format!("{}{noise}", PLAN.replace("[privacy.local]", section));
    let plan: Plan = parse("the plan", &plan).unwrap();
    let check = |line: &str| {
        let policy: Policy = toml::from_str(&format!("{POLICY}\n{line}")).unwrap();
        policy.check(&plan, &"va".parse().unwrap()).map_err(|denied| told(&denied))
    };
    assert!(check("").unwrap_err().contains("has no line `metrics`"));
    let line = |noise: f64, releases: u32| {
        format!("metrics = {{ noise_patients_min = {noise:?}, releases_max = {releases} }}")
    };
    assert_eq!(check(&line(4.0, 2)), Ok(()));
    assert!(check(&line(4.0, 1)).unwrap_err().contains("allows 1 releases of metrics; the plan asks for 2"));
    assert!(check(&line(4.1, 2)).unwrap_err().contains("at least 4.1 patients in each count"));
}

#[test]
fn blocks_and_slots_have_limits_without_a_line_for_them() {
    let check = |changes: &[(&str, &str)], line: &str| {
        let change = |text: String, (from, to): &(&str, &str)| text.replacen(from, to, 1);
        let policy: Policy = toml::from_str(&format!("{POLICY}\n{line}")).unwrap();
        let policy = Policy { attempts_max: 100, noise_multiplier_min: 0.1.try_into().unwrap(), ..policy };
        let plan = changes.iter().fold(PLAN.to_owned(), change);
        let plan: Plan = parse("the plan", &plan).unwrap();
        policy.check(&plan, &"va".parse().unwrap()).map_err(|denied| told(&denied))
    };
    let many = [
        ("attempts_max = 12", "attempts_max = 21"),
        ("blocks = 1", "blocks = 21"),
        ("steps = 12", "steps = 21"),
    ];
    assert!(check(&many, "").unwrap_err().contains("allows 20 blocks; the plan asks for 21"));
    assert_eq!(check(&many, "blocks_max = 21"), Ok(()));
    let sampled = [("sampling = \"1\"", "sampling = \"1/2\""), ("slot_s = 0", "slot_s = 9")];
    assert_eq!(check(&sampled, ""), Ok(()));
    let denied = check(&sampled, "slot_s_min = 10").unwrap_err();
    assert!(denied.contains("slots of at least 10 s") && denied.ends_with("slots of 9 s"), "{denied}");
    assert_eq!(
        check(&[], "slot_s_min = 10"),
        Ok(()),
        "with all patients in every step there is nothing to hide"
    );
}

#[test]
fn there_is_room_for_as_many_studies_as_the_policy_says() {
    let room = |line: &str, running: usize| {
        let policy: Policy = toml::from_str(&format!("{POLICY}\n{line}")).unwrap();
        policy.check_room(running).map_err(|denied| told(&denied))
    };
    assert_eq!((room("", 3), room("studies_max = 1", 0)), (Ok(()), Ok(())));
    assert!(room("", 4).unwrap_err().contains("allows 4 studies at one time"));
    assert!(room("studies_max = 1", 1).unwrap_err().contains("allows 1 studies"));
    for bad in ["studies_max = 0", "studies_max = 65"] {
        assert!(toml::from_str::<Policy>(&format!("{POLICY}\n{bad}")).is_err(), "{bad}");
    }
}

/// A plan with the noise of three sites, of which each has a multiplier of 8.
fn shared(colluders: u32) -> Plan {
    let section = format!("[privacy.shared]\ncolluders = {colluders}\ndropouts = 0");
    let text = PLAN.replace("[privacy.local]", &section).replace(r#""other"]"#, r#""other", "third"]"#);
    parse("the plan", &text.replace("sites_min = 2", "sites_min = 3")).unwrap()
}

const LINES: &str = "secure_aggregation = { peers = \"peers\", sites_min = 3 }\n\
                     colluders_min = 1\nown_noise_multiplier_min = 8.0\n";

#[test]
fn shared_noise_is_allowed_by_its_own_lines_alone() {
    let plan = shared(1);
    let check = |modes: &str, lines: &str| {
        let policy: Policy =
            toml::from_str(&format!("{}\n{lines}", POLICY.replace(r#"["local"]"#, modes))).unwrap();
        policy.check(&plan, &"va".parse().unwrap()).map_err(|denied| told(&denied))
    };
    assert_eq!(check(r#"["shared"]"#, LINES), Ok(()));
    let denied = check(r#"["local", "none"]"#, LINES).unwrap_err();
    assert!(denied.contains("asks for shared"), "{denied}");
    for (from, to, expected) in [
        (
            "secure_aggregation = { peers = \"peers\", sites_min = 3 }\n",
            "",
            "has no line `secure_aggregation`",
        ),
        ("sites_min = 3 }", "sites_min = 4 }", "hides among at least 4 sites; the plan asks for 3"),
        ("colluders_min = 1\n", "", "has no line `colluders_min`"),
        ("colluders_min = 1", "colluders_min = 2", "expects at least 2 colluders; the plan asks for 1"),
        ("own_noise_multiplier_min = 8.0\n", "", "has no line `own_noise_multiplier_min`"),
        ("_min = 8.0", "_min = 8.01", "noise of at least 8.01; the plan asks for 8.000"),
    ] {
        assert!(LINES.contains(from), "{from}");
        let denied = check(r#"["shared"]"#, &LINES.replace(from, to)).unwrap_err();
        assert!(denied.contains(expected), "{denied}");
    }
}

/// The control of the rule above: what a researcher says of colluders is not what a hospital believes.
#[test]
fn a_plan_that_trusts_everybody_is_refused_however_much_noise_the_sum_has() {
    let policy: Policy =
        toml::from_str(&format!("{}\n{LINES}", POLICY.replace(r#"["local"]"#, r#"["shared"]"#))).unwrap();
    let denied = policy.check(&shared(0), &"va".parse().unwrap()).unwrap_err();
    assert_eq!((denied.line, denied.asked.as_str()), (PlanLine::Colluders, "0"));
    let policy = Policy { colluders_min: Some(0), ..policy };
    assert_eq!(policy.check(&shared(0), &"va".parse().unwrap()), Ok(()));
}

#[test]
fn a_policy_with_shared_noise_says_what_it_expects_of_others() {
    let check = |lines: &str| {
        let policy = POLICY.replace(r#"["local"]"#, r#"["local", "shared"]"#);
        parse::<Checked>("site.toml", &format!("[policy]\n{policy}\n{lines}"))
            .map(drop)
            .map_err(|e| e.to_string())
    };
    assert_eq!(check(LINES), Ok(()));
    for (line, rest) in
        [("colluders_min = 1\n", "own_noise"), ("own_noise_multiplier_min = 8.0\n", "colluders")]
    {
        let refused = check(&LINES.replace(line, "")).unwrap_err();
        let key = line.split(' ').next().unwrap();
        assert!(refused.contains(&format!("needs a line `{key}`")) && !refused.contains(rest), "{refused}");
        assert!(refused.starts_with("site.toml:6: policy.modes"), "{refused}");
    }
}

/// A configuration's policy, checked as a whole configuration does it.
#[derive(serde::Deserialize)]
struct Checked {
    policy: Policy,
}

impl Check for Checked {
    fn check(&self) -> Result<(), Problem> {
        self.policy.check_lines()
    }
}

struct Federation {
    folder: tempfile::TempDir,
    authority: Authority,
    site: Arc<Credentials>,
}

impl Federation {
    fn new() -> Self {
        let authority = Authority::create(&"fed".parse().unwrap(), Timestamp(0), UNTIL).unwrap();
        let site = Arc::new(issue(&authority, Role::Site, "va"));
        Self { folder: tempfile::tempdir().unwrap(), authority, site }
    }

    /// Issues credentials and returns the certificate's bytes on the way to a file, and who would sign.
    fn researcher(&self, name: &str) -> (Credentials, PlanSigner) {
        let issued = issue(&self.authority, Role::Researcher, name);
        let signer = PlanSigner { identity: issued.identity().clone(), key: *issued.identity_key().public() };
        (issued, signer)
    }

    fn read(&self, line: &str) -> ResearcherKeys {
        let policy: Policy = toml::from_str(&format!("{POLICY}\n{line}")).unwrap();
        policy.researchers.read(self.folder.path(), &self.site).unwrap()
    }
}

fn issue(authority: &Authority, role: Role, name: &str) -> Credentials {
    let terms =
        CertificateTerms { from: Timestamp(0), tls_until: UNTIL, identity_until: UNTIL, hosts: Vec::new() };
    authority.issue(role, &name.parse().unwrap(), &terms).unwrap()
}

const UNTIL: Timestamp = Timestamp(1_000_000);

#[test]
fn researchers_count_by_their_keys_and_an_empty_list_is_nobody() {
    let federation = Federation::new();
    let (credentials, ada) = federation.researcher("ada");
    let (_, eve) = federation.researcher("eve");
    // Whoever has the authority's key can give the name to anybody.
    let (_, impostor) = federation.researcher("ada");
    let print = |key: &PublicKey| key.fingerprint();
    let allows = |line: &str| {
        let keys = federation.read(line);
        [&ada, &eve, &impostor].map(|signer| keys.check(signer).map_err(|denied| told(&denied)).is_ok())
    };
    let pins = format!("researchers = {{ ada = \"{}\" }}", print(&ada.key));
    assert_eq!(allows(&pins), [true, false, false]);
    assert_eq!(allows("researchers = \"everybody\""), [true; 3]);
    for nobody in ["", "researchers = []", "researchers = {}"] {
        assert_eq!(allows(nobody), [false; 3], "{nobody:?}");
    }
    fedtwin_certs::folder::create_credentials(&federation.folder.path().join("ada"), &credentials).unwrap();
    assert_eq!(allows("researchers = { ada = \"ada/identity.pem\" }"), [true, false, false]);
    let other: Policy =
        toml::from_str(&format!("{POLICY}\nresearchers = {{ eve = \"ada/identity.pem\" }}")).unwrap();
    let refused = other.researchers.read(federation.folder.path(), &federation.site).unwrap_err();
    assert!(refused.to_string().ends_with("is the certificate of ada, not of eve"), "{refused}");
    let denied = federation.read(&pins).check(&impostor).unwrap_err();
    assert!(denied.to_string().contains("knows ada by the identity key"), "{denied}");
    assert!(!public(&denied).contains(&print(&ada.key).to_string()), "whom a site trusts is its own affair");
}

#[test]
fn names_alone_are_no_pins() {
    let refused = toml::from_str::<Policy>(&format!("{POLICY}\nresearchers = [\"ada\"]")).unwrap_err();
    assert!(refused.message().contains("\"ada\" is a name alone"), "{refused}");
    for bad in ["{ ada = \"abc\" }", "{ Ada = \"a.pem\" }", "7", "\"ada\""] {
        assert!(toml::from_str::<Policy>(&format!("{POLICY}\nresearchers = {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn a_plan_without_noise_needs_a_line_that_allows_it() {
    let plan = PLAN
        .replace("[privacy.local]", "[privacy.none]")
        .replace("delta = 1e-5", "")
        .replace("target.noise-multiplier = 8.0", "")
        .replace("epsilon = 3.0", "");
    let plan: Plan = parse("the plan", &plan).unwrap();
    let allowed = |modes: &str| {
        let policy: Policy = toml::from_str(&POLICY.replace(r#"["local"]"#, modes)).unwrap();
        policy.check(&plan, &"va".parse().unwrap()).is_ok()
    };
    assert!(!allowed(r#"["local"]"#) && allowed(r#"["none"]"#));
}
