"""A single layer whose forward is another function than Keras's layer: which one, by its name."""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from parity import CheckReport
from parity.checking.bugs import activating, attending, convolving, layers
from parity.reports.report import Outcome
from tests.parity.layers.functions import Pair

layer = keras.layers


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def elementwise(function, slope):
    """Return a layer of one function and its derivative."""
    return (lambda x: (function(x), x)), (lambda dout, x: dout * slope(x))


def average(counted: bool):
    """Return 2x2 means at stride 1, padded behind, (N, H, W, C); the padding counted or not."""

    def number(x):
        _, h, w, _ = x.shape
        rows, columns = np.minimum(2, h - np.arange(h)), np.minimum(2, w - np.arange(w))
        return 4.0 if counted else (rows[:, None] * columns)[..., None]

    def forward(x):
        _, h, w, _ = x.shape
        padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        parts = [padded[:, i : i + h, j : j + w] for i in (0, 1) for j in (0, 1)]
        return sum(parts) / number(x), x

    def backward(dout, x):
        _, h, w, _ = x.shape
        dx = np.zeros((len(x), h + 1, w + 1, x.shape[-1]))
        for i in (0, 1):
            for j in (0, 1):
                dx[:, i : i + h, j : j + w] += dout / number(x)
        return dx[:, :h, :w]

    return forward, backward


def convolution(flipped: bool):
    """Return a convolution, (N, C, H, W) and (F, C, 2, 2); its kernel turned round or not."""

    def windows(x):
        return np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))

    def turned(w):
        return w[:, :, ::-1, ::-1] if flipped else w

    def forward(x, w, b):
        out = np.einsum("nchwij,fcij->nfhw", windows(x), turned(w))
        return np.tanh(out + b[:, None, None]), (x, w, out + b[:, None, None])

    def backward(dout, cache):
        x, w, z = cache
        dz = dout * (1 - np.tanh(z) ** 2)
        dw = turned(np.einsum("nchwij,nfhw->fcij", windows(x), dz))
        wide = np.pad(dz, ((0, 0), (0, 0), (1, 1), (1, 1)))
        dx = np.einsum("nfhwij,fcij->nchw", windows(wide), turned(w)[:, :, ::-1, ::-1])
        return dx, dw, dz.sum(axis=(0, 2, 3))

    return forward, backward


def heads(by: float):
    """Return self-attention of two heads, whose scores are multiplied by a number."""

    def split(z):
        return z.reshape(*z.shape[:2], 2, -1).transpose(0, 2, 1, 3)

    def merged(z):
        return z.transpose(0, 2, 1, 3).reshape(len(z), z.shape[2], -1)

    def forward(x, wq, wk, wv, wo):
        q, k, v = (split(x @ w) for w in (wq, wk, wv))
        e = np.exp(q @ k.swapaxes(2, 3) * by)
        a = e / e.sum(axis=-1, keepdims=True)
        return merged(a @ v) @ wo, (x, wq, wk, wv, wo, q, k, v, a)

    def backward(dout, cache):
        x, wq, wk, wv, wo, q, k, v, a = cache
        dwo = np.einsum("nti,nto->io", merged(a @ v), dout)
        dc = split(dout @ wo.T)
        da = dc @ v.swapaxes(2, 3)
        ds = a * (da - (da * a).sum(axis=-1, keepdims=True)) * by
        d = [merged(z) for z in (ds @ k, ds.swapaxes(2, 3) @ q, a.swapaxes(2, 3) @ dc)]
        dw = [np.einsum("nti,nto->io", x, z) for z in d]
        return sum(z @ w.T for z, w in zip(d, (wq, wk, wv), strict=True)), *dw, dwo

    return forward, backward


