use std::collections::BTreeMap;

use fedtwin_models::parameters::Parameters;
use fedtwin_models::unet::Unet;
use fedtwin_plan::ModelSpec;
use fedtwin_plan::model_file::{encode, initial_values, values_from_le};
use safetensors::{Dtype, SafeTensors};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use crate::samples::{risk, unet};

#[test]
fn the_net_has_the_owners_number_of_parameters() {
    for (base, expected) in [(64, 1_881_985), (16, 117_985)] {
        let spec = unet(base, 2);
        let ModelSpec::Unet(size) = &spec else { unreachable!("made above") };
        let store = VarStore::new(Device::Cpu);
        let net = Unet::init(size, &store.root());
        assert_eq!(store.trainable_variables().iter().map(Tensor::numel).sum::<usize>(), expected);
        assert_eq!(Parameters::of(&store, &spec).values(), expected);
        let logits = net.forward(&Tensor::zeros([3, 1, 16, 24], (Kind::Float, Device::Cpu)));
        assert_eq!(logits.size(), [3, 1, 16, 24]);
    }
}

#[test]
fn the_nets_parameters_are_the_specifications_at_every_depth() {
    for depth in 1..=5 {
        let spec = unet(3, depth);
        let ModelSpec::Unet(size) = &spec else { unreachable!("made above") };
        let store = VarStore::new(Device::Cpu);
        let _net = Unet::init(size, &store.root());
        assert_eq!(Parameters::of(&store, &spec).values(), spec.values());
    }
}

#[test]
fn the_safetensors_crate_reads_a_model_file() {
    for spec in [unet(16, 2), risk()] {
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
