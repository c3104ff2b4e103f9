use std::collections::BTreeMap;

use fedtwin_models::parameters::Parameters;
use fedtwin_models::segmentation::unet::Unet;
use fedtwin_plan::model_file::{encode, initial_values, values_from_le};
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::samples::{everything, risk, unet};

#[test]
fn the_nets_parameters_are_the_specifications_at_every_depth() {
    for depth in 1..=5 {
        for nets in [1, 3] {
            let (net, spec) = unet(3, depth);
            let parameters = Parameters::new(&spec, &everything(&spec), nets, (Kind::Float, Device::Cpu));
            let layers = parameters.layers();
            let values: usize = layers.iter().map(|layer| layer.weight.numel() + layer.bias.numel()).sum();
            assert_eq!(
                (parameters.trained_values(), values),
                (spec.values(), spec.values() * usize::try_from(nets).unwrap())
            );
            let images = Tensor::zeros([2, nets, 32, 64], (Kind::Float, Device::Cpu));
            assert_eq!(Unet::new(&net, nets).forward(&layers, &images).size(), [2, nets, 32, 64]);
        }
    }
}

#[test]
fn the_safetensors_crate_reads_a_model_file() {
    for spec in [unet(16, 2).1, risk()] {
        let values = initial_values(&spec, 4);
        let file = encode(&spec, &values);
        let read = SafeTensors::deserialize(&file).unwrap();
        let tensors: BTreeMap<_, _> = read.tensors().into_iter().collect();
        let mut rest = values.as_slice();
        for parameter in spec.parameters() {
            let tensor = &tensors[&parameter.name];
            assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, parameter.shape.as_slice()));
            let (own, others) = rest.split_at(parameter.values());
            assert_eq!(values_from_le(tensor.data()), own, "{}", parameter.name);
            rest = others;
        }
        assert_eq!(tensors.len(), spec.parameters().len());
    }
}
