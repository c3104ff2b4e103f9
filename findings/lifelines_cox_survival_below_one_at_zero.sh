#!/bin/sh
# lifelines 0.30.3 (scikit-survival 0.28.0, Python 3): a Cox model's survival is below 1 at time 0, and falls between deaths.
#
# Eight patients, the first death after 1 month. By the model's own estimate the survival is a staircase that starts at 1,
# and scikit-survival reads it so, as does the Kaplan-Meier estimate of lifelines. CoxPHFitter.predict_survival_function
# draws straight lines through the cumulative hazard and extends it flat: at month 0 it says 0.874 for a patient who has
# just entered, and at month 2.5, between deaths at 2 and 3, 0.683 where the staircase is at 0.747. At the months of deaths
# both agree to 1e-6.
#
# Sites that report a risk at a fixed horizon (a Brier score, a calibration curve) get other numbers from other libraries
# for one and the same model; the horizon has to be read off as a step, and 1 before the first death.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lifelines==0.30.3 scikit-survival==0.28.0 scikit-learn==1.9.1 pandas==2.3.3 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import warnings
warnings.filterwarnings("ignore")
import numpy, pandas
from lifelines import CoxPHFitter, KaplanMeierFitter
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

patients = pandas.DataFrame({
    "x": [0.0, 1, 0, 1, 0, 1, 1, 0], "month": [1.0, 2, 3, 4, 5, 6, 7, 8], "died": [1, 1, 1, 0, 1, 1, 1, 1]})
patient = patients[["x"]].iloc[:1]
months = [0, 0.5, 1, 2, 2.5, 3]

lines = CoxPHFitter().fit(patients, "month", "died").predict_survival_function(patient, times=months).iloc[:, 0].to_numpy()
steps = CoxPHSurvivalAnalysis().fit(patients[["x"]], Surv.from_arrays(patients.died.astype(bool), patients.month))
steps = steps.predict_survival_function(patient)[0]
kaplan_meier = KaplanMeierFitter().fit(patients.month, patients.died).predict(months).to_numpy()

print("month", months)
print("Cox, lifelines", lines.round(4).tolist())
print("Cox, scikit-survival from month 1", [round(float(steps(month)), 4) for month in months[2:]])
print("Kaplan-Meier, lifelines", kaplan_meier.round(4).tolist())
read = [steps(month) for month in months[2:]]
assert numpy.allclose(lines, [0.873645, 0.873645, 0.873645, 0.747322, 0.682964, 0.624148], atol=2e-6), "the lines changed"
assert numpy.allclose(read, [0.873645, 0.747322, 0.747322, 0.624148], atol=2e-6), "the steps changed"
assert numpy.allclose(kaplan_meier, [1, 1, 0.875, 0.75, 0.75, 0.625]), "the Kaplan-Meier estimate changed"
PYTHON
