#!/usr/bin/env python3
"""The steps of `cargo xtask bench dp-step`, in plain PyTorch and in Opacus.

The same U-Net (ModelSpec's: depth 2, 3x3 convolutions with bias, ReLU, no normalisation), the same cases, one
thread count for all, and steps of all kinds in turns. Noise is included: Opacus's is floating-point noise from
PyTorch's generator, which is faster than exact discrete noise and proves less.

Opacus clips per sample. One slice per patient is one sample (`unet-8x1`). For several slices per patient a patient
is one sample of shape [slices, 1, height, width] whose slices the net takes as its batch; its hooks cannot know
that, so there the patients' slices are flattened and clipped one by one: less work than is asked for, and a weaker
statement (see docs/PRIVACY.md). Ghost clipping (`opacus-ghost`) has two backward passes and no per-sample vectors.

Run by the benchmark where Python with Opacus is found: --python PATH or FEDTWIN_PYTHON. Needs torch and opacus.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_ARENA_MAX": "1",
}
if "MALLOC_ARENA_MAX" not in os.environ:
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})

import torch
from torch import nn
from torch.nn import functional as F

from opacus.grad_sample import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer
from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

KINDS = ["pytorch-plain", "opacus-hooks", "opacus-ghost"]
LEARNING_RATE = 1e-3
CLIP = 1.0


class Block(nn.Module):
    def __init__(self, channels_in, channels):
        super().__init__()
        self.conv0 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return F.relu(self.conv1(F.relu(self.conv0(x))))


class Unet(nn.Module):
    """Level i has base * 2^i channels; nearest-neighbour upsampling, skips joined after the upsampled channels."""

    def __init__(self, base, depth):
        super().__init__()
        channels = [base << level for level in range(depth + 1)]
        self.down = nn.ModuleList(Block(channels[i - 1] if i else 1, channels[i]) for i in range(depth))
        self.bottom = Block(channels[depth - 1], channels[depth])
        self.up = nn.ModuleList(Block(channels[i + 1] + channels[i], channels[i]) for i in reversed(range(depth)))
        self.head = nn.Conv2d(base, 1, 1)

    def forward(self, x):
        skips = []
        for block in self.down:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for block, skip in zip(self.up, reversed(skips)):
            x = block(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1))
        return self.head(x)


class SampleLoss(nn.Module):
    """Mean binary cross-entropy plus soft Dice of each sample; `reduction` as Opacus's ghost clipping asks for."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, masks):
        bce = F.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2, 3))
        p = logits.sigmoid()
        dice = 1 - (2 * (p * masks).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + masks.sum((1, 2, 3)) + 1)
        losses = bce + dice
        return losses if self.reduction == "none" else losses.mean()


def make(kind, case):
    """Returns a function that takes one step of `kind`."""
    torch.manual_seed(1)
    patients, slices, pixels, base = case
    samples = patients * slices
    net = Unet(base, 2).to(memory_format=torch.channels_last)
    images = torch.rand(samples, 1, pixels, pixels)
    masks = (torch.rand(samples, 1, pixels, pixels) > 0.9).float()
    sgd = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    noise = {"noise_multiplier": 1.0, "max_grad_norm": CLIP, "expected_batch_size": samples}

    if kind == "pytorch-plain":
        loss = SampleLoss()

        def step():
            sgd.zero_grad(set_to_none=True)
            loss(net(images), masks).backward()
            sgd.step()

        return step

    if kind == "opacus-hooks":
        module = GradSampleModule(net, loss_reduction="mean")
        optimizer = DPOptimizer(sgd, loss_reduction="mean", **noise)
        loss = SampleLoss()
    else:
        module = GradSampleModuleFastGradientClipping(net, max_grad_norm=CLIP, use_ghost_clipping=True)
        optimizer = DPOptimizerFastGradientClipping(sgd, loss_reduction="mean", **noise)
        loss = DPLossFastGradientClipping(module, optimizer, SampleLoss(), "mean")

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(module(images), masks).backward()
        optimizer.step()

    return step


def peak_mb(kind, case_text, threads):
    """The peak of a process of its own, in MB, without the pages of files."""
    command = [sys.executable, __file__, "--case", case_text, "--threads", str(threads), "--peak", kind]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(case_text, case, threads, seconds):
    steps = {kind: make(kind, case) for kind in KINDS}
    for step in steps.values():
        step()
    walls, processor = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}
    begin = time.perf_counter()
    # A turn of the largest case takes minutes.
    while len(walls[KINDS[0]]) < 3 or time.perf_counter() - begin < seconds:
        for kind, step in steps.items():
            start, before = time.perf_counter(), time.process_time()
            step()
            walls[kind].append(time.perf_counter() - start)
            processor[kind].append(time.process_time() - before)
    del steps
    rows = []
    for kind in KINDS:
        milliseconds, memory = 1e3 * statistics.median(walls[kind]), peak_mb(kind, case_text, threads)
        plain = rows[0] if rows else {"milliseconds": milliseconds, "memory_mb": memory}
        rows.append(
            {
                "case": case_text,
                "engine": kind,
                "threads": threads,
                "milliseconds": milliseconds,
                "processor_milliseconds": 1e3 * statistics.mean(processor[kind]),
                "noise_milliseconds": 0.0,
                "ratio": milliseconds / plain["milliseconds"],
                "ratio_without_noise": milliseconds / plain["milliseconds"],
                "memory_mb": memory,
                "memory_ratio": memory / plain["memory_mb"],
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", required=True, help="unet-PATIENTSxSLICES[-PIXELS[-BASE]]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--peak", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = re.fullmatch(r"unet-(\d+)x(\d+)(?:-(\d+))?(?:-(\d+))?", arguments.case)
    if not size:
        parser.error("expected a case like unet-8x1")
    case = (int(size[1]), int(size[2]), int(size[3] or 128), int(size[4] or 16))
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        step = make(arguments.peak, case)
        step()
        step()
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        kib = lambda key: int(status[key].split()[0])
        print((kib("VmHWM") - kib("RssFile")) * 1024 / 1e6)
        return
    json.dump({"results": measure(arguments.case, case, arguments.threads, arguments.seconds)}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
