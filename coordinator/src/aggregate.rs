//! The close of a round: walk over all spools chunk by chunk, add, scale, step, write the new model.
//!
//! Memory is a few chunks, whatever the size of the model or the number of sites. Sums are of integers,
//! so neither the order of sites nor the size of a chunk changes a bit of the result.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;

use fedtwin_plan::model_file::{VALUE_BYTES, header};
use fedtwin_plan::{Digest, ModelSpec, StudyId, Trained};
use fedtwin_privacy::wire_integers::{self, WireBits};

use crate::optimiser::Step;
use crate::store::{NewFile, Store};

/// What to aggregate.
#[derive(Debug)]
pub struct Aggregation {
    /// The study, in whose folder the optimiser remembers.
    pub study: StudyId,
    /// The model's specification.
    pub spec: ModelSpec,
    /// The part of it that updates hold; the rest stays as it is.
    pub trained: Trained,
    /// The global model of the round.
    pub model: Digest,
    /// The updates' files.
    pub spools: Vec<PathBuf>,
    /// The width of one integer.
    pub bits: WireBits,
    /// What one integer unit of the summed updates moves the mean by, along the direction to step in.
    pub scale: f64,
    /// The server optimiser's step.
    pub step: Step,
}

/// Why a round's updates could not become a model.
#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    /// The coordinator's disk.
    #[error("storage: cannot {what}")]
    Storage {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Noise, clip and learning rate drove the weights out of the numbers.
    #[error("the new model has weights that are not finite: lower the server's learning rate or the noise")]
    NotFinite,
}

/// Aggregates, and returns the new model's digest.
///
/// # Errors
/// Refuses a model with weights that are not finite; returns the file system's errors.
pub fn aggregate(job: &Aggregation, store: &Store) -> Result<Digest, AggregateError> {
    let mut model = open(&store.model(&job.model), "open the global model")?;
    let header = header(&job.spec);
    let mut skipped = vec![0; header.len()];
    model.read_exact(&mut skipped).map_err(storage("read the global model"))?;

    let mut spools = Vec::with_capacity(job.spools.len());
    for path in &job.spools {
        spools.push(open(path, "open a spool")?);
    }
    let mut moments = Moments::open(job, store)?;
    let mut new_model = store.new_model().map_err(storage("write the new model"))?;
    new_model.write_all(&header).map_err(storage("write the new model"))?;

    let mut chunk = Chunk::default();
    let mut place = 0;
    for range in job.trained.ranges() {
        copy_values(&mut model, &mut new_model, range.start - place)?;
        let mut left = range.len();
        while left > 0 {
            let values = left.min(CHUNK_VALUES);
            left -= values;
            chunk.sum(&mut spools, values, job)?;
            chunk.step(&mut model, &mut moments, values, job)?;
            new_model.write_all(&chunk.bytes).map_err(storage("write the new model"))?;
        }
        place = range.end;
    }
    copy_values(&mut model, &mut new_model, job.trained.all_values() - place)?;
    let digest = new_model.commit().map_err(storage("store the new model"))?;
    moments.commit(job, store, &digest)?;
    Ok(digest)
}

/// Copies values that are not trained, bit by bit.
fn copy_values(from: &mut impl Read, to: &mut impl Write, values: usize) -> Result<(), AggregateError> {
    let bytes = (values * VALUE_BYTES) as u64;
    let copied = io::copy(&mut from.take(bytes), to).map_err(storage("copy what is not trained"))?;
    if copied == bytes {
        return Ok(());
    }
    Err(storage("read the global model")(io::ErrorKind::UnexpectedEof.into()))
}

/// The buffers of one chunk, reused for all.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    sum: Vec<i64>,
    direction: Vec<f32>,
    weights: Vec<f32>,
}

