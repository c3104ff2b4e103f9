#!/bin/sh
# diffprivlib 0.6.6 (scikit-learn 1.7.2, Python 3): the private median of 300 patients who all have 0 is anything from 0 to 100.
#
# One would guess the median of a value that all patients share to come back nearly as it is, the more so the more patients
# there are. tools.median draws an interval between neighbouring values, weighed by its width, then a number within it; the
# width between equal values is 0. With epsilon 1 and bounds of 0 and 100 the answers for 300 zeros are spread evenly over
# the bounds (quartiles 26, 50 and 74), exactly as for 3 zeros. With 3000 it raises "Can't find a candidate to return".
#
# Counts of transfusions or days in intensive care are tied in this way: a hospital without a single case looks like any
# other. Ask for a histogram where values are whole numbers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffprivlib==0.6.6 scikit-learn==1.7.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import warnings
warnings.filterwarnings("ignore")
import numpy
from diffprivlib import tools

def answers(patients):
    values = numpy.zeros(patients)
    return [float(tools.median(values, epsilon=1, bounds=(0, 100), random_state=seed)) for seed in range(1000)]

many = answers(300)
print("300 patients with 0, quartiles of the private median", numpy.quantile(many, [0, 0.25, 0.5, 0.75, 1]).round(1).tolist())
assert numpy.allclose(numpy.quantile(many, [0.25, 0.5, 0.75]), [25.9, 50.4, 74.4], atol=0.1), "the behaviour changed"
assert numpy.allclose(many, answers(3)), "the number of patients counts now"
try:
    answers(3000)
except RuntimeError as error:
    print("3000 patients with 0:", str(error).split(".")[0])
    assert "find a candidate" in str(error), "the exception changed"
else:
    raise SystemExit("3000 patients have a median now")
PYTHON
