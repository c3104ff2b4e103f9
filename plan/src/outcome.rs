//! Outcomes: what a plan predicts, and what a patient's record has of it.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// What a plan predicts, by the column's name: `outcome = "died"`, or `outcome.count = "admissions"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeNeed {
    /// The outcome's name.
    pub name: String,
    /// What kind of outcome it is.
    pub kind: OutcomeKind,
}

/// A kind of outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// It happened, or it did not.
    YesNo,
    /// How often it happened.
    Count,
}

/// One patient's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Whether it happened.
    YesNo(bool),
    /// How often it happened, at most [`COUNT_MAX`].
    Count(u32),
}

impl Outcome {
    /// Returns what a model is trained on: 1 where it happened and 0 elsewhere, or the count.
    #[must_use]
    pub fn value(self) -> f32 {
        match self {
            Self::YesNo(happened) => f32::from(u8::from(happened)),
            #[expect(clippy::cast_precision_loss, reason = "counts are below 2^24")]
            Self::Count(count) => count as f32,
        }
    }

    /// Says whether it happened at all.
    #[must_use]
    pub fn happened(self) -> bool {
        match self {
            Self::YesNo(happened) => happened,
            Self::Count(count) => count > 0,
        }
    }

    /// Returns the outcome of the same kind that did not happen.
    #[must_use]
    pub fn none(self) -> Self {
        match self {
            Self::YesNo(_) => Self::YesNo(false),
            Self::Count(_) => Self::Count(0),
        }
    }

    /// Returns another outcome of the same kind.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::YesNo(happened) => Self::YesNo(!happened),
            Self::Count(0) => Self::Count(COUNT_MAX),
            Self::Count(_) => Self::Count(0),
        }
    }
}

impl From<&str> for OutcomeNeed {
    /// Asks for whether it happened.
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), kind: OutcomeKind::YesNo }
    }
}

/// The forms that are no bare name.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Written {
    Count(String),
}

impl Serialize for OutcomeNeed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind {
            OutcomeKind::YesNo => self.name.serialize(serializer),
            OutcomeKind::Count => Written::Count(self.name.clone()).serialize(serializer),
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
        f.write_str("an outcome's name, or { count = NAME }")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<OutcomeNeed, E> {
        Ok(name.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OutcomeNeed, A::Error> {
        let Written::Count(name) = Written::deserialize(MapAccessDeserializer::new(map))?;
        Ok(OutcomeNeed { name, kind: OutcomeKind::Count })
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::YesNo => "yes or no",
            Self::Count => "a count",
        })
    }
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
        for (text, kind) in
            [("outcome = \"died\"", OutcomeKind::YesNo), ("outcome.count = \"died\"", OutcomeKind::Count)]
        {
            let table: Table = toml::from_str(text).unwrap();
            assert_eq!(table.outcome, OutcomeNeed { name: "died".into(), kind });
            assert_eq!(toml::from_str::<Table>(&toml::to_string(&table).unwrap()).unwrap(), table);
        }
        let refused = |text: &str| toml::from_str::<Table>(text).unwrap_err().message().to_owned();
        assert!(refused("outcome = 3").contains("expected an outcome's name, or { count = NAME }"));
        assert!(refused("outcome.counts = \"died\"").contains("unknown variant `counts`"));
    }
}
