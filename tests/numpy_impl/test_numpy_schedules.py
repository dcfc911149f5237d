"""Learning-rate schedules: rates worked by hand, training by them, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest

from numpy_impl import losses, models, optimizers, training
from numpy_impl.schedules import (
    SCHEDULES,
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

HALF_WAVE = [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(5)]
BY_HAND: dict[str, tuple[LearningRateSchedule, list[float]]] = {
    "exponential": (ExponentialDecay(8, 2, 0.25), [8, 4, 2, 1, 0.5]),
    "exponential, in steps": (ExponentialDecay(8, 2, 0.25, staircase=True), [8, 8, 2, 2, 0.5]),
    "inverse": (InverseTimeDecay(6, 1, 0.5), [6, 4, 3, 2.4, 2]),
    "inverse, in steps": (InverseTimeDecay(6, 3, 0.5, staircase=True), [6, 6, 6, 4, 4]),
    # A boundary itself still has the rate before it.
    "constants": (PiecewiseConstantDecay([1, 3], [3, 2, 1]), [3, 3, 2, 2, 1]),
    "line": (PolynomialDecay(9, 4, end_learning_rate=1), [9, 7, 5, 3, 1, 1, 1]),
    "square": (PolynomialDecay(4, 4, 0, power=2), [4, 2.25, 1, 0.25, 0, 0]),
    # The end is not reached before the rate starts over, from half as steep a line.
    "cycle": (PolynomialDecay(8, 2, 0, cycle=True), [8, 4, 0, 2, 0, 8 / 6, 0]),
    "cosine": (CosineDecay(2, 4), [2 * wave for wave in HALF_WAVE] + [0]),
    "cosine to alpha": (CosineDecay(2, 4, alpha=0.5), [1 + wave for wave in HALF_WAVE] + [1]),
    "warm-up": (
        CosineDecay(1, 4, warmup_target=3, warmup_steps=2), [1, 2, *(3 * w for w in HALF_WAVE)],
    ),
    "restarts": (
        CosineDecayRestarts(2, 2, m_mul=0.5), [2, 1, *HALF_WAVE[:4], 0.5],
    ),
    "restarts, equally long": (CosineDecayRestarts(2, 2, t_mul=1), [2, 1, 2, 1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_rates(name: str) -> None:
    schedule, rates = BY_HAND[name]
    assert [schedule(k) for k in range(len(rates))] == pytest.approx(rates, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("name", BY_HAND)
def test_float32_is_float32(name: str) -> None:
    schedule, rates = BY_HAND[name]
    single = type(schedule).__new__(type(schedule))
    vars(single).update(vars(schedule), dtype="float32")
    found = [single(k) for k in range(len(rates))]
    assert found == pytest.approx(rates, rel=1e-5, abs=1e-6)
    assert all(rate == float(np.float32(rate)) for rate in found)


@pytest.mark.parametrize("kind", list(optimizers.OPTIMIZERS.values()))
def test_every_optimizer_takes_one(kind) -> None:
    """Each step has the rate of its own number, also in the decay of the weights."""
    schedule = InverseTimeDecay(0.5, 1, 1.0)
    scheduled, constant = (kind(rate, weight_decay=0.1) for rate in (schedule, 0.5))
    w, v = np.array([1.0, -2.0]), np.array([1.0, -2.0])
    for k in range(4):
        assert scheduled.rate == 0.5 / (1 + k)
        constant.learning_rate = 0.5 / (1 + k)
        scheduled.apply(np.array([0.5, k - 1.5]), w)
        constant.apply(np.array([0.5, k - 1.5]), v)
        assert np.array_equal(w, v)


def test_training_counts_batches() -> None:
    """Two epochs of three batches are six steps of the schedule; a new training starts anew."""
    optimizer = optimizers.SGD(ExponentialDecay(0.1, 1, 0.5))
    rng = np.random.default_rng(0)
    network = models.build("64-40-10", rng)
    x, y = rng.normal(size=(6, 64)), np.eye(10)[:6]
    options = {"epochs": 2, "schedule": training.in_order(6, 2)}
    training.fit(network, losses.get("quadratic"), optimizer, x, y, **options)
    assert optimizer.iterations == 6
    assert optimizer.rate == pytest.approx(0.1 / 64)
    optimizer.build(network.parameters)
    assert optimizer.rate == 0.1


@pytest.mark.parametrize("kind", [k for k in SCHEDULES if k != "PiecewiseConstantDecay"])
def test_no_steps_are_refused(kind: str) -> None:
    more = [0.5] if kind in ("ExponentialDecay", "InverseTimeDecay") else []
    make: Any = SCHEDULES[kind]
    with pytest.raises(ValueError, match=r"Expected .*decay_steps > 0\. Received: 0"):
        make(0.1, 0, *more)


@pytest.mark.parametrize(
    ("boundaries", "values", "message"),
    [
        ([1, 2], [0.1, 0.2], "one value more than boundaries.*2 boundaries and 2 values"),
        ([], [0.1], "0 boundaries and 1 values"),
        ([3, 2], [1, 2, 3], r"boundaries in order\. Received: \[3, 2\]"),
    ],
)
def test_constants_are_refused(boundaries, values, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PiecewiseConstantDecay(boundaries, values)
