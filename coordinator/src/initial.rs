//! A study's first model: drawn from its plan's seed, or a file that the researcher gives and the plan names.
//!
//! The file is how training on public or synthetic data enters: its weights are public before the study, so
//! that they cost nothing. Nothing of it is believed: the header is compared with the plan's model before a
//! value is looked at, the length is bounded by it, every value must be finite, and the file gets its name
//! only once its digest is the one in the signed plan. Memory is one chunk. A given model is its researcher's
//! until a study begins with it, which then has a file of its own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use fedtwin_plan::model_file::{self, Checker, ModelFileError, header};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Architecture, Digest, Plan, ResearcherName};

use crate::store::{NewModel, Store};

/// Why a study has no first model.
#[derive(Debug, thiserror::Error)]
pub enum InitialError {
    /// The plan names a model that is not here.
    #[error(
        "the plan's initial model {0} is not here: give it with `fedtwin study run --initial-model FILE`"
    )]
    NotGiven(Digest),
    /// A model was given that no plan asks for.
    #[error(
        "the plan names no initial model: leave out `--initial-model`, or write its digest as training.initial"
    )]
    NotNamed,
    /// The file is no model of the plan.
    #[error("the plan's initial model is refused")]
    Model(#[from] ModelFileError),
    /// The file is another one.
    #[error(
        "the file's digest is {found}, the plan's initial model is {named}: give that file, or name this one in the plan"
    )]
    OtherModel {
        /// What came.
        found: Digest,
        /// What the plan says.
        named: Digest,
    },
    /// The coordinator's disk.
    #[error("storage: the initial model cannot be stored")]
    Storage(#[from] io::Error),
}

/// Puts a new study's plan and first model on disk; what it leaves after a failure is removed.
///
/// A large model takes seconds and gigabytes: this is work for a thread of its own.
///
/// # Errors
/// Refuses a plan whose named model was not given, or is of another model than the plan's.
///
/// # Panics
/// If the plan was not checked.
pub fn prepare(
    store: &Store,
    plan: &Plan,
    signed: &SignedPlan,
    opener: &ResearcherName,
) -> Result<Digest, InitialError> {
    let id = &plan.study.id;
    let save = || {
        store.save_plan(id, signed)?;
        make(store, plan, opener)
    };
    save().inspect_err(|_refused| store.remove_study(id))
}

/// Makes the first model of a plan.
///
/// A model with adapters begins with the named file's weights and adapters from the seed, whose product is 0.
fn make(store: &Store, plan: &Plan, opener: &ResearcherName) -> Result<Digest, InitialError> {
    let architecture = plan.architecture();
    let (study, seed) = (&plan.study.id, plan.model.seed);
    let Some(named) = plan.model.initial else {
        let mut file = store.new_model(study)?;
        model_file::write_initial(architecture, seed, &mut file)?;
        return Ok(file.commit()?);
    };
    let (base, path) = (architecture.base(), store.given(opener, &named));
    let mut given = open(&path, &named, &base)?;
    let model = if base == *architecture {
        std::fs::hard_link(&path, store.model(study, &named))?;
        named
    } else {
        let mut file = store.new_model(study)?;
        file.write_all(&header(architecture))?;
        io::copy(&mut given, &mut file)?;
        model_file::write_adapters(architecture, seed, &mut file)?;
        file.commit()?
    };
    store.remove_given(opener, &named);
    Ok(model)
}

/// Opens a model of this architecture and leaves the reader at its first value.
///
/// What was given was checked when it came; only whose model it is remains to be seen.
fn open(path: &Path, named: &Digest, base: &Architecture) -> Result<File, InitialError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(InitialError::NotGiven(*named)),
        opened => opened?,
    };
    let expected = header(base);
    let mut found = Vec::new();
    (&mut file).take(expected.len() as u64).read_to_end(&mut found)?;
    if found != expected || file.metadata()?.len() != model_file::file_bytes(base) {
        return Err(ModelFileError::OtherShape.into());
    }
    Ok(file)
}

/// An initial model on its way in.
#[derive(Debug)]
pub struct IncomingModel {
    named: Digest,
    checker: Checker,
    file: NewModel,
}

