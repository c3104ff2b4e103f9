//! What is trained: the model and the patients.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, ensure};
use fedtwin_models::open::Parts;
use fedtwin_models::risk::{Link, Risk};
use fedtwin_models::segmentation::Segmentation;
use fedtwin_plan::cohort_need::{Feature, ImageNeed, NumberRange, TableNeed};
use fedtwin_plan::family::{LinearRisk, UnetSize};
use fedtwin_plan::outcome::Outcome;
use fedtwin_plan::plan::Loss;
use fedtwin_plan::record::{TableRecord, Value, VolumeRecord};
use fedtwin_plan::{Ratio, Trained};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A model and its patients, all of whom are in every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// A U-Net of depth 2.
    Unet(UnetCase),
    /// A linear risk model: the size of the heart studies.
    Risk,
}

/// The size of a segmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnetCase {
    pub(crate) patients: u32,
    pub(crate) slices: u32,
    /// Rows and columns of a slice.
    pub(crate) pixels: u32,
    pub(crate) base: u32,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Unet(UnetCase { patients, slices, pixels, base }) = self else {
            return f.pad("risk");
        };
        let name = match (pixels, base) {
            (&PIXELS, &BASE) => format!("unet-{patients}x{slices}"),
            (pixels, &BASE) => format!("unet-{patients}x{slices}-{pixels}"),
            (pixels, base) => format!("unet-{patients}x{slices}-{pixels}-{base}"),
        };
        f.pad(&name)
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if text == "risk" {
            return Ok(Self::Risk);
        }
        let size = text.strip_prefix("unet-").context("expected risk or unet-PATIENTSxSLICES")?;
        let mut parts = size.split('-');
        let (patients, slices) =
            parts.next().and_then(|part| part.split_once('x')).context("expected PATIENTSxSLICES")?;
        let pixels = parts.next().map_or(Ok(PIXELS), str::parse)?;
        let base = parts.next().map_or(Ok(BASE), str::parse)?;
        ensure!(parts.next().is_none(), "expected at most PIXELS and BASE after PATIENTSxSLICES");
        let case = UnetCase { patients: patients.parse()?, slices: slices.parse()?, pixels, base };
        case.study().context("a size is out of range")?;
        Ok(Self::Unet(case))
    }
}

impl UnetCase {
    pub(crate) fn study(&self) -> anyhow::Result<Segmentation> {
        let Self { slices, pixels, base, .. } = *self;
        let size = UnetSize { base: i64::from(base).try_into()?, depth: 2.try_into()? };
        let architecture = size.architecture(1, None);
        let trained = Trained::new(&architecture, None);
        Ok(Segmentation {
            size,
            architecture,
            trained: trained?,
            augmentation: None,
            need: ImageNeed {
                height: i64::from(pixels).try_into()?,
                width: i64::from(pixels).try_into()?,
                slices_per_patient: i64::from(slices).try_into()?,
                coordinates: false,
                tiles: false,
            },
            loss: Loss::BceDice,
            sampling: Ratio::ONE,
        })
    }

    /// Makes noise with a bright square in it.
    pub(crate) fn volumes(&self) -> Parts<VolumeRecord> {
        let size = self.pixels as usize;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let volume = |_| {
            let inside = |at: usize| (size / 4..size / 2).contains(&(at / size % size).min(at % size));
            let mask: Vec<u8> =
                (0..self.slices as usize * size * size).map(|at| u8::from(inside(at))).collect();
            let image = mask.iter().map(|&mask| f32::from(mask) + rng.random_range(-1.0..1.0)).collect();
            let shape = [self.slices as usize, size, size];
            VolumeRecord { shape, spacing_mm: [1.0; 3], image, mask }
        };
        Parts { slots: self.patients, train: (0..self.patients).map(volume).collect(), test: Vec::new() }
    }
}

/// A linear model of thirteen numbers, as in the heart data.
pub(crate) fn risk() -> anyhow::Result<Risk> {
    let number = || Feature::Number(NumberRange::linear("1", 0.0, 1.0));
    let features: BTreeMap<_, _> = (0..13).map(|i| (format!("x{i:02}"), number())).collect();
    let need = TableNeed { outcome: "ill".into(), features };
    let architecture = LinearRisk.architecture(need.inputs());
    let trained = Trained::new(&architecture, None)?;
    Ok(Risk { architecture, trained, need, link: Link::Logit })
}

/// Makes a table of `RISK_PATIENTS`.
pub(crate) fn rows() -> Parts<TableRecord> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let row = |_| TableRecord {
        values: (0..13).map(|_| Value::Number(rng.random_range(0.0..1.0))).collect(),
        outcome: Outcome::YesNo(rng.random_range(0.0..1.0) < 0.4),
    };
    Parts { slots: RISK_PATIENTS, train: (0..RISK_PATIENTS).map(row).collect(), test: Vec::new() }
}

pub(crate) const RISK_PATIENTS: u32 = 200;

const PIXELS: u32 = 128;
const BASE: u32 = 16;
