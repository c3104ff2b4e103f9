//! Hostile records, which an audit puts in one patient's place.
//!
//! They are what a broken export, a careless mapping or an attacker could leave in a cohort. Whatever
//! stands in one patient's place, no other patient's contribution may change by a single bit.

use fedtwin_plan::record::{PatientId, Records, TableRecord, Value, VolumeRecord};
use serde::{Deserialize, Serialize};

/// What stands in one patient's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandIn {
    /// Nothing: every value missing, a volume without a slice.
    Null,
    /// Zeros, the first category, an empty mask.
    Zeros,
    /// NaN in every number.
    NotNumbers,
    /// 1e38 in every number, categories that no list has.
    Huge,
    /// A volume of 500 slices; for a table, the own values with the other outcome.
    Long,
    /// Another patient's record once more.
    CopyOf(PatientId),
}

impl StandIn {
    /// Returns all stand-ins for a patient of a cohort with `patients` records.
    pub fn for_patient(patient: PatientId, patients: u32) -> impl Iterator<Item = Self> {
        let other = (patients > 1).then(|| Self::CopyOf(PatientId((patient.0 + 1) % patients)));
        [Self::Null, Self::Zeros, Self::NotNumbers, Self::Huge, Self::Long].into_iter().chain(other)
    }

    /// Puts the stand-in in the place of `patient`; does nothing where either has no record.
    pub fn replace(self, records: &mut Records, patient: PatientId) {
        match records {
            Records::Table(rows) => put(rows, patient, self, Self::row),
            Records::Volumes(volumes) => put(volumes, patient, self, Self::volume),
        }
    }

    /// Returns what stands in for a row; copies are made by [`put`].
    fn row(self, own: &TableRecord) -> TableRecord {
        let values = |number: f64, category: u32| {
            let values = own.values.iter().map(|value| match value {
                Value::Number(_) => Value::Number(number),
                Value::Category(_) => Value::Category(category),
                Value::Missing => Value::Missing,
            });
            values.collect()
        };
        match self {
            Self::Null => {
                TableRecord { values: vec![Value::Missing; own.values.len()], outcome: own.outcome.none() }
            }
            Self::Zeros => TableRecord { values: values(0.0, 0), outcome: own.outcome.none() },
            Self::NotNumbers => TableRecord { values: values(f64::NAN, u32::MAX), outcome: own.outcome },
            Self::Huge => TableRecord { values: values(1e38, u32::MAX), outcome: own.outcome },
            Self::Long => TableRecord { values: own.values.clone(), outcome: own.outcome.other() },
            Self::CopyOf(_) => own.clone(),
        }
    }

    /// Returns what stands in for a volume; copies are made by [`put`].
    fn volume(self, own: &VolumeRecord) -> VolumeRecord {
        let filled = |value: f32| VolumeRecord { image: vec![value; own.image.len()], ..own.clone() };
        let [slices, height, width] = own.shape;
        match self {
            Self::Null => VolumeRecord {
                shape: [0, height, width],
                image: Vec::new(),
                mask: Vec::new(),
                spacing_mm: own.spacing_mm,
            },
            Self::Zeros => VolumeRecord { mask: vec![0; own.mask.len()], ..filled(0.0) },
            Self::NotNumbers => filled(f32::NAN),
            Self::Huge => filled(1e38),
            Self::Long => VolumeRecord {
                shape: [if slices == 0 { 0 } else { LONG_SLICES }, height, width],
                image: own.image.iter().copied().cycle().take(LONG_SLICES * height * width).collect(),
                mask: own.mask.iter().copied().cycle().take(LONG_SLICES * height * width).collect(),
                spacing_mm: own.spacing_mm,
            },
            Self::CopyOf(_) => own.clone(),
        }
    }
}

/// Replaces one record by what `make` says, or by a copy of another.
fn put<R: Clone>(records: &mut [R], patient: PatientId, with: StandIn, make: fn(StandIn, &R) -> R) {
    let at = patient.0 as usize;
    let source = if let StandIn::CopyOf(other) = with { other.0 as usize } else { at };
    if let (Some(made), Some(place)) = (records.get(source).map(|own| make(with, own)), records.get_mut(at)) {
        *place = made;
    }
}

/// More slices than any plan takes of a patient.
const LONG_SLICES: usize = 500;

#[cfg(test)]
mod tests {
    use fedtwin_plan::outcome::Outcome;

    use super::*;

    fn rows() -> Records {
        let row = |x: f64| TableRecord {
            values: vec![Value::Number(x), Value::Category(1), Value::Missing],
            outcome: Outcome::YesNo(true),
        };
        Records::Table(vec![row(1.0), row(2.0), row(3.0)])
    }

    #[test]
    fn a_stand_in_takes_one_patients_place_and_no_others() {
        for stand_in in StandIn::for_patient(PatientId(1), 3) {
            let mut records = rows();
            stand_in.replace(&mut records, PatientId(1));
            let (Records::Table(found), Records::Table(own)) = (&records, rows()) else { unreachable!() };
            assert_eq!((&found[0], &found[2]), (&own[0], &own[2]), "{stand_in:?}");
            // NaN is unequal to itself, which is as it should be here.
            assert_ne!(found[1], own[1], "{stand_in:?}");
        }
    }

    #[test]
    fn volumes_keep_their_lengths_in_step_with_their_shapes() {
        let volume =
            VolumeRecord { shape: [2, 3, 4], spacing_mm: [1.0; 3], image: vec![0.5; 24], mask: vec![1; 24] };
        for stand_in in StandIn::for_patient(PatientId(0), 2) {
            let mut records = Records::Volumes(vec![volume.clone(), volume.clone()]);
            stand_in.replace(&mut records, PatientId(0));
            let Records::Volumes(found) = &records else { unreachable!() };
            let values: usize = found[0].shape.iter().product();
            assert_eq!((found[0].image.len(), found[0].mask.len()), (values, values), "{stand_in:?}");
            assert_eq!(found[1], volume);
        }
    }

    #[test]
    fn nobody_is_replaced_who_is_not_there() {
        let mut records = rows();
        StandIn::Null.replace(&mut records, PatientId(3));
        StandIn::CopyOf(PatientId(7)).replace(&mut records, PatientId(0));
        assert_eq!(records, rows());
        assert_eq!(StandIn::for_patient(PatientId(0), 1).count(), 5);
    }
}
