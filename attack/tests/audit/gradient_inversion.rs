//! Records are read off exact contributions, and not off releases at a plan's noise.

use fedtwin_attack::inversion::{AttackedPatient, invert_releases, invert_sums};
use fedtwin_attack::step::{Chance, Contributions, PrivateStep};
use fedtwin_plan::{PatientId, WireBits};
use fedtwin_privacy::noise::FastNoise;

use crate::common::{Seeded, full_batch};
use crate::logistic::Logistic;

#[test]
fn records_are_reconstructed_without_noise_and_not_with_it() {
    let mut random = Seeded::new(31);
    let mut cohort = Logistic::draw(60, 30, &mut random);
    let weights = vec![0.1; cohort.values()];
    let targets: Vec<_> = (0..60)
        .map(PatientId)
        .map(|patient| AttackedPatient {
            patient,
            inputs: cohort.inputs(patient).into_iter().map(f64::from).collect(),
        })
        .collect();
    let bare = invert_sums(&mut cohort, &weights, &targets).unwrap();
    println!("without noise {bare:?}");
    assert!(bare.low > 0.99 && bare.patients == 60, "{bare:?}");

    // A signal of norm mu against noise of norm sqrt(60): a correlation of mu / sqrt(60) at best.
    for (mu, most) in [(0.5, 0.15), (1.0, 0.25), (2.0, 0.4)] {
        let event = full_batch(mu, 20);
        cohort.c_int = event.c_int.get().into();
        let mut step = PrivateStep { event, patients: 60, bits: WireBits::B40 };
        let chance = &mut Chance { noise: &FastNoise, random: &mut random };
        let found =
            invert_releases(&mut step, event.steps, &mut cohort, (&weights, &targets), chance).unwrap();
        println!("mu {mu}: {found:?}");
        assert!(found.high < most, "{mu}: {found:?}");
    }
}
