"""Gradients of networks of any layers, beside the derivative of the user's own loss."""

from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.checking.asking.subject import Subject
from parity.checking.derivative.slopes import Place, Slope
from parity.reports.report import CheckReport, Outcome
from tests.cases import load
from tests.parity.tagger import MUTATIONS, Arrays, Mutation, Tagger, checked, data


def codes(report: CheckReport) -> list[str]:
    return [finding.code for finding in report.findings]


def test_right_gradients_of_a_recurrent_network():
    net = Tagger()
    before = {name: array.copy() for name, array in net.w.items()}
    report = checked(net=net)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert report.summary == (
        "Equal to the derivative of your own loss up to rounding: gradients of 5 arrays in 2 "
        "draws. Not tested: what the layers compute; a step (none is given)."
    )
    assert all(np.array_equal(net.w[name], array) for name, array in before.items())


@pytest.mark.parametrize(
    ("code", "name", "evidence", "mutate"), MUTATIONS, ids=[f"{c}-{n}" for c, n, *_ in MUTATIONS]
)
def test_a_wrong_tensor_is_located_and_named(code: str, name: str, evidence: str, mutate: Mutation):
    report = checked(mutate)
    assert report.outcome is Outcome.WRONG, str(report)
    assert codes(report) == [code], str(report)
    assert report.findings[0].where == f"weights['{name}']"
    assert evidence in report.findings[0].evidence
    wrong = [row.name for row in report.tensors if not row.right]
    assert wrong == [f"weights['{name}']"]


def test_swapped_gradients_are_named_on_both():
    report = checked(lambda net, g, x, y: g | {"inward": g["recurrent"], "recurrent": g["inward"]})
    assert codes(report) == ["anothers-gradient"] * 2
    assert "weights['recurrent']" in report.findings[0].title


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_half_of_the_square_is_a_convention_and_every_row_is_right(factor: float):
    report = checked(lambda net, g, x, y: {name: factor * array for name, array in g.items()})
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any(
        remark.startswith(f"Scale: your gradients are {factor:g} times")
        for remark in report.remarks
    )
    assert all(row.right and row.ratio <= 1 for row in report.tensors), str(report)
    assert "DIFFERENT" not in str(report)


def test_a_factor_of_one_array_is_no_convention():
    report = checked(lambda net, g, x, y: g | {"inward": 2 * g["inward"]})
    assert report.outcome is Outcome.WRONG
    assert [row.name for row in report.tensors if not row.right] == ["weights['inward']"]


def test_a_penalty_that_the_gradient_lacks():
    net = Tagger()
    net.DECAY = 0.2
    report = checked(net=net)
    assert codes(report) == ["weight-decay-missing"]
    assert "0.2 times" in report.findings[0].title
    assert report.findings[0].where == "weights['outward']"


@pytest.mark.parametrize(
    ("which", "part"),
    [("the first sample", slice(0, 1)), ("all samples but the last", slice(0, -1))],
)
def test_samples_that_do_not_count(which: str, part: slice):
    report = checked(lambda net, g, x, y: net.gradients(x[part], y[part]))
    assert codes(report) == ["samples-left-out"], str(report)
    assert which in report.findings[0].title


@pytest.mark.parametrize("factor", [5.0, 0.2, 2.0])
def test_one_reduction_of_all_is_a_remark(factor: float):
    report = checked(lambda net, g, x, y: {name: factor * a for name, a in g.items()})
    assert report.outcome is Outcome.RIGHT, str(report)
    assert f"{factor:g} times the derivative of your own loss" in report.remarks[0]


@pytest.mark.parametrize(("factor", "code"), [(-1.0, "sign"), (0.3, "factor")])
def test_one_factor_that_is_no_reduction_is_wrong(factor: float, code: str):
    report = checked(lambda net, g, x, y: {name: factor * a for name, a in g.items()})
    assert (report.outcome, codes(report)) == (Outcome.WRONG, [code])


def test_gradients_that_pile_up():
    sums: Arrays = {}

    def piling(net: Tagger, g: Arrays, x: Any, y: Any) -> Arrays:
        for name, array in g.items():
            sums[name] = sums.get(name, 0) + array
        return dict(sums)

    assert codes(checked(piling)) == ["accumulated"]


def test_a_loss_that_is_random_is_not_judged():
    rng = np.random.default_rng(0)
    net = Tagger()
    report = parity.check_gradients(
        lambda x, y: net.loss(x, y) + rng.normal(), lambda: net.w, net.gradients, data
    )
    assert (report.outcome, codes(report)) == (Outcome.UNKNOWN, ["nondeterministic"])


