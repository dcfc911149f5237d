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
    keras.utils.set_random_seed(5)
    with precision(dtype):
        hidden, top = keras.layers.Dense(5, "sigmoid"), keras.layers.Dense(3, "softmax")
        model = keras.Sequential([keras.Input((6,)), hidden, top])
        return parity.compare(
            model, parity.numpy_twin(model), x, y, loss="categorical_crossentropy",
            optimizer=optimizer(), steps=steps, batch_size=4, **options,
        )  # fmt: skip


@pytest.mark.census(keep=3)
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
    with pytest.raises(ValueError, match=r"without loss_scale_factor.*loss_scale_factor=2"):
        parity.numpy_optimizer(K.AdamW(loss_scale_factor=2.0))


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


# What the check says of steps. ------------------------------------------------------------------


def _report(name, make):
    # Modules that keep their weights or counts are loaded anew for each check.
    return parity.check(getattr(cases.load(name), make), keras=False)


def _codes(report):
    return [finding.code for finding in report.findings]


OPTIMIZERS = {
    "make_adam": ("adam-correction-without-power", "without the power t"),
    "make_adam_declared": ("adam-correction-without-power", "without the power t"),
    "make_raw": ("momentum-of-gradient", "in place of a velocity"),
    "make_raw_step": ("momentum-of-gradient", "in place of a velocity"),
    "make_added": ("velocity-added", "added to itself"),
    "make_adagrad": ("accumulator-of-weights", "squares of the weights"),
}


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_wrong_optimizers_are_named(make):
    report = _report("wrong/repro_optimizers", make)
    code, words = OPTIMIZERS[make]
    assert report.outcome is parity.Outcome.WRONG
    assert set(_codes(report)) == {code}
    assert words in report.summary
    if make == "make_adagrad":
        assert [f.where for f in report.findings] == ["step, weights[1]", "step, weights[3]"]


@pytest.mark.parametrize("make", ["make", "make_both"])
def test_an_adam_made_anew_in_each_call(make):
    report = _report("wrong/repro_fresh_adam", make)
    assert report.outcome is parity.Outcome.WRONG
    assert _codes(report) == ["state-not-kept"]
    assert "at step 2" in report.findings[0].evidence


@pytest.mark.parametrize("make", ["make", "make_both", "make_named", "make_keras"])
def test_moments_that_start_at_0_in_each_call(make):
    report = _report("networks/17_hand", make)
    assert report.outcome is parity.Outcome.WRONG
    assert _codes(report) == ["state-not-kept"]
    assert "at step 2, ×0.744137" in report.findings[0].evidence
    assert "Adam, beta_1 0.9, beta_2 0.999" in report.findings[0].evidence


@pytest.mark.parametrize("make", ["make", "make_half", "make_scaled"])
def test_a_factor_that_does_not_know_of_the_batch_is_no_bug(make):
    report = _report("wrong/repro_averaged_momentum", make)
    assert report.outcome is parity.Outcome.RIGHT
    assert any(remark.startswith("Scale: ") for remark in report.remarks)


PHANTOM = {
    "make": ["missing-derivative", "step-leaves", "adam-no-correction"],
    "make_mended": ["step-leaves", "adam-no-correction"],
    "make_every": ["missing-derivative", "adam-no-correction"],
    "make_only_adam": ["adam-no-correction"],
}


@pytest.mark.parametrize("make", PHANTOM)
def test_a_layer_that_the_step_skips_is_no_dropout(make):
    report = _report("wrong/repro_phantom_dropout", make)
    assert report.outcome is parity.Outcome.WRONG
    assert _codes(report) == PHANTOM[make]
    assert "ropout" not in "".join([*report.remarks, *(f.title for f in report.findings)])
    if "step-leaves" in PHANTOM[make]:
        titles = [finding.title for finding in report.findings]
        assert "the step leaves weights[2][0] and weights[2][1] as they are" in titles


def test_an_update_inside_the_loop_over_samples():
    report = _report("wrong/repro_update_in_sample_loop", "make")
    assert report.outcome is parity.Outcome.WRONG
    assert _codes(report) == ["update-repeated"]
    assert "is repeated m = 7 times a step, with already updated weights" in report.summary


@pytest.mark.parametrize("make", ["make", "make_both"])
def test_a_rate_that_falls_is_shown(make):
    report = _report("networks/20_hand", make)
    assert report.outcome is parity.Outcome.RIGHT
    assert any("times 1, 1, 1, 0.6667, 0.6667, 0.6667" in remark for remark in report.remarks)


