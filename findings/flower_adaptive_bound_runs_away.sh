#!/bin/sh
# Flower 1.42.0 (numpy 2.4.6, Python 3): the adaptive clipping bound runs away from the updates that it should follow.
#
# Adaptive clipping (Andrew et al., 2021) is to find the bound that clips the wanted share of the sites' updates: one would
# guess that it rises while all are clipped, and falls while none is. Flower's strategy counts the updates that were clipped,
# where the paper counts those within the bound, and keeps the sign. Four sites, a bound of 0.1 and a wanted share of one
# half: if the updates have a norm of 1, all are clipped, and after 50 rounds the bound is 0.00067; with a norm of 0.001 none
# is, and the bound is 14.8. The noise is turned off here, so that the numbers are exact.
#
# Noise is proportional to the bound: the model of a federation that relies on it stops moving, or drowns in noise. Log the
# bound of each round, or take a fixed one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flwr==1.42.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import logging
logging.disable(logging.CRITICAL)
import numpy
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import DifferentialPrivacyServerSideAdaptiveClipping, FedAvg
from flwr.supercore.task_identity import TaskIdentity

TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1

def arrays(weights):
    return ArrayRecord({"weights": Array(numpy.array(weights))})

def reply(norm):
    content = RecordDict({"arrays": arrays([norm, 0.0]), "metrics": MetricRecord({"num-examples": 10})})
    return Message(content, reply_to=Message(RecordDict(), dst_node_id=1, message_type="train"))

def bounds(norm, rounds=50):
    strategy = DifferentialPrivacyServerSideAdaptiveClipping(
        FedAvg(), noise_multiplier=0.0, num_sampled_clients=4, initial_clipping_norm=0.1, target_clipped_quantile=0.5)
    found = []
    for number in range(1, rounds + 1):
        strategy.current_arrays = arrays([0.0, 0.0])
        model, _ = strategy.aggregate_train(number, [reply(norm) for _ in range(4)])
        found.append(strategy.clipping_norm)
    step = float(model["weights"].numpy()[0])
    print(f"updates of norm {norm}: bound {found[0]:.4g}, {found[9]:.4g}, {found[49]:.4g} after 1, 10, 50 rounds, last step {step:.4g}")
    return found, step

clipped, step = bounds(1.0)
assert numpy.allclose(clipped, 0.1 * numpy.exp(-0.1 * numpy.arange(1, 51))), "the bound no longer falls"
assert numpy.isclose(step, clipped[48]), "the step is not the bound"
kept, step = bounds(0.001)
assert numpy.allclose(kept, 0.1 * numpy.exp(0.1 * numpy.arange(1, 51))), "the bound no longer rises"
assert numpy.isclose(step, 0.001), "the step is not the update"
PYTHON
