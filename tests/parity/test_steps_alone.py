"""Steps alone, of layers that are not known: what an optimizer adds of its own is no mistake."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import CheckReport
from parity.reports.report import Outcome

Update = Callable[[list[Array], list[Array], float, dict[str, Any]], None]


def plain(w: list[Array], g: list[Array], rate: float, state: dict[str, Any]) -> None:
    for array, gradient in zip(w, g, strict=True):
        array -= rate * gradient


def decaying(w: list[Array], g: list[Array], rate: float, state: dict[str, Any]) -> None:
    plain(w, [gradient + 0.02 * array for gradient, array in zip(g, w, strict=True)], rate, state)


def decaying_kernels(w: list[Array], g: list[Array], rate: float, state: dict[str, Any]) -> None:
    decays = [0.02 * (array.ndim > 1) for array in w]
    more = [g + decay * a for g, decay, a in zip(g, decays, w, strict=True)]
    plain(w, more, rate, state)


def clipping(w: list[Array], g: list[Array], rate: float, state: dict[str, Any]) -> None:
    plain(w, [np.clip(gradient, -0.05, 0.05) for gradient in g], rate, state)


def adam(w: list[Array], g: list[Array], rate: float, state: dict[str, Any]) -> None:
    state["t"] = t = state.get("t", 0) + 1
    m = state.setdefault("m", [0 * a for a in w])
    v = state.setdefault("v", [0 * a for a in w])
    for k, (array, gradient) in enumerate(zip(w, g, strict=True)):
        m[k] = 0.9 * m[k] + 0.1 * gradient
        v[k] = 0.999 * v[k] + 0.001 * gradient**2
        array -= rate * (m[k] / (1 - 0.9**t)) / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8)


def slowing(w: list[Array], g: list[Array], rate: float, state: dict[str, Any]) -> None:
    state["t"] = t = state.get("t", 0) + 1
    plain(w, g, rate / (1 + 0.01 * t), state)


def checked(
    update: Update,
    factor: float = 1.0,
    penalty: float = 0.0,
    restarts: bool = False,
    forward: bool = True,
) -> CheckReport:
    """Check a recurrent network by its step alone; ``factor`` is one of a gradient's only."""
    rng = np.random.default_rng(5)
    w = [rng.normal(size=(3, 4)), 0.5 * rng.normal(size=(4, 4)), rng.normal(size=4)]
    w += [rng.normal(size=(4, 2))]
    state: dict[str, Any] = {}

    def states(x: Array) -> list[Array]:
        found = [np.zeros((len(x), 4))]
        for t in range(x.shape[1]):
            found.append(np.tanh(x[:, t] @ w[0] + found[-1] @ w[1] + w[2]))
        return found

    def loss(x: Array, y: Array) -> float:
        error = states(x)[-1] @ w[3] - y
        return float(np.sum(error**2) / 2 / len(x)) + penalty / 2 * float(np.sum(w[3] ** 2))

    def step(x: Array, y: Array, learning_rate: float) -> None:
        h = states(x)
        d = (h[-1] @ w[3] - y) / len(x)
        g = [0 * w[0], 0 * w[1], 0 * w[2], factor * h[-1].T @ d + penalty * w[3]]
        d = d @ w[3].T
        for t in reversed(range(x.shape[1])):
            d = d * (1 - h[t + 1] ** 2)
            g = [g[0] + x[:, t].T @ d, g[1] + h[t].T @ d, g[2] + d.sum(axis=0), g[3]]
            d = d @ w[1].T
        update(w, g, learning_rate, state)

    def set_weights(arrays: list[Array]) -> None:
        for own, array in zip(w, arrays, strict=True):
            own[...] = array
        if restarts:
            state.clear()

    def data(rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.normal(size=(6, 3, 3)), rng.normal(size=(6, 2))

    return parity.check(
        parity.Candidate(
            get_weights=lambda: w,
            set_weights=set_weights,
            loss=loss,
            step=step,
            data=data,
            forward=(lambda x: states(x)[-1] @ w[3]) if forward else None,
        ),
        keras=False,
    )


@pytest.mark.parametrize(("update", "said"), [
    (plain, ""),
    (decaying, "Weight decay: the step has 0.02 times the weight more than your loss"),
    (decaying_kernels, "Weight decay: the step has 0.02 times the weight more than your loss"),
    (clipping, "Clipping: your gradients are cut off at 0.05"),
])  # fmt: skip
def test_what_a_step_does_of_its_own_is_remarked(update: Update, said: str) -> None:
    report = checked(update)
    assert report.outcome is Outcome.RIGHT, str(report)
    assert not said or any(remark.startswith(said) for remark in report.remarks), str(report)


@pytest.mark.parametrize("update", [plain, decaying, decaying_kernels, clipping])
def test_what_is_wrong_is_wrong_with_it(update: Update) -> None:
    report = checked(update, factor=1.3)
    assert report.outcome is Outcome.WRONG, str(report)


def test_a_decay_beside_the_penalty_of_a_loss_is_no_remark() -> None:
    """It may be that penalty, done wrong."""
    report = checked(decaying, penalty=0.02)
    assert report.outcome is Outcome.WRONG, str(report)


def test_where_the_penalty_of_the_loss_is_not_known_it_cannot_be_told() -> None:
    for penalty in (0.0, 0.02):
        report = checked(decaying, penalty=penalty, forward=False)
        assert report.outcome is Outcome.UNKNOWN, str(report)
        assert {f.code for f in report.findings} == {"weight-decay-not-in-loss"}, str(report)


@pytest.mark.parametrize(("update", "said"), [
    (adam, "it changes all weights by as much"),
    (slowing, "may start a rate of the step's own anew"),
])  # fmt: skip
def test_first_steps_alone_are_not_judged(update: Update, said: str) -> None:
    """Weights that are set start what the step keeps anew, so that no other step is seen."""
    report = checked(update, restarts=True)
    assert report.outcome is Outcome.UNKNOWN, str(report)
    assert said in " ".join(finding.evidence for finding in report.findings), str(report)
