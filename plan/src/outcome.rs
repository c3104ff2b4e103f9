//! Outcomes: what a plan predicts, and what a patient's record has of it.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::follow_up::{FollowUp, Observed};
use crate::text_file::Problem;

/// What a plan predicts, by the column's name: `outcome = "died"`, `outcome.count = "admissions"`, or
/// `outcome.event = { name = "relapse", unit = "d", until = [365, 730] }`.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeNeed {
    /// The outcome's name.
    pub name: String,
    /// What of it is asked for.
    pub asked: AskedOutcome,
}

/// What a plan asks for of an outcome.
#[derive(Debug, Clone, PartialEq)]
pub enum AskedOutcome {
    /// Whether it happened.
    YesNo,
    /// How often it happened.
    Count,
    /// When it happened, if it did while the patient was followed.
    Event(FollowUp),
}

/// A kind of outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// It happened, or it did not.
    YesNo,
    /// How often it happened.
    Count,
    /// When it happened.
    Event,
}

/// One patient's outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Whether it happened.
    YesNo(bool),
    /// How often it happened, at most [`COUNT_MAX`].
    Count(u32),
    /// How long the patient was followed, and whether it happened then.
    Event(Observed),
}

impl Outcome {
    /// Returns what a model is trained on: 1 where it happened and 0 elsewhere, or the count.
    #[must_use]
    pub fn value(self) -> f32 {
        match self {
            Self::YesNo(happened) => f32::from(u8::from(happened)),
            #[expect(clippy::cast_precision_loss, reason = "counts are below 2^24")]
            Self::Count(count) => count as f32,
            Self::Event(observed) => f32::from(u8::from(observed.happened)),
        }
    }

    /// Says whether it happened at all.
    #[must_use]
    pub fn happened(self) -> bool {
        match self {
            Self::YesNo(happened) => happened,
            Self::Count(count) => count > 0,
            Self::Event(observed) => observed.happened,
        }
    }

    /// Returns the outcome of the same kind that did not happen.
    #[must_use]
    pub fn none(self) -> Self {
        match self {
            Self::YesNo(_) => Self::YesNo(false),
            Self::Count(_) => Self::Count(0),
            Self::Event(observed) => Self::Event(Observed { happened: false, ..observed }),
        }
    }

    /// Returns another outcome of the same kind.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::YesNo(happened) => Self::YesNo(!happened),
            Self::Count(0) => Self::Count(COUNT_MAX),
            Self::Count(_) => Self::Count(0),
            // At once, or never.
            Self::Event(Observed { happened, .. }) => {
                let time = if happened { f64::INFINITY } else { 0.0 };
                Self::Event(Observed { entry: 0.0, time, happened: !happened })
            }
        }
    }
}

impl OutcomeNeed {
    /// Returns the kind of outcome.
    #[must_use]
    pub fn kind(&self) -> OutcomeKind {
        match self.asked {
            AskedOutcome::YesNo => OutcomeKind::YesNo,
            AskedOutcome::Count => OutcomeKind::Count,
            AskedOutcome::Event(_) => OutcomeKind::Event,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Problem> {
        match &self.asked {
            AskedOutcome::YesNo | AskedOutcome::Count => Ok(()),
            AskedOutcome::Event(follow_up) => follow_up.check(),
        }
    }
}

impl From<&str> for OutcomeNeed {
    /// Asks for whether it happened.
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), asked: AskedOutcome::YesNo }
    }
}

/// The forms that are no bare name.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Written {
    Count(String),
    Event(WrittenEvent),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEvent {
    name: String,
    unit: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    from: f64,
    until: Vec<f64>,
}

impl Serialize for OutcomeNeed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.name.clone();
        match &self.asked {
            AskedOutcome::YesNo => name.serialize(serializer),
            AskedOutcome::Count => Written::Count(name).serialize(serializer),
            AskedOutcome::Event(FollowUp { unit, from, until }) => {
                let event = WrittenEvent { name, unit: unit.clone(), from: *from, until: until.clone() };
                Written::Event(event).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for OutcomeNeed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = OutcomeNeed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an outcome's name, { count = NAME }, or { event = { name = NAME, unit = ..., until = [...] } }",
        )
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<OutcomeNeed, E> {
        Ok(name.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OutcomeNeed, A::Error> {
        Ok(match Written::deserialize(MapAccessDeserializer::new(map))? {
            Written::Count(name) => OutcomeNeed { name, asked: AskedOutcome::Count },
            Written::Event(WrittenEvent { name, unit, from, until }) => {
                OutcomeNeed { name, asked: AskedOutcome::Event(FollowUp { unit, from, until }) }
            }
        })
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::YesNo => "yes or no",
            Self::Count => "a count",
            Self::Event => "an event with its time",
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// The largest count: each has its own single-precision number, and more happens to nobody.
pub const COUNT_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Table {
        outcome: OutcomeNeed,
    }

    #[test]
    fn outcomes_are_written_as_a_name_or_by_their_kind() {
        let until = vec![30.0, 90.0];
        let follow_up = FollowUp { unit: "d".into(), from: 0.0, until };
        for (text, asked) in [
            ("outcome = \"died\"", AskedOutcome::YesNo),
            ("outcome.count = \"died\"", AskedOutcome::Count),
            (
                "outcome.event = { name = \"died\", unit = \"d\", until = [30, 90] }",
                AskedOutcome::Event(follow_up),
            ),
        ] {
            let table: Table = toml::from_str(text).unwrap();
            assert_eq!(table.outcome, OutcomeNeed { name: "died".into(), asked });
            assert_eq!(toml::from_str::<Table>(&toml::to_string(&table).unwrap()).unwrap(), table);
        }
        let refused = |text: &str| toml::from_str::<Table>(text).unwrap_err().message().to_owned();
        assert!(refused("outcome = 3").contains("expected an outcome's name, { count = NAME }, or"));
        assert!(refused("outcome.counts = \"died\"").contains("unknown variant `counts`"));
    }
}
