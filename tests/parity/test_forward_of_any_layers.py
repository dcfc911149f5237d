"""Forward passes of any layers beside Keras models: the right ones, and each planted bug."""

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest

import parity
from parity.reports.report import CheckReport, Outcome
from tests.parity.forwards import branches, memory, pictures, sequences, transformers
from tests.parity.forwards.common import Net

NETS: dict[str, Net] = {
    "pictures": pictures.NET,
    "sequences": sequences.NET,
    "transformers": transformers.NET,
    "branches": branches.NET,
    "memory": memory.NET,
}


class Case(NamedTuple):
    """A forward pass by hand.

    Attributes:
        net: Which.
        slips: What is wrong in it, words divided by ";".
        code: What is found; "" for nothing, "?" where it has no name.
        where: A part of the place that is said.
        how: "held" (its own weights), "named" (a dict of activations), "float32", or "".
    """

    net: str
    slips: str = ""
    code: str = ""
    where: str = ""
    how: str = ""


RIGHT = [Case(net, how=how) for net in NETS for how in ("", "held", "named", "float32")]
RIGHT += [Case("transformers", "two-pass", how="named")]
WRONG = [
    Case("pictures", "x/255", "inputs-scaled", "inputs"),
    Case("pictures", "x/127.5-1", "inputs-scaled", "inputs"),
    Case("pictures", "bgr", "channel-order", "inputs"),
    Case("pictures", "flipped", "flipped-kernel", "conv"),
    Case("pictures", "flipped", "flipped-kernel", "conv", "held"),
    Case("pictures", "flipped", "flipped-kernel", "conv", "named"),
    Case("pictures", "spatial transposed", "weight-order", "conv"),
    Case("pictures", "fortran", "weight-order", "conv"),
    Case("pictures", "pad end", "padding", "conv"),
    Case("pictures", "no bias", "weight-unused", "conv"),
    Case("pictures", "gelu tanh", "gelu-form", "conv"),
    Case("pictures", "gelu tanh", "gelu-form", "conv", "float32"),
    Case("pictures", "relu", "other-activation", "conv", "named"),
    Case("pictures", "batch statistics", "batch-statistics", "bn"),
    Case("pictures", "batch statistics;bn eps", "batch-statistics", "bn", "named"),
    Case("pictures", "bn eps", "epsilon", "bn"),
    Case("pictures", "bn eps", "epsilon", "bn", "held"),
    Case("pictures", "bn eps", "epsilon", "bn", "float32"),
    Case("pictures", "bn eps outside", "epsilon-place", "bn", "named"),
    Case("pictures", "bn no root", "variance-without-root", "bn"),
    Case("pictures", "average", "pooling", "pool"),
    Case("pictures", "channels first", "flattened-order", "flat"),
    Case("pictures", "ln over batch", "normalized-axis", "ln", "named"),
    Case("pictures", "ln n-1", "variance-over-n-minus-1", "ln"),
    Case("pictures", "ln eps", "epsilon", "ln"),
    Case("pictures", "ln eps", "epsilon", "ln", "float32"),
    Case("pictures", "ln eps outside", "epsilon-place", "ln"),
    Case("pictures", "no gamma", "weight-unused", "ln"),
    Case("pictures", "softmax over batch", "softmax-axis", "out"),
    Case("pictures", "flipped;bn eps", "flipped-kernel epsilon", "conv", "named"),
    Case("sequences", "hard gates", "gate-activation", "lstm"),
    Case("sequences", "hard gates", "gate-activation", "lstm", "named"),
    Case("sequences", "ifoc", "gate-order", "lstm", "named"),
    Case("sequences", "icfo", "gate-order", "lstm", "named"),
    Case("sequences", "reversed", "time-reversed", "lstm", "named"),
    Case("sequences", "forget bias", "forget-bias", "lstm", "named"),
    Case("sequences", "no candidate tanh", "candidate-activation-missing", "lstm", "named"),
    Case("sequences", "o * c", "state-activation-missing", "lstm", "named"),
    Case("sequences", "fortran", "weight-order", "lstm", "named"),
    Case("sequences", "before", "reset-place", "gru", "named"),
    Case("sequences", "one bias", "recurrent-bias", "gru", "named"),
    Case("sequences", "r, z", "gate-order", "gru", "named"),
    Case("sequences", "1 - z", "update-gate", "gru"),
    Case("sequences", "old after", "reset-place", "old", "named"),
    Case("sequences", "back as it is", "time-reversed", "back", "named"),
    Case("sequences", "swapped", "directions-swapped", "both", "named"),
    Case("sequences", "class - 1", "class-number", "emb", "named"),
    Case("sequences", "emb scaled", "embedding-scaled", "emb"),
    Case("transformers", "no sqrt(d)", "attention-scale", "mha"),
    Case("transformers", "sqrt of all", "attention-scale", "mha", "named"),
    Case("transformers", "over queries", "attention-axis", "mha", "named"),
    Case("transformers", "causal", "causal-mask", "mha"),
    Case("transformers", "no residual", "input-left-out", "add"),
    Case("transformers", "eps", "epsilon", "ln1 and ln2"),
    Case("transformers", "n-1", "variance-over-n-minus-1", "ln1", "held"),
    Case("transformers", "no ln1", "layer-left-out", "ln1", "named"),
    Case("transformers", "leaky", "other-activation", "up"),
    Case("transformers", "no relu", "activation-missing", "up"),
    Case("transformers", "max", "pooling", "mean"),
    Case("transformers", "sum", "pooling", "mean", "named"),
    Case("transformers", "last", "?", "mean", "named"),
    Case("branches", "torch padding", "padding", "conv"),
    Case("branches", "causal", "padding", "conv"),
    Case("branches", "flipped", "flipped-kernel", "conv"),
    Case("branches", "slope 0.01", "leaky-slope", "leaky"),
    Case("branches", "slope 0.2", "leaky-slope", "leaky"),
    Case("branches", "zeros counted", "padding-counted", "pool"),
    Case("branches", "no rescaling", "rescaling", "scale"),
    Case("branches", "side transposed", "forward-transposed", "side"),
    Case("branches", "no tanh", "activation-missing", "side"),
    Case("branches", "join swapped", "joined-order", "join"),
    Case("branches", "times 1 - rate", "dropout-scaled", "drop"),
    Case("branches", "no bias", "weight-unused", "two"),
    Case("memory", "no mask", "mask-ignored", "read", "named"),
    Case("memory", "scaled", "attention-scale", "look"),
    Case("memory", "over queries", "attention-axis", "look"),
    Case("memory", "no softmax", "attention-axis", "look", "named"),
    Case("memory", "slope 0.01", "leaky-slope", "out"),
]


