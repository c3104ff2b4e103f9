#!/bin/sh
# scikit-survival 0.28.0 (Python 3): a patient censored on the day of another's event changes that event's weight in the Brier
# score, as if the censored one had left first.
#
# Where an event and a censoring share a day, Kaplan and Meier's convention, which the same library follows in its curves, has
# the event first. Graf's score weighs an event at T by 1 / G(T-), so that who leaves later that day does not count yet.
# brier_score weighs by 1 / G(T). With four patients, an event and a censoring on day 2, a predicted survival of 0.5
# throughout and day 3 as the horizon, the score is 0.28125 and not 0.25, which it is as soon as a second lies between the two.
#
# Registers count in days or months, so that such ties are the rule. Scores of one model from two libraries may differ by it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-survival==0.28.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from sksurv.metrics import brier_score
from sksurv.util import Surv

def score(censored_on):
    patients = Surv.from_arrays([True, False, False, False], [2.0, censored_on, 5.0, 6.0])
    return float(brier_score(patients, patients, numpy.full((4, 1), 0.5), [3.0])[1][0])

tied, later = score(2.0), score(2.00001)
print("an event and a censoring on one day", tied, "- a second later", later)
assert abs(tied - 0.28125) < 1e-9, "the tied score changed"
assert abs(later - 0.25) < 1e-9, "the other score changed"
PYTHON
