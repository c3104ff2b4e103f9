//! Plans as people write them: whole ones parse, and every mistake is named with its line.

use crate::numbers::Ratio;
use crate::plan::{Draft, Plan};
use crate::text_file::parse;

pub(crate) const HEART: &str = r#"[study]
id = "heart-2027"
title = "Heart disease from routine records"
sites = ["cleveland", "hungarian", "switzerland", "va"]
expires = "2027-06-30"

[cohort]
name = "heart"
patients_max = 1000

[data.table]
outcome = "disease"

[data.table.features]
age = { number = { unit = "years", low = 20.0, high = 100.0 } }
pain = { category = ["typical", "atypical", "none"] }

[model]
family = "linear-risk"
seed = 7

[rounds]
count = 50
attempts_max = 60
blocks = 5
sites_min = 3
join_s = 30
deadline_s = 60
slot_s = 2

[training]
sampling = "1"
loss = "bce"
site = "gradient"

[training.server.fedadam]
learning_rate = 0.1
beta1 = 0.9
beta2 = 0.99
tau = 0.001

[privacy.local]
clip = 1.0
delta = 0.001
target = { epsilon = 1.0 }

[calibrated]
m = 20
c_int = 65536
modulus_bits = 40
steps = 60
epsilon = 1.0
"#;

pub(crate) const HIPPOCAMPUS: &str = r#"[study]
id = "hippocampus"
title = "Whole-organ segmentation"
sites = ["low", "middle", "high"]
expires = "2027-06-30"

[cohort]
name = "hippocampus"
patients_max = 200

[data.images]
height = 64
width = 48
slices_per_patient = 4

[model]
family = { unet = { base = 16, depth = 2 } }
seed = 1

[rounds]
count = 30
attempts_max = 40
blocks = 4
sites_min = 2
join_s = 60
deadline_s = 600
slot_s = 0

[training]
sampling = "8/171"
loss = "bce-dice"

[training.site.adam]
steps = 5
learning_rate = 0.001
change_max = 0.05

[training.server.fedavg]
learning_rate = 1.0

[privacy.none]
clip = 1.0

[calibrated]
m = 16
c_int = 1048576
modulus_bits = 64
steps = 200
"#;

pub(crate) fn plan(text: &str) -> Plan {
    parse("plan.toml", text).unwrap()
}

/// Changes one line of `text` and returns the plan's refusal; its line must be that of `changed`.
fn refusal(text: &str, line: &str, changed: &str) -> String {
    assert_eq!(text.matches(line).count(), 1, "{line}");
    let text = text.replace(line, changed);
    let refusal = parse::<Plan>("plan.toml", &text).unwrap_err();
    let expected = 1 + text[..text.find(changed).unwrap()].matches('\n').count();
    assert_eq!(refusal.line, expected, "{changed}: {refusal}");
    refusal.message
}

pub(crate) fn check(text: &str, cases: &[(&str, &str, &str)]) {
    for (line, changed, expected) in cases {
        let message = refusal(text, line, changed);
        assert!(message.contains(expected), "{changed}: {message}");
    }
}

#[test]
fn heart_plan_says_what_was_written() {
    let plan = plan(HEART);
    assert_eq!(plan.architecture().values(), 2 + 4 + 1, "inputs with indicators, and the bias");
    assert_eq!((plan.steps(), plan.local_steps(), plan.attempts_per_block()), (60, 1, 12));
    assert_eq!(plan.update_bytes(), 7 * 5);
    assert!((plan.update_unit(plan.clip()) - 1.0 / 65536.0).abs() < 1e-12, "clip over C_int");
}

#[test]
fn hippocampus_plan_says_what_was_written() {
    let plan = plan(HIPPOCAMPUS);
    assert_eq!(plan.architecture().family(), "unet");
    assert_eq!(plan.architecture().values(), 117_985);
    assert_eq!((plan.steps(), plan.local_steps(), plan.attempts_per_block()), (200, 5, 10));
    assert_eq!(plan.training.sampling, Ratio::new(8, 171).unwrap());
}

#[test]
fn plan_survives_being_written_and_read() {
    for text in [HEART, HIPPOCAMPUS] {
        let written = toml::to_string(plan(text).file()).unwrap();
        assert_eq!(plan(&written), plan(text));
    }
}

