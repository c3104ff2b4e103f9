//! Regressions, each the sum of its sites' or its strata's.

use std::collections::BTreeMap;

use fedtwin_metrics::survival::Survival;
use fedtwin_statistics::regression::{
    CoxPatient, Family, Fit, GlmPatient, NotSummed, Sums, Ties, cox_sums, fit, glm_sums,
};
use fedtwin_statistics::{Scale, sum};

use crate::data::{Table, check, follow_up};

/// Fits patients of named strata.
fn cox(patients: Vec<(String, CoxPatient)>, ties: Ties) -> Fit {
    let coefficients = patients[0].1.covariates.len();
    let mut strata = BTreeMap::<String, Vec<CoxPatient>>::new();
    for (stratum, patient) in patients {
        strata.entry(stratum).or_default().push(patient);
    }
    fit(vec![0.0; coefficients], |at| {
        let mut sums = Sums::zero(coefficients);
        for stratum in strata.values() {
            sums.add(&cox_sums(stratum, at, ties)?)?;
        }
        Ok(sums)
    })
    .unwrap()
}

fn errors(fit: &Fit) -> Vec<f64> {
    let variance = |i: usize| fit.covariance[i * (i + 1) / 2 + i];
    (0..fit.coefficients.len()).map(|i| variance(i).sqrt()).collect()
}

/// Compares with the rows of `reference_cox.csv` that are of this model, in its terms' order.
fn check_cox(model: &str, fit: &Fit) {
    let Some(reference) = Table::read("survival", "reference_cox.csv") else { return };
    let columns = reference.columns(["model", "coef", "se", "loglik"]);
    let rows: Vec<_> = columns.into_iter().filter(|row| row[0] == model).collect();
    let column = |place: usize| rows.iter().map(|row| row[place].parse().unwrap()).collect::<Vec<f64>>();
    // R stops where the log-likelihood changes by 1e-9 of itself, which leaves seven digits of small coefficients.
    for (i, (found, expected)) in fit.coefficients.iter().zip(column(1)).enumerate() {
        assert!((found - expected).abs() < 1e-5 * errors(fit)[i], "{model}: {fit:?}");
    }
    check(&errors(fit), &column(2), 1e-5);
    check(&vec![fit.log_likelihood; rows.len()], &column(3), 1e-9);
}

/// Patients of `lung.csv` by institution, with age, sex and performance status; NA has no number.
fn lung() -> Option<Vec<(String, CoxPatient)>> {
    let table = Table::read("survival", "lung.csv")?;
    let row = |[inst, time, status, age, sex, ecog]: [&str; 6]| {
        let covariates: Vec<f64> =
            [age, sex, ecog].into_iter().map(|cell| cell.parse().ok()).collect::<Option<_>>()?;
        Some((
            inst.to_owned(),
            CoxPatient { follow_up: follow_up(time.parse().ok()?, status == "2"), covariates },
        ))
    };
    let columns = table.columns(["inst", "time", "status", "age", "sex", "ph.ecog"]);
    Some(columns.into_iter().filter_map(row).collect())
}

fn in_one_stratum(patients: Vec<(String, CoxPatient)>) -> Vec<(String, CoxPatient)> {
    patients.into_iter().map(|(_, patient)| (String::new(), patient)).collect()
}

#[test]
fn cox_regressions_of_lung_cancer_are_rs() {
    let Some(patients) = lung() else { return };
    check_cox("lung_breslow", &cox(in_one_stratum(patients.clone()), Ties::Breslow));
    check_cox("lung_efron", &cox(in_one_stratum(patients), Ties::Efron));
}

