//! Which of a model's parameters a study trains.
//!
//! The noise on an update grows with the number of its values, so that a study with few of them learns more
//! for the same epsilon. Updates, noise and optimisers' states hold the trained values alone, in parameter
//! order; model files and the weights that a trainer is given hold all, and the others never change.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::family::{ADAPTER_IN, ADAPTER_OUT, AdapterRank};
use crate::text_file::Problem;

/// A plan's choice of parameters: all that any of its lines selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Trainable {
    /// All biases.
    #[serde(default)]
    pub biases: bool,
    /// The parameters whose names begin with one of these, such as `head` or `up0.conv1.weight`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matching: Vec<String>,
    /// Adapters beside all 3x3 convolutions of a U-Net; the model has them only where a plan asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_rank: Option<LowRank>,
}

/// Low-rank adapters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowRank {
    /// The rank of each adapter.
    pub rank: AdapterRank,
}

impl Trainable {
    /// Returns the adapters' rank, if adapters are trained.
    #[must_use]
    pub fn adapter_rank(&self) -> Option<AdapterRank> {
        self.low_rank.as_ref().map(|low_rank| low_rank.rank)
    }

    fn selects(&self, name: &str) -> bool {
        let bias = name.ends_with(".bias") || name == "bias";
        let adapter = name.ends_with(ADAPTER_IN) || name.ends_with(ADAPTER_OUT);
        adapter || (self.biases && bias) || self.matching.iter().any(|prefix| name.starts_with(prefix))
    }
}

/// The trained part of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trained {
    parameters: Vec<TrainedParameter>,
    ranges: Vec<Range<usize>>,
    values: usize,
    all_values: usize,
}

/// One trained parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedParameter {
    /// The name, as in the model's specification.
    pub name: String,
    /// The shape, as in the model's specification.
    pub shape: Vec<usize>,
    /// Its place among all the model's values.
    pub range: Range<usize>,
}

impl Trained {
    /// Applies a choice to a model; without one, everything is trained.
    ///
    /// # Errors
    /// Refuses a choice that selects nothing, and a prefix that no parameter begins with.
    pub fn new(architecture: &Architecture, choice: Option<&Trainable>) -> Result<Self, Problem> {
        let (mut parameters, mut all_values) = (Vec::new(), 0);
        for parameter in architecture.parameters() {
            let range = all_values..all_values + parameter.values();
            all_values = range.end;
            if choice.is_none_or(|choice| choice.selects(&parameter.name)) {
                let (name, shape) = (parameter.name.clone(), parameter.shape.clone());
                parameters.push(TrainedParameter { name, shape, range });
            }
        }
        let unused = choice.and_then(|choice| {
            let used = |prefix: &&String| parameters.iter().any(|p| p.name.starts_with(prefix.as_str()));
            choice.matching.iter().find(|prefix| !used(prefix))
        });
        if let Some(prefix) = unused {
            let message = format!("has {prefix:?}, with which no parameter's name begins");
            return Err(Problem::new("training.trainable.matching", message));
        }
        if parameters.is_empty() {
            let message = format!("selects no parameter of the model {}", architecture.family());
            return Err(Problem::new("training.trainable", message));
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for TrainedParameter { range, .. } in &parameters {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                Some(_) | None => ranges.push(range.clone()),
            }
        }
        let values = ranges.iter().map(Range::len).sum();
        Ok(Self { parameters, ranges, values, all_values })
    }

    /// Returns the trained parameters, in the specification's order.
    #[must_use]
    pub fn parameters(&self) -> &[TrainedParameter] {
        &self.parameters
    }

