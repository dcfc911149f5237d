"""Optimizers, their options, schedules and state: cases from the field, and their siblings."""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from numpy_impl import optimizers, schedules
from parity.bounds.schedules import bounded_rate
from parity.comparing.rows import Verdict
from tests import cases

S = keras.optimizers.schedules
SCHEDULES = {
    "exponential": lambda: S.ExponentialDecay(0.1, 3, 0.9),
    "exponential, staircase": lambda: S.ExponentialDecay(0.1, 3, 0.9, staircase=True),
    "constants": lambda: S.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01]),
    "line": lambda: S.PolynomialDecay(0.1, 7),
    "root, over and over": lambda: S.PolynomialDecay(0.1, 3, power=0.5, cycle=True),
    "inverse": lambda: S.InverseTimeDecay(0.1, 1, 0.5),
    "inverse, staircase": lambda: S.InverseTimeDecay(0.1, 3, 0.5, staircase=True),
    "cosine": lambda: S.CosineDecay(0.1, 9, alpha=0.1),
    "warm-up": lambda: S.CosineDecay(0.0, 9, warmup_target=0.1, warmup_steps=3),
    "restarts": lambda: S.CosineDecayRestarts(0.1, 3),
    "restarts, equally long": lambda: S.CosineDecayRestarts(
        0.1, 3, t_mul=1.0, m_mul=0.8, alpha=0.1
    ),
    "restarts, 1.5 times as long": lambda: S.CosineDecayRestarts(0.1, 3, t_mul=1.5),
}
K = keras.optimizers
WITH = {
    "sgd": lambda rate: K.SGD(rate),
    "nesterov": lambda rate: K.SGD(rate, momentum=0.9, nesterov=True),
    "rmsprop": lambda rate: K.RMSprop(rate, clipnorm=0.5),
    "adam": lambda rate: K.Adam(rate, global_clipnorm=0.1),
    "adamw": lambda rate: K.AdamW(rate, weight_decay=0.1),
}


def _compared(optimizer: Any, dtype: Any = "float64", steps: int = 12, **options: Any):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 6)), np.eye(3)[rng.integers(0, 3, 12)]
    with precision(dtype):
        hidden, top = keras.layers.Dense(5, "sigmoid"), keras.layers.Dense(3, "softmax")
        model = keras.Sequential([keras.Input((6,)), hidden, top])
        return parity.compare(
            model, parity.numpy_twin(model), x, y, loss="categorical_crossentropy",
            optimizer=optimizer(), steps=steps, batch_size=4, **options,
        )  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_schedule_is_its_twin(name, dtype):
    """Twelve steps, each checked on its own: past every boundary and restart."""
    for optimizer in ("nesterov", "adamw") if dtype == "float64" else ("sgd", "rmsprop", "adam"):
        result = _compared(lambda make=WITH[optimizer]: make(SCHEDULES[name]()), dtype)
        result.raise_for_failure()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_keras_own_number(name):
    """The rates are Keras's to the last digits of float32, in which TensorFlow computes them."""
    theirs = SCHEDULES[name]()
    ours = parity.numpy_optimizer(K.SGD(theirs)).learning_rate
    assert isinstance(ours, schedules.LearningRateSchedule)
    for k in range(40):
        rate = float(np.asarray(theirs(keras.ops.convert_to_tensor(k))))
        near_restart = "restarts" in name and abs(ours(k) - rate) > 1e-3
        # Where a wave ends, rounding may put the step on either side.
        assert ours(k) == pytest.approx(rate, rel=1e-5, abs=1e-7) or near_restart


def test_a_wrong_schedule_is_seen_at_its_step():
    """Per epoch of three batches where Keras counts batches: they part at the second step."""
    wrong = optimizers.SGD(schedules.InverseTimeDecay(0.1, 3, 1.5, staircase=True))
    result = _compared(lambda: K.SGD(S.InverseTimeDecay(0.1, 1, 0.5)), numpy_optimizer=wrong)
    failed = [row for row in result.failures() if row.section == "steps"]
    assert len(failed) == 4
    result = _compared(
        lambda: K.SGD(S.InverseTimeDecay(0.1, 1, 0.5)), numpy_optimizer=wrong, steps=2
    )
    assert {row.step for row in result.failures()} == {1}
    assert _compared(
        lambda: K.SGD(S.InverseTimeDecay(0.1, 1, 0.5)), numpy_optimizer=wrong, steps=1
    ).passed


def test_what_the_twin_lacks_is_refused_by_name():
    class Halves(S.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 / 2.0 ** keras.ops.cast(step, "float32")

        def get_config(self):
            return {}

    with pytest.raises(ValueError, match=r"schedule of ExponentialDecay.*Received: Halves"):
        parity.numpy_optimizer(K.SGD(Halves()))
    optimizer = K.AdamW(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(ValueError, match=r"Received: exclude_from_weight_decay"):
        parity.numpy_optimizer(optimizer)
    with pytest.raises(ValueError, match=r"without amsgrad.*amsgrad=True"):
        parity.numpy_optimizer(K.AdamW(amsgrad=True))


def test_an_unknown_schedule_has_no_bound():
    class Own(schedules.LearningRateSchedule):
        def rate(self, k):
            return 0.1 / (k + 1)

    own = optimizers.SGD(Own())
    assert own.rate == 0.1
    with pytest.raises(TypeError, match="No error analysis for schedule Own"):
        bounded_rate(Own(), 0)


class _StartsAt(optimizers.RMSprop):
    """The case's own optimizer, for any slot and number."""

    def build(self, parameters, slices=None):
        super().build(parameters, slices)
        self.state["momentum"][-1] = 1e-30


def test_the_state_at_the_start_is_compared():
    wrong = cases.load("networks/wrong_start").StartsAtOne(0.01)
    result = _compared(lambda: K.RMSprop(0.01), numpy_optimizer=wrong, steps=5)
    assert [row.tensor for row in result.failures() if row.section == "start"] == [
        "0/kernel velocity", "0/bias velocity", "1/kernel velocity", "1/bias velocity",
    ]  # fmt: skip
    assert result.section("start")[0].numpy == 1
    assert result.section("start")[0].keras == 0


def test_one_element_of_one_slot_is_enough():
    wrong = _StartsAt(0.01, momentum=0.5)
    result = _compared(lambda: K.RMSprop(0.01, momentum=0.5), numpy_optimizer=wrong)
    assert [(r.section, r.tensor) for r in result.failures()] == [("start", "1/bias momentum")]


def test_a_right_start_is_identical():
    result = _compared(lambda: K.Adam(0.01))
    rows = result.section("start")
    assert len(rows) == 8
    assert {row.verdict for row in rows} == {Verdict.IDENTICAL}
    assert not _compared(lambda: K.SGD(0.01)).section("start")
