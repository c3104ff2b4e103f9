//! Invented health records with the columns of the heart schema.
//!
//! A latent severity correlates the features; the outcome is logistic in them with an intercept of the
//! site's own, and each site fails to record other columns.

use super::SyntheticSource;
use super::draw::Draws;

/// The columns in the order of the heart schema.
pub(crate) const COLUMNS: [&str; 14] = [
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca",
    "thal", "num",
];

/// What a site's patients have in common.
struct CaseMix {
    age_mean: f64,
    male: f64,
    severity_mean: f64,
    /// The site's own part of the outcome's logit.
    intercept: f64,
    /// Probability that the exercise slope, the vessels and the thallium scan are not recorded.
    exercise_missing: f64,
    /// Probability that the cholesterol is not recorded, which these sites write as 0.
    chol_missing: f64,
}

const SITES: [CaseMix; 4] = [
    CaseMix {
        age_mean: 54.0,
        male: 0.68,
        severity_mean: 0.0,
        intercept: 0.0,
        exercise_missing: 0.01,
        chol_missing: 0.0,
    },
    CaseMix {
        age_mean: 48.0,
        male: 0.72,
        severity_mean: -0.4,
        intercept: 0.4,
        exercise_missing: 0.8,
        chol_missing: 0.08,
    },
    CaseMix {
        age_mean: 56.0,
        male: 0.85,
        severity_mean: 0.6,
        intercept: 0.9,
        exercise_missing: 0.6,
        chol_missing: 0.9,
    },
    CaseMix {
        age_mean: 60.0,
        male: 0.95,
        severity_mean: 0.3,
        intercept: -0.4,
        exercise_missing: 0.7,
        chol_missing: 0.25,
    },
];

/// One patient before anything is written down.
struct Person {
    severity: f64,
    age: f64,
    male: bool,
    asymptomatic: bool,
    thalach: f64,
    exang: bool,
    oldpeak: f64,
    vessels: f64,
    reversible: bool,
}

impl Person {
    fn draw(mix: &CaseMix, draws: &mut Draws) -> Self {
        let severity = mix.severity_mean + draws.normal();
        let age = (mix.age_mean + 3.5 * severity + 7.5 * draws.normal()).clamp(25.0, 85.0).round();
        let male = draws.chance(mix.male);
        Self {
            severity,
            age,
            male,
            asymptomatic: draws.chance(logistic(1.3 * severity - 0.2)),
            thalach: (150.0 - 0.9 * (age - 54.0) - 9.0 * severity + 16.0 * draws.normal())
                .clamp(70.0, 205.0)
                .round(),
            exang: draws.chance(logistic(1.3 * severity - 0.8)),
            oldpeak: (0.8 + 0.9 * severity + 0.7 * draws.normal()).clamp(0.0, 6.0),
            vessels: (0.5 + 0.8 * severity + 0.6 * draws.normal()).clamp(0.0, 3.0).floor(),
            reversible: draws.chance(logistic(1.2 * severity + if male { 0.2 } else { -1.0 })),
        }
    }

    /// Returns the logit of the outcome at a site with `intercept`.
    fn logit(&self, intercept: f64) -> f64 {
        let flag = |flag: bool| if flag { 1.0 } else { 0.0 };
        intercept - 3.0 + 0.03 * (self.age - 54.0) + 0.9 * flag(self.male) + 1.4 * flag(self.asymptomatic)
            - 0.02 * (self.thalach - 150.0)
            + 0.9 * flag(self.exang)
            + 0.6 * self.oldpeak
            + 0.7 * self.vessels
            + 1.0 * flag(self.reversible)
    }
}

/// Makes one patient's line, with the codes of the heart schema.
pub(crate) fn line(source: SyntheticSource, patient: u32) -> Vec<String> {
    let (source, patient) = source.locate(patient);
    let mix = &SITES[source.site.size()];
    let draws = &mut Draws::new(source.seed, source.site.get(), patient);
    let person = Person::draw(mix, draws);
    let flag = |flag: bool| (if flag { "1" } else { "0" }).to_owned();
    let pain = 1.0 + (3.0 * draws.uniform()).floor();
    let trestbps = (131.0 + 0.4 * (person.age - 54.0) + 15.0 * draws.normal()).clamp(88.0, 210.0);
    let chol =
        (238.0 + (person.age - 54.0) + 8.0 * person.severity + 45.0 * draws.normal()).clamp(110.0, 560.0);
    let sugar = draws.chance(0.15);
    let ecg = if draws.chance(0.55) {
        0
    } else if draws.chance(0.85) {
        2
    } else {
        1
    };
    let steepness = person.severity + draws.normal();
    let slope = if steepness < 0.0 {
        1
    } else if steepness < 1.8 {
        2
    } else {
        3
    };
    let fixed_defect = draws.chance(0.07);
    let happened = draws.chance(logistic(person.logit(mix.intercept)));
    let mut or_missing = |p: f64, text: String, missing: &str| {
        if draws.chance(p) { missing.to_owned() } else { text }
    };
    let thal = if person.reversible {
        "7"
    } else if fixed_defect {
        "6"
    } else {
        "3"
    };
    vec![
        person.age.to_string(),
        flag(person.male),
        if person.asymptomatic { "4".to_owned() } else { pain.to_string() },
        or_missing(0.02, trestbps.round().to_string(), "?"),
        or_missing(mix.chol_missing, chol.round().to_string(), "0"),
        or_missing(0.04, flag(sugar), "?"),
        or_missing(0.01, ecg.to_string(), "?"),
        or_missing(0.02, person.thalach.to_string(), "?"),
        or_missing(0.02, flag(person.exang), "?"),
        or_missing(0.03, format!("{:.1}", person.oldpeak), "?"),
        or_missing(mix.exercise_missing * 0.5, slope.to_string(), "?"),
        or_missing(mix.exercise_missing, person.vessels.to_string(), "?"),
        or_missing(mix.exercise_missing * 0.8, thal.to_owned(), "?"),
        flag(happened),
    ]
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