    /// Returns where the trained values are among all values: in order, apart from each other.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Returns the number of trained values, at least 1.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values
    }

    /// Returns the number of the model's values, trained or not.
    #[must_use]
    pub fn all_values(&self) -> usize {
        self.all_values
    }

    /// Says whether nothing is frozen.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.values == self.all_values
    }

    /// Appends the trained ones among `all` values to `trained`.
    ///
    /// # Shapes
    /// `all`: `[all_values]`; appends `[values]`.
    ///
    /// # Panics
    /// If `all` has another length.
    pub fn gather<T: Copy>(&self, all: &[T], trained: &mut Vec<T>) {
        assert_eq!(all.len(), self.all_values, "as many values as the model's");
        for range in &self.ranges {
            trained.extend_from_slice(&all[range.clone()]);
        }
    }

    /// Puts the trained values in their places among `all`.
    ///
    /// # Shapes
    /// `trained`: `[values]`; `all`: `[all_values]`.
    ///
    /// # Panics
    /// If either has another length.
    pub fn scatter<T: Copy>(&self, trained: &[T], all: &mut [T]) {
        assert_eq!((trained.len(), all.len()), (self.values, self.all_values), "the model's values");
        let mut rest = trained;
        for range in &self.ranges {
            let (here, later) = rest.split_at(range.len());
            all[range.clone()].copy_from_slice(here);
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{LinearRisk, UnetSize, VectorSize};

    fn unet(adapter_rank: Option<AdapterRank>) -> Architecture {
        UnetSize { base: 2.try_into().unwrap(), depth: 1.try_into().unwrap() }.architecture(1, adapter_rank)
    }

    fn choice(text: &str) -> Trainable {
        toml::from_str(text).unwrap()
    }

    fn names(spec: &Architecture, text: &str) -> Vec<String> {
        let trained = Trained::new(spec, Some(&choice(text))).unwrap();
        trained.parameters().iter().map(|parameter| parameter.name.clone()).collect()
    }

    #[test]
    fn without_a_choice_everything_is_trained_in_one_range() {
        let spec = unet(None);
        let trained = Trained::new(&spec, None).unwrap();
        assert_eq!((trained.values(), trained.is_everything()), (spec.values(), true));
        assert_eq!(trained.ranges(), std::slice::from_ref(&(0..spec.values())));
    }

    #[test]
    fn choices_add_up() {
        let biases = names(&unet(None), "biases = true");
        assert_eq!(biases.len(), 7);
        assert!(biases.iter().all(|name| name.ends_with(".bias")));
        let head = names(&unet(None), r#"matching = ["head", "up0.conv1.w"]"#);
        assert_eq!(head, ["up0.conv1.weight", "head.weight", "head.bias"]);
        let both = names(&unet(None), "biases = true\nmatching = [\"head\"]");
        assert_eq!(both.len(), 8);
        assert_eq!(names(&LinearRisk.architecture(3), "biases = true"), ["bias"]);
    }

    #[test]
    fn adapters_are_trained_beside_frozen_convolutions() {
        let text = "low-rank = { rank = 2 }\nmatching = [\"head\"]";
        let spec = unet(choice(text).adapter_rank());
        let trained = Trained::new(&spec, Some(&choice(text))).unwrap();
        let base = spec.base().values();
        // The head is the last of the base, so that it and the adapters are one range.
        assert_eq!(trained.ranges(), std::slice::from_ref(&(base - 3..spec.values())));
        assert_eq!(trained.parameters().len(), 2 + 2 * 6);
    }

    #[test]
    fn choices_without_a_parameter_are_refused() {
        let refused = |spec: &Architecture, text: &str| Trained::new(spec, Some(&choice(text))).unwrap_err();
        let vector = VectorSize { parameters: 4.try_into().unwrap() }.architecture();
        let message = refused(&vector, "biases = true").message;
        assert_eq!(message, "selects no parameter of the model vector");
        assert_eq!(refused(&vector, "").message, message);
        let problem = refused(&unet(None), r#"matching = ["head", "decoder"]"#);
        assert!(problem.message.contains("\"decoder\""), "{}", problem.message);
        assert!(toml::from_str::<Trainable>("low-rank = { rank = 0 }").is_err());
        assert!(toml::from_str::<Trainable>("heads = true").is_err());
    }

    #[test]
    fn gathered_values_are_scattered_to_where_they_came_from() {
        let trained = Trained::new(&unet(None), Some(&choice("biases = true"))).unwrap();
        let all: Vec<usize> = (0..trained.all_values()).collect();
        let mut part = Vec::new();
        trained.gather(&all, &mut part);
        assert_eq!(part.len(), trained.values());
        let mut back = vec![usize::MAX; all.len()];
        trained.scatter(&part, &mut back);
        let kept = back.iter().enumerate().filter(|&(place, &value)| value == place).count();
        assert_eq!(kept, trained.values());
        assert_eq!(back.iter().filter(|&&value| value == usize::MAX).count(), all.len() - kept);
    }
}
