"""Optimizer steps worked by hand, identities between the variants, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest

from numpy_impl import fused, optimizers
from numpy_impl.optimizers import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lion,
    Nadam,
    Optimizer,
    RMSprop,
)
from tests.numpy_impl.textbook import unit


def _walk(optimizer: Optimizer, start: float, gradients: list[float]) -> list[float]:
    """Return the value of one parameter after each step."""
    w, path = np.array([start], float), []
    optimizer.build(w)
    for g in gradients:
        optimizer.apply(np.array([g], float), w)
        path.append(float(w[0]))
    return path


def _assert_walk(
    optimizer: Optimizer, start: float, gradients: list[float], path: list[float]
) -> None:
    # Some ten operations a step on numbers of at most 4.
    allowed = 40 * len(path) * unit()
    assert _walk(optimizer, start, gradients) == pytest.approx(path, rel=0, abs=allowed)


def test_sgd() -> None:
    # 1 - 0.5 x 0.5 = 0.75;  0.75 - 0.5 x (-1) = 1.25
    _assert_walk(SGD(0.5), 1, [0.5, -1], [0.75, 1.25])


def test_momentum() -> None:
    # m = -0.5 x 0.5 = -0.25,                w = 0.75
    # m = 0.5 x -0.25 - 0.5 x 0.5 = -0.375,  w = 0.375
    # m = 0.5 x -0.375 + 0.5 = 0.3125,       w = 0.6875
    _assert_walk(SGD(0.5, momentum=0.5), 1, [0.5, 0.5, -1], [0.75, 0.375, 0.6875])


def test_nesterov() -> None:
    # m as above; w + 0.5 m - 0.5 g:
    # 1 - 0.125 - 0.25 = 0.625;  0.625 - 0.1875 - 0.25 = 0.1875;  0.1875 + 0.15625 + 0.5 = 0.84375
    _assert_walk(SGD(0.5, 0.5, nesterov=True), 1, [0.5, 0.5, -1], [0.625, 0.1875, 0.84375])


def test_rmsprop_has_epsilon_inside_the_root() -> None:
    # v = 0.25 x 4 = 1,           root(1 + 1.25) = 1.5, step 0.75 x 2 / 1.5 = 1,    w = 0
    # v = 0.75 + 0.25 x 1 = 1,    root           = 1.5, step 0.75 x 1 / 1.5 = 0.5,  w = -0.5
    # v = 0.75 + 0.25 x 49 = 13,  root(14.25),          step 0.75 x 7 / root(14.25)
    # Outside the root, the first step would be 1.5 / (1 + 1.25) = 2/3.
    third = -0.5 - 5.25 / math.sqrt(14.25)
    optimizer = RMSprop(0.75, rho=0.75, epsilon=1.25)
    _assert_walk(optimizer, 1, [2, 1, 7], [0, -0.5, third])
    assert optimizer.state["velocity"].tolist() == [13]


def test_rmsprop_with_momentum() -> None:
    # Steps 1 and 0.5 as above; m = 1, w = 0; m = 0.5 x 1 + 0.5 = 1, w = -1.
    _assert_walk(RMSprop(0.75, rho=0.75, momentum=0.5, epsilon=1.25), 1, [2, 1], [0, -1])


def test_rmsprop_centered() -> None:
    # v = 1, b = 0.5,     v - b^2 + 1.5 = 2.25,                      step 0.75 x 2 / 1.5 = 1
    # v = 1, b = 0.625,   1 - 0.390625 + 1.5 = 2.109375,             step 0.75 / root
    optimizer = RMSprop(0.75, rho=0.75, epsilon=1.5, centered=True)
    _assert_walk(optimizer, 1, [2, 1], [0, -0.75 / math.sqrt(2.109375)])
    assert optimizer.state["average_gradient"].tolist() == [0.625]


def test_rmsprop_centered_with_momentum() -> None:
    # m = 1, w = 0;  m = 0.5 + 0.75 / root(2.109375), w = -m
    optimizer = RMSprop(0.75, rho=0.75, momentum=0.5, epsilon=1.5, centered=True)
    _assert_walk(optimizer, 1, [2, 1], [0, -0.5 - 0.75 / math.sqrt(2.109375)])


def test_adam() -> None:
    # t = 1: m = 0.5 x 2 = 1, v = 0.25 x 4 = 1, alpha = 0.5 root(1 - 0.75) / (1 - 0.5) = 0.5,
    #        step 0.5 x 1 / (1 + 1) = 0.25;  epsilon inside the root: 0.5 / root(2)
    # t = 2: m = 1 + 0.5 x (1 - 1) = 1, v = 1, alpha = 0.5 root(1 - 0.5625) / (1 - 0.25)
    second = 0.75 - 0.5 * math.sqrt(0.4375) / 0.75 / 2
    # t = 3: m = 1 + 0.5 x (5 - 1) = 3, v = 1 + 0.25 x (25 - 1) = 7,
    #        alpha = 0.5 root(1 - 0.421875) / (1 - 0.125)
    third = second - 0.5 * math.sqrt(0.578125) / 0.875 * 3 / (math.sqrt(7) + 1)
    optimizer = Adam(0.5, beta_1=0.5, beta_2=0.75, epsilon=1)
    _assert_walk(optimizer, 1, [2, 1, 5], [0.75, second, third])


def test_adam_correction_betas() -> None:
    # alpha = 0.5 root(1 - 0.9375) / (1 - 0.75) = 0.5; the moments keep 0.5 and 0.75.
    optimizer = Adam(0.5, beta_1=0.5, beta_2=0.75, epsilon=1, correction_betas=(0.75, 0.9375))
    _assert_walk(optimizer, 1, [2], [0.75])


def test_amsgrad_keeps_the_largest_velocity() -> None:
    # beta_1 = 0, so m = g. t = 1: v = 0.5 x 4 = 2, v_hat = 2, alpha = root(1 - 0.5);
    # t = 2: v = 2 + 0.5 x (0.25 - 2) = 1.125, v_hat stays 2, alpha = root(1 - 0.25).
    first = 1 - math.sqrt(0.5) * 2 / (math.sqrt(2) + 1)
    second = first - math.sqrt(0.75) * 0.5 / (math.sqrt(2) + 1)
    optimizer = Adam(1.0, beta_1=0.0, beta_2=0.5, epsilon=1, amsgrad=True)
    _assert_walk(optimizer, 1, [2, 0.5], [first, second])
    assert optimizer.state["velocity_hat"] == pytest.approx([2], rel=4 * unit())


def test_adamw_takes_the_decay_off_first() -> None:
    # w = 1 - 1 x 0.5 x 0.5 = 0.75, then Adam's 0.25 as above.
    _assert_walk(AdamW(0.5, 0.5, 0.75, 1, weight_decay=0.5), 1, [2], [0.5])


def test_adagrad_has_epsilon_inside_the_root() -> None:
    # v = 1.75 + 4 = 5.75, root(5.75 + 0.5) = 2.5, step 0.5 x 2 / 2.5 = 0.4;
    # v = 5.75 + 36 = 41.75, root(42.25) = 6.5, step 0.5 x 6 / 6.5
    optimizer = Adagrad(0.5, initial_accumulator_value=1.75, epsilon=0.5)
    _assert_walk(optimizer, 1, [2, 6], [0.6, 0.6 - 3 / 6.5])


def test_adadelta() -> None:
    # v = 0.5 x 4 = 2, d = -2 root(0.25) / root(2.25) = -2/3, u = 0.5 x 4/9 = 2/9, w = 1 - 1/3;
    # v = 1 + 0.5 = 1.5, d = -root(2/9 + 1/4) / root(1.75), w = 2/3 + d/2
    second = 2 / 3 - 0.5 * math.sqrt(2 / 9 + 0.25) / math.sqrt(1.75)
    _assert_walk(Adadelta(0.5, rho=0.5, epsilon=0.25), 1, [2, 1], [2 / 3, second])


def test_adamax() -> None:
    # t = 1: m = 0.5 x 2 = 1, u = max(0, 2) = 2, step 0.5 x 1 / (0.5 x (2 + 1)) = 1/3;
    # t = 2: m = 1 + 0.5 x (1 - 1) = 1, u = max(0.75 x 2, 1) = 1.5, step 0.5 / (0.75 x 2.5)
    optimizer = Adamax(0.5, beta_1=0.5, beta_2=0.75, epsilon=1)
    _assert_walk(optimizer, 1, [2, 1], [2 / 3, 2 / 3 - 0.5 / 1.875])


def test_nadam() -> None:
    # With decay 1 every u is 0.5 x 0.5 = 0.25. t = 1: m = 1, v = 0.25 x 4 = 1,
    # m_hat = 0.25 x 1 / (1 - 1/16) + 0.75 x 2 / 0.75, v_hat = 1 / 0.25 = 4, step 0.5 m_hat / 3.
    first = 1 - 0.5 * (0.25 / 0.9375 + 2) / 3
    optimizer = Nadam(0.5, beta_1=0.5, beta_2=0.75, epsilon=1, decay=1.0)
    # t = 2: m = 1, v = 1 + 0.25 x (1 - 1) = 1 of g = 1, v_hat = 1 / 0.4375
    m_hat = 0.25 / (1 - 1 / 64) + 0.75 / (1 - 1 / 16)
    second = first - 0.5 * m_hat / (math.sqrt(1 / 0.4375) + 1)
    _assert_walk(optimizer, 1, [2, 1], [first, second])


def test_nadams_momentum_grows_from_step_to_step() -> None:
    # u_t = 0.5 (1 - 0.5^t / 2): 0.375, 0.4375, 0.46875; the products 0.375 and 0.1640625.
    optimizer = Nadam(0.5, beta_1=0.5, beta_2=0.0, epsilon=0, decay=0.5)
    # m = 1, v_hat = 4: m_hat = 0.4375 / (1 - 0.1640625) + 0.625 x 2 / 0.625, step 0.25 m_hat.
    assert _walk(optimizer, 1, [2]) == pytest.approx(
        [1 - 0.25 * (0.4375 / 0.8359375 + 2)], rel=20 * unit()
    )
    assert optimizer.product(2, np.float64) == 0.1640625
    # Asked out of order, as where a training goes on, it is the same.
    assert optimizer.product(1, np.float64) == 0.375


def test_lion_goes_by_the_sign_of_an_average() -> None:
    # c = 0.25 x 0 + 0.75 x 2 > 0, w = 0.5, m = 0.5 x 2 = 1;
    # c = 0.25 x 1 - 0.75 x 0.25 > 0 though g < 0, w = 0, m = 0.5 - 0.125 = 0.375;
    # c = 0.25 x 0.375 - 0.75 < 0, w = 0.5
    optimizer = Lion(0.5, beta_1=0.25, beta_2=0.5)
    _assert_walk(optimizer, 1, [2, -0.25, -1], [0.5, 0, 0.5])


def test_ftrl() -> None:
    # n = 1 -> 4, roots 1 -> 2: z = 3 root... g = root(3): z = root(3) - (2 - 1) / 0.5 x 1,
    # w = -z / (2 / 0.5)
    g = math.sqrt(3)
    optimizer = Ftrl(0.5, initial_accumulator_value=1)
    _assert_walk(optimizer, 1, [g], [(2 - g) / 4])


def test_ftrl_with_all_its_options() -> None:
    # shrinkage: g + 2 x 0.25 x 1 = g + 0.5; z = g + 0.5 - 2; clip(z, -0.125, 0.125) - z;
    # l2 = 0.75 + 0.5 / (2 x 0.5) = 1.25; the divisor is 2 / 0.5 + 2 x 1.25 = 6.5
    g = math.sqrt(3)
    optimizer = Ftrl(
        0.5, initial_accumulator_value=1, l1_regularization_strength=0.125,
        l2_regularization_strength=0.75, l2_shrinkage_regularization_strength=0.25, beta=0.5,
    )  # fmt: skip
    _assert_walk(optimizer, 1, [g], [(0.125 - (g - 1.5)) / 6.5])
    # z within l1 of 0 makes the weight 0: z = 0.125 - 0 of a weight of 0.
    assert _walk(Ftrl(0.5, l1_regularization_strength=0.125), 0, [0.125]) == [0]


class Matrix:
    """Stands for a network with one kernel of 2 x 2."""

    def __init__(self, *rows: list[float]) -> None:
        self.weights = [np.array(rows)]
        self.parameters, self.slices = self.weights[0].reshape(-1), [slice(0, 4)]


def test_adafactor() -> None:
    # t = 1: beta = 0, rate = min(0.5, 1). Squares [[1, 4], [9, 36]]: means of rows 2.5 and 22.5,
    # of columns 5 and 20, of rows' means 12.5: v = row column / 12.5 = the squares themselves.
    # So u is sign(g), its rms 1; rms(w) = root((1 + 4 + 9 + 36) / 4) = root(12.5).
    matrix: Any = Matrix([1.0, 2], [3, 6])
    optimizer = Adafactor(0.5)
    optimizer.build_for(matrix)
    optimizer.apply(np.array([1.0, -2, 3, 6]), matrix.parameters)
    step = 0.5 * math.sqrt(12.5)
    expected = [1 - step, 2 + step, 3 - step, 6 - step]
    assert matrix.parameters == pytest.approx(expected, rel=0, abs=40 * 6 * unit())
    assert optimizer.state["row"] == pytest.approx([2.5, 2.5, 22.5, 22.5], rel=8 * unit())
    assert optimizer.state["column"] == pytest.approx([5, 20, 5, 20], rel=8 * unit())
    # A vector has a v of its own: the same squares, the same step, and no means.
    vector, optimizer = np.array([1.0, 2, 3, 6]), Adafactor(0.5)
    optimizer.apply(np.array([1.0, -2, 3, 6]), vector)
    assert vector == pytest.approx(expected, rel=0, abs=40 * 6 * unit())
    assert not optimizer.state["row"].any()


def test_adafactor_keeps_means_of_all_steps() -> None:
    # With a decay of -1, beta is 0 at the first step and 1 - 1/2 at the second. The squares, first
    # [[1, 4], [9, 36]] and then four times these, have means of rows 2.5 and 22.5, then 10 and 90,
    # and of columns 5 and 20, then 20 and 80: half of each is kept.
    matrix: Any = Matrix([1.0, 2], [3, 6])
    optimizer = Adafactor(0.5, beta_2_decay=-1.0)
    optimizer.build_for(matrix)
    vector, other = np.array([1.0, 2, 3, 6]), Adafactor(0.5, beta_2_decay=-1.0)
    for g in (np.array([1.0, -2, 3, 6]), np.array([2.0, 4, -6, 12])):
        optimizer.apply(g, matrix.parameters)
        other.apply(g, vector)
    assert optimizer.state["row"] == pytest.approx([6.25, 6.25, 56.25, 56.25], rel=16 * unit())
    assert optimizer.state["column"] == pytest.approx([12.5, 50, 12.5, 50], rel=16 * unit())
    (squares,) = (array for name, array in other.state.items() if name not in ("row", "column"))
    assert squares == pytest.approx([2.5, 10, 22.5, 90], rel=16 * unit())


def test_adafactor_clips_what_is_large() -> None:
    # As above, u = sign(g) with rms 1 is cut to 0.25; w of rms 0 counts as epsilon_2 = 0.5; the
    # rate 2 is at most 1 / root(t) = 1.
    vector, optimizer = np.zeros(2), Adafactor(2.0, epsilon_2=0.5, clip_threshold=0.25)
    optimizer.apply(np.array([3.0, -5]), vector)
    assert vector == pytest.approx([-0.125, 0.125], rel=20 * unit())


def test_lion_weighs_the_average_and_the_gradient() -> None:
    # m is 2 after 4, then 0.5. c = 2, then 1 - 0.5 (the average outweighs the gradient), then
    # 0.25 - 0.375 (it does not).
    _assert_walk(Lion(1.0, beta_1=0.5, beta_2=0.5), 0, [4, -1, -0.75], [-1, -2, -1])


def test_average_of_weights_that_are_not_0() -> None:
    # 1.5 is the first average, then 0.75 x 1.5 + 0.25 x 1.
    optimizer = SGD(0.5, use_ema=True, ema_momentum=0.75)
    _assert_walk(optimizer, 2, [1, 1], [1.5, 1])
    assert optimizer.state["average"].tolist() == [1.375]


@pytest.mark.parametrize("every", [None, 2])
def test_average_of_the_weights(every: int | None) -> None:
    # w = 1 - 0.5 = 0.5, the first average; w = 0.5 - 0.5 = 0, average 0.75 x 0.5 = 0.375, which
    # overwrites w if it is to after each second step.
    optimizer = SGD(0.5, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=every)
    _assert_walk(optimizer, 1, [1, 1], [0.5, 0.375 if every else 0])
    assert optimizer.state["average"].tolist() == [0.375]
    w = np.zeros(1)
    optimizer.finalize(w)
    assert w.tolist() == [0.375]
    SGD().finalize(w)  # without an average nothing changes
    assert w.tolist() == [0.375]


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        # w = 2 - 2 x 0.25 x 0.5 = 1.75 first, then the rule's own step of 0.5 x 1, or of 0.5.
        (SGD(0.5, weight_decay=0.25), 1.25),
        (SGD(0.5, momentum=0.5, weight_decay=0.25), 1.25),
        (RMSprop(0.5, rho=0.0, epsilon=0.0, weight_decay=0.25), 1.25),
        (Adam(0.5, epsilon=0.0, weight_decay=0.25), 1.25),
    ],
)
def test_weight_decay_is_decoupled(optimizer: Optimizer, expected: float) -> None:
    _assert_walk(optimizer, 2, [1], [expected])


# Two weights of two elements: norms 5 and 12, together 13.
G = np.array([3.0, -4.0, 0.0, 12.0])
SLICES = [slice(0, 2), slice(2, 4)]


def _clipped(**clipping: Any) -> np.ndarray:
    w = np.zeros(4)
    optimizer = SGD(1.0, **clipping)
    optimizer.build(w, SLICES)
    optimizer.apply(G, w)
    return -w


@pytest.mark.parametrize(
    ("clipping", "expected"),
    [
        ({"clipnorm": 6.0}, [3, -4, 0, 6]),  # norm 5 passes; 12 is halved
        ({"clipnorm": 2.5}, [1.5, -2, 0, 2.5]),
        ({"global_clipnorm": 6.5}, [1.5, -2, 0, 6]),  # 6.5 / 13 for all
        ({"global_clipnorm": 13.0}, [3, -4, 0, 12]),
        ({"clipvalue": 3.5}, [3, -3.5, 0, 3.5]),
    ],
)
def test_clipping(clipping: dict[str, float], expected: list[float]) -> None:
    assert np.max(np.abs(_clipped(**clipping) - expected)) <= 12 * 8 * unit()


@pytest.mark.parametrize("kind", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_clipping_of_nothing(kind: str) -> None:
    w = np.ones(4)
    clipping: dict[str, Any] = {kind: 1.0}
    optimizer = SGD(1.0, **clipping)
    optimizer.build(w, SLICES)
    optimizer.apply(np.zeros(4), w)  # a norm of 0 divides nothing
    assert w.tolist() == [1, 1, 1, 1]


def test_clipping_comes_before_decay_and_momentum() -> None:
    # g = 4 clipped to 1; w = 2 - 2 x 0.25 x 0.5 = 1.75, m = -0.5, w = 1.25
    optimizer = SGD(0.5, momentum=0.5, weight_decay=0.25, clipvalue=1.0)
    _assert_walk(optimizer, 2, [4], [1.25])
    assert optimizer.state["momentum"].tolist() == [-0.5]


def _final(optimizer: Optimizer, dtype: str = "float64", slices=None, columns=None) -> np.ndarray:
    """Return 6 parameters (or the chosen ``columns``) after ten steps on random gradients."""
    rng = np.random.default_rng(1)
    w, gradients = rng.standard_normal(6), rng.standard_normal((10, 6))
    columns = slice(None) if columns is None else columns
    w, gradients = w[columns].astype(dtype), gradients[:, columns].astype(dtype)
    optimizer.build(w, slices)
    for g in gradients:
        optimizer.apply(g, w)
    return w


# The same arithmetic, so the same bits.
SAME = {
    "momentum 0 is plain": (SGD(0.1, momentum=0.0), SGD(0.1)),
    "Nesterov without momentum is plain": (SGD(0.1, nesterov=True), SGD(0.1)),
    "RMSprop with momentum 0": (RMSprop(0.1, momentum=0.0), RMSprop(0.1)),
    "decay 0": (Adam(0.1, weight_decay=0.0), Adam(0.1)),
    "huge clipnorm": (RMSprop(0.1, clipnorm=1e9), RMSprop(0.1)),
    "huge global_clipnorm": (SGD(0.1, 0.9, global_clipnorm=1e9), SGD(0.1, 0.9)),
    "huge clipvalue": (Adam(0.1, clipvalue=1e9), Adam(0.1)),
    "correction by the betas": (Adam(0.1, correction_betas=(0.9, 0.999)), Adam(0.1)),
}


@pytest.mark.parametrize("what", SAME)
def test_identities(what: str) -> None:
    one, other = SAME[what]
    np.testing.assert_array_equal(_final(one), _final(other))


# Variants that must differ; a comparison that sees nothing would pass the identities above.
OTHERS = [
    SGD(0.1),
    SGD(0.1, 0.9),
    SGD(0.1, 0.9, nesterov=True),
    SGD(0.1, weight_decay=0.1),
    SGD(0.1, clipnorm=1.0),
    SGD(0.1, clipvalue=1.0),
    RMSprop(0.1),
    RMSprop(0.1, rho=0.5),
    RMSprop(0.1, momentum=0.9),
    RMSprop(0.1, centered=True),
    RMSprop(0.1, epsilon=1e-3),
    Adam(0.1),
    Adam(0.1, beta_1=0.5),
    Adam(0.1, beta_2=0.9),
    Adam(0.1, amsgrad=True),
    Adam(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    *(kind(0.1) for kind in OPTIMIZERS.values() if kind not in (SGD, RMSprop, Adam)),
]


def test_variants_differ() -> None:
    finals = [_final(optimizer) for optimizer in OTHERS]
    for i, one in enumerate(finals):
        for other in finals[:i]:
            assert np.max(np.abs(one - other)) > 1e-6


def test_without_memory_the_sign_alone_is_left() -> None:
    # rho = 0, epsilon = 0: g / root(g^2); Adam with betas 0 likewise. Ten steps of 0.125 each.
    rng = np.random.default_rng(1)
    w, gradients = rng.standard_normal(6), rng.standard_normal((10, 6))
    expected = w - 0.125 * np.sign(gradients).sum(axis=0)
    for optimizer in (
        RMSprop(0.125, rho=0.0, epsilon=0.0),
        Adam(0.125, beta_1=0.0, beta_2=0.0, epsilon=0.0),
    ):
        # Each step: a square, a root and a quotient (3 u), and a sum of numbers below 4 (4 u).
        assert np.max(np.abs(_final(optimizer) - expected)) <= 10 * 7 * unit()


def test_centered_without_memory_divides_by_epsilon_alone() -> None:
    # rho = 0: v - b^2 = g^2 - g^2 = 0, exactly; the step is lr g / root(epsilon) = lr g / 0.5.
    plain = _final(SGD(0.25))
    centered = _final(RMSprop(0.125, rho=0.0, epsilon=0.25, centered=True))
    np.testing.assert_array_equal(centered, plain)


def test_adam_without_first_moment_is_corrected_rmsprop() -> None:
    # beta_1 = 0, epsilon = 0: RMSprop's step (rho = beta_2) times root(1 - beta_2^t).
    w, v = np.array([1.0, -2.0]), np.zeros(2)
    adam = Adam(0.1, beta_1=0.0, beta_2=0.75, epsilon=0.0)
    expected = w.copy()
    for t, g in enumerate(np.random.default_rng(2).standard_normal((5, 2)), start=1):
        adam.apply(g, w)
        v = 0.75 * v + 0.25 * g**2
        expected -= 0.1 * math.sqrt(1 - 0.75**t) * g / np.sqrt(v)
        assert np.max(np.abs(w - expected)) <= 40 * t * unit()


def test_first_adam_step_is_the_learning_rate() -> None:
    # m = (1 - b1) g, v = (1 - b2) g^2: with the correction, lr g / |g|, whatever the scale of g.
    for scale in (1e-8, 1.0, 1e8):
        step = 1 - _walk(Adam(0.25, epsilon=0.0), 1, [scale])[0]
        assert step == pytest.approx(0.25, rel=0, abs=1e4 * unit())  # 1 - 0.999 is 1e3 u off


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9, clipnorm=0.5), Adam(0.1), RMSprop(0.1)])
def test_weights_do_not_see_each_other(optimizer: Optimizer) -> None:
    both = _final(optimizer, slices=[slice(0, 2), slice(2, 6)])
    # One vector or two: the same but for the order in which a norm is summed.
    apart = [_final(optimizer, columns=slice(a, b)) for a, b in ((0, 2), (2, 6))]
    assert np.max(np.abs(both - np.concatenate(apart))) <= 10 * 10 * 4 * unit()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OTHERS)
def test_dtype_state_and_gradient(optimizer: Optimizer, dtype: str) -> None:
    w, g = np.ones(4, dtype), np.array([1, -2, 3, 0], dtype)
    optimizer.shapes = [(2, 1), (1, 2)]
    optimizer.build(w, SLICES)
    assert optimizer.iterations == 0
    assert tuple(optimizer.state) == optimizer.slots
    start = {name: slot.copy() for name, slot in optimizer.state.items()}
    for _ in range(2):
        optimizer.apply(g, w)
    assert optimizer.iterations == 2
    assert w.dtype == dtype
    assert g.tolist() == [1, -2, 3, 0]
    for slot in optimizer.state.values():
        assert slot.shape == (4,)
        assert slot.dtype == dtype
        assert slot.any()
    optimizer.build(w)
    assert optimizer.iterations == 0
    for name, slot in optimizer.state.items():
        np.testing.assert_array_equal(slot, start[name])


def test_slots() -> None:
    names = {
        (): SGD(),
        ("momentum",): SGD(momentum=0.9),
        ("velocity",): RMSprop(),
        ("velocity", "momentum"): RMSprop(momentum=0.9),
        ("velocity", "average_gradient"): RMSprop(centered=True),
        ("velocity", "momentum", "average_gradient"): RMSprop(momentum=0.9, centered=True),
        ("momentum", "velocity"): Adam(),
    }
    for expected, optimizer in names.items():
        assert optimizer.slot_names == expected
        optimizer.build(np.ones(4))
        assert not any(slot.any() for slot in optimizer.state.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-0.1), r"Expected learning_rate >= 0\. Received: -0\.1"),
        (lambda: Adam(math.nan), r"Expected learning_rate >= 0\. Received: nan"),
        (lambda: SGD(momentum=1.5), r"Expected momentum in \[0, 1\]\. Received: 1\.5"),
        (lambda: RMSprop(rho=-1), r"rho and momentum in \[0, 1\]\. Received: rho=-1, momentum=0"),
        (lambda: RMSprop(rho=1.5), r"Received: rho=1\.5, momentum=0"),
        (lambda: RMSprop(momentum=1.5), r"Received: rho=0\.9, momentum=1\.5"),
        (lambda: Adam(beta_2=1), r"in \[0, 1\)\. Received: beta_1=0\.9, beta_2=1"),
        (lambda: Adagrad(initial_accumulator_value=-1), r"accumulator_value >= 0\. Received: -1"),
        (lambda: Adadelta(rho=1.1), r"Expected rho in \[0, 1\]\. Received: 1\.1"),
        (lambda: Nadam(beta_1=1), r"in \[0, 1\)\. Received: beta_1=1, beta_2=0\.999"),
        (lambda: Lion(beta_1=0), r"beta_1 in \(0, 1\] .* Received: beta_1=0, beta_2=0\.99"),
        (lambda: Ftrl(learning_rate_power=1), r"learning_rate_power <= 0\. Received: 1"),
        (lambda: Ftrl(l1_regularization_strength=-1), r"l1_.*strength >= 0\. Received: -1"),
        (lambda: Adafactor(clip_threshold=0), r"Expected clip_threshold > 0\. Received: 0"),
        (lambda: SGD(ema_momentum=2), r"ema_momentum in \[0, 1\]\. Received: 2"),
        (lambda: SGD(ema_overwrite_frequency=0), r"at least 1, or None\. Received: 0"),
        (lambda: SGD(clipnorm=0), r"Expected clipnorm > 0\. Received: 0"),
        (lambda: SGD(clipvalue=-1), r"Expected clipvalue > 0\. Received: -1"),
        (lambda: SGD(global_clipnorm=math.nan), r"Expected global_clipnorm > 0\. Received: nan"),
        (
            lambda: SGD(clipnorm=1, clipvalue=2),
            r"at most one of clipnorm, clipvalue, global_clipnorm\. "
            r"Received: {'clipnorm': 1, 'clipvalue': 2}",
        ),
        (
            lambda: optimizers.get("adagrid"),
            rf"Unknown optimizer\. Expected one of: {', '.join(OPTIMIZERS)}\. Received: 'adagrid'",
        ),
        (
            lambda: optimizers.get(SGD(), momentum=0.9),
            r"name of an optimizer only\. Received: SGD and momentum",
        ),
    ],
)
def test_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_get() -> None:
    built = optimizers.get("rmsprop", rho=0.5, clipnorm=2.0)
    assert isinstance(built, RMSprop)
    assert (built.rho, built.clipnorm, built.learning_rate) == (0.5, 2.0, 0.001)
    assert optimizers.get(built) is built
    with pytest.raises(TypeError, match="Optimizer defines no _update"):
        Optimizer(0.1).apply(np.ones(1), np.ones(1))


@pytest.mark.parametrize(
    "make", [lambda: SGD(0.1, momentum=0.9, weight_decay=0.01), *OPTIMIZERS.values()]
)
def test_blocks_are_steps_on_their_own_parts(make, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    whole, blocks = rng.normal(size=(2, 10))
    blocks[:] = whole
    one, other = make(), make()
    for _ in range(3):
        g = rng.normal(size=10)
        monkeypatch.undo()
        one.apply(g, whole)
        monkeypatch.setattr(fused, "BLOCK", 4)
        other.apply(g, blocks)
    np.testing.assert_array_equal(blocks, whole)


def test_adafactor_in_float32_is_nan_where_keras_is() -> None:
    import keras

    g = np.array([[0, 0.01], [0, 0.009], [0, 0]], np.float32)
    w = np.ones((3, 2), np.float32)
    variable = keras.Variable(w)  # pyright: ignore[reportCallIssue]
    keras.optimizers.Adafactor(learning_rate=0.01).apply(
        [keras.ops.convert_to_tensor(g)], [variable]
    )
    ours, own = w.ravel().copy(), optimizers.get("adafactor", learning_rate=0.01)
    own.shapes = [(3, 2)]
    own.build(ours, [slice(0, 6)])
    own.apply(g.ravel(), ours)
    assert np.all(np.isnan(np.array(variable)))
    assert np.all(np.isnan(ours))
