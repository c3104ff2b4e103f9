//! The close of a round: walk over all spools chunk by chunk, add, scale, step, write the new model.
//!
//! Memory is a few chunks, whatever the size of the model or the number of sites. Sums are of integers,
//! so neither the order of sites nor the size of a chunk changes a bit of the result.

mod behind;
mod moments;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use fedtwin_plan::model_file::{VALUE_BYTES, header, is_weight};
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::plan::{AdaptiveClip, SiteTraining};
use fedtwin_plan::{Architecture, Digest, Plan, StudyId, Trained, WireBits};
use fedtwin_privacy::wire_integers;
use fedtwin_secagg::mask::Masks;

use self::behind::Behind;
use self::moments::Moments;
use crate::average::Averaging;
use crate::optimiser::Step;
use crate::store::Store;
use crate::study::{Job, Models};

/// What to aggregate.
#[derive(Debug)]
pub struct Aggregation {
    /// The study, in whose folder the optimiser remembers.
    pub study: StudyId,
    /// The model's specification.
    pub architecture: Architecture,
    /// The part of it that updates hold; the rest stays as it is.
    pub trained: Trained,
    /// The global model of the round.
    pub model: Digest,
    /// The updates' files.
    pub spools: Vec<PathBuf>,
    /// The masks that are left in the sum of the updates, under secure aggregation.
    pub masks: Option<Masks>,
    /// The width of one integer.
    pub bits: WireBits,
    /// What one integer unit of the summed updates moves the mean by, along the direction to step in.
    pub scale: f64,
    /// The server optimiser's step.
    pub step: Step,
    /// The moving average of the models, where the plan asks for one.
    pub averaging: Option<Averaging>,
    /// How the sum of the indicators moves the clip, where it adapts.
    pub clipping: Option<Clipping>,
}

/// The clip of a round and what moves it.
#[derive(Debug)]
pub struct Clipping {
    /// The plan's rule.
    pub rule: AdaptiveClip,
    /// The round's clip.
    pub clip: Positive,
    /// What one integer unit of the summed indicators adds to their mean in [-1, 1].
    pub scale: f64,
}

impl Clipping {
    /// Returns the next clip. Of a mean of indicators of 1 and -1, half of one more are 1.
    #[expect(clippy::cast_precision_loss, reason = "the quantile of a noisy sum")]
    fn next(&self, sum: i64) -> Positive {
        self.rule.next(self.clip, f64::midpoint(sum as f64 * self.scale, 1.0))
    }
}

impl Aggregation {
    /// Says what one round's sum means.
    ///
    /// Gradients are sums over the sampled patients: divided by the nominal batch, the sampling rate times
    /// the declared patients, never by the drawn one. Changes come multiplied by the site's declared patients.
    ///
    /// # Panics
    /// If the plan was not checked.
    #[must_use]
    pub fn new(plan: &Plan, job: Job) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "patients and grid units are far below 2^52")]
        let (patients, below) = (job.patients as f64, plan.norm_division().below as f64);
        let nominal_batch = patients * plan.training.sampling.to_f64();
        let scale = match &plan.training.site {
            SiteTraining::Gradient => -plan.update_unit(job.clip) / nominal_batch,
            SiteTraining::Sgd(_) | SiteTraining::Adam(_) => plan.update_unit(job.clip) / patients,
        };
        let clipping = plan.training.adaptive_clip.clone().map(|rule| {
            let scale = 1.0 / (below * nominal_batch);
            Clipping { rule, clip: job.clip, scale }
        });
        let (round, rounds) = (job.key.round, plan.rounds.count.get());
        let average = plan.training.average.as_ref();
        Self {
            study: plan.study.id.clone(),
            architecture: plan.architecture().clone(),
            trained: plan.trained().clone(),
            model: job.model,
            spools: job.spools,
            masks: job.masks,
            bits: plan.calibrated.modulus_bits,
            scale,
            step: Step::new(&plan.training.server, round),
            averaging: average.map(|average| Averaging::new(average, round, rounds)),
            clipping,
        }
    }
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
    #[error(
        "the new model has weights beyond 2^40 or that are no numbers: lower the server's learning rate or the noise"
    )]
    NotFinite,
}

/// Aggregates, and returns the new model's digest; after the last round, the averaged model's too; and the
/// next clip, where it adapts.
///
/// # Errors
/// Refuses a model with weights that are not finite; returns the file system's errors.
pub fn aggregate(job: &Aggregation, store: &Store) -> Result<Models, AggregateError> {
    let mut model = open(&store.model(&job.study, &job.model), "open the global model")?;
    let header = header(&job.architecture);
    let mut skipped = vec![0; header.len()];
    model.read_exact(&mut skipped).map_err(storage("read the global model"))?;

    let mut moments = Moments::open(job, store)?;
    let models = NewModels::start(job, store, &header)?;

    let (mut chunk, mut place) = (Chunk::default(), 0);
    for range in job.trained.ranges() {
        models.copy(&mut model, range.start - place)?;
        let mut left = range.len();
        while left > 0 {
            let values = left.min(CHUNK_VALUES);
            left -= values;
            chunk.sum(values, job)?;
            chunk.step(&mut model, &mut moments, values, job)?;
            models.write(&chunk.weights, moments.averages());
        }
        place = range.end;
    }
    models.copy(&mut model, job.trained.all_values() - place)?;
    let mut models = models.commit()?;
    if let Some(clipping) = &job.clipping {
        chunk.sum(1, job)?;
        models.clip = Some(clipping.next(chunk.sum[0]));
    }
    moments.commit(job, store, &models.global)?;
    Ok(models)
}

