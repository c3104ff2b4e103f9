//! Losses of one patient; none looks at another patient.

use fedtwin_plan::plan::Loss;
use tch::{Kind, Reduction, Tensor};

/// Returns the loss of one patient's slices over the pixels that are no padding; 0 without any.
///
/// Binary cross-entropy is the mean over pixels. Soft Dice is
/// `1 - (2 Σ p y + 1) / (Σ p + Σ y + 1)` over all pixels of the patient's slices together (Milletari et
/// al. 2016, equation 1, with probabilities not squared); the 1 keeps it defined without an organ.
///
/// # Shapes
/// `logits`, `masks`, `weights`: `[slices, 1, height, width]`. Returns a scalar.
pub fn segmentation(loss: Loss, logits: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    match loss {
        Loss::Bce => bce(logits, masks, weights),
        Loss::Dice => soft_dice(logits, masks, weights),
        Loss::BceDice => bce(logits, masks, weights) + soft_dice(logits, masks, weights),
    }
}

fn bce(logits: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    let sum = logits.binary_cross_entropy_with_logits(masks, Some(weights), None, Reduction::Sum);
    sum / weights.sum(Kind::Float).clamp_min(1.0)
}

fn soft_dice(logits: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    let probabilities = logits.sigmoid() * weights;
    let both = (&probabilities * masks).sum(Kind::Float);
    let total = probabilities.sum(Kind::Float) + masks.sum(Kind::Float);
    1.0 - (both * 2.0 + DICE_SMOOTHING) / (total + DICE_SMOOTHING)
}

/// One pixel: negligible beside an organ.
const DICE_SMOOTHING: f64 = 1.0;
