//! Losses of one patient; none looks at another patient.

use fedtwin_plan::plan::Loss;
use tch::{Kind, Reduction, Tensor, no_grad};

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
        Loss::Poisson | Loss::Hazard => unreachable!("a plan's family allows its loss"),
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

/// Returns the derivative of the sum of all [`segmentation`] losses by each logit.
///
/// With `p` the sigmoid of a logit, `w` its pixel's weight and `W` their sum: of binary cross-entropy
/// `w (p - y) / W`; of soft Dice, whose quotient is `a / b`, `w p (1 - p) (a - 2 y b) / b^2`. A pass starts its
/// backward pass from here, in a quarter of the operations that differentiating the loss takes.
///
/// # Shapes
/// As of [`segmentation`]; returns the shape of `logits`.
pub fn derivative(loss: Loss, logits: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    no_grad(|| {
        let p = logits.sigmoid();
        match loss {
            Loss::Bce => bce_derivative(&p, masks, weights),
            Loss::Dice => soft_dice_derivative(&p, masks, weights),
            Loss::BceDice => {
                bce_derivative(&p, masks, weights).g_add_(&soft_dice_derivative(&p, masks, weights))
            }
            Loss::Poisson | Loss::Hazard => unreachable!("a plan's family allows its loss"),
        }
    })
}

fn bce_derivative(p: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    let per_pixel = weights / spread(&over_pixels(weights).clamp_min(1.0));
    (p - masks).g_mul_(&per_pixel)
}

fn soft_dice_derivative(p: &Tensor, masks: &Tensor, weights: &Tensor) -> Tensor {
    let weighted = p * weights;
    let a = over_pixels(&(&weighted * masks)) * 2.0 + DICE_SMOOTHING;
    let b = over_pixels(&weighted) + over_pixels(masks) + DICE_SMOOTHING;
    let by_probability = (masks * spread(&(-2.0 / &b))).g_add_(&spread(&(a / (&b * &b))));
    // The derivative of the weighted sigmoid: w p - w p p.
    let by_logit = &weighted - (&weighted * p);
    by_logit * by_probability
}

/// `[patients, copies]` beside pixels.
fn spread(values: &Tensor) -> Tensor {
    let size = values.size();
    values.view([size[0], size[1], 1, 1, 1])
}

fn over_pixels(values: &Tensor) -> Tensor {
    values.sum_dim_intlist([2, 3, 4].as_slice(), false, None::<Kind>)
}

/// One pixel: negligible beside an organ.
const DICE_SMOOTHING: f64 = 1.0;
