//! The U-Net (Ronneberger et al. 2015) with padded convolutions and without normalisation layers.
//!
//! A pure function of its layers' weights, which [`crate::parameters`] holds in the order and under the
//! names of its architecture. It computes one net, or several of one size side by side, each with weights of
//! its own, as groups of channels that never meet.

use fedtwin_plan::family::UnetSize;
use tch::Tensor;

/// A U-Net with one logit per pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unet {
    depth: usize,
    nets: i64,
}

/// One convolution of all nets.
#[derive(Debug)]
pub struct Layer {
    /// `[nets * out, in, kernel, kernel]`.
    pub weight: Tensor,
    /// `[nets * out]`.
    pub bias: Tensor,
}

impl Unet {
    /// Returns `nets` nets of this size, side by side.
    #[must_use]
    pub fn new(size: &UnetSize, nets: i64) -> Self {
        Self { depth: size.depth.size(), nets }
    }

    /// Returns one logit per pixel.
    ///
    /// # Shapes
    /// `layers`: in the order of the architecture. `images`: `[batch, nets * channels, height, width]`, height
    /// and width divisible by 2^depth. Returns `[batch, nets, height, width]`.
    ///
    /// # Panics
    /// If there are not as many layers as the architecture has.
    pub fn forward(&self, layers: &[Layer], images: &Tensor) -> Tensor {
        assert_eq!(layers.len(), 4 * self.depth + 3, "the architecture's layers");
        let (head, blocks) = layers.split_last().expect("at least one layer");
        let mut blocks = blocks.chunks_exact(2);
        let mut next = || blocks.next().expect("two blocks for each level and one for the bottom");
        let mut x = images.shallow_clone();
        let mut skips = Vec::with_capacity(self.depth);
        for _ in 0..self.depth {
            let skip = self.block(next(), &[&x]);
            x = skip.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
            skips.push(skip);
        }
        x = self.block(next(), &[&x]);
        for skip in skips.iter().rev() {
            let size = skip.size();
            let upsampled = x.upsample_nearest2d([size[2], size[3]], None, None);
            x = self.block(next(), &[&upsampled, skip]);
        }
        self.convolve(head, &[&x])
    }

    /// Two convolutions, each followed by ReLU.
    fn block(&self, layers: &[Layer], inputs: &[&Tensor]) -> Tensor {
        let x = self.convolve(&layers[0], inputs).relu_();
        self.convolve(&layers[1], &[&x]).relu_()
    }

    /// Convolves the inputs' channels, one after the other, and keeps height and width.
    ///
    /// Each input meets its own part of the weight and the results are added. That is the convolution of
    /// the joined inputs without joining them, which takes 0.9 of a step's time: no copies, and gradients
    /// that lie in memory as the next kernel wants them.
    fn convolve(&self, layer: &Layer, inputs: &[&Tensor]) -> Tensor {
        let padding = layer.weight.size()[2] / 2;
        let (mut sum, mut first): (Option<Tensor>, i64) = (None, 0);
        for x in inputs {
            let channels = x.size()[1] / self.nets;
            let weight = match inputs.len() {
                1 => layer.weight.shallow_clone(),
                _ => layer.weight.narrow(1, first, channels),
            };
            let bias = if first == 0 { Some(&layer.bias) } else { None };
            let part = x.conv2d(&weight, bias, [1, 1], [padding, padding], [1, 1], self.nets);
            sum = Some(match sum {
                Some(mut sum) => sum.g_add_(&part),
                None => part,
            });
            first += channels;
        }
        sum.expect("a layer has an input")
    }
}