@functools.cache
def model(net: str) -> Any:
    from keras_impl import keras

    keras.utils.set_random_seed(1)
    return NETS[net].build(keras)


def candidate(case: Case) -> parity.Candidate:
    net, dtype = NETS[case.net], np.float32 if case.how == "float32" else np.float64
    weights = [w.astype(dtype) for w in model(case.net).get_weights()]
    slips = frozenset(case.slips.split(";"))

    def forward(*inputs: Any) -> Any:
        inputs = tuple(inputs[0]) if isinstance(inputs[0], list) else inputs
        found = net.forward(weights, [x.astype(dtype) for x in inputs], slips)
        outputs = list(found.values())[-net.outputs :]
        if case.how == "named":
            return found
        return outputs if net.outputs > 1 else outputs[0]

    get_weights = None if case.how == "held" else lambda: weights
    return parity.Candidate(forward=forward, get_weights=get_weights)


def checked(case: Case) -> CheckReport:
    return parity.check(candidate(case), model(case.net))


def name(case: Case) -> str:
    return "-".join(filter(None, (case.net, case.slips, case.how)))


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("case", RIGHT, ids=name)
def test_no_right_forward_is_accused(case: Case):
    report = checked(case)
    assert report.outcome is Outcome.RIGHT, str(report)


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("case", WRONG, ids=name)
def test_a_wrong_forward_is_seen_and_named(case: Case):
    report = checked(case)
    codes = [finding.code for finding in report.findings]
    expected = ["unknown-forward"] if case.code == "?" else case.code.split()
    assert (report.outcome, codes) == (Outcome.WRONG, expected), str(report)
    assert case.where in report.findings[0].where


def test_nine_of_ten_planted_bugs_have_a_name():
    named = [case for case in WRONG if case.code != "?"]
    assert len(WRONG) >= 60
    assert len(named) >= 0.9 * len(WRONG)
