//! A model's parameters: their names, shapes and order, which follow from its family, its size and its inputs.

/// The parameters of a model, in the order in which weights, updates and files hold them.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    family: &'static str,
    parameters: Vec<ParameterSpec>,
    /// Parameters that are not of adapters: the first ones.
    base: usize,
}

/// One named parameter tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// The name, as in the safetensors header.
    pub name: String,
    /// The shape, e.g. `[channels_out, channels_in, 3, 3]`.
    pub shape: Vec<usize>,
    /// Where its values begin.
    pub initial: Initial,
}

/// Where a parameter's values begin, as public values alone say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initial {
    /// Drawn uniformly within 1 / sqrt(fan-in) of zero; the fan-in is at least 1.
    FanIn(usize),
    /// All are this number.
    All(f32),
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
    /// Names a parameter; `fan_in` is the inputs of one output unit, and 0 makes it begin with zeros.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: &[usize], fan_in: usize) -> Self {
        let initial = if fan_in == 0 { Initial::All(0.0) } else { Initial::FanIn(fan_in) };
        Self { name: name.into(), shape: shape.to_vec(), initial }
    }

    /// Lets all values begin as one number.
    #[must_use]
    pub fn beginning_at(self, value: f32) -> Self {
        Self { initial: Initial::All(value), ..self }
    }

    /// Returns the number of values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }
}
