//! Passes on several threads at once, each with weights of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use fedtwin_plan::PatientId;
use fedtwin_trainer::model::TrainError;

use super::Objective;

/// Objectives of one kind and size, each of which takes a thread and the memory of a pass.
#[derive(Debug)]
pub struct Crew<O> {
    members: Vec<O>,
    slots: usize,
    values: usize,
}

/// Makes the record of a slot; a null record without a patient.
pub type Prepare<'a, S> = &'a (dyn Fn(Option<PatientId>) -> S + Sync);

impl<O: Objective> Crew<O> {
    /// Makes a crew whose passes have so many slots. `values` is the length of a gradient.
    ///
    /// # Panics
    /// Without a member, a slot or a value.
    #[must_use]
    pub fn new(members: Vec<O>, slots: usize, values: usize) -> Self {
        assert!(!members.is_empty() && slots > 0 && values > 0, "somebody must have some work");
        Self { members, slots, values }
    }

    /// Hands the gradient of each sampled patient to `sink`, in any order.
    ///
    /// A vector's bits do not depend on how many members there are: which one computes a pass is chance, and all
    /// compute the same. `sampled` is in ascending order.
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
        prepare: Prepare<'_, O::Slot>,
        sink: &mut dyn FnMut(PatientId, &[f32]),
    ) -> Result<(), TrainError> {
        for member in &mut self.members {
            member.load(weights)?;
        }
        let passes = passes(sampled, self.slots);
        let (values, next) = (self.values, AtomicUsize::new(0));
        let (done, finished) = sync_channel(FINISHED_PASSES);
        let mut broken = false;
        thread::scope(|scope| {
            for member in &mut self.members {
                let (done, passes, next) = (done.clone(), &passes, &next);
                scope.spawn(move || {
                    // Of this thread alone: splitting a sum among threads would change its bits.
                    tch::set_num_threads(1);
                    while let Some(pass) = passes.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let gradients = Attempted { objective: &*member, prepare, values }.pass(pass);
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

/// Passes that may break off.
struct Attempted<'a, O: Objective> {
    objective: &'a O,
    prepare: Prepare<'a, O::Slot>,
    values: usize,
}

impl<O: Objective> Attempted<'_, O> {
    /// Returns the gradient of each slot, or nothing where even null records have none.
    fn pass(&self, pass: &[Option<PatientId>]) -> Option<Vec<f32>> {
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

    fn record(&self, patient: Option<PatientId>) -> O::Slot {
        let prepared = catch_unwind(AssertUnwindSafe(|| (self.prepare)(patient)));
        prepared.unwrap_or_else(|_panic| {
            tracing::warn!("a patient's record cannot be laid out, who counts as a null record");
            (self.prepare)(None)
        })
    }

    fn compute(&self, patients: &[O::Slot]) -> Option<Vec<f32>> {
        let mut gradients = vec![0.0; patients.len() * self.values];
        catch_unwind(AssertUnwindSafe(|| self.objective.gradients(patients, &mut gradients))).ok()?;
        Some(gradients)
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

    /// An objective that breaks off on intensities of 13 and whenever `dead`.
    struct Fragile {
        dead: bool,
    }

    impl Objective for Fragile {
        type Slot = f32;

        fn load(&mut self, _weights: &[f32]) -> Result<(), TrainError> {
            Ok(())
        }

        fn gradients(&self, patients: &[f32], gradients: &mut [f32]) {
            assert!(!self.dead, "nothing can be computed");
            for (&intensity, gradient) in patients.iter().zip(gradients) {
                assert!(intensity.to_bits() != 13.0_f32.to_bits(), "a tensor library's exception");
                *gradient = intensity;
            }
        }
    }

    fn gradients(sampled: &[u32], dead: bool) -> Result<Vec<(u32, f32)>, TrainError> {
        let members = (0..2).map(|_| Fragile { dead }).collect();
        // The patient's own number is its intensity; the seventh's record cannot be laid out.
        let prepare = |patient: Option<PatientId>| match patient {
            Some(PatientId(7)) => panic!("another shape"),
            Some(PatientId(id)) => id as f32,
            None => 0.0,
        };
        let sampled: Vec<_> = sampled.iter().copied().map(PatientId).collect();
        let mut found = Vec::new();
        let mut sink = |PatientId(id): PatientId, vector: &[f32]| found.push((id, vector[0]));
        Crew::new(members, 4, 1).gradients(&[], &sampled, &prepare, &mut sink)?;
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
