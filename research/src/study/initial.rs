//! Initial models that a researcher gives: checked here, named in the draft, and sent when the study is run.

use std::io;
use std::path::{Path, PathBuf};

use fedtwin_plan::plan::Draft;
use fedtwin_plan::text_file::{TextError, parse, value_span};
use fedtwin_plan::{Architecture, Digest};
use fedtwin_proto::limits::CHUNK_BYTES;

use super::tensors::{TensorsError, on_the_wire};

/// Why a file is no initial model of a draft.
#[derive(Debug, thiserror::Error)]
pub enum InitialModelError {
    /// The file cannot be read.
    #[error("{file} cannot be read")]
    Io {
        /// The path that was tried.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no model, or of another one.
    #[error("{file} is not a model of this plan")]
    Model {
        /// The path that was tried.
        file: PathBuf,
        /// Why.
        source: TensorsError,
    },
    /// The draft names another file.
    #[error("the draft's model.initial is {named}, but the file's digest is {found}")]
    OtherModel {
        /// What the draft says.
        named: Digest,
        /// The file's digest.
        found: Digest,
    },
    /// The draft is none.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The digest cannot be added.
    #[error("write `initial = \"{0}\"` beside model.seed in the draft")]
    NoPlace(Digest),
}

/// Checks that a file holds a model that the draft can begin with, and returns the draft's text with the
/// file's digest beside the seed. A file of another program has two: of its own bytes, which a draft may name, and of
/// the form on the wire, which sites see and which takes the former's place with a comment that says so.
///
/// # Errors
/// Refuses a file of another model, and a draft that names another file.
pub fn name_in(name: &str, text: &str, file: &Path) -> Result<String, InitialModelError> {
    let draft: Draft = parse(name, text)?;
    let bytes = bytes_of(file)?;
    let of_file = Digest::of(&bytes);
    let found = Digest::of(&in_form(file, &draft.architecture().base(), bytes)?);
    match draft.model.initial {
        Some(named) if named == found => Ok(text.to_owned()),
        Some(named) if named == of_file => {
            with_other_digest(&draft, text, found).ok_or(InitialModelError::NoPlace(found))
        }
        Some(named) => Err(InitialModelError::OtherModel { named, found }),
        None => with_digest(&draft, text, found).ok_or(InitialModelError::NoPlace(found)),
    }
}

/// Reads a model of the architecture, as this program or another one wrote it, in the form of the wire.
///
/// # Errors
/// Refuses a file that cannot be read or is of another model.
pub fn read(file: &Path, architecture: &Architecture) -> Result<Vec<u8>, InitialModelError> {
    in_form(file, architecture, bytes_of(file)?)
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, InitialModelError> {
    std::fs::read(file).map_err(|source| InitialModelError::Io { file: file.to_owned(), source })
}

fn in_form(file: &Path, architecture: &Architecture, bytes: Vec<u8>) -> Result<Vec<u8>, InitialModelError> {
    on_the_wire(architecture, bytes)
        .map_err(|source| InitialModelError::Model { file: file.to_owned(), source })
}

/// Cuts a model in pieces of the wire's size.
pub fn chunks(model: Vec<u8>) -> impl Iterator<Item = Vec<u8>> + Send + 'static {
    let length = model.len();
    (0..length).step_by(CHUNK_BYTES).map(move |at| model[at..length.min(at + CHUNK_BYTES)].to_vec())
}

/// Replaces the digest of the file by that of its form on the wire, and says so at the line's end.
fn with_other_digest(draft: &Draft, text: &str, digest: Digest) -> Option<String> {
    let (of_file, value) = (draft.model.initial?, value_span(text, "model.initial")?);
    let (before, rest) = (&text[..value.start], &text[value.end..]);
    let (line, lines) = rest.split_at(rest.find(['\r', '\n']).unwrap_or(rest.len()));
    let comment = format!("# of the model as it is sent; of its file: {of_file}");
    let replaced = format!("{before}\"{digest}\"{line} {comment}{lines}");
    let mut wanted = draft.file().clone();
    wanted.model.initial = Some(digest);
    parse::<Draft>("the draft", &replaced).is_ok_and(|found| *found.file() == wanted).then_some(replaced)
}

/// Adds the digest after the seed: in an inline table, below it in a table of its own, or as a dotted key.
/// The one that reads back as the same draft with the digest is the one that the researcher's style takes.
fn with_digest(draft: &Draft, text: &str, digest: Digest) -> Option<String> {
    let seed = value_span(text, "model.seed")?;
    let line_end = text[seed.end..].find('\n').map_or(text.len(), |end| seed.end + end);
    let mut wanted = draft.file().clone();
    wanted.model.initial = Some(digest);
    [
        (seed.end, format!(", initial = \"{digest}\"")),
        (line_end, format!("\ninitial = \"{digest}\"")),
        (line_end, format!("\nmodel.initial = \"{digest}\"")),
    ]
    .into_iter()
    .map(|(place, addition)| format!("{}{addition}{}", &text[..place], &text[place..]))
    .find(|text| parse::<Draft>("the draft", text).is_ok_and(|found| *found.file() == wanted))
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::model_file::{encode, initial_values};

    use super::*;
    use crate::study::testing::{HEART, draft_with};

    fn model(draft: &str) -> (tempfile::TempDir, PathBuf, Digest) {
        let spec = parse::<Draft>("draft", draft).unwrap().architecture().base();
        let bytes = encode(&spec, &initial_values(&spec, 5));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        std::fs::write(&file, &bytes).unwrap();
        (folder, file, Digest::of(&bytes))
    }

    #[test]
    fn the_digest_goes_beside_the_seed_in_every_style() {
        let (_folder, file, digest) = model(HEART);
        let table =
            "[model]\nfamily = \"linear-risk\"\n# Seeds the initial weights and nothing else.\nseed = 1\n";
        assert!(HEART.contains(table));
        let without = HEART.replace(table, "");
        for style in [
            HEART.to_owned(),
            HEART.replace("seed = 1\n", "seed = 1 # no secret\n"),
            format!("model = {{ family = \"linear-risk\", seed = 1 }}\n{without}"),
            format!("model = {{ seed = 1, family = \"linear-risk\" }}\n{without}"),
            format!("model.seed = 1\nmodel.family = \"linear-risk\"\n{without}"),
        ] {
            let named = name_in("draft", &style, &file).unwrap();
            assert_eq!(parse::<Draft>("draft", &named).unwrap().model.initial, Some(digest), "{named}");
            assert_eq!(name_in("draft", &named, &file).unwrap(), named, "a named model stays");
            let lost =
                style.lines().filter(|line| !line.starts_with("model =")).find(|line| !named.contains(*line));
            assert_eq!(lost, None, "the researcher's lines stay");
        }
    }

    /// As PyTorch's safetensors writes it: with metadata, so that the bytes are others.
    fn with_metadata(file: &Path) -> Digest {
        let bytes = std::fs::read(file).unwrap();
        let (length, rest) = bytes.split_at(8);
        let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
        let header = format!(
            "{{\"__metadata__\":{{\"format\":\"pt\"}},{}",
            std::str::from_utf8(&rest[1..length]).unwrap()
        );
        let mut other = (header.len() as u64).to_le_bytes().to_vec();
        other.extend(header.bytes());
        other.extend(&rest[length..]);
        std::fs::write(file, &other).unwrap();
        Digest::of(&other)
    }

    #[test]
    fn the_digest_of_another_programs_file_becomes_that_of_what_is_sent() {
        let (_folder, file, digest) = model(HEART);
        let of_file = with_metadata(&file);
        assert_ne!(of_file, digest);
        let table = format!("seed = 1\ninitial = \"{of_file}\" # from PyTorch\n");
        let without = HEART.replace(
            "[model]\nfamily = \"linear-risk\"\n# Seeds the initial weights and nothing else.\nseed = 1\n",
            "",
        );
        let inline =
            format!("model = {{ family = \"linear-risk\", initial = \"{of_file}\", seed = 1 }}\n{without}");
        for draft in [HEART.replace("seed = 1\n", &table), inline] {
            let named = name_in("draft", &draft, &file).unwrap();
            assert_eq!(parse::<Draft>("draft", &named).unwrap().model.initial, Some(digest), "{named}");
            let says = format!("# of the model as it is sent; of its file: {of_file}\n");
            assert!(named.contains(&says), "{named}");
            assert_eq!(name_in("draft", &named, &file).unwrap(), named, "a named model stays");
        }
    }

    #[test]
    fn files_of_other_models_are_refused() {
        let (_folder, file, digest) = model(HEART);
        let fewer = draft_with(HEART, &[("oldpeak.number = { unit = \"mm\", low = -3, high = 7 }\n", "")]);
        let refused = name_in("draft", &fewer, &file).unwrap_err();
        assert!(matches!(refused, InitialModelError::Model { .. }), "{refused}");
        let other = "0".repeat(64);
        let names_another = HEART.replace("seed = 1\n", &format!("seed = 1\ninitial = \"{other}\"\n"));
        let refused = name_in("draft", &names_another, &file).unwrap_err();
        assert!(matches!(&refused, InitialModelError::OtherModel { found, .. } if *found == digest));
        assert!(matches!(
            name_in("draft", HEART, &file.with_extension("none")),
            Err(InitialModelError::Io { .. })
        ));
    }
}
