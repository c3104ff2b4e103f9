"""Prints the codes for which ucumvert and pint give another number than stands in the line, or none.

A line has a code, two units of UCUM, and what 5.5 of the first are of the second, between tabs.
"""

import sys
import warnings

warnings.filterwarnings("ignore")

from ucumvert import PintUcumRegistry  # noqa: E402

registry = PintUcumRegistry()
for line in sys.stdin:
    code, first, second, expected = line.rstrip("\n").split("\t")
    try:
        unit = registry.from_ucum(first)
        found = registry.Quantity(5.5, unit.units).m_as(registry.from_ucum(second).units)
        found *= unit.magnitude / registry.from_ucum(second).magnitude
        right = abs(found / float(expected) - 1) < 1e-9
    except Exception:
        right = False
    if not right:
        print(code)
