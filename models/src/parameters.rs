//! A net's parameters: one vector, in the order that plans, updates and model files share.

use std::ops::Range;

use fedtwin_plan::ModelSpec;
use tch::kind::Element;
use tch::{Device, Kind, Tensor, no_grad};

use crate::open::dimension;
use crate::trainer::{TrainError, check_weights};
use crate::unet::Layer;

/// The parameters of one net, or of several side by side that share their values and have a gradient
/// each.
#[derive(Debug)]
pub struct Parameters {
    nets: i64,
    parameters: Vec<Parameter>,
    values: usize,
}

/// One parameter of all nets.
#[derive(Debug)]
struct Parameter {
    /// `[nets, ...]`, then the specification's shape.
    tensor: Tensor,
    /// Its place among all values.
    range: Range<usize>,
}

impl Parameters {
    /// Makes the parameters of `nets` nets, all zeros.
    ///
    /// A single net's convolutions lie in memory as `[out, height, width, in]`. Activations then follow the
    /// same layout, which oneDNN's kernels prefer: at base 16 on one AVX-512 core a gradient takes 0.9 and
    /// a prediction 0.6 of the time. Grouped convolutions are faster as their shape says.
    #[must_use]
    pub fn new(spec: &ModelSpec, nets: i64, (kind, device): (Kind, Device)) -> Self {
        let mut values = 0;
        let parameters = spec.parameters().into_iter().map(|parameter| {
            let range = values..values + parameter.values();
            values = range.end;
            let shape: Vec<i64> = parameter.shape.iter().copied().map(dimension).collect();
            let tensor = match (nets, shape.as_slice()) {
                (1, &[channels_out, channels_in, height, width]) => {
                    let laid_out =
                        Tensor::zeros([1, channels_out, height, width, channels_in], (kind, device));
                    laid_out.permute([0, 1, 4, 2, 3])
                }
                (_, shape) => Tensor::zeros([&[nets], shape].concat(), (kind, device)),
            };
            Parameter { tensor: tensor.set_requires_grad(true), range }
        });
        Self { nets, parameters: parameters.collect(), values }
    }

    /// Returns the number of values of one net.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values
    }

    /// Sets the parameters of all nets to the same values.
    ///
    /// # Shapes
    /// `weights`: `[values]`.
    ///
    /// # Errors
    /// Refuses another length.
    pub fn load<T: Element>(&mut self, weights: &[T]) -> Result<(), TrainError> {
        check_weights(weights.len(), self.values)?;
        no_grad(|| {
            for Parameter { tensor, range } in &mut self.parameters {
                let shape = tensor.size();
                let values = Tensor::from_slice(&weights[range.clone()]).view(&shape[1..]);
                tensor.copy_(&values.expand(&shape, false));
            }
        });
        Ok(())
    }

    /// Returns the convolutions of all nets, to compute with.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let layer = |pair: &[Parameter]| Layer {
            weight: pair[0].tensor.flatten(0, 1),
            bias: pair[1].tensor.flatten(0, 1),
        };
        self.parameters.chunks_exact(2).map(layer).collect()
    }

    /// Writes each net's gradient of the scalar `loss`.
    ///
    /// # Shapes
    /// `gradients`: `[nets, values]`, row-major.
    ///
    /// # Panics
    /// If `gradients` has another length.
    pub fn gradients<T: Element>(&self, loss: &Tensor, gradients: &mut [T]) {
        let rows = gradients.chunks_exact_mut(self.values);
        assert_eq!(dimension(rows.len()), self.nets, "a row for each net");
        let tensors: Vec<_> = self.parameters.iter().map(|parameter| &parameter.tensor).collect();
        let found = Tensor::run_backward(&[loss], &tensors, false, false);
        for (net, row) in (0..).zip(rows) {
            for (parameter, gradient) in self.parameters.iter().zip(&found) {
                let own = &mut row[parameter.range.clone()];
                gradient.get(net).contiguous().copy_data(own, own.len());
            }
        }
    }
}
