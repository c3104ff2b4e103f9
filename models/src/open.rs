//! Opens libtorch: the device, the threads, and the trainer of a plan's model family.

use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::model::UnetSpec;
use fedtwin_plan::record::Records;
use fedtwin_plan::{ModelSpec, Plan};
use tch::{Cuda, Device};

use crate::engine::Resources;
use crate::risk_trainer::RiskTrainer;
use crate::trainer::{TrainError, Trainer};
use crate::unet_trainer::{Segmentation, UnetTrainer};

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

/// Makes the trainer of `plan` over a cohort.
///
/// # Errors
/// Refuses records that do not fit the plan, and families that have no trainer.
pub fn trainer(plan: &Plan, cohort: Cohort, resources: &Resources) -> Result<Box<dyn Trainer>, TrainError> {
    let spec = plan.model_spec().map_err(|problem| TrainError::CohortIncompatible {
        reason: format!("{} {}", problem.key, problem.message),
    })?;
    let not_yet = |what: &str| Err(TrainError::NotYet { what: what.to_owned() });
    if plan.training.augmentation.is_some() {
        return not_yet("[training.augmentation]");
    }
    let slots = cohort.slots;
    match (&spec, &plan.data, cohort.train, cohort.test) {
        (ModelSpec::Unet(UnetSpec { adapter_rank: Some(_), .. }), _, _, _) => not_yet("low-rank adapters"),
        (ModelSpec::MlpRisk(_), _, _, _) => not_yet("the model family \"mlp-risk\""),
        (ModelSpec::Unet(unet), DataNeed::Images(need), Records::Volumes(train), Records::Volumes(test)) => {
            let parts = Parts { slots, train, test };
            let study = Segmentation {
                spec: unet.clone(),
                need: *need,
                loss: plan.training.loss,
                sampling: plan.training.sampling,
            };
            Ok(Box::new(UnetTrainer::new(study, parts, resources)?))
        }
        (ModelSpec::LinearRisk(_), DataNeed::Table(need), Records::Table(train), Records::Table(test)) => {
            Ok(Box::new(RiskTrainer::new(need, &Parts { slots, train, test }, resources.device)))
        }
        (ModelSpec::Vector(_), DataNeed::Table(_) | DataNeed::Images(_), _, _) => {
            Err(TrainError::NoTrainer { family: spec.family() })
        }
        (ModelSpec::Unet(_) | ModelSpec::LinearRisk(_), DataNeed::Table(_) | DataNeed::Images(_), _, _) => {
            let reason = "its records are of another kind than the plan's data".into();
            Err(TrainError::CohortIncompatible { reason })
        }
    }
}

/// Converts a size to libtorch's type.
pub(crate) fn dimension(size: usize) -> i64 {
    i64::try_from(size).expect("no tensor has 2^63 values")
}