impl Chunk {
    /// Adds the next integers of all spools, modulo 2^k, and scales them to the direction.
    fn sum(
        &mut self,
        spools: &mut [BufReader<File>],
        values: usize,
        job: &Aggregation,
    ) -> Result<(), AggregateError> {
        self.sum.clear();
        self.sum.resize(values, 0);
        self.bytes.resize(values * job.bits.bytes(), 0);
        for spool in spools {
            spool.read_exact(&mut self.bytes).map_err(storage("read a spool"))?;
            wire_integers::decode_add(&self.bytes, job.bits, &mut self.sum)
                .expect("the buffer holds exactly the chunk's values");
        }
        self.direction.clear();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "weights are single precision"
        )]
        self.direction.extend(self.sum.iter().map(|&units| (units as f64 * job.scale) as f32));
        Ok(())
    }

    /// Moves the next weights, and leaves their bytes in `self.bytes`.
    fn step(
        &mut self,
        model: &mut BufReader<File>,
        moments: &mut Moments,
        values: usize,
        job: &Aggregation,
    ) -> Result<(), AggregateError> {
        self.bytes.resize(values * VALUE_BYTES, 0);
        model.read_exact(&mut self.bytes).map_err(storage("read the global model"))?;
        read_values(&self.bytes, &mut self.weights);
        moments.load(values, job)?;
        job.step.apply(&mut self.weights, &self.direction, &mut moments.values);
        if self.weights.iter().any(|weight| !weight.is_finite()) {
            return Err(AggregateError::NotFinite);
        }
        moments.store()?;
        write_values(&self.weights, &mut self.bytes);
        Ok(())
    }
}

/// What the optimiser remembers of the trained values along with a model, streamed from the one before to the new one.
struct Moments {
    per_weight: usize,
    before: Option<BufReader<File>>,
    after: NewFile,
    values: Vec<f32>,
    bytes: Vec<u8>,
}