#[test]
fn unknown_keys_are_refused_in_every_section() {
    for (line, section) in [
        ("id = \"heart-2027\"", "study"),
        ("patients_max = 1000", "cohort"),
        ("outcome = \"disease\"", "data.table"),
        ("seed = 7", "model"),
        ("join_s = 30", "rounds"),
        ("loss = \"bce\"", "training"),
        ("tau = 0.001", "training.server.fedadam"),
        ("delta = 0.001", "privacy.local"),
        ("steps = 60", "calibrated"),
    ] {
        let text = HEART.replace(line, &format!("{line}\nsurprise = 1"));
        let refused = parse::<Plan>("plan.toml", &text).unwrap_err();
        let expected = 2 + HEART[..HEART.find(line).unwrap()].matches('\n').count();
        assert_eq!(refused.line, expected, "{section}: {refused}");
        assert!(refused.message.contains("unknown field `surprise`, expected"), "{section}: {refused}");
    }
}

#[test]
fn missing_keys_are_named() {
    for line in ["sites_min = 3\n", "clip = 1.0\n", "sampling = \"1\"\n", "expires = \"2027-06-30\"\n"] {
        let refused = parse::<Plan>("plan.toml", &HEART.replace(line, "")).unwrap_err();
        let key = line.split(' ').next().unwrap();
        assert!(refused.message.contains(&format!("missing field `{key}`")), "{refused}");
    }
}

#[test]
fn wrong_types_and_impossible_values_are_refused() {
    let cases = [
        ("id = \"heart-2027\"", "id = \"Heart 2027\"", "expected"),
        ("id = \"heart-2027\"", "id = \"../../etc\"", "expected"),
        ("sites = [\"cleveland\", \"hungarian\"", "sites = [7, \"hungarian\"", "expected a string"),
        ("expires = \"2027-06-30\"", "expires = \"2027-06-31\"", "expected a date"),
        ("patients_max = 1000", "patients_max = 0", "is 0, expected an integer from 1 to 10000000"),
        ("patients_max = 1000", "patients_max = -3", "is -3, expected"),
        ("patients_max = 1000", "patients_max = \"many\"", "expected"),
        ("family = \"linear-risk\"", "family = \"resnet\"", "unknown variant `resnet`, expected"),
        ("count = 50", "count = 1.5", "expected"),
        ("count = 50", "count = 100001", "is 100001, expected an integer from 1 to 100000"),
        ("sampling = \"1\"", "sampling = \"0/20\"", "expected a ratio above 0 and at most 1"),
        ("sampling = \"1\"", "sampling = \"21/20\"", "expected a ratio above 0 and at most 1"),
        ("sampling = \"1\"", "sampling = 0.5", "expected a string"),
        ("loss = \"bce\"", "loss = \"mse\"", "unknown variant `mse`, expected"),
        ("learning_rate = 0.1", "learning_rate = nan", "expected a finite number above 0"),
        ("learning_rate = 0.1", "learning_rate = inf", "expected a finite number above 0"),
        ("beta1 = 0.9", "beta1 = 1.0", "expected a probability strictly between 0 and 1"),
        ("clip = 1.0", "clip = 0.0", "is 0, expected a finite number above 0"),
        ("delta = 0.001", "delta = 1.0", "expected a probability strictly between 0 and 1"),
        ("target = { epsilon = 1.0 }", "target = { sigma = 1.0 }", "unknown variant `sigma`, expected"),
        ("m = 20", "m = 9", "is 9, expected an integer from 10 to 30"),
        ("modulus_bits = 40", "modulus_bits = 65", "is 65, expected a width of 32, 40 or 64 bits"),
    ];
    check(HEART, &cases);
}

#[test]
fn samples_that_the_price_rests_on_need_slots() {
    let text = |sampling: &str, slot_s: u32| {
        let sampling = format!("sampling = \"{sampling}\"");
        let text = HEART.replace("sampling = \"1\"", &sampling);
        text.replace("slot_s = 2", &format!("slot_s = {slot_s}"))
    };
    let plan = |text: &str| parse::<Plan>("plan.toml", text);
    let refused = plan(&text("1/20", 0)).unwrap_err();
    assert!(refused.message.starts_with("rounds.slot_s is 0, expected at least 1 where training.sampling"));
    assert_eq!(refused.line, 1 + HEART[..HEART.find("slot_s").unwrap()].matches('\n').count());
    // `study new` reads drafts, and sites read plans.
    let draft = |text: &str| parse::<Draft>("draft.toml", &text[..text.find("[calibrated]").unwrap()]);
    assert!(draft(&text("1/20", 0)).unwrap_err().message.starts_with("rounds.slot_s is 0"));
    for allowed in [text("1/20", 1), text("1", 0)] {
        assert!(plan(&allowed).is_ok() && draft(&allowed).is_ok(), "{allowed}");
    }
    // Nothing is priced without noise.
    assert!(HIPPOCAMPUS.contains("slot_s = 0") && plan(HIPPOCAMPUS).is_ok());
}

