//! A model's parameters: their names, shapes and order, which follow from its family, its size and its inputs.

/// The parameters of a model, in the order in which weights, updates and files hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    family: &'static str,
    parameters: Vec<ParameterSpec>,
    /// Parameters that are not of adapters: the first ones.
    base: usize,
}

/// One named parameter tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// The name, as in the safetensors header.
    pub name: String,
    /// The shape, e.g. `[channels_out, channels_in, 3, 3]`.
    pub shape: Vec<usize>,
    /// Inputs of one output unit, which bound the initial weights; 0 initialises with zeros.
    pub fan_in: usize,
}

impl Architecture {
    /// Makes the architecture of a family without adapters.
    #[must_use]
    pub fn new(family: &'static str, parameters: Vec<ParameterSpec>) -> Self {
        let base = parameters.len();
        Self { family, parameters, base }
    }

    /// Adds adapters after all other parameters.
    #[must_use]
    pub fn with_adapters(mut self, adapters: Vec<ParameterSpec>) -> Self {
        self.parameters.extend(adapters);
        self
    }

    /// Returns the family's name, as plans and site policies write it.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// Returns all parameters in the order in which weights, updates and files hold them.
    #[must_use]
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// Returns the parameters of the adapters, which come last.
    #[must_use]
    pub fn adapters(&self) -> &[ParameterSpec] {
        &self.parameters[self.base..]
    }

    /// Returns the number of values of all parameters, trained or not.
    #[must_use]
    pub fn values(&self) -> usize {
        self.parameters.iter().map(ParameterSpec::values).sum()
    }

    /// Returns the model without adapters: what an initial model's file holds, and what comes first in one
    /// with adapters.
    #[must_use]
    pub fn base(&self) -> Self {
        Self::new(self.family, self.parameters[..self.base].to_vec())
    }
}

impl ParameterSpec {
    /// Names a parameter.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: &[usize], fan_in: usize) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), fan_in }
    }

    /// Returns the number of values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }
}
