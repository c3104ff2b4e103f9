//! Passes on several threads at once, each with an engine of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use fedtwin_plan::PatientId;
use fedtwin_trainer::model::TrainError;

use super::Engine;
use crate::segmentation::slices::PaddedSlices;

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
    /// A patient on whom the computation breaks off has a gradient of zeros, as a null record has: whether there is an
    /// answer would otherwise depend on that patient.
    ///
    /// # Errors
    /// Refuses weights of another length; fails where not even null records can be computed, which is nobody's doing.
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
        let mut broken = false;
        thread::scope(|scope| {
            for engine in &mut self.engines {
                let (done, passes, next) = (done.clone(), &passes, &next);
                scope.spawn(move || {
                    // Of this thread alone: splitting a sum among threads would change its bits.
                    tch::set_num_threads(1);
                    while let Some(pass) = passes.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let gradients = Attempted { engine: engine.as_mut(), prepare, values }.pass(pass);
                        if done.send((pass, gradients)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            for (pass, gradients) in finished {
                let Some(gradients) = gradients else {
                    broken = true;
                    continue;
                };
                for (patient, gradient) in pass.iter().zip(gradients.chunks_exact(values)) {
                    patient.map(|patient| sink(patient, gradient));
                }
            }
        });
        if broken { Err(TrainError::Engine) } else { Ok(()) }
    }
}

/// An engine whose passes may break off.
struct Attempted<'a> {
    engine: &'a mut dyn Engine,
    prepare: Prepare<'a>,
    values: usize,
}

impl Attempted<'_> {
    /// Returns the gradient of each slot, or nothing where even null records have none.
    fn pass(&mut self, pass: &[Option<PatientId>]) -> Option<Vec<f32>> {
        let patients: Vec<_> = pass.iter().map(|&patient| self.record(patient)).collect();
        if let Some(gradients) = self.compute(&patients) {
            return Some(gradients);
        }
        let nobody: Vec<_> = pass.iter().map(|_slot| (self.prepare)(None)).collect();
        let mut gradients = self.compute(&nobody)?;
        // Each one apart, in its own slot of the same shape: the bits are those of the pass with the others.
        for (slot, patient) in patients.into_iter().enumerate() {
            let mut alone = nobody.clone();
            alone[slot] = patient;
            let place = slot * self.values..(slot + 1) * self.values;
            match self.compute(&alone) {
                Some(own) => gradients[place.clone()].copy_from_slice(&own[place]),
                None => tracing::warn!("the computation broke off on a patient, who counts as a null record"),
            }
        }
        Some(gradients)
    }

    fn record(&self, patient: Option<PatientId>) -> PaddedSlices {
        let prepared = catch_unwind(AssertUnwindSafe(|| (self.prepare)(patient)));
        prepared.unwrap_or_else(|_panic| {
            tracing::warn!("a patient's slices cannot be laid out, who counts as a null record");
            (self.prepare)(None)
        })
    }

    fn compute(&mut self, patients: &[PaddedSlices]) -> Option<Vec<f32>> {
        let mut gradients = vec![0.0; patients.len() * self.values];
        // Whatever a pass leaves behind in an engine, the next one overwrites.
        catch_unwind(AssertUnwindSafe(|| self.engine.pass(patients, &mut gradients))).ok()?;
        Some(gradients)
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

    /// An engine of four slots, which breaks off on intensities of 13 and whenever `dead`.
    struct Fragile {
        dead: bool,
    }

    impl Engine for Fragile {
        fn slots(&self) -> usize {
            4
        }

        fn load(&mut self, _weights: &[f32]) -> Result<(), TrainError> {
            Ok(())
        }

        fn pass(&mut self, patients: &[PaddedSlices], gradients: &mut [f32]) {
            assert!(!self.dead, "nothing can be computed");
            for (patient, gradient) in patients.iter().zip(gradients) {
                assert!(patient.images[0].to_bits() != 13.0_f32.to_bits(), "a tensor library's exception");
                *gradient = patient.images[0];
            }
        }
    }

    fn gradients(sampled: &[u32], dead: bool) -> Result<Vec<(u32, f32)>, TrainError> {
        let engines = (0..2).map(|_| Box::new(Fragile { dead }) as Box<dyn Engine>).collect();
        // The patient's own number is its intensity; the seventh's slices cannot be laid out.
        let prepare = |patient: Option<PatientId>| {
            let mut slices = PaddedSlices::null([1, 1, 1, 1]);
            if let Some(PatientId(id)) = patient {
                assert!(id != 7, "another shape");
                slices.images[0] = id as f32;
            }
            slices
        };
        let sampled: Vec<_> = sampled.iter().copied().map(PatientId).collect();
        let mut found = Vec::new();
        let mut sink = |PatientId(id): PatientId, vector: &[f32]| found.push((id, vector[0]));
        Crew::new(engines, 1).gradients(&[], &sampled, &prepare, &mut sink)?;
        found.sort_by_key(|&(id, _)| id);
        Ok(found)
    }

    #[test]
    fn a_patient_on_whom_the_computation_breaks_off_adds_nothing_and_changes_nobody() {
        let found = gradients(&[5, 6, 7, 12, 13, 14], false).unwrap();
        assert_eq!(found, [(5, 5.0), (6, 6.0), (7, 0.0), (12, 12.0), (13, 0.0), (14, 14.0)]);
        assert_eq!(gradients(&[5], true), Err(TrainError::Engine), "whoever was sampled");
    }

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
