//! Organ segmentation with a U-Net.

use serde::{Deserialize, Serialize};

use super::{FamilyTerms, Scores, SiteFit, images};
use crate::architecture::{Architecture, ParameterSpec};
use crate::cohort_need::DataNeed;
use crate::histogram::Histogram;
use crate::numbers::Count;
use crate::plan::Loss;
use crate::text_file::Problem;

/// A U-Net (Ronneberger et al. 2015) with padded convolutions and without normalisation layers.
///
/// Level `i` of `depth` has `base * 2^i` channels and the bottom `base * 2^depth`.
///
/// It may have adapters, one beside each 3x3 convolution: an adapter adds `B A` to the convolution's weight `W`, all as
/// matrices with a row per output channel (LoRA, Hu et al. 2022, arXiv 2106.09685, equation 3, without its constant
/// factor). `A` is [`ADAPTER_IN`], drawn like a convolution, and `B` is [`ADAPTER_OUT`], zero at first: an initial model
/// with adapters computes what it computes without them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetSize {
    /// Channels of the first level.
    pub base: Count<1, 1024>,
    /// Number of poolings.
    pub depth: Count<1, 6>,
}

/// The rank of an adapter; above it little would be left to save.
pub type AdapterRank = Count<1, 64>;

impl UnetSize {
    /// Returns the channels of level `level`; the bottom is level `depth`.
    #[must_use]
    pub fn channels_at(&self, level: usize) -> usize {
        self.base.size() << level
    }

    /// Returns the parameters over images of so many channels: the convolutions in the order of the net, the head, and
    /// then the adapters in the same order.
    #[must_use]
    pub fn architecture(&self, channels: usize, adapter_rank: Option<AdapterRank>) -> Architecture {
        let (mut parameters, mut adapters) = (Vec::new(), Vec::new());
        for Convolution { name, channels_in, channels } in self.convolutions(channels) {
            let fan_in = channels_in * 9;
            let weight = [channels, channels_in, 3, 3];
            parameters.push(ParameterSpec::new(format!("{name}.weight"), &weight, fan_in));
            parameters.push(ParameterSpec::new(format!("{name}.bias"), &[channels], fan_in));
            if let Some(rank) = adapter_rank {
                let (rank, input) = (rank.size(), format!("{name}.{ADAPTER_IN}"));
                adapters.push(ParameterSpec::new(input, &[rank, channels_in, 3, 3], fan_in));
                adapters.push(ParameterSpec::new(
                    format!("{name}.{ADAPTER_OUT}"),
                    &[channels, rank, 1, 1],
                    0,
                ));
            }
        }
        let base = self.channels_at(0);
        parameters.push(ParameterSpec::new("head.weight", &[1, base, 1, 1], base));
        parameters.push(ParameterSpec::new("head.bias", &[1], base));
        Architecture::new(self.name(), parameters).with_adapters(adapters)
    }

    /// All 3x3 convolutions.
    fn convolutions(&self, channels: usize) -> Vec<Convolution> {
        let mut convolutions = Vec::new();
        let mut block = |name: &str, channels_in: usize, channels: usize| {
            for (index, channels_in) in [channels_in, channels].into_iter().enumerate() {
                convolutions.push(Convolution { name: format!("{name}.conv{index}"), channels_in, channels });
            }
        };
        let depth = self.depth.size();
        for level in 0..depth {
            let channels_in = if level == 0 { channels } else { self.channels_at(level - 1) };
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

impl FamilyTerms for UnetSize {
    fn name(&self) -> &'static str {
        "unet"
    }

    fn resolve(&self, data: &DataNeed, adapter_rank: Option<AdapterRank>) -> Result<Architecture, Problem> {
        let need = images(data)?;
        let divisor = 1 << self.depth.get();
        for (key, length) in
            [("data.images.height", need.height.get()), ("data.images.width", need.width.get())]
        {
            if length % divisor != 0 {
                let message = format!("is {length}, expected a multiple of 2^depth ({divisor})");
                return Err(Problem::new(key, message));
            }
        }
        Ok(self.architecture(need.channels().size(), adapter_rank))
    }

    fn losses(&self) -> &'static [Loss] {
        &[Loss::Bce, Loss::Dice, Loss::BceDice]
    }

    fn scores(&self) -> Scores {
        Scores::Counted(Histogram::Segmentation)
    }

    fn stays_at_site(&self) -> SiteFit {
        SiteFit::Nothing
    }
}

/// `A` of an adapter `B A`: its name after that of the convolution.
pub const ADAPTER_IN: &str = "adapter_in.weight";
/// `B` of an adapter `B A`.
pub const ADAPTER_OUT: &str = "adapter_out.weight";

#[cfg(test)]
mod tests {
    use super::*;

    fn unet(base: i64, depth: i64) -> UnetSize {
        UnetSize { base: base.try_into().unwrap(), depth: depth.try_into().unwrap() }
    }

    #[test]
    fn the_unet_has_the_owners_number_of_parameters() {
        assert_eq!(unet(64, 2).architecture(1, None).values(), 1_881_985);
        assert_eq!(unet(16, 2).architecture(1, None).values(), 117_985);
    }

    #[test]
    fn names_are_distinct_at_every_depth() {
        for depth in 1..=6 {
            let architecture = unet(4, depth).architecture(3, None);
            let mut names: Vec<_> = architecture.parameters().iter().map(|p| &p.name).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn adapters_come_after_all_other_parameters() {
        let base = unet(16, 2).architecture(1, None);
        let adapted = unet(16, 2).architecture(1, Some(4.try_into().unwrap()));
        assert_eq!(adapted.parameters()[..base.parameters().len()], *base.parameters());
        assert_eq!(adapted.base(), base);
        let adapters = adapted.adapters();
        assert_eq!(adapters.len(), 2 * 10, "two for each of ten convolutions");
        assert_eq!(adapters[2], ParameterSpec::new("down0.conv1.adapter_in.weight", &[4, 16, 3, 3], 144));
        let output = ParameterSpec::new("down0.conv1.adapter_out.weight", &[16, 4, 1, 1], 0);
        assert_eq!(adapters[3], output, "B A is zero at first");
        let values: usize = adapters.iter().map(ParameterSpec::values).sum();
        assert_eq!(values, 4 * (9 * 353 + 320), "rank times 9 in + out of each convolution");
    }
}
