//! What is remembered of the trained values along with a model: the optimiser's moments and the average.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use fedtwin_plan::Digest;
use fedtwin_plan::model_file::VALUE_BYTES;

use super::{AggregateError, Aggregation, READ_BYTES, read_values, storage, write_values};
use crate::store::{NewFile, Store};

/// The moments, streamed from those of the model before to those of the new one.
///
/// Chunk by chunk: all first moments, all second ones, all averages, as far as the plan asks for them. The
/// file is named by its model, so that a round that is repeated after a crash begins with what was true then.
pub(super) struct Moments {
    of_the_step: usize,
    averages: usize,
    before: Option<BufReader<File>>,
    after: NewFile,
    values: Vec<f32>,
    weights: usize,
    bytes: Vec<u8>,
}

impl Moments {
    /// An initial model has no moments yet: they are the optimiser's first ones.
    pub(super) fn open(job: &Aggregation, store: &Store) -> Result<Self, AggregateError> {
        let before = match File::open(store.moments(&job.study, &job.model)) {
            Ok(file) => Some(BufReader::with_capacity(READ_BYTES, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(storage("open the optimiser's state")(error)),
        };
        Ok(Self {
            of_the_step: job.step.moments(),
            averages: usize::from(job.averaging.is_some()),
            before,
            after: store.new_moments(&job.study).map_err(storage("write the optimiser's state"))?,
            values: Vec::new(),
            weights: 0,
            bytes: Vec::new(),
        })
    }

    /// Reads what belongs to the next weights.
    pub(super) fn load(&mut self, weights: usize, job: &Aggregation) -> Result<(), AggregateError> {
        self.weights = weights;
        let values = weights * (self.of_the_step + self.averages);
        match &mut self.before {
            Some(before) => {
                self.bytes.resize(values * VALUE_BYTES, 0);
                before.read_exact(&mut self.bytes).map_err(storage("read the optimiser's state"))?;
                read_values(&self.bytes, &mut self.values);
            }
            None => {
                self.values.clear();
                self.values.resize(values, 0.0);
                job.step.begin(self.of_the_step());
            }
        }
        Ok(())
    }

    /// Returns the optimiser's part.
    pub(super) fn of_the_step(&mut self) -> &mut [f32] {
        &mut self.values[..self.weights * self.of_the_step]
    }

    /// Returns the averages, empty where the plan asks for none.
    pub(super) fn averages(&self) -> &[f32] {
        &self.values[self.weights * self.of_the_step..]
    }

    /// Returns the averages, to be moved.
    pub(super) fn averages_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.weights * self.of_the_step..]
    }

    /// Writes what belongs to the weights that were just moved.
    pub(super) fn store(&mut self) -> Result<(), AggregateError> {
        write_values(&self.values, &mut self.bytes);
        self.after.write_all(&self.bytes).map_err(storage("write the optimiser's state"))
    }

    /// Puts the file in its place, unless there is nothing to remember.
    pub(super) fn commit(
        self,
        job: &Aggregation,
        store: &Store,
        model: &Digest,
    ) -> Result<(), AggregateError> {
        if self.of_the_step + self.averages == 0 {
            return Ok(());
        }
        self.after.commit(&store.moments(&job.study, model)).map_err(storage("store the optimiser's state"))
    }
}
