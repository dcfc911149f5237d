"""Gradients clipped before they are returned are right where they are, and wrong where not."""

from collections.abc import Callable

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity.reports.report import CheckReport, Outcome
from tests.parity.tagger import Arrays, checked

Clip = Callable[[list[Array]], list[Array]]


def entries(limit: float) -> Clip:
    return lambda g: [np.clip(a, -limit, limit) for a in g]


def norms(limit: float, small: float = 0.0) -> Clip:
    """Shrink each; PyTorch's divides by the norm plus 1e-6."""
    return lambda g: [a * min(1.0, limit / (np.linalg.norm(a.ravel()) + small)) for a in g]


def norm(limit: float, small: float = 0.0) -> Clip:
    def clip(g: list[Array]) -> list[Array]:
        whole = np.sqrt(sum((a**2).sum() for a in g))
        return [a * min(1.0, limit / (whole + small)) for a in g]

    return clip


CLIPS: dict[str, Clip] = {
    "entries": entries(0.3),
    "each norm": norms(0.5),
    "norm": norm(0.7),
    "norm as PyTorch has it": norm(0.7, 1e-6),
    "a norm of many digits": norm(np.pi / 5),
    "entries at a number of many digits": entries(np.pi / 10),
    "nothing that is met": entries(100.0),
}


def of_layers(clip: Clip, factor: float = 1.0) -> CheckReport:
    """Check a tagger with recurrence; the gradient of one array may be a bug's."""

    def mutate(net: object, g: Arrays, x: object, y: object) -> Arrays:
        wrong = {name: a * (factor if name == "inward" else 1.0) for name, a in g.items()}
        return dict(zip(wrong, clip(list(wrong.values())), strict=True))

    return checked(mutate)


def of_chain(
    clip: Clip, factor: float = 1.0, given: bool = True, own_loss: bool = True
) -> CheckReport:
    """Check 4-3-2 (tanh, linear) and its step, whose gradients are clipped."""
    rng = np.random.default_rng(0)
    w = [rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(3, 2)), rng.normal(size=2)]

    def forward(x: Array) -> tuple[Array, Array]:
        hidden = np.tanh(x @ w[0] + w[1])
        return hidden, hidden @ w[2] + w[3]

    def gradients(x: Array, y: Array) -> list[Array]:
        hidden, output = forward(x)
        delta = 2 * (output - y) / len(x)
        below = delta @ w[2].T * (1 - hidden**2)
        return clip([factor * x.T @ below, below.sum(0), hidden.T @ delta, delta.sum(0)])

    def step(x: Array, y: Array, learning_rate: float) -> None:
        for array, gradient in zip(w, gradients(x, y), strict=True):
            array -= learning_rate * gradient

    data = rng.normal(size=(8, 4)), rng.normal(size=(8, 2))
    candidate = parity.Candidate(
        get_weights=lambda: w, forward=lambda x: forward(x)[1], gradients=gradients, step=step,
        loss=(lambda x, y: float(np.sum((forward(x)[1] - y) ** 2) / len(x))) if own_loss else None,
        data=data if given else None,
    )  # fmt: skip
    return parity.check(candidate, keras=False)


def of_classes(clip: Clip, factor: float = 1.0) -> CheckReport:
    """Check 6-5-4 (ReLU, softmax), which is given without a loss."""
    rng = np.random.default_rng(3)
    w = [rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=(5, 4)), rng.normal(size=4)]

    def forward(x: Array) -> tuple[Array, Array]:
        hidden = np.maximum(x @ w[0] + w[1], 0)
        e = np.exp(hidden @ w[2] + w[3])
        return hidden, e / e.sum(axis=1, keepdims=True)

    def gradients(x: Array, y: Array) -> list[Array]:
        hidden, output = forward(x)
        delta = (output - y) / len(x)
        below = delta @ w[2].T * (hidden > 0)
        return clip([factor * x.T @ below, below.sum(0), hidden.T @ delta, delta.sum(0)])

    candidate = parity.Candidate(
        get_weights=lambda: w, forward=lambda x: forward(x)[1], gradients=gradients
    )
    return parity.check(candidate, keras=False)


@pytest.mark.parametrize("ask", [of_layers, of_chain])
@pytest.mark.parametrize("name", CLIPS)
def test_clipped_gradients_are_right_and_it_is_said(name: str, ask: Callable[..., CheckReport]):
    report = ask(CLIPS[name])
    assert report.outcome is Outcome.RIGHT, str(report)
    assert all(row.right for row in report.tensors)
    said = any(remark.startswith("Clipping: ") for remark in report.remarks)
    assert said == (name != "nothing that is met")


@pytest.mark.parametrize("ask", [of_layers, of_chain])
@pytest.mark.parametrize("name", ["entries", "norm", "nothing that is met"])
def test_clipping_hides_no_wrong_gradient(name: str, ask: Callable[..., CheckReport]):
    report = ask(CLIPS[name], 1.2)
    assert report.outcome is Outcome.WRONG, str(report)


def test_without_samples_of_theirs():
    assert of_chain(entries(0.3), given=False).outcome is Outcome.RIGHT


@pytest.mark.parametrize("name", CLIPS)
def test_without_a_loss_they_are_those_of_a_known_one(name: str):
    report = of_chain(CLIPS[name], own_loss=False)
    assert report.outcome is Outcome.RIGHT, str(report)
    said = any(remark.startswith("Clipping: ") for remark in report.remarks)
    assert said == (name != "nothing that is met")


@pytest.mark.parametrize("clip", [entries(0.01), entries(0.1), norms(0.02), norm(1e-2, 1e-6)])
def test_classes_without_a_loss(clip: Clip):
    assert of_classes(clip).outcome is Outcome.RIGHT


@pytest.mark.parametrize("clip", [entries(0.01), entries(0.1), norm(0.01)])
@pytest.mark.parametrize("factor", [1.2, -1.0])
def test_of_wrong_ones_no_cause_is_told_that_is_none(clip: Clip, factor: float):
    report = of_classes(clip, factor)
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert [finding.code for finding in report.findings] == ["clipped-gradients"]


def test_a_limit_that_is_met_first_on_another_batch():
    """None of the first probes has so large an entry."""
    assert of_classes(entries(1.0)).outcome is Outcome.RIGHT


def test_what_is_cut_off_below_the_derivative_is_no_clipping():
    """Largest entries of a number of few digits, where the derivative is smaller, are a bug."""
    report = of_layers(lambda g: [np.where(np.abs(a) > 0.02, np.sign(a) * 0.5, a) for a in g])
    assert report.outcome is Outcome.WRONG, str(report)
    assert not any(remark.startswith("Clipping: ") for remark in report.remarks)


def test_gradients_that_are_made_longer_are_not_clipped():
    """All of one norm, and longer than the derivative: another rule, that nobody calls right."""

    def longer(g: list[Array]) -> list[Array]:
        whole = np.sqrt(sum((a**2).sum() for a in g))
        return [50 * a / whole for a in g]

    report = of_layers(longer)
    assert report.outcome is not Outcome.RIGHT, str(report)
    assert not any(remark.startswith("Clipping: ") for remark in report.remarks)
