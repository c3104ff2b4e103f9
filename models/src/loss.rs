//! Losses of one patient; none looks at another patient.

use fedtwin_plan::plan::Loss;
use tch::{Kind, Reduction, Tensor};

/// Returns the loss of each patient's copy over the pixels that are no padding; 0 without any.
///
/// Binary cross-entropy is the mean over pixels. Soft Dice is
/// `1 - (2 Σ p y + 1) / (Σ p + Σ y + 1)` over all pixels of the patient's slices together (Milletari et
/// al. 2016, equation 1, with probabilities not squared); the 1 keeps it defined without an organ.
///
/// # Shapes
/// `logits`, `masks`, `weights`: `[patients, copies, slices, height, width]`. Returns `[patients, copies]`.
pub fn segmentation(loss: Loss, logits: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    match loss {
        Loss::Bce => bce(logits, masks, weights),
        Loss::Dice => soft_dice(logits, masks, weights),
        Loss::BceDice => bce(logits, masks, weights) + soft_dice(logits, masks, weights),
    }
}

fn bce(logits: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    let of_pixels = logits.binary_cross_entropy_with_logits(masks, Some(weights), None, Reduction::None);
    over_pixels(&of_pixels) / over_pixels(weights).clamp_min(1.0)
}

fn soft_dice(logits: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    let probabilities = logits.sigmoid() * weights;
    let both = over_pixels(&(&probabilities * masks));
    let total = over_pixels(&probabilities) + over_pixels(masks);
    1.0 - (both * 2.0 + DICE_SMOOTHING) / (total + DICE_SMOOTHING)
}

fn over_pixels(values: &Tensor) -> Tensor {
    values.sum_dim_intlist([2, 3, 4].as_slice(), false, None::<Kind>)
}

/// One pixel: negligible beside an organ.
const DICE_SMOOTHING: f64 = 1.0;
