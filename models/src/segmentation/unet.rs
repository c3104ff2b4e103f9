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
            let skip = self.block(next(), &x);
            x = skip.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
            skips.push(skip);
        }
        x = self.block(next(), &x);
        for skip in skips.iter().rev() {
            let layers = next();
            x = self.rise(&layers[0], &x, skip).relu_();
            x = self.convolve(&layers[1], &x).relu_();
        }
        self.convolve(head, &x)
    }

    /// Two convolutions, each followed by ReLU.
    fn block(&self, layers: &[Layer], x: &Tensor) -> Tensor {
        let x = self.convolve(&layers[0], x).relu_();
        self.convolve(&layers[1], &x).relu_()
    }

    /// Convolves, and keeps height and width.
    fn convolve(&self, Layer { weight, bias }: &Layer, x: &Tensor) -> Tensor {
        let padding = weight.size()[2] / 2;
        x.conv2d(weight, Some(bias), [1, 1], [padding, padding], [1, 1], self.nets)
    }

    /// Convolves the channels of the level `below`, each value upsampled to 2 x 2 equal ones, and then the `skip`'s.
    ///
    /// Each input meets its own part of the weight and the results are added: that is the convolution of the joined
    /// inputs without joining them. The upsampled ones are not made either. Of a kernel's 3 x 3 places two or one along
    /// each axis meet the same value of the level below, so that their weights can be added first: a transposed
    /// convolution of stride 2 with 4 x 4 places, 4 products for each value of the result instead of 9.
    fn rise(&self, Layer { weight, bias }: &Layer, below: &Tensor, skip: &Tensor) -> Tensor {
        let [channels, skip_channels] = [below, skip].map(|x| x.size()[1] / self.nets);
        let upsampled = self.upsampled(&weight.narrow(1, 0, channels));
        let mut sum =
            below.conv_transpose2d(&upsampled, Some(bias), [2, 2], [1, 1], [0, 0], self.nets, [1, 1]);
        let of_skip = weight.narrow(1, channels, skip_channels);
        sum.g_add_(&skip.conv2d(&of_skip, None::<&Tensor>, [1, 1], [1, 1], [1, 1], self.nets))
    }

    /// Returns the transposed convolution that upsamples and convolves by `weight`.
    ///
    /// Turned around, a kernel spreads a value over the places that meet it; the 2 x 2 equal values spread it four
    /// times, a row and a column apart, which sums over windows of 2 x 2.
    ///
    /// # Shapes
    /// `weight`: `[nets * out, in, 3, 3]`. Returns `[nets * in, out, 4, 4]`.
    fn upsampled(&self, weight: &Tensor) -> Tensor {
        let spread = weight.flip([2, 3]).avg_pool2d([2, 2], [1, 1], [1, 1], false, true, 1);
        let size = spread.size();
        spread.view([self.nets, -1, size[1], size[2], size[3]]).transpose(1, 2).flatten(0, 1)
    }
}