def test_a_rate_that_falls_by_epochs_is_not_the_declared_schedule():
    report = _report("networks/20_hand", "make_schedule")
    assert report.outcome is parity.Outcome.WRONG
    assert _codes(report) == ["schedule-count"]
    assert "it is counted on once in 3 steps (epochs?)" in report.summary
    assert "parts at step 2, ×1.5" in report.summary
    assert cases.load("networks/20_hand").compare_twin().passed


DECLARED = cases.load("networks/declared_optimizers").CASES
DEPARTURES = {
    "weight_decay": "weight-decay-missing",
    "clipnorm": "clipping-kind",
    "schedule": "schedule-count",
    "Nesterov": "nesterov-form",
}


@pytest.mark.parametrize("name", DECLARED)
def test_all_that_is_declared_is_checked(name):
    make, expected = DECLARED[name]
    report = parity.check(make, keras=False)
    assert report.outcome.value == expected
    if expected == "wrong":
        kind = next(kind for kind in DEPARTURES if kind in name)
        assert _codes(report) == [DEPARTURES[kind]]
        step = 2 if "schedule" in name else 1
        assert f"parts at step {step}, ×" in report.summary


class Net:
    """6-5-3, tanh and linear, with its right gradients and room for a state."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        shapes = (6, 5), 5, (5, 3), 3
        self.weights = [0.4 * rng.normal(size=shape) for shape in shapes]
        self.m, self.v, self.u = ([0 * w for w in self.weights] for _ in range(3))
        self.t = 0

    def forward(self, x):
        self.h = np.tanh(x @ self.weights[0] + self.weights[1])
        return self.h @ self.weights[2] + self.weights[3]

    def gradients(self, x, y):
        d = 2 * (self.forward(x) - y) / y.size
        dh = d @ self.weights[2].T * (1 - self.h**2)
        return [x.T @ dh, dh.sum(0), self.h.T @ d, d.sum(0)]


def _made(change, both=True, optimizer=None, seed=0):
    """Return what makes a network with a step that goes down ``change(net, k, gradient)``."""

    def make():
        net = Net(seed)

        def step(x, y, rate):
            net.t += 1
            gradients = net.gradients(x, y)
            if isinstance(change, list):
                gradients = change[0](gradients)
            for k, g in enumerate(gradients):
                net.weights[k] -= rate * (g if isinstance(change, list) else change(net, k, g))

        return parity.Candidate(
            get_weights=lambda: net.weights, forward=net.forward, step=step,
            gradients=net.gradients if both else None, optimizer=optimizer,
        )  # fmt: skip

    return make


def _sgd(net, k, g):
    return g


def _torch(net, k, g):
    net.m[k] = 0.9 * net.m[k] + g
    return net.m[k]


def _torch_nesterov(net, k, g):
    return g + 0.9 * _torch(net, k, g)


def _dampened(net, k, g):
    net.m[k] = g if net.t == 1 else 0.9 * net.m[k] + 0.5 * g
    return net.m[k]


def _average(net, k, g):
    net.m[k] = 0.9 * net.m[k] + 0.1 * g
    return net.m[k]


def _adam(place, epsilon=1e-8, decay=0.0, largest=False, beta_2=0.999):
    def change(net, k, g):
        net.m[k] = 0.9 * net.m[k] + (1 - 0.9) * g
        net.v[k] = beta_2 * net.v[k] + (1 - beta_2) * g * g
        net.u[k] = np.maximum(net.u[k], net.v[k])
        one, two = 1 - 0.9**net.t, 1 - beta_2**net.t
        v, shrink = net.u[k] if largest else net.v[k], decay * net.weights[k]
        if place == "paper":
            return shrink + net.m[k] / one / (np.sqrt(v / two) + epsilon)
        if place == "inside":
            return shrink + net.m[k] / one / np.sqrt(v / two + epsilon)
        return shrink + np.sqrt(two) / one * net.m[k] / (np.sqrt(v) + epsilon)

    return change


def _rmsprop(inside):
    def change(net, k, g):
        net.v[k] = 0.9 * net.v[k] + 0.1 * g * g
        return g / (np.sqrt(net.v[k] + 1e-7) if inside else np.sqrt(net.v[k]) + 1e-7)

    return change


def _adagrad(net, k, g):
    net.v[k] = net.v[k] + g * g
    return g / (np.sqrt(net.v[k]) + 1e-8)


def _lion(net, k, g):
    c = 0.9 * net.m[k] + 0.1 * g
    net.m[k] = 0.99 * net.m[k] + 0.01 * g
    return np.sign(c)


def _decaying(net, k, g):
    return 0.9 ** (net.t - 1) * g


def _warming(net, k, g):
    return min(1.0, net.t / 4) * g


def _inverse(net, k, g):
    return g / (1 + 0.1 * (net.t - 1))


def _clipvalue(net, k, g):
    return np.clip(g, -0.1, 0.1)


def _clipnorm(net, k, g):
    return g * 0.3 / max(np.linalg.norm(g), 0.3)


def _global_clipnorm(gradients):
    norm = np.sqrt(sum(np.sum(g * g) for g in gradients))
    return [g * 0.3 / max(norm, 0.3) for g in gradients]


def _cubed(net, k, g):
    return g**3 * (1 + 1 / net.t)


RIGHT = {
    "SGD": _sgd,
    "PyTorch's momentum": _torch,
    "PyTorch's Nesterov": _torch_nesterov,
    "dampening": _dampened,
    "moving average": _average,
    "Adam": _adam("keras"),
    "Adam of the paper": _adam("paper"),
    "Adam, epsilon inside": _adam("inside"),
    "AMSGrad": _adam("keras", largest=True),
    "RMSprop": _rmsprop(inside=True),
    "RMSprop of PyTorch": _rmsprop(inside=False),
    "Adagrad": _adagrad,
    "Lion": _lion,
    "signSGD": lambda net, k, g: np.sign(g),
    "decaying rate": _decaying,
    "rate / (1 + 0.1 k)": _inverse,
    "warm-up": _warming,
}


@pytest.mark.census(keep=10)
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", RIGHT)
def test_right_but_odd_optimizers_are_right(name, both, seed):
    report = parity.check(_made(RIGHT[name], both, seed=seed), keras=False)
    assert report.outcome is parity.Outcome.RIGHT, str(report)


@pytest.mark.parametrize(
    ("change", "words"),
    [(_clipvalue, "clipvalue 0.1"), (_clipnorm, "clipnorm 0.3"),
     ([_global_clipnorm], "global_clipnorm 0.3")],
)  # fmt: skip
@pytest.mark.parametrize("both", [True, False])
def test_clipped_steps_are_named(change, words, both):
    report = parity.check(_made(change, both), keras=False)
    if both:
        assert report.outcome is parity.Outcome.RIGHT
        assert report.conventions["optimizer"] == f"SGD, {words}"
    # From steps alone it may stay open, but is no bug.
    assert report.outcome is not parity.Outcome.WRONG


@pytest.mark.parametrize("both", [True, False])
def test_a_common_factor_is_not_taken_for_momentum(both):
    report = parity.check(_made(_cubed, both), keras=False)
    assert report.outcome is parity.Outcome.UNKNOWN
    assert _codes(report) == ["unknown-optimizer"]


AS_DECLARED = {
    "momentum": (_torch, lambda: K.SGD(0.01, momentum=0.9)),
    "Nesterov": (_torch_nesterov, lambda: K.SGD(0.01, momentum=0.9, nesterov=True)),
    "AdamW": (_adam("keras", 1e-7, decay=0.1), lambda: K.AdamW(0.01, weight_decay=0.1)),
    "AMSGrad": (_adam("keras", 1e-7, largest=True), lambda: K.Adam(0.01, amsgrad=True)),
    "Adam": (_adam("keras", 1e-7), lambda: optimizers.Adam(0.01)),
    "a name": (_adam("paper", 1e-8), lambda: "adam"),
    "RMSprop": (_rmsprop(inside=True), lambda: K.RMSprop(0.01)),
    "Lion": (_lion, lambda: K.Lion(0.01)),
    "inverse": (_inverse, lambda: K.SGD(S.InverseTimeDecay(0.1, 1, 0.1))),
    "exponential": (_decaying, lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 1, 0.9))),
}


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("name", AS_DECLARED)
def test_what_is_as_declared_is_right(name, both):
    change, optimizer = AS_DECLARED[name]
    report = parity.check(_made(change, both, optimizer()), keras=False)
    assert report.outcome is parity.Outcome.RIGHT, str(report)


@pytest.mark.parametrize(
    ("change", "optimizer"),
    [(_clipvalue, {"clipvalue": 0.1}), (_clipnorm, {"clipnorm": 0.3}),
     ([_global_clipnorm], {"global_clipnorm": 0.3})],
)  # fmt: skip
def test_clipping_as_declared_is_right(change, optimizer):
    report = parity.check(_made(change, True, K.SGD(0.01, **optimizer)), keras=False)
    assert report.outcome is parity.Outcome.RIGHT
    other = {name: 2 * limit for name, limit in optimizer.items()}
    report = parity.check(_made(change, True, K.SGD(0.01, **other)), keras=False)
    assert _codes(report) == ["other-optimizer"]


def _stretched(limit, least=0.0):
    def change(gradients):
        norm = np.sqrt(sum(np.sum(g * g) for g in gradients))
        return [g * limit / max(norm, least) for g in gradients]

    return change


@pytest.mark.parametrize(
    ("change", "limit", "untested"),
    [([_stretched(1e-3)], 1e-3, "clipping of gradients within its limit (none was met)"),
     (_sgd, 1e6, "clipping (no gradient that was met is beyond its limit)"),
     ([_stretched(2.75, 2.75)], 2.75, None)],
)  # fmt: skip
def test_what_of_clipping_was_not_met_is_said(change, limit, untested):
    """A step that stretches what is below the limit, or never clips, differs where none was."""
    report = parity.check(_made(change, True, K.SGD(0.01, global_clipnorm=limit)), keras=False)
    assert report.outcome is parity.Outcome.RIGHT
    assert [text for text in report.untested if "clipping" in text] == [untested] * bool(untested)


UNLIKE_DECLARED = {
    "epsilon": (_adam("keras", 1e-4), lambda: K.Adam(0.01), 1),
    "beta_2": (_adam("keras", 1e-7, beta_2=0.99), lambda: K.Adam(0.01), 1),
    "no decay": (_adam("keras", 1e-7), lambda: K.AdamW(0.01, weight_decay=0.1), 1),
    "no AMSGrad": (_adam("keras", 1e-7), lambda: K.Adam(0.01, amsgrad=True), 4),
    "another momentum": (_torch, lambda: K.SGD(0.01, momentum=0.5), 2),
    "not centered": (_rmsprop(inside=True), lambda: K.RMSprop(0.01, centered=True), 1),
    "no momentum": (_rmsprop(inside=True), lambda: K.RMSprop(0.01, momentum=0.5), 2),
    "another schedule": (_decaying, lambda: K.SGD(S.InverseTimeDecay(0.1, 1, 0.1)), 2),
}


# What is otherwise is one thing that has a name.
NAMED = {
    "epsilon": "epsilon-size",
    "no decay": "weight-decay-missing",
}


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("name", UNLIKE_DECLARED)
def test_what_is_not_as_declared_parts_at_a_step(name, both):
    change, optimizer, step = UNLIKE_DECLARED[name]
    report = parity.check(_made(change, both, optimizer()), keras=False)
    assert report.outcome is parity.Outcome.WRONG
    assert _codes(report) == [NAMED.get(name, "other-optimizer")]
    assert f"parts at step {step}, ×" in report.summary


def test_an_unknown_rule_is_wrong_where_another_is_declared():
    report = parity.check(_made(_cubed, True, K.SGD(0.01)), keras=False)
    assert report.outcome is parity.Outcome.WRONG
    assert "none that is known here, and parts at step 1" in report.summary


@pytest.mark.parametrize(
    ("optimizer", "option"),
    [
        (lambda: K.SGD(0.01, gradient_accumulation_steps=2), "gradient_accumulation_steps=2"),
        (lambda: K.SGD(0.01, loss_scale_factor=8.0), "loss_scale_factor=8.0"),
        (lambda: "Lamb", "of class Lamb"),
        (lambda: K.Lamb(0.01), "of class Lamb"),
        (lambda: K.Adafactor(0.01), "of class Adafactor"),
        (lambda: optimizers.Adafactor(0.01), "of class Adafactor"),
    ],
)
def test_an_option_that_is_not_checked_is_named(optimizer, option):
    report = parity.check(_made(_sgd, True, optimizer()), keras=False)
    assert report.outcome is parity.Outcome.UNKNOWN
    assert report.summary == f"optimizer option {option} is not checked."


@pytest.mark.parametrize("kind", [K.SGD, optimizers.SGD])
@pytest.mark.parametrize("both", [True, False])
def test_an_average_that_no_step_shows_is_said(kind, both):
    report = parity.check(_made(_sgd, both, kind(0.01, use_ema=True, ema_momentum=0.9)))
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert any(r.startswith("Average: ") for r in report.remarks)


def test_a_state_from_before_is_not_taken_for_a_bug():
    """A candidate, not a function that makes it, whose momentum is from a training."""
    candidate = _made(_torch, True, K.SGD(0.01, momentum=0.9))()
    rng = np.random.default_rng(0)
    assert candidate.step is not None
    for _ in range(3):
        candidate.step(rng.normal(size=(4, 6)), np.eye(3)[rng.integers(0, 3, 4)], 0.1)
    report = parity.check(candidate, keras=False)
    assert report.outcome is parity.Outcome.UNKNOWN
    assert "hand over a function that makes the candidate anew" in report.findings[0].evidence
