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
    /// A multi-layer perceptron over the same features.
    MlpRisk(MlpRiskSpec),
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
    /// The rank of the adapter beside each 3x3 convolution; absent without adapters.
    ///
    /// An adapter adds `B A` to the convolution's weight `W`, all as matrices with a row per output channel
    /// (LoRA, Hu et al. 2022, arXiv 2106.09685, equation 3, without its constant factor). `A` is
    /// `adapter_in`, drawn like a convolution, and `B` is `adapter_out`, zero at first: an initial model with
    /// adapters computes what it computes without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter_rank: Option<AdapterRank>,
}

/// The rank of an adapter; above it little would be left to save.
pub type AdapterRank = Count<1, 64>;

/// A linear risk model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearRiskSpec {
    /// Number of encoded inputs, missing-value indicators included.
    pub inputs: Count<1, 1_000_000>,
}

/// A multi-layer perceptron with tanh after each hidden layer and one logit.
///
/// tanh and not ReLU: activations that stay bounded keep gradients short, so that clipping takes less off
/// (Papernot et al. 2021, arXiv 2007.14191).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpRiskSpec {
    /// Number of encoded inputs, missing-value indicators included.
    pub inputs: Count<1, 1_000_000>,
    /// Units of the hidden layers, from the inputs to the outcome.
    pub hidden: Vec<Count<1, 4096>>,
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
            Self::MlpRisk(_) => "mlp-risk",
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
            Self::MlpRisk(spec) => spec.parameters(),
            Self::Vector(spec) => vec![parameter("values", &[spec.parameters.size()], 0)],
        }
    }

    /// Returns the number of values of all parameters, trained or not.
    #[must_use]
    pub fn values(&self) -> usize {
        self.parameters().iter().map(ParameterSpec::values).sum()
    }

    /// Returns the model without adapters: what an initial model's file holds, and what comes first in one
    /// with adapters.
    #[must_use]
    pub fn base(&self) -> Self {
        match self {
            Self::Unet(spec) => Self::Unet(UnetSpec { adapter_rank: None, ..spec.clone() }),
            Self::LinearRisk(_) | Self::MlpRisk(_) | Self::Vector(_) => self.clone(),
        }
    }
}

impl UnetSpec {
    /// Returns the channels of level `level`; the bottom is level `depth`.
    #[must_use]
    pub fn channels_at(&self, level: usize) -> usize {
        self.base.size() << level
    }

    /// The convolutions in the order of the net, then the adapters in the same order.
    fn parameters(&self) -> Vec<ParameterSpec> {
        let (mut parameters, mut adapters) = (Vec::new(), Vec::new());
        for Convolution { name, channels_in, channels } in self.convolutions() {
            let fan_in = channels_in * 9;
            parameters.push(parameter(format!("{name}.weight"), &[channels, channels_in, 3, 3], fan_in));
            parameters.push(parameter(format!("{name}.bias"), &[channels], fan_in));
            if let Some(rank) = self.adapter_rank {
                let (rank, input) = (rank.size(), format!("{name}.{ADAPTER_IN}"));
                adapters.push(parameter(input, &[rank, channels_in, 3, 3], fan_in));
                adapters.push(parameter(format!("{name}.{ADAPTER_OUT}"), &[channels, rank, 1, 1], 0));
            }
        }
        let base = self.channels_at(0);
        parameters.push(parameter("head.weight", &[1, base, 1, 1], base));
        parameters.push(parameter("head.bias", &[1], base));
        parameters.append(&mut adapters);
        parameters
    }

