#!/bin/sh
# NVIDIA FLARE 2.9.0 (numpy 2.4.6, Python 3): federated statistics of a small unit have a standard deviation of 0.
#
# Two sites hold creatinine in mol/L, around 9e-5. FLARE rounds the global sum, mean, variance and deviation to 4 decimals as
# it adds site after site; one would guess 4 digits. The mean is 0.0001 in place of 0.0000877, and the deviation 0.0 in place
# of 0.0000199. The same patients in umol/L have 87.6667 and 19.9366, which is right. Where sites have several data sets,
# the global minimum and maximum of each are those of all: an oldest patient of 90 in "test" is the oldest of "train", too.
#
# A federation that standardises by these numbers divides by 0, or scales its training data by what the test data holds.
# Choose units in which the values are around 1 to 1000.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nvflare==2.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from nvflare.app_common.app_constant import StatisticsConstants as names
from nvflare.app_common.statistics.numeric_stats import get_global_stats

creatinine = {"north": numpy.array([7.1e-5, 8.3e-5, 9.9e-5]), "south": numpy.array([6.5e-5, 8.8e-5, 12.0e-5])}

def of_sites(statistic, unit):
    return {site: {"train": {"creatinine": float(statistic(values * unit))}} for site, values in creatinine.items()}

def mean_and_deviation(unit):
    statistics = {names.STATS_COUNT: len, names.STATS_SUM: numpy.sum, names.STATS_MEAN: numpy.mean}
    first = {name: of_sites(statistic, unit) for name, statistic in statistics.items()}
    found = get_global_stats({}, first, names.STATS_1st_STATISTICS, {})
    mean = found[names.STATS_MEAN]["train"]["creatinine"]
    part = lambda values: ((values - mean) ** 2).sum() / (6 - 1)
    second = {names.STATS_VAR: of_sites(part, unit), names.STATS_STDDEV: of_sites(numpy.std, unit)}
    found = get_global_stats(found, second, names.STATS_2nd_STATISTICS, {})
    pooled = numpy.concatenate(list(creatinine.values())) * unit
    print("federated", mean, found[names.STATS_STDDEV]["train"]["creatinine"], "pooled", pooled.mean(), pooled.std(ddof=1))
    return mean, found[names.STATS_STDDEV]["train"]["creatinine"]

assert mean_and_deviation(1.0) == (0.0001, 0.0), "the behaviour changed"
mean, deviation = mean_and_deviation(1e6)
assert mean == 87.6667 and abs(deviation - 19.9366) < 1e-4, "the behaviour changed"

def ages(train, test):
    return {"train": {"age": train}, "test": {"age": test}}

extremes = {
    names.STATS_MIN: {"north": ages(60.0, 18.0), "south": ages(50.0, 40.0)},
    names.STATS_MAX: {"north": ages(65.0, 90.0), "south": ages(70.0, 80.0)},
}
found = get_global_stats({}, extremes, names.STATS_1st_STATISTICS, {})
print("extremes of age", found)
assert found[names.STATS_MIN] == {"train": {"age": 18.0}, "test": {"age": 18.0}}, "the minimum changed"
assert found[names.STATS_MAX] == {"train": {"age": 90.0}, "test": {"age": 90.0}}, "the maximum changed"
PYTHON
