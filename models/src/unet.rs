//! The U-Net (Ronneberger et al. 2015) with padded convolutions and without normalisation layers.
//!
//! A pure function of its layers' weights, which [`crate::parameters`] holds in the order and under the
//! names of [`UnetSpec`]. It computes one net, or several of one size side by side, each with weights of
//! its own, as groups of channels that never meet.

use fedtwin_plan::model::UnetSpec;
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
    /// Returns `nets` nets of the specified size, side by side.
    #[must_use]
    pub fn new(spec: &UnetSpec, nets: i64) -> Self {
        Self { depth: spec.depth.size(), nets }
    }

    /// Returns one logit per pixel.
    ///
    /// # Shapes
    /// `layers`: in the order of the specification. `images`: `[batch, nets * channels, height, width]`, height
    /// and width divisible by 2^depth. Returns `[batch, nets, height, width]`.
    ///
    /// # Panics
    /// If there are not as many layers as the specification has.
    pub fn forward(&self, layers: &[Layer], images: &Tensor) -> Tensor {
        assert_eq!(layers.len(), 4 * self.depth + 3, "the specification's layers");
        let (head, blocks) = layers.split_last().expect("at least one layer");
        let mut blocks = blocks.chunks_exact(2);
        let mut block = |x: &Tensor| {
            let pair = blocks.next().expect("two blocks per level and the bottom");
            pair.iter().fold(x.shallow_clone(), |x, layer| self.convolve(layer, &x).relu_())
        };
        let mut x = images.shallow_clone();
        let mut skips = Vec::with_capacity(self.depth);
        for _ in 0..self.depth {
            let skip = block(&x);
            x = skip.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
            skips.push(skip);
        }
        x = block(&x);
        for skip in skips.iter().rev() {
            let size = skip.size();
            x = block(&self.join(&x.upsample_nearest2d([size[2], size[3]], None, None), skip));
        }
        self.convolve(head, &x)
    }

    /// Keeps height and width.
    fn convolve(&self, layer: &Layer, x: &Tensor) -> Tensor {
        let padding = layer.weight.size()[2] / 2;
        x.conv2d(&layer.weight, Some(&layer.bias), [1, 1], [padding, padding], [1, 1], self.nets)
    }

    /// Puts the channels of `b` after those of `a`, net by net.
    ///
    /// # Shapes
    /// `[batch, nets * channels, height, width]`, each with channels of its own.
    fn join(&self, a: &Tensor, b: &Tensor) -> Tensor {
        if self.nets == 1 {
            return Tensor::cat(&[a, b], 1);
        }
        let size = a.size();
        let apart = |x: &Tensor| x.view([size[0], self.nets, -1, size[2], size[3]]);
        Tensor::cat(&[apart(a), apart(b)], 2).view([size[0], -1, size[2], size[3]])
    }
}
