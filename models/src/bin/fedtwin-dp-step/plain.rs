//! The ordinary step: one gradient for all patients at once.

use fedtwin_models::open::Parts;
use fedtwin_models::parameters::Parameters;
use fedtwin_models::segmentation::Segmentation;
use fedtwin_models::segmentation::loss;
use fedtwin_models::segmentation::slices::PaddedSlices;
use fedtwin_models::segmentation::unet::Unet;
use fedtwin_plan::PatientId;
use fedtwin_plan::cohort_need::TableNeed;
use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::record::{TableRecord, VolumeRecord};
use tch::{Device, Kind, Tensor};

use crate::step::{LEARNING_RATE, Step, StepTime, descend};

/// One pass over all patients' slices as one batch.
pub(crate) struct PlainUnet {
    study: Segmentation,
    volumes: Parts<VolumeRecord>,
    net: Unet,
    parameters: Parameters,
    weights: Vec<f32>,
    gradient: Vec<f32>,
    device: Device,
    steps: u64,
}

impl PlainUnet {
    pub(crate) fn new(study: Segmentation, volumes: Parts<VolumeRecord>, device: Device) -> Self {
        let weights = initial_values(&study.architecture, 1);
        Self {
            net: Unet::new(&study.size, 1),
            parameters: Parameters::new(&study.architecture, &study.trained, 1, (Kind::Float, device)),
            gradient: vec![0.0; weights.len()],
            weights,
            study,
            volumes,
            device,
            steps: 0,
        }
    }
}

impl Step for PlainUnet {
    fn step(&mut self) -> anyhow::Result<StepTime> {
        self.steps += 1;
        self.parameters.load(&self.weights)?;
        let patients = self.volumes.train.len();
        let slots: Vec<_> = (0..self.volumes.slots)
            .map(|id| self.study.slot(&self.volumes.train, Some(PatientId(id)), self.steps))
            .collect();
        let whole = |of: fn(&PaddedSlices) -> &[f32]| {
            let [slices, _, height, width] = slots[0].shape;
            let shape =
                [patients * slices, 1, height, width].map(|size| i64::try_from(size).expect("a size"));
            let parts: Vec<_> = slots.iter().map(|slot| Tensor::from_slice(of(slot))).collect();
            Tensor::cat(&parts, 0).view(shape).to(self.device)
        };
        let logits = self.net.forward(&self.parameters.layers(), &whole(|slot| &slot.images));
        let by_patient = |values: &Tensor| {
            let size = values.size();
            values.view([i64::from(self.volumes.slots), 1, -1, size[2], size[3]])
        };
        let (masks, weights) = (whole(|slot| &slot.masks), whole(|slot| &slot.weights));
        let losses = loss::segmentation(
            self.study.loss,
            &by_patient(&logits),
            &by_patient(&masks),
            &by_patient(&weights),
        );
        self.parameters.gradients(&losses.mean(Kind::Float), &mut self.gradient);
        descend(&mut self.weights, &self.gradient);
        Ok(StepTime::default())
    }
}

/// The gradient of a linear risk model over one table.
pub(crate) struct PlainRisk {
    inputs: Tensor,
    outcomes: Tensor,
    weights: Tensor,
    bias: Tensor,
}

impl PlainRisk {
    pub(crate) fn new(need: &TableNeed, rows: &Parts<TableRecord>, device: Device) -> Self {
        let mut inputs = Vec::new();
        for row in &rows.train {
            for (feature, &value) in need.features.values().zip(&row.values) {
                feature.encode(value, &mut inputs);
            }
        }
        let outcomes: Vec<_> = rows.train.iter().map(|row| row.outcome.value()).collect();
        let zeros = |len: usize| Tensor::from_slice(&vec![0.0_f32; len]).to(device);
        Self {
            inputs: Tensor::from_slice(&inputs).view([i64::from(rows.slots), -1]).to(device),
            outcomes: Tensor::from_slice(&outcomes).to(device),
            weights: zeros(need.inputs()),
            bias: zeros(1),
        }
    }
}

impl Step for PlainRisk {
    fn step(&mut self) -> anyhow::Result<StepTime> {
        let residuals = (self.inputs.mv(&self.weights) + &self.bias).sigmoid() - &self.outcomes;
        self.weights -= self.inputs.tr().mv(&residuals) * f64::from(LEARNING_RATE);
        self.bias -= residuals.sum(Kind::Float) * f64::from(LEARNING_RATE);
        Ok(StepTime::default())
    }
}