def test_a_loss_of_few_digits_is_not_judged():
    net = Tagger()
    report = parity.check_gradients(
        lambda x, y: round(net.loss(x, y), 3), lambda: net.w, net.gradients, data
    )
    assert report.outcome is Outcome.UNKNOWN, str(report)


def test_without_samples_it_is_asked_for_some():
    report = checked(data=None)
    assert codes(report) == ["no-samples"]
    assert "data=(x, y)" in report.findings[0].fix


def test_not_all_is_written_yet():
    report = checked(lambda net, g, x, y: g | {"embedding": None})
    assert (report.outcome, codes(report)) == (Outcome.UNKNOWN, ["not-given"])
    report = checked(lambda net, g, x, y: g | {"embedding": None, "bias": -g["bias"]})
    assert (report.outcome, codes(report)) == (Outcome.WRONG, ["sign", "not-given"])


@pytest.mark.parametrize("seed", range(5))
def test_kinks_are_no_difference(seed: int):
    """ReLU and max on integers: most directions pass a kink somewhere."""
    r = np.random.default_rng(seed)
    w = {"a": r.normal(size=(3, 40)), "b": r.normal(size=40)}

    def parts(x: Any) -> Any:
        return np.maximum(x @ w["a"], 0) * w["b"]

    def loss(x: Any, y: Any) -> float:
        return float((parts(x).max(axis=1) * y).sum())

    def gradients(x: Any, y: Any) -> Arrays:
        h = x @ w["a"]
        best = np.eye(40)[parts(x).argmax(axis=1)] * y[:, None]
        return {"a": x.T @ (best * w["b"] * (h > 0)), "b": (best * np.maximum(h, 0)).sum(axis=0)}

    report = parity.check_gradients(
        loss, w, gradients, lambda rng: (rng.normal(size=(50, 3)), rng.normal(size=50)), seed=seed
    )
    assert report.outcome is Outcome.RIGHT, str(report)


def test_the_recurrent_tagger_of_the_field():
    hand = load("networks/29_hand")
    report = parity.check(hand.make_loss(), keras=False)
    assert report.outcome is Outcome.WRONG
    assert codes(report) == ["not-the-derivative"]
    # Wxh, Whh and Bh; Why and By are right.
    assert report.findings[0].where == "weights[0], weights[1], weights[2]"
    assert "right are those of weights[3] and weights[4]" in report.findings[0].evidence


def test_the_batch_normalisation_of_the_field():
    report = parity.check(load("networks/31_hand").make_loss(), keras=False)
    assert report.outcome is Outcome.WRONG
    assert report.findings[0].where == "weights[0]"


def test_without_a_loss_it_is_asked_for_one():
    report = parity.check(load("networks/29_hand").make(), keras=False)
    assert report.outcome is Outcome.UNKNOWN
    assert "loss=" in report.findings[0].fix


@pytest.mark.parametrize("sign", [1, -1])
def test_the_check_without_forward_compares_gradients(sign: int):
    net = Tagger()
    candidate = parity.Candidate(
        get_weights=lambda: net.w,
        gradients=lambda x, y: {name: sign * g for name, g in net.gradients(x, y).items()},
        loss=net.loss,
        data=data,
    )
    report = parity.check(candidate)
    assert report.passed == (sign == 1), str(report)
    assert report.remarks[-1].startswith("Layers: they are not known (no forward is given)")


def test_a_plain_step_is_as_good_as_gradients():
    net = Tagger()

    def step(x: Any, y: Any, rate: float) -> None:
        for name, g in net.gradients(x, y).items():
            net.w[name] -= rate * g

    def stepping(more: float) -> parity.Candidate:
        return parity.Candidate(
            get_weights=lambda: net.w, loss=net.loss, data=data,
            step=lambda x, y, rate: step(x, y, rate * (1 + more * rate)),
        )  # fmt: skip

    report = parity.check(stepping(0.0))
    assert report.passed, str(report)
    assert report.summary.startswith(
        "Equal to the derivative of your own loss up to rounding: steps"
    )
    assert parity.check(stepping(0.5)).outcome is Outcome.UNKNOWN


def test_a_difference_below_the_fifth_digit_is_measured_at_all_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Tagger()
    candidate = parity.Candidate(get_weights=lambda: net.w, gradients=net.gradients, loss=net.loss)
    x, y = data(np.random.default_rng(0))
    subject = Subject(candidate)
    place = Place(subject, subject.weights(), x, y)

    def along(*estimates: Slope) -> Slope:
        left = iter(estimates)
        monkeypatch.setattr(place, "_central", lambda *_, **__: next(left))
        monkeypatch.setattr(place, "_is_of_both_sides", lambda *_: True)  # no kink is near
        return place.along(0, np.zeros(subject.weights()[0].shape), 1.0, 0.0)

    off, more = Slope(1 + 3e-8, 1e-10), Slope(1 + 3e-8, 2e-10)
    right = Slope(1 + 3e-8, 2e-8)
    assert along(off, more, right, right) is right
    # What no step explains is a difference, and so is what is far off at once.
    assert along(off, more, off, off) is off
    far = Slope(1.001, 1e-10)
    assert along(far, far) is far


