//! Passes on several threads at once, each with an engine of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use fedtwin_plan::PatientId;

use super::Engine;
use crate::slices::PaddedSlices;
use crate::trainer::TrainError;

/// Engines of one kind and size.
pub struct Crew {
    engines: Vec<Box<dyn Engine>>,
    values: usize,
}

/// Makes the record of a slot; a null record without a patient.
pub type Prepare<'a> = &'a (dyn Fn(Option<PatientId>) -> PaddedSlices + Sync);

impl Crew {
    /// Makes a crew; each engine takes a thread and the memory of a pass. `values` is the length of a
    /// gradient.
    ///
    /// # Panics
    /// Without an engine.
    #[must_use]
    pub fn new(engines: Vec<Box<dyn Engine>>, values: usize) -> Self {
        assert!(!engines.is_empty(), "somebody must do the work");
        Self { engines, values }
    }

    /// Hands the gradient of each sampled patient to `sink`, in any order.
    ///
    /// A vector's bits do not depend on how many engines there are: which engine computes a pass is
    /// chance, and all compute the same. `sampled` is in ascending order.
    ///
    /// # Errors
    /// Refuses weights of another length.
    pub fn gradients(
        &mut self,
        weights: &[f32],
        sampled: &[PatientId],
        prepare: Prepare<'_>,
        sink: &mut dyn FnMut(PatientId, &[f32]),
    ) -> Result<(), TrainError> {
        for engine in &mut self.engines {
            engine.load(weights)?;
        }
        let slots = self.engines[0].slots();
        let passes = passes(sampled, slots);
        let (values, next) = (self.values, AtomicUsize::new(0));
        let (done, finished) = sync_channel(FINISHED_PASSES);
        thread::scope(|scope| {
            for engine in &mut self.engines {
                let (done, passes, next) = (done.clone(), &passes, &next);
                scope.spawn(move || {
                    // Of this thread alone: splitting a sum among threads would change its bits.
                    tch::set_num_threads(1);
                    while let Some(pass) = passes.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let patients: Vec<_> = pass.iter().map(|&patient| prepare(patient)).collect();
                        let mut gradients = vec![0.0; slots * values];
                        engine.pass(&patients, &mut gradients);
                        if done.send((pass, gradients)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            for (pass, gradients) in finished {
                for (patient, gradient) in pass.iter().zip(gradients.chunks_exact(values)) {
                    patient.map(|patient| sink(patient, gradient));
                }
            }
        });
        Ok(())
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crew of {}", self.engines.len())
    }
}

/// Returns the passes that have a sampled patient, each with its slots.
///
/// Patient `i` is in slot `i % slots` of pass `i / slots`, whoever else was sampled.
fn passes(sampled: &[PatientId], slots: usize) -> Vec<Vec<Option<PatientId>>> {
    let place = |patient: &PatientId| patient.0 as usize / slots;
    sampled
        .chunk_by(|a, b| place(a) == place(b))
        .map(|together| {
            let mut pass = vec![None; slots];
            for &patient in together {
                pass[patient.0 as usize % slots] = Some(patient);
            }
            pass
        })
        .collect()
}

/// Few, because each holds a gradient per slot; enough that nobody waits for the sum.
const FINISHED_PASSES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patients_slot_follows_from_its_identifier_alone() {
        let ids = |ids: &[u32]| ids.iter().copied().map(PatientId).collect::<Vec<_>>();
        let of = |sampled: &[u32]| passes(&ids(sampled), 4);
        let slot = |id: u32| Some(PatientId(id));
        assert_eq!(of(&[1, 3, 9]), [[None, slot(1), None, slot(3)], [None, slot(9), None, None]]);
        assert_eq!(of(&[3]), [[None, None, None, slot(3)]]);
        assert_eq!(passes(&ids(&[0, 5]), 1), [[slot(0)], [slot(5)]]);
        assert!(of(&[]).is_empty());
    }
}