impl Moments {
    /// An initial model has no moments yet: they are the optimiser's first ones.
    fn open(job: &Aggregation, store: &Store) -> Result<Self, AggregateError> {
        let before = match File::open(store.moments(&job.study, &job.model)) {
            Ok(file) => Some(BufReader::with_capacity(READ_BYTES, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(storage("open the optimiser's state")(error)),
        };
        let after = store.new_moments(&job.study).map_err(storage("write the optimiser's state"))?;
        Ok(Self { per_weight: job.step.moments(), before, after, values: Vec::new(), bytes: Vec::new() })
    }

    fn load(&mut self, weights: usize, job: &Aggregation) -> Result<(), AggregateError> {
        let values = weights * self.per_weight;
        match &mut self.before {
            Some(before) => {
                self.bytes.resize(values * VALUE_BYTES, 0);
                before.read_exact(&mut self.bytes).map_err(storage("read the optimiser's state"))?;
                read_values(&self.bytes, &mut self.values);
            }
            None => {
                self.values.clear();
                self.values.resize(values, 0.0);
                job.step.begin(&mut self.values);
            }
        }
        Ok(())
    }

    fn store(&mut self) -> Result<(), AggregateError> {
        self.bytes.resize(self.values.len() * VALUE_BYTES, 0);
        write_values(&self.values, &mut self.bytes);
        self.after.write_all(&self.bytes).map_err(storage("write the optimiser's state"))
    }

    fn commit(self, job: &Aggregation, store: &Store, model: &Digest) -> Result<(), AggregateError> {
        if self.per_weight == 0 {
            return Ok(());
        }
        self.after.commit(&store.moments(&job.study, model)).map_err(storage("store the optimiser's state"))
    }
}

fn read_values(bytes: &[u8], values: &mut Vec<f32>) {
    values.clear();
    let (chunks, _rest) = bytes.as_chunks::<VALUE_BYTES>();
    values.extend(chunks.iter().map(|&value| f32::from_le_bytes(value)));
}

fn write_values(values: &[f32], bytes: &mut [u8]) {
    let (chunks, _rest) = bytes.as_chunks_mut::<VALUE_BYTES>();
    for (bytes, value) in chunks.iter_mut().zip(values) {
        *bytes = value.to_le_bytes();
    }
}

fn open(path: &std::path::Path, what: &'static str) -> Result<BufReader<File>, AggregateError> {
    File::open(path).map(|file| BufReader::with_capacity(READ_BYTES, file)).map_err(storage(what))
}

fn storage(what: &'static str) -> impl FnOnce(io::Error) -> AggregateError {
    move |source| AggregateError::Storage { what, source }
}

/// Weights handled at once: a chunk's buffers stay within a core's second-level cache.
const CHUNK_VALUES: usize = 1 << 16;
/// Reads of a whole chunk pass the buffer by; only short tails go through it.
const READ_BYTES: usize = 1 << 12;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fedtwin_plan::model::{LinearRiskSpec, VectorSpec};
    use fedtwin_plan::model_file;
    use fedtwin_plan::trained::Trainable;

    use super::*;

    fn spec(values: usize) -> ModelSpec {
        ModelSpec::Vector(VectorSpec { parameters: i64::try_from(values).unwrap().try_into().unwrap() })
    }

    /// A store with a global model; the rest of the round is the caller's.
    fn job(
        folder: &Path,
        spec: ModelSpec,
        choice: Option<&Trainable>,
        weights: &[f32],
    ) -> (Store, Aggregation) {
        let store = Store::open(folder.to_path_buf()).unwrap();
        std::fs::create_dir_all(folder.join("studies/s")).unwrap();
        let mut model = store.new_model().unwrap();
        model.write_all(&model_file::encode(&spec, weights)).unwrap();
        let job = Aggregation {
            study: "s".parse().unwrap(),
            trained: Trained::new(&spec, choice).unwrap(),
            spec,
            model: model.commit().unwrap(),
            spools: Vec::new(),
            bits: WireBits::B32,
            scale: 0.5,
            step: Step::Average { rate: 1.0 },
        };
        (store, job)
    }

    fn with_updates(job: &mut Aggregation, store: &Store, updates: &[Vec<i64>]) {
        let spools = updates.iter().enumerate().map(|(i, update)| {
            let path = store.spool(i as u64);
            std::fs::write(&path, wire_integers::encode(update, job.bits)).unwrap();
            path
        });
        job.spools = spools.collect();
    }

    fn weights(store: &Store, job: &Aggregation, model: &Digest) -> Vec<f32> {
        model_file::decode(&job.spec, &std::fs::read(store.model(model)).unwrap()).unwrap()
    }

    #[test]
    fn sums_are_exact_over_chunks_and_moduli() {
        let folder = tempfile::tempdir().unwrap();
        let values = i64::try_from(CHUNK_VALUES).unwrap() + 7;
        let first: Vec<i64> = (0..values).map(|i| i % 1000 - 500).collect();
        let second: Vec<i64> = (0..values).map(|i| 3 - i % 1000).collect();
        for bits in [WireBits::B32, WireBits::B40, WireBits::B64] {
            let (store, mut job) = job(folder.path(), spec(first.len()), None, &vec![1.0; first.len()]);
            job.bits = bits;
            with_updates(&mut job, &store, &[first.clone(), second.clone()]);
            let model = aggregate(&job, &store).unwrap();
            #[expect(clippy::float_cmp, reason = "small integers are exact")]
            let all_equal =
                weights(&store, &job, &model).iter().all(|&weight| weight == 1.0 + 0.5 * (3.0 - 500.0));
            assert!(all_equal, "{bits:?}");
        }
    }

    #[test]
    fn what_is_not_trained_stays_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let choice = Trainable { biases: true, matching: Vec::new(), low_rank: None };
        let spec = ModelSpec::LinearRisk(LinearRiskSpec { inputs: 3.try_into().unwrap() });
        // A subnormal and a negative zero survive only a copy of their bits.
        let before = [f32::from_bits(1), -0.0, 0.25, 2.0];
        let (store, mut job) = job(folder.path(), spec, Some(&choice), &before);
        with_updates(&mut job, &store, &[vec![4], vec![-1]]);
        let model = aggregate(&job, &store).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&weights(&store, &job, &model)), bits(&[before[0], before[1], before[2], 3.5]));
    }

    #[test]
    fn an_update_of_another_length_or_a_model_cut_off_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let choice = Trainable { biases: true, matching: Vec::new(), low_rank: None };
        let spec = ModelSpec::LinearRisk(LinearRiskSpec { inputs: 3.try_into().unwrap() });
        let (store, mut job) = job(folder.path(), spec, Some(&choice), &[1.0; 4]);
        with_updates(&mut job, &store, &[vec![]]);
        assert!(matches!(aggregate(&job, &store), Err(AggregateError::Storage { what: "read a spool", .. })));
        with_updates(&mut job, &store, &[vec![4]]);
        let model = std::fs::OpenOptions::new().write(true).open(store.model(&job.model)).unwrap();
        model.set_len(model.metadata().unwrap().len() - 8).unwrap();
        assert!(matches!(aggregate(&job, &store), Err(AggregateError::Storage { .. })));
    }
}
