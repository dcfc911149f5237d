"""RIGHT on every seed, with the remark that the loss is none that is known here."""

# pyright: reportFunctionMemberAccess=false
import numpy as np

import parity


def build(value, slope, outputs):
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (
        rng.normal(size=(4, 6)),
        np.zeros(6),
        rng.normal(size=(6, outputs)),
        np.zeros(outputs),
    )

    def forward(x):
        forward.h = np.maximum(0, x @ W1 + b1)
        return forward.h @ W2 + b2

    def gradients(x, y):
        d2 = slope(forward(x), y) / len(x)
        d1 = d2 @ W2.T * (forward.h > 0)
        return [x.T @ d1, d1.sum(0), forward.h.T @ d2, d2.sum(0)]

    return parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2],
        forward=forward,
        gradients=gradients,
        loss=lambda x, y: np.sum(value(forward(x), y)) / len(x),
    )


def make():
    return build(
        lambda a, y: np.maximum(0, 1 - (2 * y - 1) * a),
        lambda a, y: -(2 * y - 1) * ((2 * y - 1) * a < 1),
        1,
    )


def make_smooth():
    return build(lambda a, y: np.log(np.cosh(a - y)), lambda a, y: np.tanh(a - y), 3)


def make_weighted():
    c = np.array([1.0, 2.0, 5.0])
    return build(lambda a, y: c * (a - y) ** 2 / 2, lambda a, y: c * (a - y), 3)
