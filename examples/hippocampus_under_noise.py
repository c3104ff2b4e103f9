"""Finds how well a U-Net segments the hippocampus under per-patient privacy, from pre-trained weights.

Usage: python3 examples/hippocampus_under_noise.py DIR WEIGHTS [--test], where DIR holds msd_hippocampus. WEIGHTS is
a model file, as models/pretrained/hippocampus.safetensors, which hippocampus-pretraining.toml makes from invented
volumes; with `coordinates = false` there, this script leaves them out too. Needs torch, numpy, nibabel and scipy;
--help lists the settings.

The federation's training in PyTorch: per-patient gradients of four slices, clipped and summed over all patients,
noise, one server step per round. `shared`: the noise of the sum over sites gives epsilon; `local`: each of three
sites' own noise does, so that the sum holds sqrt(3) times as much. Choices are made on training patients: those
with id mod 5 equal to 1 are held out, and the noise is that of the 162 patients of the real run. With --test all
training patients train, and the test patients (id mod 5 equal to 3) are scored.
"""

import argparse
import copy
import csv
import json
import math
from pathlib import Path

import nibabel
import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from torch import nn
from torch.nn import functional

HEIGHT, WIDTH, SLICES = 64, 48, 4
TRAINING_PATIENTS = 162
SITES = 3
DELTA = 1e-3


class Block(nn.Module):
    def __init__(self, channels_in, channels):
        super().__init__()
        self.conv0 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv1(self.conv0(x).relu()).relu()


class Unet(nn.Module):
    """The product's U-Net, with its names: base 16, depth 2."""

    def __init__(self, channels, base=16):
        super().__init__()
        self.down0, self.down1 = Block(channels, base), Block(base, 2 * base)
        self.bottom = Block(2 * base, 4 * base)
        self.up1, self.up0 = Block(6 * base, 2 * base), Block(3 * base, base)
        self.head = nn.Conv2d(base, 1, 1)

    def forward(self, x):
        skip0 = self.down0(x)
        skip1 = self.down1(functional.max_pool2d(skip0, 2))
        x = self.bottom(functional.max_pool2d(skip1, 2))
        x = self.up1(torch.cat([functional.interpolate(x, scale_factor=2), skip1], 1))
        x = self.up0(torch.cat([functional.interpolate(x, scale_factor=2), skip0], 1))
        return self.head(x)


class Patient:
    """One volume's slices, padded at the bottom and the right."""

    def __init__(self, image, mask, group, coordinates):
        shape = image.shape
        channels = [image]
        if coordinates:
            axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
            channels += axes
        pad = [(0, 0), (0, HEIGHT - shape[1]), (0, WIDTH - shape[2])]
        padded = lambda values: torch.from_numpy(np.pad(values.astype(np.float32), pad))
        self.images = torch.stack([padded(values) for values in channels], 1)
        self.masks = padded(mask)[:, None]
        self.weights = padded(np.ones(shape))[:, None]
        self.group = group

    def slices(self, random):
        chosen = random.choice(len(self.images), SLICES, replace=False)
        return self.images[chosen], self.masks[chosen], self.weights[chosen]


