#!/bin/sh
# fhirpathpy 2.2.4 (Python 3): 1 g is 1000 mg, and 1 kg is not 1000 g.
#
# FHIRPath compares quantities by their units of UCUM. One would guess that a library either knows the metric prefixes or
# says that it cannot tell (an empty result). fhirpathpy says true to 1 'g' = 1000 'mg' and 1 'cm' = 10 'mm', but false, the
# answer for quantities that differ, to 1 'kg' = 1000 'g', 1 'mg' = 1000 'ug', 1 'L' = 1000 'mL' and 1 'mg/dL' = 10 'mg/L'.
# 0.1 'g' equals 100 'mg' without being equivalent (~) to it. An Observation of 5.4 mmol/L is not equal to 5.4 'mmol/L', and
# "> 5 'mmol/L'" raises an exception.
#
# A criterion of a cohort that is written once and run at every hospital would leave out the patients of those that record in
# another unit, without a word. Compare .value as a number, after the unit's code has been compared as text.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fhirpathpy==2.2.4
"$folder/venv/bin/python" - <<'PYTHON'
from fhirpathpy import evaluate
from fhirpathpy.models import models

observation = {"resourceType": "Observation", "valueQuantity": {
    "value": 5.4, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}}

def check(expression, expected):
    found = evaluate(observation, expression, {}, models["r4"])
    print(expression, "is", found)
    assert found == [expected], "the behaviour changed"

for same in ("1 'g' = 1000 'mg'", "1 'cm' = 10 'mm'", "0.1 'g' = 100 'mg'"):
    check(same, True)
for other in ("1 'kg' = 1000 'g'", "1 'mg' = 1000 'ug'", "1 'L' = 1000 'mL'", "1 'mg/dL' = 10 'mg/L'", "0.1 'g' ~ 100 'mg'"):
    check(other, False)
check("Observation.value = 5.4 'mmol/L'", False)
check("Observation.value.value > 5 and Observation.value.code = 'mmol/L'", True)
try:
    evaluate(observation, "Observation.value > 5 'mmol/L'", {}, models["r4"])
except Exception as error:
    print("Observation.value > 5 'mmol/L' raises:", error)
    assert "did not match type" in str(error), "the exception changed"
else:
    raise SystemExit("quantities of an Observation can be ordered now")
PYTHON