#[test]
fn a_cox_regression_stratified_by_institution_is_the_sum_of_institutions() {
    let Some(mut patients) = lung() else { return };
    patients.retain(|(inst, _)| inst.parse::<f64>().is_ok());
    check_cox("lung_breslow_strata_inst", &cox(patients.clone(), Ties::Breslow));
    // `efron_by_inst` of reference.R.
    let found = cox(patients, Ties::Efron);
    check(
        &found.coefficients,
        &[0.009_561_341_696_557_9, -0.547_356_676_848_954_3, 0.597_253_244_680_412_3],
        1e-7,
    );
    check(
        &errors(&found),
        &[0.010_291_850_905_659_8, 0.181_844_719_206_825_1, 0.137_822_833_004_720_2],
        1e-7,
    );
    check(
        &[found.start_log_likelihood, found.log_likelihood],
        &[-327.262_798_278_731_8, -311.249_569_473_596_1],
        1e-10,
    );
}

#[test]
fn sums_that_travel_as_integers_give_the_same_cox_regression() {
    let Some(patients) = lung() else { return };
    let mut sites = BTreeMap::<String, Vec<CoxPatient>>::new();
    for (inst, patient) in patients.clone() {
        sites.entry(inst).or_default().push(patient);
    }
    let scale = Scale::new(1e6, 1e-9).unwrap();
    let found = fit(vec![0.0; 3], |at| {
        let integers = |site: &Vec<CoxPatient>| -> Result<Vec<i64>, NotSummed> {
            Ok(cox_sums(site, at, Ties::Efron)?.values().into_iter().map(|x| scale.to_integer(x)).collect())
        };
        let sites: Vec<_> = sites.values().map(integers).collect::<Result<_, _>>()?;
        let all = sum(sites.iter().map(|site| &site[..])).unwrap().unwrap();
        Sums::of_values(&all.into_iter().map(|x| scale.value(x)).collect::<Vec<_>>(), 3)
    })
    .unwrap();
    let plain = cox(patients, Ties::Efron);
    check(&found.coefficients, &plain.coefficients, 1e-8);
    check(&errors(&found), &errors(&plain), 1e-8);
}

#[test]
fn a_cox_regression_of_patients_who_entered_late_is_rs() {
    let Some(mut patients) = lung() else { return };
    patients.retain(|(_, patient)| patient.follow_up.time() > 60.0);
    for (_, patient) in &mut patients {
        let observed = patient.follow_up;
        let entry = 20.0 * (patient.covariates[0] % 3.0);
        patient.follow_up = Survival::new(entry, observed.time(), observed.event()).unwrap();
    }
    // `late` of reference.R.
    let found = cox(in_one_stratum(patients), Ties::Efron);
    check(
        &found.coefficients,
        &[-0.000_283_409_584_896_3, -0.467_631_043_842_416_3, 0.504_650_039_208_811_9],
        1e-6,
    );
    check(&errors(&found), &[0.009_596_568_331_749_9, 0.173_913_717_217_791_5, 0.121_039_989_187_807], 1e-7);
    check(
        &[found.start_log_likelihood, found.log_likelihood],
        &[-652.870_491_718_587_2, -640.720_761_967_002_1],
        1e-10,
    );
}

#[test]
fn cox_regressions_of_breast_cancer_are_rs() {
    let Some(table) = Table::read("survival", "rotterdam.csv") else { return };
    let names = ["rtime", "dtime", "recur", "death", "age", "meno", "size", "grade", "nodes", "pgr", "er"];
    let patients = table.columns(names).into_iter().map(|row| {
        let number = |place: usize| row[place].parse::<f64>().unwrap();
        let flag = |is: bool| f64::from(u8::from(is));
        let sizes = [flag(row[6] == "20-50"), flag(row[6] == ">50"), flag(row[7] == "3")];
        let covariates = [&[number(4), number(5)], &sizes[..], &[number(8), number(9), number(10)]].concat();
        let observed = follow_up(number(0).min(number(1)), row[2] == "1" || row[3] == "1");
        (String::new(), CoxPatient { follow_up: observed, covariates })
    });
    check_cox("rotterdam_rfs_breslow", &cox(patients.collect(), Ties::Breslow));

    let Some(table) = Table::read("survival", "gbsg.csv") else { return };
    let names = ["rfstime", "status", "age", "meno", "size", "grade", "nodes", "pgr", "er", "hormon"];
    let patients = table.numbers(names).into_iter().map(|row| {
        let mut covariates = row[2..].to_vec();
        covariates[3] = f64::from(u8::from(row[5] > 2.5));
        (String::new(), CoxPatient { follow_up: follow_up(row[0], row[1] > 0.5), covariates })
    });
    check_cox("gbsg_rfs_breslow", &cox(patients.collect(), Ties::Breslow));
}

