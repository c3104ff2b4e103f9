//! Model files as other programs write them: the plan's tensors by name, in any order, perhaps with metadata.
//!
//! On the wire a model has one header, byte by byte ([`fedtwin_plan::model_file`]), so that nobody parses one from
//! the network. A researcher's own file is brought into that form here, before its digest is taken. Only what says
//! the same is accepted: tensors of the same names, shapes and type, each once.

use std::collections::BTreeSet;
use std::fmt;

use fedtwin_plan::Architecture;
use fedtwin_plan::model_file::{self, ModelFileError};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// How a file differs from the plan's model.
#[derive(Debug, thiserror::Error)]
pub enum TensorsError {
    /// The bytes are no safetensors file.
    #[error("it is no safetensors file")]
    NotSafetensors(#[source] SafeTensorError),
    /// A reader would take one of two tensors and leave the other.
    #[error("its header is no list of tensors with one name each")]
    Repeated(#[source] serde_json::Error),
    /// The plan's model has a tensor that the file lacks.
    #[error("it lacks the tensor {0:?} of the plan's model")]
    Missing(String),
    /// The file has a tensor that the plan's model lacks.
    #[error("it has a tensor {0:?}, which the plan's model has not")]
    Unknown(String),
    /// A tensor's shape differs.
    #[error("its tensor {name:?} has the shape {found:?}, the plan's model has {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// The file's shape.
        found: Vec<usize>,
        /// The plan's shape.
        expected: Vec<usize>,
    },
    /// A tensor's numbers are of another type.
    #[error("its tensor {name:?} is stored as {found}, expected F32: convert it before it is saved")]
    Type {
        /// The tensor.
        name: String,
        /// The file's type.
        found: Dtype,
    },
    /// A value is none.
    #[error("it cannot be used")]
    Values(#[from] ModelFileError),
}

/// Brings a model file into the form that it has on the wire.
///
/// # Errors
/// Says in what the file differs from the model's architecture.
pub fn on_the_wire(architecture: &Architecture, bytes: Vec<u8>) -> Result<Vec<u8>, TensorsError> {
    if bytes.starts_with(&model_file::header(architecture)) {
        model_file::decode(architecture, &bytes)?;
        return Ok(bytes);
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(TensorsError::NotSafetensors)?;
    names_are_unique(&bytes)?;
    let parameters = architecture.parameters();
    let known: BTreeSet<_> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    if let Some(unknown) = tensors.names().into_iter().find(|name| !known.contains(*name)) {
        return Err(TensorsError::Unknown(unknown.to_owned()));
    }
    let mut ordered = model_file::header(architecture);
    for parameter in parameters {
        let name = parameter.name.clone();
        let Ok(tensor) = tensors.tensor(&name) else { return Err(TensorsError::Missing(name)) };
        if tensor.dtype() != Dtype::F32 {
            return Err(TensorsError::Type { name, found: tensor.dtype() });
        }
        if tensor.shape() != parameter.shape {
            let (found, expected) = (tensor.shape().to_vec(), parameter.shape.clone());
            return Err(TensorsError::Shape { name, found, expected });
        }
        ordered.extend_from_slice(tensor.data());
    }
    model_file::decode(architecture, &ordered)?;
    Ok(ordered)
}

/// Readers of JSON keep the last of two entries of one name.
fn names_are_unique(bytes: &[u8]) -> Result<(), TensorsError> {
    // A file that was read has a length and a header of it.
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let header = &rest[..length.min(rest.len())];
    let mut json = serde_json::Deserializer::from_slice(header);
    json.deserialize_map(UniqueNames).map_err(TensorsError::Repeated)
}

struct UniqueNames;

impl<'de> Visitor<'de> for UniqueNames {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format!("{name:?} stands there twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::family::LinearRisk;
    use fedtwin_plan::model_file::{decode, encode, header};

    use super::*;

    fn spec() -> Architecture {
        LinearRisk.architecture(2)
    }

    /// A file with this header and the values 1, 2, 3 behind it.
    fn file(json: &str) -> Vec<u8> {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(json.as_bytes());
        bytes.extend([1.0_f32, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    fn sorted(more: &str) -> String {
        format!(
            r#"{{{more}"bias":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"weight":{{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}}}"#
        )
    }

    #[test]
    fn the_same_tensors_in_any_order_and_with_metadata_are_the_same_model() {
        let own = encode(&spec(), &[2.0, 3.0, 1.0]);
        assert_eq!(on_the_wire(&spec(), own.clone()).unwrap(), own);
        for more in ["", r#""__metadata__":{"format":"pt"},"#] {
            let found = on_the_wire(&spec(), file(&sorted(more))).unwrap();
            assert_eq!(decode(&spec(), &found).unwrap(), [2.0, 3.0, 1.0], "{more}");
            assert_eq!(found, own);
        }
    }

    #[test]
    fn what_differs_is_named() {
        let json = sorted("");
        let refused = |json: &str| {
            let error = on_the_wire(&spec(), file(json)).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error}: {source}")
        };
        for (from, to, expected) in [
            (r#""bias""#, r#""biass""#, r#"has a tensor "biass""#),
            (
                r#""shape":[2]"#,
                r#""shape":[1,2]"#,
                r#""weight" has the shape [1, 2], the plan's model has [2]"#,
            ),
            (r#""dtype":"F32","shape":[2]"#, r#""dtype":"I32","shape":[2]"#, "stored as I32, expected F32"),
            (r#""dtype":"F32","shape":[2]"#, r#""dtype":"BF16","shape":[4]"#, "stored as BF16, expected F32"),
            ("{", "[", "no safetensors file"),
        ] {
            let refusal = refused(&json.replacen(from, to, 1));
            assert!(refusal.contains(expected), "{refusal}");
        }
        let alone = r#"{"weight":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#;
        assert!(refused(alone).contains("shape") || refused(alone).contains("lacks"));
        let twice = json.replacen('{', r#"{"bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#, 1);
        assert!(refused(&twice).contains("\"bias\" stands there twice"), "{}", refused(&twice));
        let mut cut = file(&json);
        cut.pop();
        assert!(matches!(on_the_wire(&spec(), cut), Err(TensorsError::NotSafetensors(_))));
        assert!(matches!(on_the_wire(&spec(), Vec::new()), Err(TensorsError::NotSafetensors(_))));
    }

    #[test]
    fn values_that_are_no_numbers_are_refused_in_every_form() {
        let mut own = header(&spec());
        own.extend([f32::NAN, 0.0, 0.0].iter().flat_map(|value| value.to_le_bytes()));
        assert!(matches!(on_the_wire(&spec(), own), Err(TensorsError::Values(_))));
        let mut foreign = file(&sorted(""));
        let end = foreign.len();
        foreign[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(matches!(on_the_wire(&spec(), foreign), Err(TensorsError::Values(_))));
    }
}
