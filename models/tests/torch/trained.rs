//! What is trained, and on what: parts of a net, adapters, augmented copies.

use fedtwin_models::segmentation::Segmentation;
use fedtwin_plan::family::UnetSize;
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::plan::Loss;
use fedtwin_plan::record::VolumeRecord;
use fedtwin_plan::{Architecture, PatientId, Trained};

use crate::samples::{
    SLOTS, augmentation, batch, choice, contributions, cpu, study, unet, unet_model, unet_model_with, volume,
    volumes,
};

fn of(net: &UnetSize, architecture: &Architecture, trained: &Trained) -> Segmentation {
    let (architecture, trained) = (architecture.clone(), trained.clone());
    Segmentation { architecture, trained, ..study(net, Loss::BceDice) }
}

/// Checks that two vectors differ by at most `tolerance` of the first one's norm.
fn check_close(expected: &[f32], found: &[f32], tolerance: f64) {
    assert_eq!(expected.len(), found.len());
    let norm = expected.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let difference = expected.iter().zip(found).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    assert!(norm > 0.0 && difference <= tolerance * norm, "{difference} of {norm}");
}

#[test]
fn the_trained_part_of_a_gradient_is_that_of_the_whole() {
    let (net, base) = unet(4, 2);
    let weights = initial_values(&base, 5);
    let whole = contributions(&mut unet_model(&net, Loss::BceDice, volumes()), &weights, &batch([0, 1, 4]));
    for text in ["biases = true", r#"matching = ["head"]"#, r#"matching = ["up", "down1.conv0.weight"]"#] {
        let (spec, part) = choice(&net, text);
        for slots in SLOTS {
            let mut trainer = unet_model_with(slots, of(&net, &spec, &part), volumes(), cpu(1, 4096));
            let vectors = contributions(&mut trainer, &weights, &batch([0, 1, 4]));
            assert_eq!(vectors.len(), 3);
            for (id, vector) in vectors {
                let mut expected = Vec::new();
                part.gather(&whole[&id], &mut expected);
                check_close(&expected, &vector, 1e-5);
            }
        }
    }
}

/// With `W + B A` in a plain net, the gradients `G` by its weights give those by `A` and `B`: `B' G` and `G A'`.
#[test]
fn adapters_have_the_gradients_of_the_weights_that_they_change() {
    let (net, base) = unet(4, 1);
    let (spec, trained) = choice(&net, "low-rank = { rank = 2 }");
    let mut weights = initial_values(&spec, 5);
    // `B` is zero at first: a few steps later it is not.
    for (i, weight) in weights[base.values()..].iter_mut().enumerate() {
        *weight += 0.02 * (i % 7) as f32 - 0.06;
    }
    let shapes: Vec<_> = base.parameters().iter().filter(|p| p.shape.get(2) == Some(&3)).cloned().collect();
    let (mut plain, mut places) = (weights[..base.values()].to_vec(), Vec::new());
    let (mut rest, mut at) = (&weights[base.values()..], 0);
    for parameter in base.parameters() {
        let range = at..at + parameter.values();
        at = range.end;
        if !shapes.contains(parameter) {
            continue;
        }
        let (rows, columns) = (parameter.shape[0], parameter.values() / parameter.shape[0]);
        let (a, others) = rest.split_at(2 * columns);
        let (b, others) = others.split_at(rows * 2);
        rest = others;
        for (i, weight) in plain[range.clone()].iter_mut().enumerate() {
            *weight += (0..2).map(|k| b[i / columns * 2 + k] * a[k * columns + i % columns]).sum::<f32>();
        }
        places.push((range, rows, columns, a, b));
    }
    assert!(rest.is_empty());
    let whole = contributions(&mut unet_model(&net, Loss::BceDice, volumes()), &plain, &batch([1, 3]));
    for slots in SLOTS {
        let mut trainer = unet_model_with(slots, of(&net, &spec, &trained), volumes(), cpu(1, 4096));
        for (id, vector) in contributions(&mut trainer, &weights, &batch([1, 3])) {
            let mut expected = Vec::new();
            for (range, rows, columns, a, b) in &places {
                let g = &whole[&id][range.clone()];
                for (k, j) in (0..2).flat_map(|k| (0..*columns).map(move |j| (k, j))) {
                    expected.push((0..*rows).map(|i| b[i * 2 + k] * g[i * columns + j]).sum::<f32>());
                }
                for (i, k) in (0..*rows).flat_map(|i| (0..2).map(move |k| (i, k))) {
                    expected
                        .push((0..*columns).map(|j| g[i * columns + j] * a[k * columns + j]).sum::<f32>());
                }
            }
            check_close(&expected, &vector, 1e-4);
        }
    }
}

#[test]
fn a_patients_gradient_is_the_mean_over_its_copies() {
    let (net, spec) = unet(4, 2);
    let weights = initial_values(&spec, 5);
    let whole = vec![volume(1, [4, 16, 16]), volume(2, [4, 16, 16])];
    let augmented = Segmentation { augmentation: Some(augmentation(3, None)), ..study(&net, Loss::BceDice) };
    let mut means = Vec::new();
    for id in [PatientId(0), PatientId(1)] {
        let slot = augmented.slot(&whole, Some(id), batch([]).slice_seed());
        let copies = slot.images.chunks_exact(4 * 256).zip(slot.masks.chunks_exact(4 * 256));
        let copies = copies.map(|(image, mask)| VolumeRecord {
            shape: [4, 16, 16],
            spacing_mm: [1.0; 3],
            image: image.to_vec(),
            mask: mask.iter().map(|&mask| u8::from(mask > 0.5)).collect(),
        });
        let copies: Vec<_> = copies.collect();
        assert!(copies[0] != copies[1] && copies[1] != copies[2]);
        let mut trainer = unet_model(&net, Loss::BceDice, copies);
        let vectors = contributions(&mut trainer, &weights, &batch([0, 1, 2]));
        let mean = (0..spec.values()).map(|i| vectors.values().map(|vector| vector[i]).sum::<f32>() / 3.0);
        means.push(mean.collect::<Vec<_>>());
    }
    for slots in SLOTS {
        let mut trainer = unet_model_with(slots, augmented.clone(), whole.clone(), cpu(1, 4096));
        let vectors = contributions(&mut trainer, &weights, &batch([0, 1]));
        for (mean, vector) in means.iter().zip(vectors.values()) {
            check_close(mean, vector, 1e-5);
        }
    }
}
