#!/bin/sh
# dp-accounting 0.6.0 (Python 3): the Laplace mechanism has no finite epsilon at delta 0.
#
# Laplace noise at twice the sensitivity is 0.5-differentially private, delta being 0: the textbook case of pure privacy, and
# the accountants have an event of its own for it. One would guess get_epsilon(0) to be 0.5. It is infinite, by the privacy
# loss distribution and by Renyi divergence alike. By the former epsilon is 0.5 at a delta of 1e-14 and infinite at 1e-15,
# because the tails are cut off at a mass of 1e-15; by the latter it is 0.518 at 1e-12, above what holds for delta 0.
#
# A site that promises pure privacy cannot show it with either accountant, and would report "unlimited" or a delta that
# nobody needed: keep pure mechanisms in a ledger of their own, where epsilons are added.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dp-accounting==0.6.0 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import math
import dp_accounting
from dp_accounting import pld, rdp

def epsilon(accountant, delta):
    accountant = accountant()
    accountant.compose(dp_accounting.LaplaceDpEvent(2.0))
    found = float(accountant.get_epsilon(delta))
    print(type(accountant).__name__, "delta", delta, "epsilon", found)
    return found

assert epsilon(pld.PLDAccountant, 0) == epsilon(rdp.RdpAccountant, 0) == math.inf, "delta 0 changed"
assert epsilon(pld.PLDAccountant, 1e-15) == math.inf, "the mass of the tails changed"
assert abs(epsilon(pld.PLDAccountant, 1e-14) - 0.5) < 1e-9, "the smallest delta changed"
assert abs(epsilon(rdp.RdpAccountant, 1e-12) - 0.51858) < 1e-5, "the Renyi accountant changed"
PYTHON
