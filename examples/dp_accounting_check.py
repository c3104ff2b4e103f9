"""Recomputes a ledger's epsilon with Google's dp-accounting, which shares no code with fedtwin.

    pip install dp-accounting          # 0.6.0 was used
    fedtwin audit export LEDGER > events.json
    python3 examples/dp_accounting_check.py events.json

Reads one JSON object (a file, or standard input without an argument); fields that are not named here are ignored:

    {"events": [{"sampling": "1/20", "noise_multiplier": 1.5, "steps": 1000}, ...],
     "delta": 1e-05,
     "epsilon": 2.0,
     "relation": "zero-out"}

  sampling          the probability with which each patient is in a step: a ratio as text, or a number in (0, 1]
  noise_multiplier  the noise's standard deviation over the L2 sensitivity to zeroing out one patient
  steps             how many steps, each with its own sample and its own noise
  delta, epsilon    the claim: all events together are (epsilon, delta)-private
  relation          "zero-out" (also where it is absent), or "replace-one"

Zeroing out one patient is what dp-accounting calls ADD_OR_REMOVE_ONE for these mechanisms: its privacy losses are those of
the sum with the patient's contribution against the sum without, in both directions.

Exit status: 0 if the two epsilons differ by at most 0.5 %, 1 if they differ by more, 2 if the input is not understood. Both are
upper bounds; where dp-accounting's grid of losses is too coarse for the job (many steps with little loss each), its own
is the looser one, so its spacing is halved until its epsilon no longer moves.
"""

import argparse
import fractions
import json
import sys

from dp_accounting.pld import privacy_loss_distribution as pld
from dp_accounting.privacy_accountant import NeighboringRelation

TOLERANCE = 0.005
RELATIONS = {
    "zero-out": NeighboringRelation.ADD_OR_REMOVE_ONE,
    "replace-one": NeighboringRelation.REPLACE_ONE,
}


def losses(event, relation, spacing):
    """Returns the privacy loss distribution of all steps of one event."""
    rate = float(fractions.Fraction(event["sampling"]))
    multiplier, steps = float(event["noise_multiplier"]), int(event["steps"])
    if not (0.0 < rate <= 1.0 and multiplier > 0.0 and steps >= 0):
        raise ValueError(f"no mechanism: {event}")
    if rate == 1.0:
        # Gaussian steps on all patients are one with less noise.
        multiplier, steps = multiplier / max(steps, 1) ** 0.5, min(steps, 1)
    one = pld.from_gaussian_mechanism(
        multiplier,
        sampling_prob=rate,
        value_discretization_interval=spacing,
        neighboring_relation=relation,
        use_connect_dots=True,
    )
    return one.self_compose(steps) if steps > 1 else one


def recompute(claim):
    """Returns dp-accounting's epsilon for a claim."""
    events = [event for event in claim["events"] if int(event["steps"]) > 0]
    relation = RELATIONS[claim.get("relation", "zero-out")]
    if not events:
        return 0.0
    spacing, before = 1e-3, float("inf")
    while True:
        total = None
        for event in events:
            distribution = losses(event, relation, spacing)
            total = distribution if total is None else total.compose(distribution)
        found = total.get_epsilon_for_delta(float(claim["delta"]))
        if before - found <= 2e-4 * found or spacing < 2e-6:
            return found
        spacing, before = spacing / 2.0, found


def main():
    parser = argparse.ArgumentParser(description="Recomputes an exported epsilon with Google's dp-accounting.")
    parser.add_argument("file", nargs="?", type=argparse.FileType(), default=sys.stdin)
    arguments = parser.parse_args()
    try:
        claim = json.load(arguments.file)
        claimed, found = float(claim["epsilon"]), recompute(claim)
    except (KeyError, TypeError, ValueError) as error:
        print(f"the input is not understood: {error!r}", file=sys.stderr)
        return 2
    difference = abs(claimed - found) / max(found, 1e-9)
    agrees = difference <= TOLERANCE or abs(claimed - found) < 1e-6
    print(
        json.dumps(
            {
                "delta": float(claim["delta"]),
                "epsilon_claimed": claimed,
                "epsilon_dp_accounting": found,
                "difference": difference,
                "agrees": agrees,
            }
        )
    )
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
