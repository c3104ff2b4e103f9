//! Model specifications: the families, and the name, shape and fan-in of every parameter.

use serde::{Deserialize, Serialize};

use crate::numbers::Count;

/// A model family with its size; fixes the names, shapes and order of all parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelSpec {
    /// Organ segmentation with a U-Net.
    Unet(UnetSpec),
    /// Logistic regression over the encoded features of a table.
    LinearRisk(LinearRiskSpec),
    /// A bare vector of weights that only scripted sites train: for tests and benchmarks of the wire.
    Vector(VectorSpec),
}

/// A U-Net (Ronneberger et al. 2015) with padded convolutions and without normalisation layers.
///
/// Level `i` of `depth` has `base * 2^i` channels and the bottom `base * 2^depth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetSpec {
    /// Channels of the input image.
    pub channels: Count<1, 64>,
    /// Channels of the first level.
    pub base: Count<1, 1024>,
    /// Number of poolings.
    pub depth: Count<1, 6>,
}

/// A linear risk model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearRiskSpec {
    /// Number of encoded inputs, missing-value indicators included.
    pub inputs: Count<1, 1_000_000>,
}

/// A vector of weights without a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorSpec {
    /// Number of weights.
    pub parameters: Count<1, 1_000_000_000>,
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

impl ParameterSpec {
    /// Returns the number of values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }
}

impl ModelSpec {
    /// Returns the family's name, as plans and site policies write it.
    #[must_use]
    pub fn family(&self) -> &'static str {
        match self {
            Self::Unet(_) => "unet",
            Self::LinearRisk(_) => "linear-risk",
            Self::Vector(_) => "vector",
        }
    }

    /// Returns all parameters in the order in which weights, updates and files hold them.
    #[must_use]
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        match self {
            Self::Unet(spec) => spec.parameters(),
            Self::LinearRisk(spec) => {
                vec![parameter("weight", &[spec.inputs.size()], 0), parameter("bias", &[1], 0)]
            }
            Self::Vector(spec) => vec![parameter("values", &[spec.parameters.size()], 0)],
        }
    }

    /// Returns the number of trainable values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.parameters().iter().map(ParameterSpec::values).sum()
    }
}

impl UnetSpec {
    /// Returns the channels of level `level`; the bottom is level `depth`.
    #[must_use]
    pub fn channels_at(&self, level: usize) -> usize {
        self.base.size() << level
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        let mut parameters = Vec::new();
        let mut block = |name: &str, channels_in: usize, channels: usize| {
            for (conv, channels_in) in [channels_in, channels].into_iter().enumerate() {
                let fan_in = channels_in * 9;
                let name = format!("{name}.conv{conv}");
                parameters.push(parameter(format!("{name}.weight"), &[channels, channels_in, 3, 3], fan_in));
                parameters.push(parameter(format!("{name}.bias"), &[channels], fan_in));
            }
        };
        let depth = self.depth.size();
        for level in 0..depth {
            let channels_in = if level == 0 { self.channels.size() } else { self.channels_at(level - 1) };
            block(&format!("down{level}"), channels_in, self.channels_at(level));
        }
        block("bottom", self.channels_at(depth - 1), self.channels_at(depth));
        for level in (0..depth).rev() {
            let channels_in = self.channels_at(level + 1) + self.channels_at(level);
            block(&format!("up{level}"), channels_in, self.channels_at(level));
        }
        let base = self.channels_at(0);
        parameters.push(parameter("head.weight", &[1, base, 1, 1], base));
        parameters.push(parameter("head.bias", &[1], base));
        parameters
    }
}

fn parameter(name: impl Into<String>, shape: &[usize], fan_in: usize) -> ParameterSpec {
    ParameterSpec { name: name.into(), shape: shape.to_vec(), fan_in }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unet(channels: i64, base: i64, depth: i64) -> ModelSpec {
        ModelSpec::Unet(UnetSpec {
            channels: channels.try_into().unwrap(),
            base: base.try_into().unwrap(),
            depth: depth.try_into().unwrap(),
        })
    }

    #[test]
    fn the_unet_has_the_owners_number_of_parameters() {
        assert_eq!(unet(1, 64, 2).values(), 1_881_985);
        assert_eq!(unet(1, 16, 2).values(), 117_985);
    }

    #[test]
    fn names_are_distinct_at_every_depth() {
        for depth in 1..=6 {
            let mut names: Vec<_> = unet(3, 4, depth).parameters().into_iter().map(|p| p.name).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
