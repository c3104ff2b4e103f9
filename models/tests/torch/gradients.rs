//! Per-patient gradients against finite differences in double precision, of a loss written anew.

use std::collections::BTreeMap;

use fedtwin_models::parameters::Parameters;
use fedtwin_models::segmentation::unet::Unet;
use fedtwin_plan::Architecture;
use fedtwin_plan::family::UnetSize;
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::plan::Loss;
use fedtwin_plan::record::{PatientId, VolumeRecord};
use tch::{Device, Kind, Tensor, no_grad};

use crate::samples::{
    SLOTS, batch, contributions, cpu, everything, risk_model, rows, study, unet, unet_model, unet_model_with,
    volume, volumes,
};

/// The net in double precision, with its loss over all slices of a volume, cropped and not masked.
struct Reference {
    parameters: Parameters,
    net: Unet,
}

impl Reference {
    fn new(size: &UnetSize) -> Self {
        let architecture = size.architecture(1, None);
        let all = everything(&architecture);
        Self {
            parameters: Parameters::new(&architecture, &all, 1, (Kind::Double, Device::Cpu)),
            net: Unet::new(size, 1),
        }
    }

    fn loss(&self, loss: Loss, volume: &VolumeRecord) -> Tensor {
        let [slices, height, width] = volume.shape.map(|size| i64::try_from(size).unwrap());
        let tensor = |values: Tensor| values.to_kind(Kind::Double).view([slices, 1, height, width]);
        let image = tensor(Tensor::from_slice(&volume.image));
        let y = tensor(Tensor::from_slice(&volume.mask));
        let padded = image.constant_pad_nd([0, 16 - width, 0, 16 - height]);
        let p = self
            .net
            .forward(&self.parameters.layers(), &padded)
            .narrow(2, 0, height)
            .narrow(3, 0, width)
            .sigmoid();
        let (outside, absent): (Tensor, Tensor) = (1.0 - &y, 1.0 - &p);
        let bce = -(&y * p.log() + outside * absent.log()).mean(Kind::Double);
        let overlap = (&p * &y).sum(Kind::Double) * 2.0 + 1.0;
        let dice = 1.0 - overlap / (p.sum(Kind::Double) + y.sum(Kind::Double) + 1.0);
        match loss {
            Loss::Bce => bce,
            Loss::Dice => dice,
            Loss::BceDice => bce + dice,
            Loss::Poisson | Loss::Hazard => panic!("no loss of pixels"),
        }
    }

    fn loss_at(&mut self, loss: Loss, volume: &VolumeRecord, weights: &[f64]) -> f64 {
        self.parameters.load(weights).unwrap();
        no_grad(|| self.loss(loss, volume)).double_value(&[])
    }
}

/// Checks, for each parameter tensor, the derivative along the gradient restricted to it.
pub(crate) fn check_directions(
    spec: &Architecture,
    weights: &[f32],
    gradient: &[f32],
    loss_at: &mut dyn FnMut(&[f64]) -> f64,
) {
    let mut first = 0;
    for parameter in spec.parameters() {
        let own = first..first + parameter.values();
        first = own.end;
        let norm = gradient[own.clone()].iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        assert!(norm > 0.0, "{} has a gradient", parameter.name);
        let mut moved = |step: f64| {
            let mut weights: Vec<f64> = weights.iter().copied().map(f64::from).collect();
            for i in own.clone() {
                weights[i] += step * f64::from(gradient[i]) / norm;
            }
            loss_at(&weights)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope - norm).abs() < 1e-3 * norm + 1e-7, "{}: {slope} is not {norm}", parameter.name);
    }
}

