//! A net's parameters as one vector, in the order that plans, updates and model files share.

use fedtwin_plan::ModelSpec;
use tch::nn::VarStore;
use tch::{Tensor, no_grad};

use crate::engine::dimension;
use crate::trainer::{TrainError, check_weights};

/// The parameter tensors of a net, in the order of [`ModelSpec::parameters`].
#[derive(Debug)]
pub struct Parameters {
    tensors: Vec<Tensor>,
    values: usize,
}

impl Parameters {
    /// Collects the variables of `store`, which must be those of `spec` by name and shape.
    ///
    /// # Panics
    /// If a variable is missing, has another shape, or is left over.
    #[must_use]
    pub fn of(store: &VarStore, spec: &ModelSpec) -> Self {
        let mut variables = store.variables();
        let tensors = spec.parameters().into_iter().map(|parameter| {
            let tensor =
                variables.remove(&parameter.name).expect("the net has the specification's parameters");
            let shape: Vec<i64> = parameter.shape.iter().copied().map(dimension).collect();
            assert_eq!(tensor.size(), shape, "{} has the specification's shape", parameter.name);
            tensor
        });
        let tensors = tensors.collect();
        assert!(variables.is_empty(), "the specification has the net's parameters");
        Self { tensors, values: spec.values() }
    }

    /// Returns the number of values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values
    }

    /// Sets all parameters.
    ///
    /// # Shapes
    /// `weights`: `[values]`.
    ///
    /// # Errors
    /// Refuses another length.
    pub fn load(&mut self, weights: &[f32]) -> Result<(), TrainError> {
        check_weights(weights, self.values)?;
        let mut rest = weights;
        no_grad(|| {
            for tensor in &mut self.tensors {
                let (own, others) = rest.split_at(tensor.numel());
                tensor.copy_(&Tensor::from_slice(own).view(tensor.size().as_slice()));
                rest = others;
            }
        });
        Ok(())
    }

    /// Writes the gradient of the scalar `loss` to `gradient`.
    ///
    /// # Shapes
    /// `gradient`: `[values]`.
    ///
    /// # Panics
    /// If `gradient` has another length.
    pub fn gradient(&self, loss: &Tensor, gradient: &mut [f32]) {
        assert_eq!(gradient.len(), self.values, "one value per parameter");
        let gradients = Tensor::run_backward(&[loss], &self.tensors, false, false);
        let mut rest = gradient;
        for tensor in gradients {
            let (own, others) = rest.split_at_mut(tensor.numel());
            tensor.contiguous().copy_data(own, own.len());
            rest = others;
        }
    }
}
