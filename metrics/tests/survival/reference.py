"""Prints reference values of the scores in metrics/src/survival, one `name value` a line:
    python3 metrics/tests/survival/reference.py $FEDTWIN_DATA/survival
Risks are simple functions of the records, with many ties, and not a model's.
"""

import csv
import pathlib
import sys

import numpy as np
from sksurv.metrics import (
    brier_score,
    concordance_index_censored,
    concordance_index_ipcw,
    cumulative_dynamic_auc,
    integrated_brier_score,
)
from sksurv.util import Surv


def check(name, time, event, risk, probability):
    time, event, risk, probability = map(np.asarray, (time, event, risk, probability))
    counts = concordance_index_censored(event, time, risk)
    # Its count of ties in time is of another kind than R's.
    for key, value in zip(("c", "concordant", "discordant", "tied_risk"), counts[:4]):
        print(f"{name}.{key} {float(value)!r}")
    # An event comes before a censoring at the same time: scikit-survival, which weighs by G(T) for G(T-), is told so
    # by half a day.
    shifted = Surv.from_arrays(event, np.where(event, time, time + 0.5))
    print(f"{name}.uno_365 {float(concordance_index_ipcw(shifted, shifted, risk, tau=365)[0])!r}")
    for horizon in (365.75, 730.75):
        # Predicted is the chance of no event.
        score = brier_score(shifted, shifted, 1 - probability, horizon)[1][0]
        area = cumulative_dynamic_auc(shifted, shifted, risk, horizon)[0][0]
        print(f"{name}.brier_{horizon:.0f} {float(score)!r}")
        print(f"{name}.auroc_{horizon:.0f} {float(area)!r}")
    grid = np.arange(100.75, 700, 50)
    # The chance of an event by a time grows with it.
    survival = np.stack([1 - probability * t / 730.75 for t in grid], axis=1)
    print(f"{name}.integrated_brier {float(integrated_brier_score(shifted, shifted, survival, grid))!r}")


def main():
    folder = pathlib.Path(sys.argv[1])
    with open(folder / "lung.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    age = [int(r["age"]) for r in rows]
    check(
        "lung",
        [float(r["time"]) for r in rows],
        [r["status"] == "2" for r in rows],
        [float(a // 10) for a in age],
        [a / 100 for a in age],
    )
    with open(folder / "rotterdam.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    nodes = [int(r["nodes"]) for r in rows]
    check(
        "rotterdam",
        [float(r["rtime"]) for r in rows],
        [r["recur"] == "1" for r in rows],
        [float(n) for n in nodes],
        [0.1 + min(n, 20) / 25 for n in nodes],
    )


if __name__ == "__main__":
    main()