@pytest.mark.parametrize("batched", [False, True])
def test_a_factor_is_no_reduction_where_the_data_are_one_samples_vectors(batched: bool):
    z = np.array([1.1, 2.2, 0.3, -1.7])
    x, y = np.array([0.5, -1.0, 2.0, 0.1]), np.array([0.0, 0.0, 1.0, 0.0])

    def loss(x: np.ndarray, y: np.ndarray) -> float:
        # One weight for each class, or one weight of all for a batch of numbers.
        errors = (z[0] * x - y) ** 2 if batched else (z * x - y) ** 2
        return float(errors.sum() / len(y))

    def gradients(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        slopes = 2 * x * (z[0] * x - y if batched else z * x - y)
        return [np.array([slopes.sum(), 0.0, 0.0, 0.0]) if batched else slopes]

    report = parity.check_gradients(loss, [z], gradients, data=(x, y))
    if batched:
        assert report.outcome is parity.Outcome.RIGHT
        assert "each 4 times the derivative" in report.summary
    else:
        assert report.outcome is parity.Outcome.WRONG
        assert report.findings[0].values["factor"] == "4"


@pytest.mark.parametrize("curve", [0.0, 0.7], ids=["straight", "curved"])
def test_no_estimate_across_a_kink_is_taken_for_the_derivative(curve: float):
    """However far the kink is: what is measured is right, or it is said that it is not known."""
    w = np.array([1.0])
    true = 3 + curve * np.cos(1.0)
    for distance in np.geomspace(1e-9, 0.3, 60):

        def loss(x: Any, y: Any, distance: float = distance) -> float:
            return float(3 * w[0] + curve * np.sin(w[0]) + 2 * max(w[0] - 1 - distance, 0))

        candidate = parity.Candidate(get_weights=lambda: [w], gradients=lambda x, y: [w], loss=loss)
        for off in (0.0, 0.1, 0.5):
            place = Place(Subject(candidate), [np.array([1.0])], 0, 0)
            slope = place.along(0, np.ones(1), true + off, 1e-14)
            assert slope.agrees(true, 0.0), (distance, off, slope)
            if distance > 1e-4:
                assert np.isfinite(slope.error) or off, (distance, slope)
            if distance > 0.2:
                assert np.isfinite(slope.error), (distance, off)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [0.5, 1 / 6, 3.7])
def test_one_factor_of_all_gradients_is_one(dtype: Any, factor: float) -> None:
    """Each by itself is known to a few digits alone in float32."""
    rng = np.random.default_rng(1)
    w = [rng.normal(size=s).astype(dtype) for s in ((5, 4), (4,), (4, 3))]

    def loss(x: Array, y: Array) -> float:
        return float(np.sum((np.tanh(x @ w[0] + w[1]) @ w[2] - y) ** 2) / len(x))

    def gradients(x: Array, y: Array) -> list[Array]:
        h = np.tanh(x @ w[0] + w[1])
        d = 2 * (h @ w[2] - y) / len(x)
        below = d @ w[2].T * (1 - h * h)
        return [(factor * g).astype(dtype) for g in (x.T @ below, below.sum(0), h.T @ d)]

    def drawn(rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.normal(size=(6, 5)).astype(dtype), rng.normal(size=(6, 3)).astype(dtype)

    report = parity.check_gradients(loss, w, gradients, drawn)
    wrong = factor == 3.7
    assert report.outcome is (Outcome.WRONG if wrong else Outcome.RIGHT), str(report)
    assert {finding.code for finding in report.findings} == ({"factor"} if wrong else set())


def test_a_norm_of_few_digits_by_chance_is_no_clipping() -> None:
    """All gradients have a factor of one half, and the norm of one of them is 0.25."""
    w = [np.array([0.3, -0.2]), np.array([0.7, 1.1, -0.4])]

    def loss(x: Array, y: Array) -> float:
        return float(w[0] @ [0.3, 0.4] + np.sum(np.sin(w[1] * x)))

    def gradients(x: Array, y: Array) -> list[Array]:
        return [0.5 * np.array([0.3, 0.4]), 0.5 * np.cos(w[1] * x) * x]

    def drawn(rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.uniform(0.1, 0.3, size=3), np.zeros(1)

    report = parity.check_gradients(loss, w, gradients, drawn)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert any("0.5 times the derivative" in remark for remark in report.remarks)
    assert not any(remark.startswith("Clipping") for remark in report.remarks)