#[test]
fn values_that_do_not_fit_together_are_refused() {
    check(
        HEART,
        &[
            ("attempts_max = 60", "attempts_max = 49", "is 49, expected at least rounds.count (50)"),
            ("sites_min = 3", "sites_min = 5", "expected at most the number of study.sites (4)"),
            (
                "sites = [\"cleveland\", \"hungarian\"",
                "sites = [\"hungarian\", \"hungarian\"",
                "expected 1 to 10000 names, each once",
            ),
            ("loss = \"bce\"", "loss = \"dice\"", "expected \"bce\", the loss of linear-risk"),
            (
                "family = \"linear-risk\"",
                "family = { unet = { base = 4, depth = 1 } }",
                "expected [data.images]",
            ),
            (
                "age = { number = { unit = \"years\", low = 20.0",
                "age = { number = { unit = \"years\", low = 200.0",
                "expected low below high",
            ),
            (
                "[\"typical\", \"atypical\", \"none\"]",
                "[\"none\", \"none\"]",
                "expected 2 to 256 different categories",
            ),
            ("steps = 60", "steps = 50", "expected attempts_max times local steps (60)"),
            ("modulus_bits = 40", "modulus_bits = 48", "is 48, expected a width of 32, 40 or 64 bits"),
            ("c_int = 65536", "c_int = 0", "is 0, expected above 0"),
        ],
    );
    check(
        HIPPOCAMPUS,
        &[
            ("height = 64", "height = 62", "is 62, expected a multiple of 2^depth (4)"),
            ("width = 48", "width = 47", "is 47, expected a multiple of 2^depth (4)"),
            (
                "family = { unet = { base = 16, depth = 2 } }",
                "family = \"linear-risk\"",
                "expected [data.table]",
            ),
        ],
    );
    // The refusal names the first of the two lines that do not fit together.
    let refused = parse::<Plan>("plan.toml", &HIPPOCAMPUS.replace("blocks = 4", "blocks = 41")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "plan.toml:22: rounds.attempts_max is 40, expected at least rounds.blocks (41)"
    );
    let refused = parse::<Plan>("plan.toml", &HIPPOCAMPUS.replace("steps = 5", "steps = 6")).unwrap_err();
    assert!(refused.message.contains("is 200, expected attempts_max times local steps (240)"), "{refused}");
}

#[test]
fn epsilon_is_claimed_with_noise_and_only_then() {
    let without = HEART.replace("epsilon = 1.0\n", "");
    let refused = parse::<Plan>("plan.toml", &without).unwrap_err();
    assert!(refused.message.contains("calibrated.epsilon expected with noise, and only then"), "{refused}");
    let with = HIPPOCAMPUS.replace("steps = 200\n", "steps = 200\nepsilon = 2.0\n");
    let refused = parse::<Plan>("plan.toml", &with).unwrap_err();
    assert!(refused.message.contains("calibrated.epsilon expected with noise, and only then"), "{refused}");
}

#[test]
fn largest_sum_with_its_noise_fits_the_modulus() {
    // 1000 patients x C_int x 4 sites + 8 sigma x 4 sites < 2^(bits - 1), with sigma = 2^20.
    for (bits, largest) in [(32_u32, 528_482_u64), (40, 137_430_564)] {
        let room = (1_u64 << (bits - 1)) - 8 * 4 * (1 << 20);
        let largest_fitting = (room - 1) / 4000;
        assert_eq!(largest_fitting, largest);
        let with = |c_int: u64| {
            let text = HEART.replace("modulus_bits = 40", &format!("modulus_bits = {bits}"));
            parse::<Plan>("plan.toml", &text.replace("c_int = 65536", &format!("c_int = {c_int}")))
        };
        assert!(with(largest).is_ok(), "{bits}");
        let refused = with(largest + 1).unwrap_err();
        assert!(refused.message.contains(&format!("small enough for sums modulo 2^{bits}")), "{refused}");
    }
}

