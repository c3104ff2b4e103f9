//! What plans can say about training beyond the usual: parts of a model, changed images, other optimisers.

use crate::plan::{Axis, Plan, SiteTraining};
use crate::plan_tests::{HEART, HIPPOCAMPUS, check, plan};
use crate::text_file::parse;

/// The hippocampus plan with lines before those of its optimisers.
fn with_training(lines: &str) -> String {
    HIPPOCAMPUS.replace("loss = \"bce-dice\"\n", &format!("loss = \"bce-dice\"\n{lines}\n"))
}

fn refused(text: &str) -> String {
    parse::<Plan>("plan.toml", text).unwrap_err().to_string()
}

#[test]
fn updates_hold_the_trained_values_alone() {
    let biases = plan(&with_training("trainable.biases = true"));
    let trained = biases.trained();
    assert_eq!((trained.values(), trained.all_values()), (2 * (16 + 32 + 64 + 32 + 16) + 1, 117_985));
    assert_eq!(biases.update_bytes(), 321 * 8);
    let adapted = plan(&with_training("trainable = { low-rank = { rank = 4 }, matching = [\"head\"] }"));
    let (architecture, trained) = (adapted.architecture(), adapted.trained());
    assert_eq!(architecture.values() - 117_985 + 17, trained.values(), "all adapters, and the head");
    assert_eq!(architecture.base(), *biases.architecture());
}

#[test]
fn choices_that_do_not_fit_the_model_are_refused_where_they_stand() {
    for (lines, expected) in [
        ("trainable.matching = [\"encoder\"]", "plan.toml:32: training.trainable.matching has \"encoder\""),
        ("trainable = {}", "plan.toml:32: training.trainable selects no parameter of the model unet"),
        ("trainable.low-rank.rank = 65", "plan.toml:32: is 65, expected an integer from 1 to 64"),
        ("trainable.bias = true", "plan.toml:32: unknown field `bias`"),
    ] {
        let message = refused(&with_training(lines));
        assert!(message.starts_with(expected), "{message}");
    }
    let risk = HEART.replace("loss = \"bce\"\n", "loss = \"bce\"\ntrainable.low-rank.rank = 2\n");
    let message = refused(&risk);
    assert!(message.contains("training.trainable.low-rank expected a U-Net"), "{message}");
}

#[test]
fn augmentation_says_what_was_written() {
    let text = with_training(
        "augmentation = { copies = 8, shift_px = 4, gain = [0.9, 1.1], noise = 0.05, flips = [\"columns\"] }",
    );
    let augmentation = plan(&text).training.augmentation.clone().unwrap();
    let gain = augmentation.gain.unwrap();
    assert_eq!((augmentation.copies.get(), augmentation.shift_px.unwrap().get()), (8, 4));
    assert!(gain.low() < 0.91 && gain.high() > 1.09 && augmentation.gamma.is_none());
    assert_eq!(augmentation.flips, [Axis::Columns]);
    let written = toml::to_string(plan(&text).file()).unwrap();
    assert_eq!(plan(&written), plan(&text));
}

#[test]
fn impossible_augmentations_are_refused() {
    for (lines, expected) in [
        ("copies = 8", "training.augmentation changes nothing"),
        ("shift_px = 2", "missing field `copies`"),
        ("copies = 0, shift_px = 2", "is 0, expected an integer from 1 to 256"),
        ("copies = 1, shift_px = 48", "is 48, expected less than a slice's 48 pixels"),
        ("copies = 1, gain = [0.0, 1.0]", "begins at 0, expected a range above 0"),
        ("copies = 1, gamma = [-1.0, 1.0]", "begins at -1, expected a range above 0"),
        ("copies = 1, gain = [1.1, 0.9]", "is from 1.1 to 0.9, expected two finite numbers"),
        ("copies = 1, noise = 0.0", "is 0, expected a finite number above 0"),
        ("copies = 1, flips = [\"rows\", \"rows\"]", "expected each axis at most once"),
        ("copies = 1, flips = [\"slices\"]", "unknown variant `slices`"),
    ] {
        let message = refused(&with_training(&format!("augmentation = {{ {lines} }}")));
        assert!(message.contains(expected) && message.contains("plan.toml:32: "), "{lines}: {message}");
    }
    let table =
        HEART.replace("loss = \"bce\"\n", "loss = \"bce\"\naugmentation = { copies = 2, noise = 1.0 }\n");
    assert!(refused(&table).contains("training.augmentation expected [data.images] with it"));
}

