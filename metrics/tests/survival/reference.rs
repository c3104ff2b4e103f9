//! R's and scikit-survival's values, pinned, and asked for again where they are installed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::data;

fn check<'a>(found: &BTreeMap<String, f64>, expected: impl IntoIterator<Item = (&'a str, f64)>) {
    let mut compared = 0;
    for (name, expected) in expected {
        let found = found[name];
        assert!(
            (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
            "{name}: {found} is not {expected}"
        );
        compared += 1;
    }
    assert!(compared >= 20, "{compared} values compared");
}

#[test]
fn scores_of_real_tables_are_rs_and_scikit_survivals() {
    let Some(folder) = data::folder() else { return };
    let found = data::scores(&folder);
    check(&found, R.iter().copied());
    check(&found, SCIKIT_SURVIVAL.iter().copied());
}

#[test]
fn r_agrees_where_it_is_installed() {
    let Some(folder) = data::folder() else { return };
    ask("Rscript", &["-e", "library(survival)"], "reference.R", &folder);
}

#[test]
fn scikit_survival_agrees_where_it_is_installed() {
    let Some(folder) = data::folder() else { return };
    let python = std::env::var("FEDTWIN_PYTHON").ok().filter(|path| !path.is_empty());
    let python = python.unwrap_or_else(|| "python3".to_owned());
    ask(&python, &["-c", "import sksurv"], "reference.py", &folder);
}

/// Compares with what a script prints; without the program and its package, says that the calling test is skipped.
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
fn ask(program: &str, probe: &[&str], script: &str, folder: &Path) {
    let has = Command::new(program).args(probe).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        println!("skipped: {program} {} does not succeed, so that there is nobody to ask", probe.join(" "));
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/survival").join(script);
    let output = Command::new(program).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let values = text.lines().map(|line| {
        let (name, value) = line.trim().split_once(' ').unwrap();
        (name, value.parse().unwrap())
    });
    check(&data::scores(folder), values);
}

/// R 4.2.2 with survival 3.5-3: `Rscript metrics/tests/survival/reference.R $FEDTWIN_DATA/survival`.
const R: &[(&str, f64)] = &[
    ("lung.concordant", 8_292.0),
    ("lung.discordant", 6_031.0),
    ("lung.tied_risk", 5_691.0),
    ("lung.tied_time", 28.0),
    ("lung.late_concordant", 6_015.0),
    ("lung.late_discordant", 5_606.0),
    ("lung.late_tied_risk", 4_676.0),
    ("lung.uno_365", 0.555_188_258_829_918),
    ("lung.km_100", 0.863_968_967_645_243_6),
    ("lung.late_km_100", 0.933_577_841_815_713_6),
    ("lung.censoring_100", 0.995),
    ("lung.km_365", 0.409_241_624_460_064_4),
    ("lung.late_km_365", 0.442_213_698_468_694_7),
    ("lung.censoring_365", 0.696_624_444_481_614_4),
    ("lung.km_730", 0.115_693_098_344_539_2),
    ("lung.late_km_730", 0.125_014_343_234_857_5),
    ("lung.censoring_730", 0.492_834_444_539_192_2),
    ("rotterdam.concordant", 1_689_904.0),
    ("rotterdam.discordant", 745_867.0),
    ("rotterdam.tied_risk", 656_493.0),
    ("rotterdam.tied_time", 488.0),
    ("rotterdam.late_concordant", 1_688_102.0),
    ("rotterdam.late_discordant", 741_840.0),
    ("rotterdam.late_tied_risk", 653_387.0),
    ("rotterdam.uno_365", 0.710_510_737_475_102_2),
    ("rotterdam.km_100", 0.993_285_089_460_130_8),
    ("rotterdam.late_km_100", 0.994_285_936_605_322_7),
    ("rotterdam.censoring_100", 0.998_319_994_307_740_4),
    ("rotterdam.km_365", 0.915_084_200_800_884_6),
    ("rotterdam.late_km_365", 0.916_006_251_700_168_7),
    ("rotterdam.censoring_365", 0.992_750_944_044_572_8),
    ("rotterdam.km_730", 0.792_121_731_181_012_4),
    ("rotterdam.late_km_730", 0.792_919_883_475_565_7),
    ("rotterdam.censoring_730", 0.981_750_614_033_015_4),
];

/// scikit-survival 0.28.0 with numpy 2.4.6: `python3 metrics/tests/survival/reference.py $FEDTWIN_DATA/survival`.
const SCIKIT_SURVIVAL: &[(&str, f64)] = &[
    ("lung.c", 0.556_485_460_177_875_5),
    ("lung.concordant", 8_292.0),
    ("lung.discordant", 6_031.0),
    ("lung.tied_risk", 5_691.0),
    ("lung.uno_365", 0.555_188_258_829_918_2),
    ("lung.brier_366", 0.245_170_173_681_111_88),
    ("lung.auroc_366", 0.549_972_059_352_801_9),
    ("lung.brier_731", 0.168_129_418_965_131_23),
    ("lung.auroc_731", 0.570_594_088_821_925_1),
    ("lung.integrated_brier", 0.258_814_889_563_981_3),
    ("rotterdam.c", 0.652_644_955_281_955_2),
    ("rotterdam.concordant", 1_689_904.0),
    ("rotterdam.discordant", 745_867.0),
    ("rotterdam.tied_risk", 656_493.0),
    ("rotterdam.uno_365", 0.710_510_737_475_101_7),
    ("rotterdam.brier_366", 0.096_807_172_684_863_11),
    ("rotterdam.auroc_366", 0.715_959_804_634_406),
    ("rotterdam.brier_731", 0.150_016_312_345_731_07),
    ("rotterdam.auroc_731", 0.695_415_077_802_088_4),
    ("rotterdam.integrated_brier", 0.074_551_449_450_519_03),
];
