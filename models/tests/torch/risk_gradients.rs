//! Gradients of risk models against finite differences of a perceptron written anew, in double precision.

use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::record::TableRecord;

use crate::gradients::check_directions;
use crate::samples::{
    batch, contributions, everything, part, perceptron, risk, risk_model_of, rows, table_need,
};

/// Returns what the last hidden layer makes of a row, and the weights behind the hidden layers.
///
/// `units`: the inputs, and the units of each hidden layer.
pub(crate) fn hidden<'w>(units: &[usize], weights: &'w [f64], row: &TableRecord) -> (Vec<f64>, &'w [f64]) {
    let mut encoded = Vec::new();
    for (feature, &value) in table_need().features.values().zip(&row.values) {
        feature.encode(value, &mut encoded);
    }
    let (mut x, mut rest): (Vec<f64>, _) = (encoded.into_iter().map(f64::from).collect(), weights);
    for layer in 1..units.len() {
        let (matrix, others) = rest.split_at(units[layer] * units[layer - 1]);
        let (bias, others) = others.split_at(units[layer]);
        rest = others;
        let sums = matrix.chunks_exact(units[layer - 1]).zip(bias);
        let z = sums.map(|(row, bias)| row.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() + bias);
        x = z.map(f64::tanh).collect();
    }
    (x, rest)
}

/// `units`: of each layer, from the inputs to the last hidden one.
fn loss(units: &[usize], weights: &[f64], row: &TableRecord) -> f64 {
    let (x, rest) = hidden(units, weights, row);
    let (head, bias) = rest.split_at(x.len());
    assert_eq!(bias.len(), 1);
    let logit = head.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() + bias[0];
    if row.outcome.happened() { (-logit).exp().ln_1p() } else { logit.exp().ln_1p() }
}

#[test]
fn risk_gradients_are_those_of_each_patients_own_loss() {
    let rows = rows();
    let linear = vec![0.3, -0.7, 0.2, 0.5, -0.1, 0.4];
    let deep: Vec<f32> = initial_values(&perceptron(), 3).iter().map(|value| value * 1.5 + 0.05).collect();
    for (spec, units, weights) in [(risk(), vec![5], linear), (perceptron(), vec![5, 4, 3], deep)] {
        let mut trainer = risk_model_of(&spec, &everything(&spec), rows.clone());
        let vectors = contributions(&mut trainer, &weights, &batch([0, 3, 255, 256, 299]));
        assert_eq!(vectors.len(), 5);
        for (id, vector) in vectors {
            let row = &rows[id.0 as usize];
            check_directions(&spec, &weights, &vector, &mut |w| loss(&units, w, row));
        }
    }
}

#[test]
fn the_trained_part_of_a_risk_models_gradient_is_that_of_the_whole() {
    for (spec, text) in [
        (risk(), "biases = true"),
        (perceptron(), "biases = true"),
        (perceptron(), r#"matching = ["head"]"#),
        (perceptron(), r#"matching = ["layer1.weight", "layer0.bias"]"#),
    ] {
        let weights: Vec<f32> = initial_values(&spec, 3).iter().map(|value| value + 0.1).collect();
        let part = part(&spec, text);
        let whole = contributions(
            &mut risk_model_of(&spec, &everything(&spec), rows()),
            &weights,
            &batch([1, 2, 280]),
        );
        let parts = contributions(&mut risk_model_of(&spec, &part, rows()), &weights, &batch([1, 2, 280]));
        assert_eq!(parts.len(), 3);
        for (id, vector) in parts {
            let mut expected = Vec::new();
            part.gather(&whole[&id], &mut expected);
            assert_eq!(vector, expected, "{text}");
        }
    }
}
