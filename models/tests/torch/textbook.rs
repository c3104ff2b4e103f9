//! The net against the U-Net as it is drawn: upsampled, joined, convolved.

use fedtwin_models::parameters::Parameters;
use fedtwin_models::segmentation::unet::{Layer, Unet};
use fedtwin_plan::model_file::initial_values;
use tch::{Device, Kind, Tensor, no_grad};

use crate::samples::{everything, unet};

fn convolve(layer: &Layer, x: &Tensor, nets: i64) -> Tensor {
    let padding = layer.weight.size()[2] / 2;
    x.conv2d(&layer.weight, Some(&layer.bias), [1, 1], [padding, padding], [1, 1], nets)
}

/// Joins the channels of each net.
fn join(upsampled: &Tensor, skip: &Tensor, nets: i64) -> Tensor {
    let parts = (0..nets).flat_map(|net| {
        [upsampled, skip].map(|x| {
            let channels = x.size()[1] / nets;
            x.narrow(1, net * channels, channels)
        })
    });
    Tensor::cat(&parts.collect::<Vec<_>>(), 1)
}

fn textbook(layers: &[Layer], depth: usize, images: &Tensor, nets: i64) -> Tensor {
    let (head, blocks) = layers.split_last().unwrap();
    let mut blocks = blocks.chunks_exact(2);
    let mut block = |x: &Tensor| {
        let layers = blocks.next().unwrap();
        convolve(&layers[1], &convolve(&layers[0], x, nets).relu(), nets).relu()
    };
    let (mut x, mut skips) = (images.shallow_clone(), Vec::new());
    for _ in 0..depth {
        let skip = block(&x);
        x = skip.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
        skips.push(skip);
    }
    x = block(&x);
    for skip in skips.iter().rev() {
        let size = skip.size();
        let upsampled = x.upsample_nearest2d([size[2], size[3]], None, None);
        x = block(&join(&upsampled, skip, nets));
    }
    convolve(head, &x, nets)
}

#[test]
fn the_net_is_the_textbooks() {
    for (base, depth, nets) in [(1, 1, 1), (3, 2, 1), (8, 3, 1), (3, 2, 2), (4, 3, 5)] {
        let (size, architecture) = unet(base, depth);
        let all = everything(&architecture);
        let mut parameters = Parameters::new(&architecture, &all, nets, (Kind::Double, Device::Cpu));
        let weights: Vec<f64> =
            initial_values(&architecture, 7).iter().map(|&v| f64::from(v) + 0.01).collect();
        parameters.load(&weights).unwrap();
        let images = Tensor::arange(2 * nets * 16 * 24, (Kind::Double, Device::Cpu)).sin();
        let images = images.view([2, nets, 16, 24]);
        let difference = no_grad(|| {
            let layers = parameters.layers();
            let expected = textbook(&layers, size.depth.size(), &images, nets);
            let found = Unet::new(&size, nets).forward(&layers, &images);
            assert_eq!(found.size(), expected.size());
            assert!(expected.abs().max().double_value(&[]) > 0.01);
            (found - expected).abs().max().double_value(&[])
        });
        assert!(difference < 1e-12, "base {base}, depth {depth}, {nets} nets: {difference}");
    }
}
