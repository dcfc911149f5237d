"""One layer alone: planted bugs are named at their places, and right layers are not accused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import parity
from parity import Outcome
from parity.checking.bugs.layers import OTHER_FUNCTION
from parity.checking.layer import reference
from parity.checking.layer.dense import DENSE
from tests.parity.layers import functions
from tests.parity.layers.planted import OBJECTS, PLANTED, Planted, keras_layer
from tests.parity.layers.random_right import KINDS, right


@pytest.mark.census(keep=6, by=lambda case: case.kind)
@pytest.mark.parametrize(
    "case",
    PLANTED + OBJECTS,
    ids=lambda c: f"{c.kind}: {c.bug.code if c.bug else 'right'} {c.where}",
)
def test_a_layer_is_right_or_its_bug_is_named(case: Planted):
    report = case.report()
    found = [(finding.bug, finding.where) for finding in report.findings]
    if case.bug is None:
        assert report.outcome is Outcome.RIGHT, report
        assert not found
        return
    assert report.outcome is (Outcome.UNKNOWN if case.bug is OTHER_FUNCTION else Outcome.WRONG)
    assert found[0][0] == case.bug, report
    if case.bug is not OTHER_FUNCTION and case.where is not None:
        assert found[0][1] == case.where, report


def test_without_a_reference_the_own_forward_decides_and_nothing_is_said_of_keras():
    for bug, outcome in (("", Outcome.RIGHT), ("dw nonsense", Outcome.WRONG)):
        report = parity.check_layer(*functions.affine(bug), inputs=(5, 3), weights=[(3, 4), (4,)])
        assert report.outcome is outcome
        assert "Keras's" not in str(report)
        assert report.reference == "the derivative of your own forward"
    assert report.findings[0].code == "not-the-derivative"
    assert report.findings[0].where == "dw"
    assert "dx and db" in report.findings[0].evidence


@pytest.mark.census(keep=4, by=lambda number: number % len(KINDS))
@pytest.mark.parametrize("number", range(300))
def test_a_right_layer_of_chance_is_not_accused(number: int):
    report = right(number)
    assert report.outcome is Outcome.RIGHT, report
    assert not report.findings


def test_a_formula_that_is_not_keras_s_decides_nothing(monkeypatch: pytest.MonkeyPatch):
    """Keras has the last word: with an error in our own formula nobody is called right."""
    wrong = replace(
        DENSE,
        formula=lambda arrays, options, slips: [arrays["x"] @ arrays["kernel"]],
        weights=DENSE.weights[:1],
        keras=lambda ops, weights, options: [2 * weights["kernel"], ops.zeros((4,))],
    )
    monkeypatch.setitem(reference.KINDS, "Dense", wrong)
    report = parity.check_layer(
        lambda x, w: (x @ w, (x, w)),
        lambda d, cache: (d @ cache[1].T, cache[0].T @ d),
        keras_layer("Dense", 4),
        inputs=(5, 3),
        weights=[(3, 4)],
    )
    assert report.outcome is Outcome.UNKNOWN
    assert "computes something else than is known here" in report.findings[0].evidence


def test_two_bugs_are_two_findings_and_the_rest_is_right():
    forward, backward = functions.norm()
    mean, of_x = (functions.norm(False, bug)[1] for bug in ("mean", "of x"))

    def both(dout: Any, cache: Any) -> Any:
        return mean(dout, cache)[0], of_x(dout, cache)[1], backward(dout, cache)[2]

    report = parity.check_layer(
        forward, both, keras_layer("BatchNormalization"), inputs=(6, 4), weights=[(4,), (4,)]
    )
    assert {(f.code, f.where) for f in report.findings} == {
        ("norm-mean-term", "dx"),
        ("norm-gamma-of-x", "dgamma"),
    }
    assert [row.right for row in report.tensors] == [False, False, True]


def test_a_bug_of_backward_is_named_beside_one_of_forward():
    report = parity.check_layer(
        functions.attention("scale")[0],
        functions.attention("diagonal")[1],
        keras_layer("dot_product_attention"),
        inputs=[(2, 4, 3), (2, 5, 3), (2, 5, 6)],
    )
    found = [(finding.code, finding.where) for finding in report.findings]
    assert found == [("attention-scale", "forward"), ("softmax-diagonal", "dq and dk")]


def test_numbers_of_half_the_digits_are_judged_by_their_own_rounding():
    x, w, b = (np.ones(shape, np.float32) for shape in ((5, 3), (3, 4), (4,)))
    for bug, outcome in (("", Outcome.RIGHT), ("dw averaged", Outcome.WRONG)):
        pair = functions.affine(bug)
        report = parity.check_layer(*pair, keras_layer("Dense", 4), inputs=x, weights=[w, b])
        assert report.outcome is outcome, report


def test_what_is_changed_in_place_is_said():
    def forward(x: Any, w: Any, b: Any) -> Any:
        x -= x.mean()
        return x @ w + b, (x, w, b)

    report = parity.check_layer(
        forward, functions.affine()[1], inputs=(5, 3), weights=[(3, 4), (4,)]
    )
    assert "aliasing" in {finding.code for finding in report.findings}
    assert report.outcome is Outcome.WRONG


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"forward": 3},
            "expected forward and backward, or an object that has them. Received: int",
        ),
        ({"inputs": (0, 3)}, "expected a shape of whole numbers above 0. Received: (0, 3)"),
        ({"reference": "Dense"}, "Received: str"),
    ],
)
def test_bad_input_is_refused_in_one_line(given: dict[str, Any], said: str):
    forward, backward = functions.affine()
    call = {"forward": forward, "backward": backward, "inputs": (5, 3), "weights": [(3, 4), (4,)]}
    if "forward" in given:
        del call["backward"]
    with pytest.raises((TypeError, ValueError)) as caught:
        parity.check_layer(**call | given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gradients_in_another_order_belong_to_the_arrays_of_their_shapes():
    """A column and a vector of as many numbers are two shapes, with and without a reference."""

    def forward(x: Any, w: Any, b: Any) -> Any:
        return x * b + x @ w, (x, w, b)

    def backward(dout: Any, cache: Any) -> Any:
        x, w, b = cache
        dw = x.T @ dout.sum(axis=1, keepdims=True)
        return dout * b + dout.sum(axis=1, keepdims=True) @ w.T, (dout * x).sum(axis=0), dw

    report = parity.check_layer(forward, backward, inputs=(5, 3), weights=[(3, 1), (3,)])
    assert report.outcome is Outcome.RIGHT, report


def test_an_exception_of_theirs_is_a_finding_and_says_what_was_called():
    report = parity.check_layer(*functions.affine(), inputs=(5, 3))
    assert report.outcome is Outcome.UNKNOWN
    assert report.findings[0].code == "exception"
    assert "called as forward(float64 array of shape (5, 3))" in report.findings[0].evidence
    assert "give what it takes" in report.findings[0].fix


def test_gradients_of_arrays_that_were_not_given_are_not_passed_over():
    w, b = np.ones((3, 4)), np.ones(4)
    forward, backward = functions.affine()
    report = parity.check_layer(
        lambda x: forward(x, w, b), backward, keras_layer("Dense", 4), inputs=(5, 3)
    )
    assert report.outcome is Outcome.UNKNOWN
    report = parity.check_layer(lambda x: forward(x, w, b), backward, inputs=(5, 3))
    assert report.outcome is Outcome.UNKNOWN
    assert "expected at most 1 gradients, of x. Received: 3" in report.findings[0].evidence


def test_a_random_layer_is_not_called_wrong():
    report = parity.check_layer(*functions.dropout(), inputs=(5, 3))
    assert report.outcome is Outcome.UNKNOWN
    assert report.findings[0].title.startswith("forward is nondeterministic")


def test_what_could_not_fail_is_not_called_tested():
    """Of one sample batch normalization is beta, whatever x is."""
    report = parity.check_layer(
        *functions.norm(), keras_layer("BatchNormalization"), inputs=(1, 4), weights=[(4,), (4,)]
    )
    assert report.untested[0] == "dx and dgamma (0 up to rounding, with these sizes)"
