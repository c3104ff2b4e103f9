//! Opens libtorch: the device, the threads, and the model of a plan's family.

use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::record::Records;
use fedtwin_plan::{Family, Plan};
use fedtwin_trainer::model::{Model, TrainError};
use tch::{Cuda, Device};

use crate::engine::Resources;
use crate::risk::{Link, Risk, RiskModel};
use crate::segmentation::{Segmentation, UnetModel};

/// A cohort as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// The declared, public number of training patients.
    pub slots: u32,
    /// Records of the training patients, at most as many as declared.
    pub train: Records,
    /// Records of the test patients.
    pub test: Records,
}

/// A cohort whose records have the type of a model family.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts<R> {
    /// The declared, public number of training patients; slots above `train` hold null records.
    pub slots: u32,
    /// Records of the patients that contribute to updates, in the order of their identifiers.
    pub train: Vec<R>,
    /// Records of the patients on whom a model is scored.
    pub test: Vec<R>,
}

/// Returns the device of `device = "auto"`: the first CUDA device where there is one, else the CPU.
///
/// Also limits the CPU's threads and turns off cuDNN's autotuning, which picks kernels by their speed
/// at the moment and with them the last bits of a gradient.
#[must_use]
pub fn device(threads: usize) -> Device {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
    if Cuda::is_available() {
        Cuda::cudnn_set_benchmark(false);
        return Device::Cuda(0);
    }
    Device::Cpu
}

/// Makes the model of `plan` over a cohort.
///
/// # Errors
/// Refuses records that do not fit the plan, and families that have none.
pub fn model(plan: &Plan, cohort: Cohort, resources: &Resources) -> Result<Box<dyn Model>, TrainError> {
    let (architecture, trained) = (plan.architecture().clone(), plan.trained().clone());
    let slots = cohort.slots;
    match (&plan.model.family, &plan.data, cohort.train, cohort.test) {
        (Family::Unet(size), DataNeed::Images(need), Records::Volumes(train), Records::Volumes(test)) => {
            let study = Segmentation {
                size: size.clone(),
                architecture,
                trained,
                augmentation: plan.training.augmentation.clone(),
                need: *need,
                loss: plan.training.loss,
                sampling: plan.training.sampling,
            };
            Ok(Box::new(UnetModel::new(study, Parts { slots, train, test }, resources)?))
        }
        (
            family @ (Family::LinearRisk | Family::MlpRisk(_) | Family::PoissonRate | Family::Hazard(_)),
            DataNeed::Table(need),
            Records::Table(train),
            Records::Table(test),
        ) => {
            let parts = Parts { slots, train, test };
            let link = if *family == Family::PoissonRate { Link::Log } else { Link::Logit };
            let study = Risk { architecture, trained, need: need.clone(), link };
            Ok(Box::new(RiskModel::new(&study, &parts, resources)))
        }
        (Family::Vector(_), DataNeed::Table(_) | DataNeed::Images(_), _, _) => {
            Err(TrainError::NoTrainer { family: plan.model.family.name() })
        }
        (
            Family::Unet(_)
            | Family::LinearRisk
            | Family::MlpRisk(_)
            | Family::PoissonRate
            | Family::Hazard(_),
            DataNeed::Table(_) | DataNeed::Images(_),
            _,
            _,
        ) => {
            let reason = "its records are of another kind than the plan's data".into();
            Err(TrainError::CohortIncompatible { reason })
        }
    }
}

/// Converts a size to libtorch's type.
pub(crate) fn dimension(size: usize) -> i64 {
    i64::try_from(size).expect("no tensor has 2^63 values")
}