def normalised(image):
    """As the product does: clipped at the percentiles 0.5 and 99.5, then mean 0 and variance 1."""
    ordered = np.sort(image, axis=None)
    last = len(ordered) - 1
    image = np.clip(image, ordered[last * 5 // 1000], ordered[last * 995 // 1000])
    return ((image - image.mean()) / image.std()).astype(np.float32)


def cohort(folder, coordinates):
    """Returns patients by id."""
    patients = {}
    for row in csv.DictReader(open(folder / "index.csv")):
        image, mask = (np.asarray(nibabel.load(folder / kind / f"{row['id']}.nii.gz").dataobj)
                       for kind in ("images", "labels"))
        image = normalised(image.astype(np.float64))
        patients[int(row["id"].split("_")[1])] = Patient(image, mask > 0, row["intensity_group"], coordinates)
    return patients


def loss(logits, masks, weights):
    """Binary cross-entropy plus soft Dice, as the product's `bce-dice`."""
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, weights, reduction="sum") / weights.sum()
    p = logits.sigmoid() * weights
    return entropy + 1 - (2 * (p * masks).sum() + 1) / (p.sum() + masks.sum() + 1)


@torch.no_grad()
def dice(net, patients):
    scores = []
    for patient in patients:
        inside = (net(patient.images) > 0) & (patient.weights > 0)
        mask = patient.masks > 0
        scores.append(2 * (inside & mask).sum().item() / max(1, (inside.sum() + mask.sum()).item()))
    return np.mean(scores)


def model_file(path):
    """The weights of a model file: a safetensors file of 32-bit numbers."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    tensors, values = json.loads(data[8:8 + length]), memoryview(data)[8 + length:]
    part = lambda entry: values[slice(*entry["data_offsets"])]
    return {name: torch.from_numpy(np.frombuffer(part(entry), "<f4").reshape(entry["shape"]).copy())
            for name, entry in tensors.items()}


def gradients(net, parameters, patients, clip, random):
    """The mean over patients of clipped gradients."""
    total = 0
    for patient in patients:
        images, masks, weights = patient.slices(random)
        value = loss(net(images.contiguous(memory_format=torch.channels_last)), masks, weights)
        gradient = torch.cat([part.reshape(-1) for part in torch.autograd.grad(value, parameters)])
        total += gradient * min(1, clip / max(gradient.norm().item(), 1e-12))
    return total / len(patients)


def trained(net, patients, patients_declared, noise, options, draw):
    """One private study; `noise` is the sum's, in units of the clip norm. Adam as the product's server has it."""
    net = copy.deepcopy(net)
    random, generator = np.random.default_rng(draw), torch.Generator().manual_seed(draw)
    for name, parameter in net.named_parameters():
        matches = any(name.startswith(prefix) for prefix in options.matching)
        parameter.requires_grad_(not options.part or matches or name.endswith("bias"))
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    first, second = torch.zeros_like(weights), torch.zeros_like(weights)
    for step in range(1, options.steps + 1):
        gradient = gradients(net, parameters, patients, options.clip, random)
        gradient += noise * options.clip / patients_declared * torch.randn(len(weights), generator=generator)
        first = options.beta1 * first + (1 - options.beta1) * gradient
        second = 0.99 * second + 0.01 * gradient**2
        root = (second / (1 - 0.99**step)).sqrt()
        weights -= options.rate * first / (1 - options.beta1**step) / (root + options.tau)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, part in zip(parameters, weights.split(sizes)):
            parameter.data.copy_(part.view(parameter.shape))
    return net


def mu_of(epsilon):
    """Balle and Wang 2018, theorem 8, solved for mu."""
    curve = lambda mu: norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    return brentq(lambda mu: curve(mu) - DELTA, 1e-3, 50)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--test", action="store_true", help="score the test patients")
    parser.add_argument("--epsilon", type=float, nargs="*", default=[1, 2, 4, 8], help="0: no noise")
    parser.add_argument("--schemes", nargs="*", default=["shared", "local"], choices=["shared", "local", "alone"])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--part", action="store_true", help="train biases and what --matching names, not everything")
    parser.add_argument("--matching", nargs="*", default=["head"], help="name prefixes, for --part")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--clip", type=float, default=0.5)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--beta1", type=float, default=0.9)
    parser.add_argument("--tau", type=float, default=1.0)
    return parser.parse_args()


def main():
    options = arguments()
    state = model_file(options.weights)
    coordinates = state["down0.conv0.weight"].shape[1] > 1
    patients = cohort(options.data / "msd_hippocampus", coordinates)
    held_out = 3 if options.test else 1
    scored = [patient for i, patient in patients.items() if i % 5 == held_out]
    training = [patient for i, patient in patients.items() if i % 5 not in (3, held_out)]
    net = Unet(scored[0].images.shape[1])
    net.load_state_dict(state)
    print(f"pre-trained alone: Dice {dice(net, scored):.4f}", flush=True)
    for epsilon in options.epsilon:
        for scheme in options.schemes:
            # Gaussian mechanism at q = 1 (Dong, Roth and Su 2022, corollary 3): mu = sqrt(steps) / noise.
            noise = math.sqrt(options.steps * (SITES if scheme == "local" else 1)) / mu_of(epsilon) if epsilon else 0
            chosen = [p for p in training if p.group.startswith("B")] if scheme == "alone" else training
            # Choices are made under the noise of the real run, though fewer patients train.
            declared = len(chosen) if scheme == "alone" else TRAINING_PATIENTS
            runs = [dice(trained(net, chosen, declared, noise, options, draw), scored) for draw in range(options.draws)]
            print(f"epsilon {epsilon} {scheme}: Dice {np.mean(runs):.4f}, each draw {np.round(runs, 4)}", flush=True)


if __name__ == "__main__":
    main()