#[test]
fn perceptrons_have_the_layers_that_were_written() {
    let family = "family = { mlp-risk = { hidden = [16, 8] } }";
    let perceptron = plan(&HEART.replace("family = \"linear-risk\"", family));
    assert_eq!(perceptron.architecture().family(), "mlp-risk");
    assert_eq!(perceptron.architecture().values(), 6 * 16 + 16 + 16 * 8 + 8 + 8 + 1);
    check(
        HEART,
        &[
            ("family = \"linear-risk\"", "family.mlp-risk.hidden = []", "expected 1 to 8 hidden layers"),
            ("family = \"linear-risk\"", "family.mlp-risk.hidden = [0]", "is 0, expected an integer from 1"),
        ],
    );
    let line = "family = { unet = { base = 16, depth = 2 } }";
    check(HIPPOCAMPUS, &[(line, "family.mlp-risk.hidden = [3]", "is a risk model, expected [data.table]")]);
}

#[test]
fn a_proximal_term_and_other_server_optimisers_are_read() {
    let with = HIPPOCAMPUS.replace("change_max = 0.05", "change_max = 0.05\nproximal = 0.1");
    let with = plan(&with);
    let SiteTraining::Adam(adam) = &with.training.site else { panic!("the plan has local Adam") };
    assert!(adam.proximal.is_some_and(|mu| mu.get() > 0.09));
    for (optimiser, good) in [
        ("fedyogi]\nlearning_rate = 0.1\nbeta1 = 0.9\nbeta2 = 0.99\ntau = 0.001", true),
        ("fedadagrad]\nlearning_rate = 0.1\ntau = 0.001", true),
        ("fedadagrad]\nlearning_rate = 0.1\ntau = 0.0", false),
        ("fedyogi]\nlearning_rate = 0.1\ntau = 0.001", false),
    ] {
        let text = HIPPOCAMPUS.replace("fedavg]\nlearning_rate = 1.0", optimiser);
        assert_eq!(parse::<Plan>("plan.toml", &text).is_ok(), good, "{optimiser}");
    }
}

#[test]
fn an_average_begins_within_the_study() {
    let with = |from_round: u32| {
        let average =
            format!("\n[training.average]\ndecay = 0.9\nfrom_round = {from_round}\n\n[privacy.none]");
        HIPPOCAMPUS.replace("\n[privacy.none]", &average)
    };
    assert!(plan(&with(30)).training.average.is_some());
    let message = refused(&with(31));
    assert!(
        message.contains("rounds.count is 30, expected at least training.average.from_round (31)"),
        "{message}"
    );
}

#[test]
fn an_initial_model_is_named_by_its_digest() {
    let with = |digest: &str| HEART.replace("seed = 7\n", &format!("seed = 7\ninitial = \"{digest}\"\n"));
    assert!(plan(&with(&"0a".repeat(32))).model.initial.is_some());
    for bad in ["0A".repeat(32), "0a".repeat(31), "model.safetensors".to_owned()] {
        assert!(refused(&with(&bad)).contains("expected a SHA-256 digest of 64 hexadecimal digits"), "{bad}");
    }
}

/// The heart plan with shared noise; its sites_min is 3 of 4.
fn shared(colluders: u32, dropouts: u32) -> String {
    let lines = format!("colluders = {colluders}\ndropouts = {dropouts}\n");
    HEART.replace("[privacy.local]\n", &format!("[privacy.shared]\n{lines}"))
}

