"""Chooses the heart study's optimiser, step size, clip and number of steps, on training rows only.

Usage: python3 examples/heart_cross_validation.py DIR, where DIR holds uci_heart. Needs numpy and scipy.

The same training as the federation's, in NumPy: per-patient gradients clipped and summed, noise, one server
step per round, all patients in every step. `local`: each site's own noise gives epsilon, so that the sum over
four sites holds twice as much. `shared`: the noise of the sum gives epsilon. Five folds within each site's
training rows, repeated over three orders of the rows; for private settings twenty draws of the noise per fold.
Prints site-mean accuracy with the global model, with each site's own intercept, and AUROC on the pooled
held-out rows, best with the intercept first. Test rows are not read.
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
ORDERS = 3
DRAWS = 20
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


def train(sites, setting, noise, random):
    """Trains once per draw of the noise; returns weights of shape [inputs, draws]."""
    optimiser, steps, rate, clip = setting
    inputs = np.concatenate([x for x, _ in sites])
    outcome = np.concatenate([y for _, y in sites])[:, None]
    # The gradient of a row is its residual times its inputs, so that clipping it bounds the residual.
    bound = clip / np.linalg.norm(inputs, axis=1)[:, None]
    weights = np.zeros((inputs.shape[1], DRAWS if noise else 1))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        residual = np.clip(sigmoid(inputs @ weights) - outcome, -bound, bound)
        gradient = (inputs.T @ residual + random.normal(0, noise * clip, weights.shape)) / len(outcome)
        if optimiser == "sgd":
            weights -= rate * gradient
            continue
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        weights -= rate / (1 - 0.9**step) * first / (np.sqrt(second / (1 - 0.99**step)) + 1e-3)
    return weights


def intercepts(logits, outcome, prior_variance=6.25):
    shift = np.zeros(logits.shape[1])
    for _ in range(50):
        p = sigmoid(logits + shift)
        slope = (p - outcome[:, None]).sum(0) + shift / prior_variance
        shift -= slope / ((p * (1 - p)).sum(0) + 1 / prior_variance)
    return shift


def scores(weights, trained, held_out):
    plain, local = [], []
    for (inputs, outcome), (x, y) in zip(trained, held_out):
        logits = x @ weights
        plain.append(((logits >= 0) == y[:, None]).mean(0))
        local.append(((logits + intercepts(inputs @ weights, outcome) >= 0) == y[:, None]).mean(0))
    logits = np.concatenate([x @ weights for x, _ in held_out])
    outcome = np.concatenate([y for _, y in held_out])
    positives = outcome.sum()
    ranks = rankdata(logits, axis=0)[outcome].sum(0)
    auroc = (ranks - positives * (positives + 1) / 2) / (positives * (len(outcome) - positives))
    return np.mean(plain), np.mean(local), auroc.mean()


def folds(sites):
    for order, fold in itertools.product(range(ORDERS), range(FOLDS)):
        random = np.random.default_rng([order, fold])
        shuffle = np.random.default_rng(order)
        held = [shuffle.permutation(len(outcome)) % FOLDS == fold for _, outcome in sites]
        trained = [(x[~h], y[~h]) for (x, y), h in zip(sites, held)]
        yield random, trained, [(x[h], y[h]) for (x, y), h in zip(sites, held)]


def cross_validate(sites, setting, noise):
    results = [scores(train(trained, setting, noise, random), trained, held_out)
               for random, trained, held_out in folds(sites)]
    return np.mean(results, axis=0)


def mu_of(epsilon, delta):
    """Balle and Wang 2018, theorem 8, solved for mu."""
    curve = lambda mu: norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    return brentq(lambda mu: curve(mu) - delta, 1e-3, 50)


def table(title, sites, settings, noise_of):
    """Prints the ten best of `settings`."""
    rows = [(cross_validate(sites, setting, noise_of(setting)), setting) for setting in settings]
    print(f"\n{title}: optimiser steps rate clip | accuracy, with intercept, AUROC")
    for figures, setting in sorted(rows, key=lambda row: -row[0][1])[:10]:
        print(*setting, "|", figures.round(4), flush=True)


def main():
    sites = training_rows(Path(sys.argv[1]) / "uci_heart")
    plain = [("sgd", steps, rate, 10) for steps in [100, 300] for rate in [0.2, 0.3, 0.5, 1, 2]]
    table("no noise", sites, plain, lambda _: 0)
    few = [("sgd", steps, rate, clip) for steps in [1, 2, 3, 5, 10, 20, 30]
           for rate in [0.25, 0.5, 1, 2, 4] for clip in [0.5, 1]]
    adam = [("adam", steps, rate, clip) for steps in [10, 20, 30] for rate in [0.01, 0.02, 0.05] for clip in [0.5, 1]]
    for epsilon, scheme in itertools.product([0.5, 1], ["local", "shared"]):
        # Gaussian mechanism at q = 1 (Dong, Roth and Su 2022, corollary 3): mu = sqrt(steps) / noise.
        least = 1 / mu_of(epsilon, DELTA) * (np.sqrt(len(sites)) if scheme == "local" else 1)
        table(f"epsilon {epsilon}, {scheme}", sites, few + adam, lambda setting: least * np.sqrt(setting[1]))


if __name__ == "__main__":
    main()