impl IncomingModel {
    /// Starts the file that a verified plan names, or says that this researcher gave it already.
    ///
    /// # Errors
    /// Refuses a plan that names none; returns the file system's errors.
    pub fn start(store: &Store, plan: &Plan, by: &ResearcherName) -> Result<Option<Self>, InitialError> {
        let named = plan.model.initial.ok_or(InitialError::NotNamed)?;
        if store.given(by, &named).exists() {
            return Ok(None);
        }
        let base = plan.architecture().base();
        Ok(Some(Self { named, checker: Checker::new(&base), file: store.new_given(by)? }))
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Refuses another header, bytes beyond the model's length and values that are not finite.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), InitialError> {
        self.checker.push(bytes)?;
        Ok(self.file.write_all(bytes)?)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Refuses a file that is cut off or not the named one; nothing of it stays.
    pub fn finish(self) -> Result<(), InitialError> {
        let Self { named, checker, file } = self;
        checker.finish()?;
        let found = file.digest();
        if found != named {
            return Err(InitialError::OtherModel { found, named });
        }
        file.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::text_file::parse;
    use tempfile::TempDir;

    use super::*;

    const PLAN: &str = r#"
study = { id = "s", title = "t", sites = ["north"], expires = "2030-01-01" }
cohort = { name = "c", patients_max = 10 }
data.images = { height = 8, width = 8, slices_per_patient = 1 }
rounds = { count = 1, attempts_max = 1, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 9, slot_s = 0 }
privacy.none = { clip = 8.0 }
calibrated = { m = 10, c_int = 8000, modulus_bits = 32, steps = 1 }
[model]
family.unet = { base = 1, depth = 1 }
seed = 1
INITIAL
[training]
sampling = "1"
loss = "bce"
site = "gradient"
server.fedavg = { learning_rate = 1.0 }
TRAINABLE
"#;

    fn plan(initial: Option<Digest>, trainable: &str) -> Plan {
        let initial = initial.map_or(String::new(), |digest| format!("initial = \"{digest}\""));
        parse("plan", &PLAN.replace("INITIAL", &initial).replace("TRAINABLE", trainable)).unwrap()
    }

    /// A model file of the plan's base model, and a plan that names it.
    fn given(trainable: &str) -> (Vec<u8>, Plan, TempDir, Store) {
        let base = plan(None, "").architecture().clone();
        let file = model_file::encode(&base, &model_file::initial_values(&base, 77));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_path_buf()).unwrap();
        (file.clone(), plan(Some(Digest::of(&file)), trainable), folder, store)
    }

    fn ada() -> ResearcherName {
        "ada".parse().unwrap()
    }

    fn upload(store: &Store, plan: &Plan, file: &[u8], piece: usize) -> Result<(), InitialError> {
        let mut incoming = IncomingModel::start(store, plan, &ada())?.expect("the model is not here yet");
        file.chunks(piece).try_for_each(|piece| incoming.append(piece))?;
        incoming.finish()
    }

    fn begin(store: &Store, plan: &Plan) -> Result<Digest, InitialError> {
        let signed = SignedPlan { text: Vec::new(), signature: Vec::new(), certificate: Vec::new() };
        prepare(store, plan, &signed, &ada())
    }

    /// Counts the files of models that are given or a study's.
    fn files(folder: &TempDir) -> usize {
        let count = |place: &str| folder.path().join(place).read_dir().map_or(0, Iterator::count);
        count("given/ada") + count("studies/s")
    }

    #[test]
    fn a_given_model_is_the_first_one() {
        let (file, plan, _folder, store) = given("");
        assert!(matches!(begin(&store, &plan), Err(InitialError::NotGiven(_))));
        assert!(store.studies().is_empty(), "nothing stays of a study that did not begin");
        upload(&store, &plan, &file, 100).unwrap();
        assert!(IncomingModel::start(&store, &plan, &ada()).unwrap().is_none(), "it need not come twice");
        let model = begin(&store, &plan).unwrap();
        let stored = std::fs::read(store.model(&plan.study.id, &model)).unwrap();
        assert_eq!((Some(model), stored), (plan.model.initial, file));
        assert!(!store.given(&ada(), &model).exists(), "it is its study's now");
    }

    #[test]
    fn adapters_are_added_to_a_given_model() {
        let (file, plan, _folder, store) = given("trainable.low-rank.rank = 1");
        upload(&store, &plan, &file, 64).unwrap();
        let spec = plan.architecture();
        let model = begin(&store, &plan).unwrap();
        let stored = std::fs::read(store.model(&plan.study.id, &model)).unwrap();
        let values = model_file::decode(spec, &stored).unwrap();
        let base = model_file::decode(&spec.base(), &file).unwrap();
        assert_eq!(values[..base.len()], base);
        assert_eq!(values[base.len()..], model_file::initial_values(spec, 1)[base.len()..]);
    }

    #[test]
    fn what_is_not_the_named_model_is_refused_and_leaves_nothing() {
        let (file, plan, folder, store) = given("");
        let changed = |at: usize, byte: u8| {
            let mut file = file.clone();
            file[at] = byte;
            file
        };
        let (last, header) = (file.len() - 1, 12);
        let mut longer = file.clone();
        longer.extend([0; 4]);
        let shape = "names, shapes or length differ";
        for (bytes, expected) in [
            (changed(header, b'?'), shape),
            (changed(0, 0xff), shape),
            (longer, shape),
            (file[..last].to_vec(), shape),
            (Vec::new(), shape),
            (changed(last - 3, file[last - 3] ^ 1), "digest"),
            (changed(last, 0x7f), "is not a number from -2^40 to 2^40"),
        ] {
            let refused = upload(&store, &plan, &bytes, 33).unwrap_err();
            assert!(fedtwin_daemon::program::describe(&refused).contains(expected), "{refused}");
            assert_eq!(files(&folder), 0, "{refused}");
        }
        let mut not_finite = file.clone();
        not_finite[last - 3..].copy_from_slice(&f32::NAN.to_le_bytes());
        let refused = upload(&store, &plan, &not_finite, 33).unwrap_err();
        assert!(matches!(refused, InitialError::Model(ModelFileError::OutOfRange { .. })), "{refused}");
        let nobody = IncomingModel::start(&store, &self::plan(None, ""), &ada()).unwrap_err();
        assert!(matches!(nobody, InitialError::NotNamed));
    }

    #[test]
    fn a_model_of_another_plan_is_no_initial_model_of_this_one() {
        let (_, _, _folder, store) = given("");
        let mut other = store.new_given(&ada()).unwrap();
        other.write_all(b"a model of another family").unwrap();
        let named = other.commit().unwrap();
        let refused = begin(&store, &plan(Some(named), "")).unwrap_err();
        assert!(matches!(refused, InitialError::Model(ModelFileError::OtherShape)), "{refused}");
    }

    #[test]
    fn nobody_begins_with_a_model_that_another_researcher_gave() {
        let (file, plan, _folder, store) = given("");
        upload(&store, &plan, &file, 100).unwrap();
        let signed = SignedPlan { text: Vec::new(), signature: Vec::new(), certificate: Vec::new() };
        let refused = prepare(&store, &plan, &signed, &"ben".parse().unwrap()).unwrap_err();
        assert!(matches!(refused, InitialError::NotGiven(_)), "{refused}");
    }
}