#[test]
fn largest_sum_of_changes_fits_the_modulus() {
    for bits in [32, 40, 64] {
        for change_max in ["0.05", "1.0", "0.3333333333333333", "1e-30", "1e30", "7.9999999999999991"] {
            for patients in [1, 128, 171, 10_000_000] {
                // A narrow modulus needs a small C_int, which does not matter for changes of weights.
                let text = HIPPOCAMPUS
                    .replace("modulus_bits = 64", &format!("modulus_bits = {bits}"))
                    .replace("change_max = 0.05", &format!("change_max = {change_max}"))
                    .replace("patients_max = 200", &format!("patients_max = {patients}"))
                    .replace("c_int = 1048576", "c_int = 50");
                let plan = plan(&text);
                let change_max: f64 = change_max.parse().unwrap();
                // As a site computes it, every weight at its largest change; rounding up at every site.
                let units = (change_max * f64::from(patients) / plan.update_unit(plan.clip())).ceil();
                let sum = 3.0 * units;
                assert!(sum < f64::from(bits - 1).exp2(), "{bits} {change_max} {patients}: {sum}");
                assert!(sum > f64::from(bits - 4).exp2(), "no more than three bits are given away");
            }
        }
    }
}

#[test]
fn units_that_are_no_numbers_are_refused() {
    check(
        HIPPOCAMPUS,
        &[(
            "[training.site.adam]\nsteps = 5\nlearning_rate = 0.001\nchange_max = 0.05",
            "[training.site.adam]\nsteps = 5\nlearning_rate = 0.001\nchange_max = 1e308",
            "expected a change_max with which updates stay finite",
        )],
    );
    let refused = parse::<Plan>("plan.toml", &HEART.replace("clip = 1.0", "clip = 1e-320")).unwrap_err();
    assert!(refused.message.contains("expected a clip with which updates stay finite"), "{refused}");
}

#[test]
fn metrics_are_a_section_of_their_own_and_calibrated_like_the_rest() {
    let section = "[metrics]\nepsilon = 0.5\ndelta = 0.001\nevery_rounds = 20\n\n[privacy.local]";
    let noise =
        "epsilon = 1.0\n\n[calibrated.metrics]\nm = 20\nc_int = 100000\nreleases = 3\nepsilon = 0.5\n";
    let text = HEART.replace("[privacy.local]", section).replace("epsilon = 1.0\n", noise);
    let measured = plan(&text);
    // Fifty rounds: after the 20th, the 40th and the last.
    let rounds: Vec<_> = (0..=50).filter(|&rounds| measured.measures_after(rounds)).collect();
    assert_eq!((rounds, measured.metrics_releases()), (vec![20, 40, 50], 3));
    assert!(!plan(HEART).measures_after(50));
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        parse::<Plan>("plan.toml", &text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    let releases = refused("releases = 3", "releases = 2");
    assert!(releases.contains("calibrated.metrics.releases is 2, expected 3"), "{releases}");
    let absent = refused("[metrics]\nepsilon = 0.5\ndelta = 0.001\nevery_rounds = 20\n", "");
    assert!(absent.contains("calibrated.metrics expected with [metrics], and only then"), "{absent}");
    let vector = refused("family = \"linear-risk\"", "family.vector.parameters = 3");
    assert!(vector.contains("metrics expected a model whose scores are counted"), "{vector}");
}

#[test]
fn a_release_after_the_last_round_is_counted_once() {
    for (count, every, expected) in [(50, 10, 5), (50, 20, 3), (50, 50, 1), (50, 51, 1), (1, 1, 1), (7, 1, 7)]
    {
        let text = HEART.replace("count = 50", &format!("count = {count}")).replace(
            "[privacy.local]",
            &format!("[metrics]\nepsilon = 1.0\ndelta = 0.1\nevery_rounds = {every}\n\n[privacy.local]"),
        );
        let text = &text[..text.find("[calibrated]").unwrap()];
        let draft: Draft = parse("draft.toml", text).unwrap();
        let measured = (0..=count).filter(|&rounds| draft.measures_after(rounds)).count();
        assert_eq!((measured, draft.metrics_releases()), (expected, u32::try_from(expected).unwrap()));
    }
}
