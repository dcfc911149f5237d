"""The gradient of 1/2 sum (a-y)^2, summed over the batch, declared as "mean squared error".

Right but for a scale, whether the loss is given by name or as a function: its parts are named.
"""

# pyright: reportFunctionMemberAccess=false
import numpy as np

import parity


def build(outputs, loss, half=1.0):
    rng = np.random.default_rng(0)
    W1, b1, W2, b2 = (
        rng.normal(size=(4, 3)),
        np.zeros(3),
        rng.normal(size=(3, outputs)),
        np.zeros(outputs),
    )

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def forward(x):
        forward.h = sigmoid(x @ W1 + b1)
        return sigmoid(forward.h @ W2 + b2)

    def gradients(x, y):
        a = forward(x)
        d2 = half * (a - y) * a * (1 - a)
        d1 = d2 @ W2.T * forward.h * (1 - forward.h)
        return [x.T @ d1, d1.sum(0), forward.h.T @ d2, d2.sum(0)]

    def mean(x, y):
        return np.mean((y - forward(x)) ** 2)

    return parity.Candidate(
        get_weights=lambda: [W1, b1, W2, b2],
        forward=forward,
        gradients=gradients,
        loss=mean if loss is None else loss,
    )


def make():
    return build(1, "mean_squared_error")


def make_function():
    return build(1, None)


def make_ten():
    return build(10, "mean_squared_error")


def make_four():
    return build(4, "mean_squared_error")