fn glm(sites: &[Vec<GlmPatient>], coefficients: usize, family: Family) -> Fit {
    fit(vec![0.0; coefficients], |at| {
        let mut sums = Sums::zero(coefficients);
        for site in sites {
            sums.add(&glm_sums(site, at, family)?)?;
        }
        Ok(sums)
    })
    .unwrap()
}

// R 4.2.2: glm(y ~ tx + age + risk, binomial, glm.control(1e-14, 50)).
#[test]
fn a_logistic_regression_over_four_centres_is_rs() {
    let Some(table) = Table::read("multicentre_trials", "indo_rct.csv") else { return };
    let mut sites = BTreeMap::<&str, Vec<GlmPatient>>::new();
    for [site, outcome, rx, age, risk] in table.columns(["site", "outcome", "rx", "age", "risk"]) {
        let treated = f64::from(u8::from(rx == "1_indomethacin"));
        let covariates = vec![1.0, treated, age.parse().unwrap(), risk.parse().unwrap()];
        let outcome = f64::from(u8::from(outcome == "1_yes"));
        sites.entry(site).or_default().push(GlmPatient { covariates, outcome, offset: 0.0 });
    }
    assert_eq!(sites.len(), 4);
    let found = glm(&sites.into_values().collect::<Vec<_>>(), 4, Family::Logistic);
    let expected = [
        -2.338_209_706_804_243_6,
        -0.763_231_588_868_391_7,
        -0.006_779_520_089_215_5,
        0.429_454_053_822_676_8,
    ];
    check(&found.coefficients, &expected, 1e-9);
    let expected =
        [0.627_696_929_823_838_2, 0.256_306_399_887_762_3, 0.009_757_401_117_653_2, 0.137_840_535_655_449_7];
    check(&errors(&found), &expected, 1e-7);
    check(&[found.log_likelihood], &[-224.210_306_955_976], 1e-12);
}

// R 4.2.2: glm(nodes ~ age + meno + I(grade == 3) + offset(log(rtime + 1)), poisson, glm.control(1e-14, 50)).
#[test]
fn a_poisson_regression_of_rates_is_rs() {
    let Some(table) = Table::read("survival", "rotterdam.csv") else { return };
    let rows = table.numbers(["age", "meno", "grade", "rtime", "nodes"]);
    let patient = |[age, meno, grade, time, nodes]: &[f64; 5]| GlmPatient {
        covariates: vec![1.0, *age, *meno, f64::from(u8::from(*grade > 2.5))],
        outcome: *nodes,
        offset: (time + 1.0).ln(),
    };
    let sites: Vec<Vec<_>> = rows.chunks(700).map(|site| site.iter().map(patient).collect()).collect();
    let found = glm(&sites, 4, Family::Poisson);
    let expected =
        [-7.661_320_627_150_917, 0.007_513_355_226_930_1, 0.245_087_627_813_651_1, 0.596_781_051_362_940_8];
    check(&found.coefficients, &expected, 1e-9);
    let expected =
        [0.070_918_071_045_155_4, 0.001_469_631_408_869_4, 0.037_811_282_084_211_9, 0.028_166_252_214_39];
    check(&errors(&found), &expected, 1e-7);
    check(&[found.log_likelihood], &[-17_362.328_576_615_7], 1e-12);
}
