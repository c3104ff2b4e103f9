//! Risk models in closed form: a linear one, and perceptrons with tanh after each hidden layer.
//!
//! A linear model is a perceptron without hidden layers. With `h` the inputs of a layer and `d` the
//! derivative of a row's loss by the layer's outputs, the gradient by its weight is the outer product `d h` and
//! by its bias `d` (Rumelhart et al. 1986); each row's are kept apart, where a sum over rows would be one
//! matrix product. A row never meets another.

use fedtwin_plan::{Architecture, Trained};
use fedtwin_trainer::model::{TrainError, check_weights};
use tch::{Device, Kind, Tensor};

use crate::open::dimension;

/// A perceptron with its weights, zeros at first: one sum of the last hidden layer, and a bias for each output.
#[derive(Debug)]
pub struct Perceptron {
    layers: Vec<Layer>,
    values: usize,
    trained_values: usize,
    device: Device,
}

#[derive(Debug)]
struct Layer {
    /// `[sums, inputs]`.
    weight: Tensor,
    /// `[sums]`, or of the last layer `[outputs]`: its one sum is part of each output.
    bias: Tensor,
    weight_trained: bool,
    bias_trained: bool,
}

impl Perceptron {
    /// Makes the perceptron of a risk model.
    ///
    /// # Panics
    /// If the architecture is of another family, or `trained` of another architecture.
    #[must_use]
    pub fn new(architecture: &Architecture, trained: &Trained, device: Device) -> Self {
        let (values, trained_values) = (architecture.values(), trained.values());
        assert_eq!(values, trained.all_values(), "a choice among the architecture's parameters");
        let is_trained = |name: &str| trained.parameters().iter().any(|parameter| parameter.name == name);
        let layers = architecture.parameters().chunks_exact(2).map(|pair| {
            // A linear model's weight has no axis of outputs: there is one.
            let sums = if pair[0].shape.len() > 1 { pair[0].shape[0] } else { 1 };
            let zeros = |shape: &[usize]| {
                let shape: Vec<i64> = shape.iter().copied().map(dimension).collect();
                Tensor::zeros(shape, (Kind::Float, device))
            };
            Layer {
                weight: zeros(&[sums, pair[0].values() / sums]),
                bias: zeros(&[pair[1].values()]),
                weight_trained: is_trained(&pair[0].name),
                bias_trained: is_trained(&pair[1].name),
            }
        });
        let layers: Vec<_> = layers.collect();
        assert!(layers.last().is_some_and(|layer| layer.weight.size()[0] == 1), "a risk model has one sum");
        Self { layers, values, trained_values, device }
    }

    /// Returns the number of values that are trained.
    #[must_use]
    pub fn trained_values(&self) -> usize {
        self.trained_values
    }

    /// Returns how many outputs a row has.
    ///
    /// # Panics
    /// Never: there is a last layer.
    #[must_use]
    pub fn outputs_of_a_row(&self) -> usize {
        self.layers.last().expect("an architecture has a layer").bias.numel()
    }

    /// Sets the weights.
    ///
    /// # Shapes
    /// `weights`: all values.
    ///
    /// # Errors
    /// Refuses another length.
    pub fn load(&mut self, weights: &[f32]) -> Result<(), TrainError> {
        check_weights(weights.len(), self.values)?;
        let mut rest = weights;
        let mut next = |tensor: &Tensor| {
            let (own, others) = rest.split_at(tensor.numel());
            rest = others;
            Tensor::from_slice(own).view(tensor.size().as_slice()).to(self.device)
        };
        for layer in &mut self.layers {
            (layer.weight, layer.bias) = (next(&layer.weight), next(&layer.bias));
        }
        Ok(())
    }

    /// Returns the outputs `[rows, outputs]`.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`.
    pub fn outputs(&self, x: &Tensor) -> Tensor {
        self.forward(x).1
    }

    /// Returns each row's gradient by the trained values of a loss whose derivative by the outputs is given.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`; `derivative`: from `[rows, outputs]` to the same. Returns `[rows, trained values]`.
    pub fn gradients(&self, x: &Tensor, derivative: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let (inputs, outputs) = self.forward(x);
        let mut derivative = derivative(&outputs);
        let mut parts = Vec::new();
        for (index, (layer, input)) in self.layers.iter().zip(&inputs).enumerate().rev() {
            if layer.bias_trained {
                parts.push(derivative.shallow_clone());
            }
            if derivative.size()[1] != layer.weight.size()[0] {
                derivative = derivative.sum_dim_intlist(1, true, None);
            }
            if layer.weight_trained {
                parts.push((derivative.unsqueeze(2) * input.unsqueeze(1)).flatten(1, 2));
            }
            let below = &self.layers[..index];
            if !below.iter().any(|layer| layer.weight_trained || layer.bias_trained) {
                break;
            }
            // The derivative of tanh is 1 - tanh^2.
            derivative = derivative.matmul(&layer.weight) * (1.0 - input * input);
        }
        parts.reverse();
        Tensor::cat(&parts, 1)
    }

    /// Returns the inputs of each layer, `[rows, inputs]`, and the outputs, `[rows, outputs]`.
    fn forward(&self, x: &Tensor) -> (Vec<Tensor>, Tensor) {
        let mut inputs = vec![x.shallow_clone()];
        let mut outputs = Tensor::new();
        for (index, Layer { weight, bias, .. }) in self.layers.iter().enumerate() {
            outputs = inputs[index].matmul(&weight.tr()) + bias;
            if index + 1 < self.layers.len() {
                inputs.push(outputs.tanh());
            }
        }
        (inputs, outputs)
    }
}
