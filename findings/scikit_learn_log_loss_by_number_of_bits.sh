#!/bin/sh
# scikit-learn 1.9.1 (numpy 2.4.6, Python 3): the log loss of the same predictions is 18.0, 8.0 or 3.5 by their number of bits.
#
# Two patients are given a risk of 0, and one has the event. The loss is infinite, and one would guess the cut-off that keeps
# it finite to be one number. It is the precision of the array: 2e-16 for float64, 1e-7 for float32, 1e-3 for float16. So
# log_loss says 18.02, 7.97 and 3.46. A risk of 1e-9, which float32 holds, is cut off, too: 7.97 where float64 gives 10.36.
#
# The site that predicts in fewer bits has the better loss, and a weighted mean over sites mixes them. Convert risks to
# float64 and cut them off at a stated value first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from sklearn.metrics import log_loss

def loss(risk, kind):
    found = float(log_loss([1, 0], numpy.array([risk, 0.0], kind)))
    print("risk", risk, "as", kind, "log loss", found)
    return found

for kind, expected in (("float64", 18.021827), ("float32", 7.971192), ("float16", 3.464844)):
    assert abs(loss(0.0, kind) - expected) < 1e-5, "the cut-off changed"
assert numpy.float32(1e-9) > 0 and abs(loss(1e-9, "float32") - 7.971192) < 1e-5, "the cut-off changed"
assert abs(loss(1e-9, "float64") - 10.361633) < 1e-5, "the cut-off changed"
PYTHON
