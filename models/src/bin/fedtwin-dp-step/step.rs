//! Steps of all kinds, in turns.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::bail;
use fedtwin_models::engine::Resources;
use fedtwin_models::open::device;
use fedtwin_models::risk::RiskModel;
use fedtwin_models::segmentation::UnetModel;
use fedtwin_plan::model_file::initial_values;

use crate::case::{Case, UnetCase, risk, rows};
use crate::figures::Figures;
use crate::memory::{peak_of_process_mb, processor_seconds};
use crate::plain::{PlainRisk, PlainUnet};
use crate::private::Private;

/// A step of training that can be repeated.
pub(crate) trait Step {
    /// Takes one step.
    fn step(&mut self) -> anyhow::Result<StepTime>;
}

/// What of a step's time went where.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StepTime {
    /// Drawing the noise.
    pub(crate) noise: Duration,
}

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Without privacy.
    Plain,
    /// A U-Net's, so many patients in a pass.
    Slots(usize),
    /// A linear model's, in closed form.
    ClosedForm,
}

impl StepKind {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Plain => "plain".into(),
            Self::Slots(1) => "apart".into(),
            Self::Slots(slots) => format!("{TOGETHER}{slots}"),
            Self::ClosedForm => "closed-form".into(),
        }
    }

    /// The kinds that a case has, the ordinary one first.
    fn of(case: &Case) -> &'static [Self] {
        match case {
            Case::Unet(_) => &[Self::Plain, Self::Slots(1), Self::Slots(4), Self::Slots(8)],
            Case::Risk => &[Self::Plain, Self::ClosedForm],
        }
    }

    /// The kind that a study of this case would get.
    fn chosen(case: &Case) -> anyhow::Result<Self> {
        let Case::Unet(unet) = case else { return Ok(Self::ClosedForm) };
        Ok(Self::Slots(unet.study()?.work().slots()))
    }

    pub(crate) fn make(self, case: &Case, threads: NonZeroUsize) -> anyhow::Result<Box<dyn Step>> {
        let resources = resources(threads);
        Ok(match (case, self) {
            (Case::Unet(unet), Self::Plain) => {
                Box::new(PlainUnet::new(unet.study()?, unet.volumes(), resources.device))
            }
            (Case::Unet(unet), Self::Slots(slots)) => Box::new(private_unet(unet, slots, &resources)?),
            (Case::Risk, Self::Plain) => Box::new(PlainRisk::new(&risk()?.need, &rows(), resources.device)),
            (Case::Risk, Self::ClosedForm) => {
                let study = risk()?;
                let model = RiskModel::new(&study, &rows(), &resources);
                Box::new(Private::new(Box::new(model), vec![0.0; study.architecture.values()], threads))
            }
            (Case::Unet(_), Self::ClosedForm) | (Case::Risk, Self::Slots(_)) => {
                bail!("{case} has no {}", self.name())
            }
        })
    }
}

impl FromStr for StepKind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if let Some(slots) = text.strip_prefix(TOGETHER) {
            return Ok(Self::Slots(slots.parse()?));
        }
        let all = [Self::Plain, Self::Slots(1), Self::ClosedForm];
        match all.into_iter().find(|kind| kind.name() == text) {
            Some(kind) => Ok(kind),
            None => bail!("no step is called {text:?}"),
        }
    }
}

/// Takes steps of all kinds in turns, for so many seconds and at least `TURNS_MIN` turns.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#[expect(clippy::cast_precision_loss, reason = "a few hundred turns")]
pub(crate) fn measure(case: &Case, threads: NonZeroUsize, seconds: f64) -> anyhow::Result<Vec<Figures>> {
    let kinds = StepKind::of(case);
    let mut steps = kinds.iter().map(|kind| kind.make(case, threads)).collect::<anyhow::Result<Vec<_>>>()?;
    // The first steps build kernels and touch memory.
    for _ in 0..2 {
        steps.iter_mut().try_for_each(|step| step.step().map(drop))?;
    }
    let (mut walls, mut noises) = (vec![Vec::new(); kinds.len()], vec![Vec::new(); kinds.len()]);
    let mut processor = vec![0.0; kinds.len()];
    let begin = Instant::now();
    while walls[0].len() < TURNS_MIN
        || (begin.elapsed().as_secs_f64() < seconds && walls[0].len() < TURNS_MAX)
    {
        for (at, step) in steps.iter_mut().enumerate() {
            let (start, before) = (Instant::now(), processor_seconds()?);
            let time = step.step()?;
            walls[at].push(start.elapsed().as_secs_f64());
            processor[at] += processor_seconds()? - before;
            noises[at].push(time.noise.as_secs_f64());
        }
    }
    drop(steps);
    let chosen = StepKind::chosen(case)?;
    let mut rows: Vec<Figures> = Vec::new();
    for (((&kind, walls), noises), processor) in kinds.iter().zip(walls).zip(noises).zip(processor) {
        let plain = rows.first().map(|plain| (plain.milliseconds, plain.memory_mb));
        let figures = Figures {
            case: case.to_string(),
            engine: kind.name(),
            threads: threads.get(),
            processor_milliseconds: 1e3 * processor / walls.len() as f64,
            milliseconds: 1e3 * median(walls),
            noise_milliseconds: 1e3 * median(noises),
            memory_mb: peak_of_process_mb(case, kind, threads)?,
            ratio: 1.0,
            ratio_without_noise: 1.0,
            memory_ratio: 1.0,
        };
        rows.push(figures.against(plain));
        if kind == chosen {
            let best = Figures { engine: "best".into(), ..rows[rows.len() - 1].clone() };
            rows.push(best);
        }
    }
    rows.sort_by_key(|row| row.engine == "best");
    Ok(rows)
}

/// Moves the weights against the gradient.
pub(crate) fn descend(weights: &mut [f32], gradient: &[f32]) {
    for (weight, gradient) in weights.iter_mut().zip(gradient) {
        *weight -= LEARNING_RATE * gradient;
    }
}

fn private_unet(unet: &UnetCase, slots: usize, resources: &Resources) -> anyhow::Result<Private> {
    let study = unet.study()?;
    let weights = initial_values(&study.architecture, 1);
    let model = UnetModel::with_slots(slots, study, unet.volumes(), resources)?;
    let threads = NonZeroUsize::new(resources.threads).unwrap_or(NonZeroUsize::MIN);
    Ok(Private::new(Box::new(model), weights, threads))
}

fn resources(threads: NonZeroUsize) -> Resources {
    Resources { device: device(threads.get()), threads: threads.get(), memory_mb: MEMORY_MB }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { values[middle - 1].midpoint(values[middle]) }
}

/// Before the number of patients in a pass.
const TOGETHER: &str = "together-";

/// Small, so that noise does not lead the weights away.
pub(crate) const LEARNING_RATE: f32 = 1e-3;

/// A site's default.
const MEMORY_MB: u64 = 16_384;

const TURNS_MIN: usize = 5;
const TURNS_MAX: usize = 201;