#[test]
fn unet_gradients_are_those_of_each_patients_own_loss() {
    let (net, spec) = unet(3, 2);
    let weights = initial_values(&spec, 9);
    // Four slices or fewer, so that all of them are chosen.
    let volumes = vec![volume(1, [4, 14, 12]), volume(2, [2, 16, 11])];
    let mut reference = Reference::new(&net);
    for loss in [Loss::Bce, Loss::Dice, Loss::BceDice] {
        for slots in SLOTS {
            let mut trainer = unet_model_with(slots, study(&net, loss), volumes.clone(), cpu(1, 4096));
            for (id, vector) in contributions(&mut trainer, &weights, &batch([0, 1])) {
                let volume = &volumes[id.0 as usize];
                check_directions(&spec, &weights, &vector, &mut |w| reference.loss_at(loss, volume, w));
            }
        }
    }
}

#[test]
fn passes_of_any_size_agree() {
    let cases = [(1, 1, 4, false), (5, 2, 4, false), (8, 3, 4, false), (5, 2, 4, true), (5, 2, 1, false)];
    for (base, depth, slices, coordinates) in cases {
        let (net, _) = unet(base, depth);
        let mut study = study(&net, Loss::BceDice);
        study.need.slices_per_patient = slices.try_into().unwrap();
        study.need.coordinates = coordinates;
        study.architecture = net.architecture(study.need.channels().size(), None);
        study.trained = everything(&study.architecture);
        let weights = initial_values(&study.architecture, 9);
        let [apart, together] = SLOTS.map(|slots| {
            let mut trainer = unet_model_with(slots, study.clone(), volumes(), cpu(1, 4096));
            contributions(&mut trainer, &weights, &batch([0, 1, 2, 3, 4, 7]))
        });
        assert_eq!(apart.len(), 6);
        assert!(apart.keys().eq(together.keys()));
        for (apart, together) in apart.values().zip(together.values()) {
            let norm = apart.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let differences = apart.iter().zip(together).map(|(a, b)| f64::from(a - b).powi(2));
            assert!(differences.sum::<f64>().sqrt() <= 1e-5 * norm, "base {base}, depth {depth}");
        }
    }
}

#[test]
fn unet_gradients_add_up_to_the_gradient_of_the_summed_loss() {
    let (net, spec) = unet(4, 2);
    let weights = initial_values(&spec, 10);
    let volumes = vec![volume(3, [4, 14, 12]), volume(4, [3, 16, 16]), volume(5, [1, 9, 9])];
    let mut trainer = unet_model(&net, Loss::BceDice, volumes.clone());
    let mut sum = vec![0.0_f64; spec.values()];
    for vector in contributions(&mut trainer, &weights, &batch([0, 1, 2])).values() {
        for (sum, &value) in sum.iter_mut().zip(vector) {
            *sum += f64::from(value);
        }
    }
    let mut reference = Reference::new(&net);
    reference.parameters.load(&weights).unwrap();
    let losses: Vec<_> = volumes.iter().map(|volume| reference.loss(Loss::BceDice, volume)).collect();
    let mut expected = vec![0.0_f64; spec.values()];
    reference.parameters.gradients(&Tensor::stack(&losses, 0).sum(Kind::Double), &mut expected);
    let largest = expected.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (found, expected) in sum.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5 * largest, "{found} is not {expected}");
    }
}

#[test]
fn empty_slots_contribute_nothing() {
    let (net, spec) = unet(2, 1);
    let weights = initial_values(&spec, 1);
    let mut trainer = unet_model(&net, Loss::BceDice, vec![volume(1, [4, 14, 12])]);
    let vectors = contributions(&mut trainer, &weights, &batch([0, 7]));
    assert!(vectors[&PatientId(7)].iter().all(|value| value.abs() <= 0.0));
    let mut trainer = risk_model(rows());
    let vectors: BTreeMap<_, _> = contributions(&mut trainer, &[0.1; 6], &batch([299, 300, 309]));
    let nothing = |id: u32| vectors[&PatientId(id)].iter().all(|value| value.abs() <= 0.0);
    assert_eq!([299, 300, 309].map(nothing), [false, true, true]);
}