def gelu_by_tanh(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def its_slope(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)


def check(pair: Pair, reference: Any, inputs: Any, weights: Any = None) -> CheckReport:
    forward, backward = pair
    return parity.check_layer(forward, backward, reference, inputs=inputs, weights=weights)


def leaky(slope: float):
    return elementwise(
        lambda x: np.where(x > 0, x, slope * x), lambda x: np.where(x > 0, 1.0, slope)
    )


SQUARE = [(6, 6)] * 4
CASES = [
    pytest.param(
        elementwise(gelu_by_tanh, its_slope), layer.Activation("gelu"), (4, 5), None,
        activating.GELU_FORM, "the form by tanh", id="gelu",
    ),
    pytest.param(
        elementwise(lambda z: np.clip(0.2 * z + 0.5, 0, 1), lambda z: 0.2 * (np.abs(z) < 2.5)),
        layer.Activation("hard_sigmoid"), (8, 6), None,
        activating.OTHER_ACTIVATION, "0.2 z + 0.5", id="hard sigmoid",
    ),
    pytest.param(
        elementwise(lambda z: z * sigmoid(1.702 * z),
                    lambda z: sigmoid(1.702 * z) * (1 + 1.702 * z * (1 - sigmoid(1.702 * z)))),
        layer.Activation("gelu"), (4, 5), None,
        activating.OTHER_ACTIVATION, "z sigmoid(1.702 z)", id="gelu by a sigmoid",
    ),
    pytest.param(
        leaky(0.01), layer.LeakyReLU(), (4, 5), None,
        activating.LEAKY_SLOPE, "0.01 instead of 0.3", id="leaky slope",
    ),
    pytest.param(
        leaky(0.01), layer.ReLU(), (4, 5), None,
        activating.OTHER_ACTIVATION, "leaky_relu (0.01) instead of ReLU", id="leaky for relu",
    ),
    pytest.param(
        average(counted=True), layer.AveragePooling2D(2, 1, padding="same"), (2, 4, 5, 2), None,
        convolving.PADDING_COUNTED, "counts the padding", id="padding counted",
    ),
    pytest.param(
        convolution(flipped=True), layer.Conv2D(3, 2, activation="tanh"), (2, 2, 4, 5),
        [(3, 2, 2, 2), (3,)], layers.KERNEL_FLIPPED, "turned round", id="kernel turned round",
    ),
    pytest.param(
        heads(1 / np.sqrt(6)), layer.MultiHeadAttention(2, 3, use_bias=False), (2, 4, 6), SQUARE,
        attending.ATTENTION_SCALE, "1/sqrt(d of all heads)", id="scale of all heads",
    ),
    pytest.param(
        heads(1 / 3), layer.MultiHeadAttention(2, 3, use_bias=False), (2, 4, 6), SQUARE,
        attending.ATTENTION_SCALE, "1/d", id="scale without a root",
    ),
]  # fmt: skip
RIGHT = [
    pytest.param(
        average(counted=False), layer.AveragePooling2D(2, 1, padding="same"), (2, 4, 5, 2), None,
        id="average",
    ),
    pytest.param(leaky(0.3), layer.LeakyReLU(), (4, 5), None, id="leaky"),
    pytest.param(
        convolution(flipped=False), layer.Conv2D(3, 2, activation="tanh"), (2, 2, 4, 5),
        [(3, 2, 2, 2), (3,)], id="convolution",
    ),
    pytest.param(
        heads(1 / np.sqrt(3)), layer.MultiHeadAttention(2, 3, use_bias=False), (2, 4, 6), SQUARE,
        id="heads",
    ),
]  # fmt: skip


@pytest.mark.census(keep=3)
@pytest.mark.parametrize(("pair", "reference", "inputs", "weights", "bug", "words"), CASES)
def test_another_function_is_named(pair, reference, inputs, weights, bug, words):
    report = check(pair, reference, inputs, weights)
    assert report.outcome is Outcome.WRONG
    first = report.findings[0]
    assert first.code == bug.code, report
    assert words in first.title
    assert first.where == "forward"
    # Its backward is the derivative of its own forward, and nothing is said of it.
    assert len(report.findings) == 1


def test_where_another_layout_could_be_meant_the_name_is_a_hint():
    """Channels first: not every layout of the arrays is tried."""
    pair, reference = convolution(flipped=False), layer.Conv2D(3, 2)
    report = check(pair, reference, (2, 2, 4, 5), [(3, 2, 2, 2), (3,)])
    assert report.outcome is Outcome.UNKNOWN
    assert report.findings[0].code == activating.OTHER_ACTIVATION.code, report
    assert "tanh instead of linear" in report.findings[0].title
    assert "not every layout" in report.findings[0].evidence


@pytest.mark.census(keep=2)
@pytest.mark.parametrize(("pair", "reference", "inputs", "weights"), RIGHT)
def test_the_same_functions_rightly_are_right(pair, reference, inputs, weights):
    report = check(pair, reference, inputs, weights)
    assert report.outcome is Outcome.RIGHT, report


def test_a_layer_of_indices_alone_has_no_order_of_inputs():
    indices = np.array([[0, 1, 1], [2, 0, 3]])

    def backward(dout: Any, w: Any) -> Any:
        dw = np.zeros_like(w)
        np.add.at(dw, indices, 1.1 * dout)
        return dw

    pair: Pair = (lambda x, w: (1.1 * w[x] + 0.3, w)), backward
    report = check(pair, layer.Embedding(5, 4), indices, [(5, 4)])
    assert report.outcome is Outcome.WRONG
    assert report.findings[0].code == "unknown-forward", report
