"""Chooses the heart study's step size, clip and number of steps, on training rows only.

Usage: python3 examples/heart_cross_validation.py DIR, where DIR holds uci_heart. Needs numpy and scipy.

The same training as the federation's, in NumPy: per-patient gradients clipped and summed, noise at each
site, one server step per round. Five folds within each site's training rows; for private settings six draws
of the noise per fold. Prints site-mean accuracy with the global model, with each site's own intercept, and
AUROC on the pooled held-out rows. Test rows are not read.
"""

import csv
import itertools
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

CENTRES = ["cleveland", "hungarian", "switzerland", "va"]
COLUMNS = "age sex cp trestbps chol fbs restecg thalach exang oldpeak slope ca thal num".split()
RANGES = {"age": (20, 100), "trestbps": (80, 220), "chol": (100, 600), "thalach": (60, 220), "oldpeak": (-3, 7),
          "ca": (0, 3)}
ZERO_IS_MISSING = {"trestbps", "chol", "thalach"}
CATEGORIES = {"sex": [0, 1], "cp": [1, 2, 3, 4], "fbs": [0, 1], "restecg": [0, 1, 2], "exang": [0, 1],
              "slope": [1, 2, 3], "thal": [3, 6, 7]}
FOLDS = 5
DELTA = 1e-3


def encode(row):
    inputs = []
    for name in sorted([*RANGES, *CATEGORIES]):
        text = row[COLUMNS.index(name)]
        missing = text in ("?", "") or (name in ZERO_IS_MISSING and float(text) == 0)
        if name in RANGES:
            low, high = RANGES[name]
            inputs += [0, 1] if missing else [np.clip(2 * (float(text) - low) / (high - low) - 1, -1, 1), 0]
        else:
            one_hot = [0] * (len(CATEGORIES[name]) + 1)
            one_hot[-1 if missing else CATEGORIES[name].index(int(float(text)))] = 1
            inputs += one_hot
    return [*inputs, 1]


def training_rows(folder):
    with open(folder / "flamby_split.csv") as file:
        split = [row for row in csv.DictReader(file) if row["split"] == "train"]
    sites = []
    for centre in CENTRES:
        table = [line.strip().split(",") for line in open(folder / f"processed.{centre}.data")]
        rows = [table[int(row["line"]) - 1] for row in split if row["centre"] == centre]
        sites.append((np.array([encode(row) for row in rows]), np.array([float(row[-1]) > 0 for row in rows])))
    return sites


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def train(sites, setting, random):
    optimiser, steps, rate, clip, noise = setting
    weights = np.zeros(sites[0][0].shape[1])
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    patients = sum(len(outcome) for _, outcome in sites)
    for step in range(1, steps + 1):
        gradient = np.zeros_like(weights)
        for inputs, outcome in sites:
            each = (sigmoid(inputs @ weights) - outcome)[:, None] * inputs
            length = np.linalg.norm(each, axis=1, keepdims=True)
            gradient += (each * np.minimum(1, clip / np.maximum(length, 1e-12))).sum(0)
            gradient += random.normal(0, noise * clip, len(weights)) if noise else 0
        gradient /= patients
        if optimiser == "sgd":
            weights -= rate * gradient
            continue
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        weights -= rate / (1 - 0.9**step) * first / (np.sqrt(second / (1 - 0.99**step)) + 1e-3)
    return weights


def intercept(logits, outcome, prior_variance=6.25):
    shift = 0.0
    for _ in range(50):
        p = sigmoid(logits + shift)
        shift -= ((p - outcome).sum() + shift / prior_variance) / ((p * (1 - p)).sum() + 1 / prior_variance)
    return shift


def scores(weights, trained, held_out):
    plain, local = [], []
    for (inputs, outcome), (x, y) in zip(trained, held_out):
        shift = intercept(inputs @ weights, outcome)
        plain.append(((x @ weights >= 0) == y).mean())
        local.append(((x @ weights + shift >= 0) == y).mean())
    logits = np.concatenate([x @ weights for x, _ in held_out])
    outcome = np.concatenate([y for _, y in held_out])
    positives = outcome.sum()
    ranks = rankdata(logits)[outcome].sum()
    auroc = (ranks - positives * (positives + 1) / 2) / (positives * (len(outcome) - positives))
    return np.mean(plain), np.mean(local), auroc


def cross_validate(sites, setting, draws):
    results = []
    for fold in range(FOLDS):
        random = np.random.default_rng(fold)
        held = [np.arange(len(outcome)) % FOLDS == fold for _, outcome in sites]
        trained = [(x[~h], y[~h]) for (x, y), h in zip(sites, held)]
        held_out = [(x[h], y[h]) for (x, y), h in zip(sites, held)]
        results += [scores(train(trained, setting, random), trained, held_out) for _ in range(draws)]
    return np.mean(results, axis=0)


def mu_of(epsilon, delta):
    """Balle and Wang 2018, theorem 8, solved for mu."""
    curve = lambda mu: norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    return brentq(lambda mu: curve(mu) - delta, 1e-3, 50)


def main():
    sites = training_rows(Path(sys.argv[1]) / "uci_heart")
    print("optimiser steps rate clip epsilon | accuracy, with intercept, AUROC")
    for steps, rate in itertools.product([100, 300], [0.2, 0.3, 0.5, 1, 2]):
        print("sgd", steps, rate, 10, "none", "|", cross_validate(sites, ("sgd", steps, rate, 10, 0), 1).round(4))
    for steps, clip in itertools.product([20, 30, 50], [0.5, 1]):
        noise = np.sqrt(steps) / mu_of(1, DELTA)
        for optimiser, rate in [("sgd", 0.5), ("sgd", 1), ("sgd", 2), ("adam", 0.02), ("adam", 0.05), ("adam", 0.1)]:
            setting = (optimiser, steps, rate, clip, noise)
            print(optimiser, steps, rate, clip, 1, "|", cross_validate(sites, setting, 6).round(4))


if __name__ == "__main__":
    main()