    /// All 3x3 convolutions.
    fn convolutions(&self) -> Vec<Convolution> {
        let mut convolutions = Vec::new();
        let mut block = |name: &str, channels_in: usize, channels: usize| {
            for (index, channels_in) in [channels_in, channels].into_iter().enumerate() {
                convolutions.push(Convolution { name: format!("{name}.conv{index}"), channels_in, channels });
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
        convolutions
    }
}

/// A 3x3 convolution of the U-Net.
struct Convolution {
    name: String,
    channels_in: usize,
    channels: usize,
}

impl MlpRiskSpec {
    fn parameters(&self) -> Vec<ParameterSpec> {
        let mut parameters = Vec::new();
        let mut inputs = self.inputs.size();
        for (layer, units) in self.hidden.iter().map(|units| units.size()).enumerate() {
            parameters.push(parameter(format!("layer{layer}.weight"), &[units, inputs], inputs));
            parameters.push(parameter(format!("layer{layer}.bias"), &[units], inputs));
            inputs = units;
        }
        parameters.push(parameter("head.weight", &[1, inputs], inputs));
        parameters.push(parameter("head.bias", &[1], inputs));
        parameters
    }
}

fn parameter(name: impl Into<String>, shape: &[usize], fan_in: usize) -> ParameterSpec {
    ParameterSpec { name: name.into(), shape: shape.to_vec(), fan_in }
}

/// `A` of an adapter `B A`: its name after that of the convolution.
pub const ADAPTER_IN: &str = "adapter_in.weight";
/// `B` of an adapter `B A`.
pub const ADAPTER_OUT: &str = "adapter_out.weight";

#[cfg(test)]
mod tests {
    use super::*;

    fn unet(channels: i64, base: i64, depth: i64) -> ModelSpec {
        ModelSpec::Unet(UnetSpec {
            channels: channels.try_into().unwrap(),
            base: base.try_into().unwrap(),
            depth: depth.try_into().unwrap(),
            adapter_rank: None,
        })
    }

    fn with_adapters(spec: &ModelSpec, rank: i64) -> ModelSpec {
        let ModelSpec::Unet(unet) = spec else { panic!("only a U-Net has adapters") };
        ModelSpec::Unet(UnetSpec { adapter_rank: Some(rank.try_into().unwrap()), ..unet.clone() })
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
    #[test]
    fn adapters_come_after_all_other_parameters() {
        let base = unet(1, 16, 2);
        let adapted = with_adapters(&base, 4);
        let (base_parameters, parameters) = (base.parameters(), adapted.parameters());
        assert_eq!(parameters[..base_parameters.len()], base_parameters);
        assert_eq!(adapted.base(), base);
        let adapters = &parameters[base_parameters.len()..];
        assert_eq!(adapters.len(), 2 * 10, "two for each of ten convolutions");
        assert_eq!(
            (adapters[2].name.as_str(), &adapters[2].shape[..]),
            ("down0.conv1.adapter_in.weight", &[4, 16, 3, 3][..])
        );
        assert_eq!(
            (adapters[3].name.as_str(), &adapters[3].shape[..]),
            ("down0.conv1.adapter_out.weight", &[16, 4, 1, 1][..])
        );
        assert_eq!((adapters[2].fan_in, adapters[3].fan_in), (144, 0), "B A is zero at first");
        let values: usize = adapters.iter().map(ParameterSpec::values).sum();
        assert_eq!(values, 4 * (9 * 353 + 320), "rank times 9 in + out of each convolution");
    }

    #[test]
    fn the_perceptron_has_a_weight_and_a_bias_for_each_layer() {
        let spec = ModelSpec::MlpRisk(MlpRiskSpec {
            inputs: 5.try_into().unwrap(),
            hidden: vec![8.try_into().unwrap(), 3.try_into().unwrap()],
        });
        let shapes: Vec<_> = spec.parameters().into_iter().map(|p| (p.name, p.shape, p.fan_in)).collect();
        let expected = [
            ("layer0.weight", vec![8, 5], 5),
            ("layer0.bias", vec![8], 5),
            ("layer1.weight", vec![3, 8], 8),
            ("layer1.bias", vec![3], 8),
            ("head.weight", vec![1, 3], 3),
            ("head.bias", vec![1], 3),
        ];
        assert_eq!(shapes, expected.map(|(name, shape, fan_in)| (name.to_owned(), shape, fan_in)));
        assert_eq!((spec.values(), spec.family()), (48 + 27 + 4, "mlp-risk"));
    }
}
