"""What says that a layer is trained counts where its code looks at it."""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from parity.reports.report import Outcome


def backward(dout: Any, cache: Any) -> Any:
    x_hat, root, gamma = cache
    d = dout * gamma
    dx = (d - d.mean(axis=0) - x_hat * np.mean(d * x_hat, axis=0)) / root
    return dx, np.sum(dout * x_hat, axis=0), dout.sum(axis=0)


def forward(x: Any, gamma: Any, beta: Any, param: Any, looks: bool, moving: bool) -> Any:
    mean, var = x.mean(axis=0), x.var(axis=0)
    share, trained = param["momentum"], True
    old = param.get("running_mean", 0 * mean), param.get("running_var", 0 * var + 1)
    if looks and param["mode"] != "train":
        trained = False
        if moving:
            mean, var = old
    root = np.sqrt(var + 1e-3)
    x_hat = (x - mean) / root
    if trained:
        param["running_mean"] = share * old[0] + (1 - share) * mean
        param["running_var"] = share * old[1] + (1 - share) * var
    return gamma * x_hat + beta, (x_hat, root, gamma)


@pytest.mark.parametrize(
    ("looks", "moving", "outcome", "said"),
    [
        (True, True, Outcome.RIGHT, "running_var, inference."),
        (True, False, Outcome.WRONG, "at inference the statistics of the batch are used"),
        # It is written for training alone: of inference nothing is said, and nothing is told.
        (False, False, Outcome.RIGHT, "inference (nothing says training or not)"),
    ],
)
def test_a_mode_that_nobody_reads_is_none(looks, moving, outcome, said):
    report = parity.check_layer(
        lambda x, gamma, beta, param: forward(x, gamma, beta, param, looks, moving),
        backward,
        keras.layers.BatchNormalization(),
        inputs=(7, 4),
        weights=[(4,), (4,)],
        arguments=[{"mode": "train", "momentum": 0.99}],
    )
    assert report.outcome is outcome, str(report)
    assert said in str(report).replace("\n", " "), str(report)