/// The new model and, after the last round, the averaged one, which has the same values where nothing is
/// trained.
struct NewModels {
    global: Behind,
    average: Option<Behind>,
}

impl NewModels {
    fn start(job: &Aggregation, store: &Store, header: &[u8]) -> Result<Self, AggregateError> {
        let start = || {
            let mut file = store.new_model(&job.study)?;
            file.write_all(header)?;
            Behind::start(file)
        };
        let wants_average = job.averaging.as_ref().is_some_and(Averaging::is_last);
        let global = start().map_err(storage(NEW_MODEL))?;
        let average = wants_average.then(start).transpose().map_err(storage(NEW_MODEL))?;
        Ok(Self { global, average })
    }

    /// Copies values that are not trained, bit by bit.
    fn copy(&self, from: &mut impl Read, values: usize) -> Result<(), AggregateError> {
        let mut left = values;
        while left > 0 {
            let values = left.min(CHUNK_VALUES);
            left -= values;
            let mut bytes = self.global.buffer();
            bytes.resize(values * VALUE_BYTES, 0);
            from.read_exact(&mut bytes).map_err(storage("read the global model"))?;
            if let Some(file) = &self.average {
                file.write(bytes.clone());
            }
            self.global.write(bytes);
        }
        Ok(())
    }

    /// Writes the next trained weights; averages are there in every round that has a moving average.
    fn write(&self, weights: &[f32], averages: &[f32]) {
        let write = |file: &Behind, values| {
            let mut bytes = file.buffer();
            write_values(values, &mut bytes);
            file.write(bytes);
        };
        write(&self.global, weights);
        if let Some(file) = &self.average {
            write(file, averages);
        }
    }

    fn commit(self) -> Result<Models, AggregateError> {
        let commit = |file: Behind| file.commit().map_err(storage("store the new model"));
        let average = self.average.map(commit).transpose()?;
        Ok(Models { average, ..commit(self.global)?.into() })
    }
}

/// The buffers of one chunk, reused for all.
#[derive(Default)]
struct Chunk {
    /// The chunk's first value, counted from the updates' beginning.
    first: u64,
    bytes: Vec<u8>,
    sum: Vec<i64>,
    direction: Vec<f32>,
    weights: Vec<f32>,
    /// What is read of spools, for each thread that adds them.
    spooled: Vec<Vec<u8>>,
}

impl Chunk {
    /// Adds the next integers of all spools, modulo 2^k, takes the masks off, and scales them to the direction.
    fn sum(&mut self, values: usize, job: &Aggregation) -> Result<(), AggregateError> {
        self.sum.clear();
        self.sum.resize(values, 0);
        // Masks take as long as there are sites and more; adding alone is not worth a thread's start.
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if job.masks.is_some() { processors } else { 1 };
        self.spooled.resize_with(threads, Vec::new);
        let part = values.div_ceil(threads);
        let parts = self.sum.chunks_mut(part).zip(&mut self.spooled);
        let mut parts = (self.first..).step_by(part).zip(parts);
        let add = |(first, (sum, bytes))| sum_part(first, sum, bytes, job);
        let own = parts.next();
        std::thread::scope(|scope| {
            let others: Vec<_> = parts.map(|part| scope.spawn(move || add(part))).collect();
            own.map_or(Ok(()), add)?;
            others.into_iter().try_for_each(|other| other.join().expect("adding does not panic"))
        })?;
        self.first += values as u64;
        self.direction.clear();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "weights are single precision"
        )]
        self.direction.extend(self.sum.iter().map(|&units| (units as f64 * job.scale) as f32));
        Ok(())
    }

    /// Moves the next weights.
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
        job.step.apply(&mut self.weights, &self.direction, moments.of_the_step());
        if !self.weights.iter().all(|&weight| is_weight(weight)) {
            return Err(AggregateError::NotFinite);
        }
        if let Some(averaging) = &job.averaging {
            averaging.apply(moments.averages_mut(), &self.weights);
        }
        moments.store()
    }
}

/// Adds the integers of all spools from value number `first` on, and takes the masks off.
///
/// One spool is open at a time: an attempt may have more than the system lets a program open. Opening takes
/// 10 µs, the part that is then read and added a hundred and more.
fn sum_part(
    first: u64,
    sum: &mut [i64],
    bytes: &mut Vec<u8>,
    job: &Aggregation,
) -> Result<(), AggregateError> {
    let width = job.bits.bytes();
    bytes.resize(sum.len() * width, 0);
    for path in &job.spools {
        let spool = File::open(path).map_err(storage("open a spool"))?;
        spool.read_exact_at(bytes, first * width as u64).map_err(storage("read a spool"))?;
        wire_integers::decode_add(bytes, job.bits, sum).expect("the buffer holds exactly the values");
    }
    if let Some(masks) = &job.masks {
        masks.take_from(first, sum);
        sum.iter_mut().for_each(|sum| *sum = job.bits.least(*sum));
    }
    Ok(())
}

fn read_values(bytes: &[u8], values: &mut Vec<f32>) {
    values.clear();
    let (chunks, _rest) = bytes.as_chunks::<VALUE_BYTES>();
    values.extend(chunks.iter().map(|&value| f32::from_le_bytes(value)));
}

fn write_values(values: &[f32], bytes: &mut Vec<u8>) {
    bytes.resize(values.len() * VALUE_BYTES, 0);
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
const NEW_MODEL: &str = "write the new model";
