//! Risk models in closed form: a linear one, and perceptrons with tanh after each hidden layer.
//!
//! A linear model is a perceptron without hidden layers. With `h` the inputs of a layer and `d` the
//! derivative of a row's loss by the layer's outputs, the gradient by its weight is the outer product `d h` and
//! by its bias `d` (Rumelhart et al. 1986); each row's are kept apart, where a sum over rows would be one
//! matrix product. A row never meets another.

use fedtwin_plan::{Architecture, Trained};
use fedtwin_trainer::model::{TrainError, check_weights};
use tch::{Device, Tensor};

use crate::open::dimension;

/// The sizes of a perceptron's layers and which of them are trained.
#[derive(Debug)]
pub struct Perceptron {
    layers: Vec<LayerShape>,
    values: usize,
    trained_values: usize,
    device: Device,
}

#[derive(Debug)]
struct LayerShape {
    inputs: usize,
    outputs: usize,
    weight_trained: bool,
    bias_trained: bool,
}

/// A perceptron with its weights, layer by layer.
#[derive(Debug)]
pub struct Weights<'a> {
    shape: &'a Perceptron,
    /// `[outputs, inputs]` and `[outputs]`.
    layers: Vec<(Tensor, Tensor)>,
}

impl Perceptron {
    /// Makes the perceptron of a risk model.
    ///
    /// # Panics
    /// If the architecture is of another family, or `trained` of another architecture.
    #[must_use]
    pub fn new(architecture: &Architecture, trained: &Trained, device: Device) -> Self {
        assert_eq!(
            architecture.values(),
            trained.all_values(),
            "a choice among the architecture's parameters"
        );
        let parameters = architecture.parameters();
        let is_trained = |name: &str| trained.parameters().iter().any(|parameter| parameter.name == name);
        let layers = parameters.chunks_exact(2).map(|pair| {
            let outputs = pair[1].values();
            LayerShape {
                inputs: pair[0].values() / outputs,
                outputs,
                weight_trained: is_trained(&pair[0].name),
                bias_trained: is_trained(&pair[1].name),
            }
        });
        let layers: Vec<_> = layers.collect();
        assert!(layers.last().is_some_and(|layer| layer.outputs == 1), "a risk model has one logit");
        Self { layers, values: architecture.values(), trained_values: trained.values(), device }
    }

    /// Returns the number of values that are trained.
    #[must_use]
    pub fn trained_values(&self) -> usize {
        self.trained_values
    }

    /// Splits `weights` into layers.
    ///
    /// # Shapes
    /// `weights`: all values.
    ///
    /// # Errors
    /// Refuses another length.
    pub fn with(&self, weights: &[f32]) -> Result<Weights<'_>, TrainError> {
        check_weights(weights.len(), self.values)?;
        let mut rest = weights;
        let layers = self.layers.iter().map(|layer| {
            let (weight, others) = rest.split_at(layer.inputs * layer.outputs);
            let (bias, others) = others.split_at(layer.outputs);
            rest = others;
            let shape = [dimension(layer.outputs), dimension(layer.inputs)];
            let weight = Tensor::from_slice(weight).view(shape).to(self.device);
            (weight, Tensor::from_slice(bias).to(self.device))
        });
        Ok(Weights { layers: layers.collect(), shape: self })
    }
}

impl Weights<'_> {
    /// Returns the logits `[rows]`.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`.
    pub fn logits(&self, x: &Tensor) -> Tensor {
        self.forward(x).1
    }

    /// Returns each row's gradient of its binary cross-entropy, by the trained values.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`; `y`: `[rows]`. Returns `[rows, trained values]`.
    pub fn gradients(&self, x: &Tensor, y: &Tensor) -> Tensor {
        let (inputs, logits) = self.forward(x);
        let mut derivative = (logits.sigmoid() - y).unsqueeze(1);
        let mut parts = Vec::new();
        for (index, (layer, input)) in self.shape.layers.iter().zip(&inputs).enumerate().rev() {
            if layer.bias_trained {
                parts.push(derivative.shallow_clone());
            }
            if layer.weight_trained {
                parts.push((derivative.unsqueeze(2) * input.unsqueeze(1)).flatten(1, 2));
            }
            let below = &self.shape.layers[..index];
            if !below.iter().any(|layer| layer.weight_trained || layer.bias_trained) {
                break;
            }
            // The derivative of tanh is 1 - tanh^2.
            derivative = derivative.matmul(&self.layers[index].0) * (1.0 - input * input);
        }
        parts.reverse();
        Tensor::cat(&parts, 1)
    }

    /// Returns the inputs of each layer, `[rows, inputs]`, and the logits, `[rows]`.
    fn forward(&self, x: &Tensor) -> (Vec<Tensor>, Tensor) {
        let mut inputs = vec![x.shallow_clone()];
        let mut outputs = Tensor::new();
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            outputs = inputs[index].matmul(&weight.tr()) + bias;
            if index + 1 < self.layers.len() {
                inputs.push(outputs.tanh());
            }
        }
        (inputs, outputs.squeeze_dim(1))
    }
}
