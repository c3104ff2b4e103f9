//! A net's parameters: one vector, in the order that plans, updates and model files share.

use std::ops::Range;

use fedtwin_plan::family::{ADAPTER_IN, ADAPTER_OUT};
use fedtwin_plan::{Architecture, Trained};
use fedtwin_trainer::model::{TrainError, check_weights};
use tch::kind::Element;
use tch::{Device, Kind, Tensor, no_grad};

use crate::open::dimension;
use crate::segmentation::unet::Layer;

/// The parameters of one net, or of several side by side that share their values and have a gradient
/// each.
#[derive(Debug)]
pub struct Parameters {
    nets: i64,
    parameters: Vec<Parameter>,
    layers: Vec<LayerPlaces>,
    /// Values of one net, and those among them that are trained.
    values: usize,
    trained_values: usize,
}

/// One parameter of all nets.
#[derive(Debug)]
struct Parameter {
    /// The architecture's shape; with several nets, `[nets, ...]` before it.
    tensor: Tensor,
    /// Its place among all values.
    range: Range<usize>,
    trained: bool,
}

/// Where a convolution's parameters are.
#[derive(Debug)]
struct LayerPlaces {
    weight: usize,
    bias: usize,
    /// `A` and `B` of an adapter `B A`.
    adapter: Option<(usize, usize)>,
}

impl Parameters {
    /// Makes the parameters of `nets` nets, all zeros. Those that are not trained take no part in backward
    /// passes, which end where nothing below them is trained.
    ///
    /// A single net's convolutions lie in memory as `[out, height, width, in]`. Activations then follow the
    /// same layout, which oneDNN's kernels prefer: at base 16 on one AVX-512 core a gradient takes 0.9 and
    /// a prediction 0.6 of the time. Grouped convolutions are faster as their shape says.
    ///
    /// # Panics
    /// If `trained` is of another architecture.
    #[must_use]
    pub fn new(
        architecture: &Architecture,
        trained: &Trained,
        nets: i64,
        (kind, device): (Kind, Device),
    ) -> Self {
        assert_eq!(
            architecture.values(),
            trained.all_values(),
            "a choice among the architecture's parameters"
        );
        let (mut values, mut chosen) = (0, trained.parameters().iter().peekable());
        let specs = architecture.parameters();
        let parameters = specs.iter().map(|parameter| {
            let range = values..values + parameter.values();
            values = range.end;
            let trained = chosen.next_if(|chosen| chosen.name == parameter.name).is_some();
            let shape: Vec<i64> = parameter.shape.iter().copied().map(dimension).collect();
            let tensor = match (nets, shape.as_slice()) {
                (1, &[channels_out, channels_in, height, width]) => {
                    let laid_out = [channels_out, height, width, channels_in];
                    Tensor::zeros(laid_out, (kind, device)).permute([0, 3, 1, 2])
                }
                (1, shape) => Tensor::zeros(shape, (kind, device)),
                (_, shape) => Tensor::zeros([&[nets], shape].concat(), (kind, device)),
            };
            Parameter { tensor: tensor.set_requires_grad(trained), range, trained }
        });
        let parameters = parameters.collect();
        let place = |name: String| specs.iter().position(|parameter| parameter.name == name);
        let layers = specs.iter().enumerate().filter_map(|(bias, parameter)| {
            let name = parameter.name.strip_suffix(".bias")?;
            let weight = place(format!("{name}.weight"))?;
            let adapter = place(format!("{name}.{ADAPTER_IN}")).zip(place(format!("{name}.{ADAPTER_OUT}")));
            Some(LayerPlaces { weight, bias, adapter })
        });
        let layers = layers.collect();
        Self { nets, parameters, layers, values, trained_values: trained.values() }
    }

    /// Returns the number of values of one net that are trained.
    #[must_use]
    pub fn trained_values(&self) -> usize {
        self.trained_values
    }

    /// Sets the parameters of all nets to the same values.
    ///
    /// # Shapes
    /// `weights`: all values of one net.
    ///
    /// # Errors
    /// Refuses another length.
    pub fn load<T: Element>(&mut self, weights: &[T]) -> Result<(), TrainError> {
        check_weights(weights.len(), self.values)?;
        no_grad(|| {
            for Parameter { tensor, range, .. } in &mut self.parameters {
                let shape = tensor.size();
                let of_one = if self.nets == 1 { &shape[..] } else { &shape[1..] };
                // Broadcast to all nets.
                tensor.copy_(&Tensor::from_slice(&weights[range.clone()]).view(of_one));
            }
        });
        Ok(())
    }

    /// Returns the convolutions of all nets, to compute with; adapters are added to their weights.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        self.layers.iter().map(|places| self.layer(places)).collect()
    }

    fn layer(&self, places: &LayerPlaces) -> Layer {
        let tensor = |place: usize| &self.parameters[place].tensor;
        let joined = |place: usize| match self.nets {
            1 => tensor(place).shallow_clone(),
            _ => tensor(place).flatten(0, 1),
        };
        let mut weight = joined(places.weight);
        if let Some((input, output)) = places.adapter {
            // `[out, rank]` times `[rank, in * kernel * kernel]`, of each net.
            let product = tensor(output).flatten(-3, -1).matmul(&tensor(input).flatten(-3, -1));
            weight = &weight + product.view(weight.size().as_slice());
        }
        Layer { weight, bias: joined(places.bias) }
    }

    /// Writes each net's gradient of the scalar `loss` by the trained values.
    ///
    /// # Shapes
    /// `gradients`: `[nets, trained values]`, row-major.
    ///
    /// # Panics
    /// If `gradients` has another length.
    pub fn gradients<T: Element>(&self, loss: &Tensor, gradients: &mut [T]) {
        let rows = gradients.chunks_exact_mut(self.trained_values);
        assert_eq!(dimension(rows.len()), self.nets, "a row for each net");
        let trained = self.parameters.iter().filter(|parameter| parameter.trained);
        let tensors: Vec<_> = trained.map(|parameter| &parameter.tensor).collect();
        let found = Tensor::run_backward(&[loss], &tensors, false, false);
        for (net, mut rest) in (0..).zip(rows) {
            for gradient in &found {
                let own = if self.nets == 1 { gradient.shallow_clone() } else { gradient.get(net) };
                let gradient = own.contiguous();
                let (own, others) = rest.split_at_mut(gradient.numel());
                gradient.copy_data(own, own.len());
                rest = others;
            }
        }
    }
}
