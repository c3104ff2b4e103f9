#!/bin/sh
# statsmodels 0.15.0 (scipy 1.17.1, Python 3): a random-effects mean is 24 times as precise as the fixed-effect one.
#
# Four sites report effects of 0.50, 0.50, 0.51 and 0.49, each with a variance of 0.04. A random-effects analysis adds the
# variance between sites: one would guess an interval at least as wide as the fixed effect's, and an I2 from 0 to 1. With
# method_re="dl" (also named "chi2") the variance between sites is not cut off at zero. It is -0.0399, which nearly cancels
# the 0.04, and the interval shrinks from 0.304-0.696 to 0.492-0.508. The default method says 0 and 0.304-0.696. I2 is -599
# with each of them.
#
# Hospitals that pool estimates in place of patients agree so well by chance whenever they are few: put max(0, tau2) into
# the weights, and refuse a random-effects interval that is narrower than the fixed one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6 pandas==2.3.3
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from statsmodels.stats.meta_analysis import combine_effects

def pooled(method):
    result = combine_effects(numpy.array([0.50, 0.50, 0.51, 0.49]), numpy.full(4, 0.04), method_re=method)
    frame = result.summary_frame()
    intervals = [frame.loc[row, ["ci_low", "ci_upp"]].round(3).tolist() for row in ("fixed effect", "random effect")]
    print(method, "tau2", float(result.tau2), "I2", float(result.i2), "fixed and random intervals", intervals)
    return result, intervals

for method in ("dl", "chi2"):
    result, (fixed, random) = pooled(method)
    assert abs(result.tau2 + 0.0399333) < 1e-6, "the variance between sites changed"
    assert fixed == [0.304, 0.696] and random == [0.492, 0.508], "the intervals changed"
    assert abs(result.sd_eff_w_fe / result.sd_eff_w_re - 24.495) < 1e-3, "the ratio of standard errors changed"
    assert abs(result.i2 + 599) < 1e-6, "I2 changed"

result, (fixed, random) = pooled("iterated")
assert result.tau2 == 0 and fixed == random == [0.304, 0.696] and abs(result.i2 + 599) < 1e-6, "the default changed"
PYTHON