#[test]
fn shared_noise_counts_the_sites_that_surely_add_theirs() {
    for (colluders, dropouts, shares) in [(0, 1, 3), (1, 1, 2)] {
        assert_eq!(plan(&shared(colluders, dropouts)).noise_shares(), shares);
    }
    assert_eq!((plan(HEART).noise_shares(), plan(HIPPOCAMPUS).noise_shares()), (1, 1));
    for (text, expected) in [
        (shared(0, 2), "privacy.shared.dropouts is 2, expected fewer than a third of the sites (4)"),
        (shared(3, 1), "privacy.shared.colluders and dropouts leave none of the 4 sites"),
        (shared(10_000, 1), "privacy.shared.colluders and dropouts leave none"),
        (
            shared(2, 1),
            "privacy.shared.colluders is 2, expected at most 1: more could help a lying coordinator",
        ),
        (shared(0, 0), "rounds.sites_min is 3, expected at least the sites without dropouts (4)"),
        (
            shared(0, 1).replace(
                "site = \"gradient\"",
                "site.sgd = { steps = 1, learning_rate = 0.1, change_max = 1.0 }",
            ),
            "training.site expected \"gradient\" with shared noise",
        ),
    ] {
        let message = refused(&text);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn secure_aggregation_takes_three_sites_and_more_than_two_thirds_of_them() {
    let with = |sites_min: u32| {
        let text = HEART.replace("sites_min = 3", &format!("sites_min = {sites_min}"));
        let text = text.replace("[privacy.local]\n", "[privacy.none]\nsums_only = true\n");
        let lines = text.lines().filter(|line| !line.starts_with("delta") && !line.starts_with("target"));
        lines.filter(|line| !line.starts_with("epsilon")).collect::<Vec<_>>().join("\n")
    };
    assert!(plan(&with(3)).privacy.is_secure() && !plan(HEART).privacy.is_secure());
    let message = refused(&with(2));
    assert!(
        message.contains("rounds.sites_min is 2, expected more than two thirds of the sites (4)"),
        "{message}"
    );
    let among = |sites: usize| {
        let names: Vec<_> = (0..sites).map(|site| format!("\"s{site}\"")).collect();
        let sites_min = 2 * sites / 3 + 1;
        let text = with(3).replace("sites_min = 3", &format!("sites_min = {sites_min}"));
        let (before, rest) = text.split_once("sites = [").expect("the plan has sites");
        let (_, after) = rest.split_once(']').expect("the list ends");
        format!("{before}sites = [{}]{after}", names.join(", "))
    };
    assert!(plan(&among(256)).privacy.is_secure());
    let message = refused(&among(1001));
    assert!(message.contains("study.sites has 1001, expected at most 1000"), "{message}");
}

#[test]
fn an_adaptive_clip_adds_a_coordinate_within_the_same_norm() {
    let with = |lines: &str| HEART.replace("[training.server", &format!("{lines}\n\n[training.server"));
    let good =
        "[training.adaptive_clip]\nquantile = 0.5\nlearning_rate = 0.2\nbounds = [0.1, 10.0]\nshare = 0.6";
    let (fixed, adaptive) = (plan(HEART), plan(&with(good)));
    assert_eq!(adaptive.update_bytes(), fixed.update_bytes() + 5);
    assert_eq!((adaptive.norm_division().gradient, adaptive.norm_division().below), (52_429, 39_321));
    assert_eq!((fixed.norm_division().gradient, fixed.norm_division().below), (65_536, 0));
    let clip = |clip: f64| clip.try_into().unwrap();
    assert!((adaptive.gradient_unit(clip(2.0)) - 2.0 / 52_429.0).abs() < 1e-12);
    assert!(adaptive.allows_clip(clip(0.1)) && adaptive.allows_clip(clip(10.0)));
    assert!(!adaptive.allows_clip(clip(0.099)) && !adaptive.allows_clip(clip(10.1)));
    assert!(fixed.allows_clip(clip(1.0)) && !fixed.allows_clip(clip(1.000_001)));
    for (from, to, expected) in [
        ("bounds = [0.1, 10.0]", "bounds = [0.0, 10.0]", "bounds expected a range above 0"),
        ("bounds = [0.1, 10.0]", "bounds = [2.0, 10.0]", "bounds expected the privacy section's clip"),
        ("share = 0.6", "share = 1.0", "expected a probability strictly between 0 and 1"),
        ("share = 0.6", "share = 1e-6", "share leaves no grid unit for the indicator"),
        ("bounds = [0.1, 10.0]", "bounds = [1e-320, 10.0]", "expected a clip with which updates stay finite"),
    ] {
        let message = refused(&with(&good.replace(from, to)));
        assert!(message.contains(expected), "{to}: {message}");
    }
    let steps = "site.sgd = { steps = 1, learning_rate = 0.1, change_max = 1.0 }";
    let message = refused(&with(good).replace("site = \"gradient\"", steps));
    assert!(message.contains("training.adaptive_clip expected training.site = \"gradient\""), "{message}");
}
