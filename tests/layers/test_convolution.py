"""Convolutions: see ``harness`` for what is asked of each."""

import re
from itertools import product
from typing import Any, cast

import numpy as np
import pytest

from keras_impl import keras
from keras_impl.precision import precision
from numpy_impl import Sequential, initializers
from numpy_impl.layers import Conv1D, Conv2D, Conv2DTranspose
from tests.layers import harness

L = keras.layers
SHAPES = {1: (7, 4), 2: (6, 5, 4)}
FIRST = {"data_format": "channels_first"}
OLD = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15)


def inputs(kind, **options):
    """Return a shape of samples for a layer of this kind and these options."""
    shape = SHAPES[1 if "1D" in kind else 2]
    first = options.get("data_format") == "channels_first"
    return (shape[-1], *shape[:-1]) if first else shape


def model(kind, *arguments, behind=False, **options):
    """Return a shape of inputs, and what makes a layer with a Dense layer of two outputs behind it.

    Args:
        behind: Put a layer with weights in front, so that the gradient of the input is needed.
    """
    shape = inputs(kind, **options)

    def layers():
        front = [L.LayerNormalization()] * behind
        return [*front, getattr(L, kind)(*arguments, **options), L.Flatten(), L.Dense(2)]

    return shape, layers


# The everyday ones, each with the gradient of its input.
MODELS = {
    "Conv1D": model("Conv1D", 3, 3, activation="tanh", behind=True),
    "Conv1D, causal": model("Conv1D", 3, 2, padding="causal", dilation_rate=2, behind=True),
    "Conv2D": model("Conv2D", 3, 3, activation="relu", behind=True),
    "Conv2D, same": model("Conv2D", 3, (3, 2), strides=(2, 1), padding="same", behind=True),
    "Conv2D, groups": model("Conv2D", 6, 2, groups=2, padding="same", behind=True),
    "Conv2D, dilated": model("Conv2D", 3, 2, dilation_rate=(2, 3), use_bias=False, behind=True),
    "DepthwiseConv2D": model("DepthwiseConv2D", 3, depth_multiplier=2, behind=True),
    "SeparableConv2D": model("SeparableConv2D", 3, 2, depth_multiplier=2, behind=True),
    "Conv1DTranspose": model("Conv1DTranspose", 2, 3, strides=2, behind=True),
    "Conv2DTranspose": model(
        "Conv2DTranspose", 2, (3, 2), strides=(2, 3), padding="same", behind=True
    ),
}
each = pytest.mark.parametrize("name", MODELS)

PADDINGS = ("valid", "same")
STRIDED = [{"strides": s} for s in (1, 2, (1, 2), (3, 2))]
DILATED = [{"dilation_rate": d} for d in (2, (2, 1))]
_CASES = [
    *(
        ("Conv2D", (g, 3), {"padding": p, "groups": g, **how})
        for p, g, how in product(PADDINGS, (1, 2, 4), STRIDED + DILATED)
    ),
    *(
        ("Conv1D", (2, k), {"padding": p, **how})
        for k, p, how in product(
            (2, 3), (*PADDINGS, "causal"), ({"strides": 1}, {"strides": 2}, {"dilation_rate": 2})
        )
    ),
    # With channels first and as many filters as columns, Keras adds the bias to the columns.
    # TensorFlow takes depthwise strides that are equal.
    *(
        (kind, arguments, {"padding": p, "depth_multiplier": m, **how, **form})
        for kind, arguments in (("DepthwiseConv2D", (3,)), ("SeparableConv2D", (4, (2, 3))))
        for p, m, how, form in product(PADDINGS, (1, 2), STRIDED[:2] + DILATED, ({}, FIRST))
    ),
    ("DepthwiseConv2D", (2,), {"strides": 2, "dilation_rate": 2}),
    *(
        ("Conv2DTranspose", (2, k), {"padding": p, **how})
        for k, p, how in product((2, 3), PADDINGS, STRIDED)
    ),
    *(
        ("Conv2DTranspose", (2, k), {"padding": p, "strides": (2, 3), "output_padding": o})
        for k, p, o in product(((3, 4), 5), PADDINGS, ((0, 1), 1))
    ),
    *(
        ("Conv1DTranspose", (2, k), {"padding": p, "strides": s})
        for k, p, s in product((2, 3), PADDINGS, (1, 3))
    ),
]
OPTIONS = {f"{kind}{arguments} {options}": (kind, arguments, options)
           for kind, arguments, options in _CASES}  # fmt: skip


@pytest.mark.census(keep=3)
@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    shape, layers = MODELS[name]
    harness.agrees_with_keras(layers, shape, dtype)


@pytest.mark.census(keep=7, by=lambda name: OPTIONS[name][0])
@pytest.mark.parametrize("name", OPTIONS)
def test_options_agree_with_keras(name):
    kind, arguments, options = OPTIONS[name]
    if OLD and options.get("data_format") == "channels_first":
        pytest.skip("Keras before 3.15 has no depthwise convolution with channels first here")
    with precision("float64"):
        layer = getattr(L, kind)(*arguments, **options)
        harness.one_layer_agrees_with_keras(layer, inputs(kind, **options))


@each
def test_backward_is_the_derivative_of_forward(name):
    shape, layers = MODELS[name]
    harness.backward_is_the_derivative_of_forward(layers, shape)


@pytest.mark.census(keep=2)
@each
def test_survives_files(name, tmp_path):
    shape, layers = MODELS[name]
    harness.survives_files(layers, shape, tmp_path)


@pytest.mark.parametrize("name", ["Conv2D", "Conv2DTranspose"])
def test_a_wrong_gradient_is_seen(name):
    shape, layers = MODELS[name]
    harness.sees_a_wrong_gradient(layers, shape)


@pytest.mark.parametrize("kind", [Conv2D, Conv2DTranspose])
def test_channels_first_is_channels_last_in_another_order(kind):
    # On a processor TensorFlow has no such convolution, so Keras cannot be asked.
    rng = np.random.default_rng(0)
    x, found = rng.normal(size=(3, 5, 6, 4)), []
    for form, order in (("channels_last", (0, 1, 2, 3)), ("channels_first", (0, 3, 1, 2))):
        layer = kind(2, 3, 2, "same", data_format=form, activation="tanh")
        network = Sequential([layer], x.transpose(order).shape[1:], dtype="float64")
        network.parameters[...] = np.random.default_rng(1).normal(size=network.parameters.shape)
        layer.sees_data = False
        back = np.argsort(order)
        y = network.forward(x.transpose(order), training=True)
        delta = np.random.default_rng(2).normal(size=y.transpose(back).shape)
        found.append((y.transpose(back), layer.backward(delta.transpose(order)).transpose(back),
                      network.gradients))  # fmt: skip
    for last, first in zip(*found, strict=True):
        np.testing.assert_allclose(first, last, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", PADDINGS)
def test_a_dilated_transpose_is_the_transpose(padding):
    # TensorFlow has it on a processor in compiled graphs only. <conv(y), x> = <y, transpose(x)>.
    rng = np.random.default_rng(0)
    options: Any = {"padding": padding, "dilation_rate": (2, 3), "use_bias": False}
    small = (4, 5, 3)
    back = Sequential([Conv2DTranspose(2, 3, **options)], small, rng, "float64")
    there = Sequential([Conv2D(3, 3, **options)], back.output_shape, rng, "float64")
    assert there.output_shape == small
    there.set_weights(back.weights)
    x, y = rng.normal(size=(2, *small)), rng.normal(size=(2, *back.output_shape))
    assert np.sum(there.predict(y) * x) == pytest.approx(np.sum(y * back.predict(x)), rel=1e-12)


def test_a_convolution_by_hand():
    layer = Conv1D(1, 2, padding="same", kernel_initializer="zeros")
    network = Sequential([layer], (3, 1), np.random.default_rng(0), "float64")
    network.set_weights([np.array([[[1.0]], [[10.0]]]), np.zeros(1)])
    layer.sees_data = False
    y = network.forward(np.array([[[1.0], [2.0], [3.0]]]), training=True)
    np.testing.assert_array_equal(y, [[[21.0], [32.0], [3.0]]])
    dx = layer.backward(np.array([[[1.0], [0.0], [2.0]]]))
    np.testing.assert_array_equal(dx, [[[1.0], [10.0], [2.0]]])
    kernel, bias = network.weight_gradients
    np.testing.assert_array_equal(kernel.ravel(), [1 * 1 + 2 * 3, 1 * 2])
    np.testing.assert_array_equal(bias, [3.0])


def test_kernels_start_by_the_fans_of_keras():
    # 3 * 3 * 4 numbers go into an output, and 3 * 3 * 8 outputs come from an input.
    kernel = initializers.glorot_uniform((3, 3, 4, 8), np.random.default_rng(0))
    limit = np.sqrt(6 / (36 + 72))
    assert 0.9 * limit < np.max(np.abs(kernel)) <= limit


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(2, (3, 3, 3)), "kernel_size to be 2 integers"),
        (lambda: Conv2D(2, 3, 0), "strides to be 2 integers"),
        (lambda: Conv2D(2, 3, padding="causal"), "padding valid or same"),
        (
            lambda: Conv2D(2, 3, data_format=cast(Any, "NHWC")),
            "data_format channels_last or channels_first",
        ),
        (lambda: Conv2D(3, 3, groups=2), "as many for each group"),
        (lambda: Sequential([Conv2D(2, 9)], (5, 5, 1)), "at least (9, 9)"),
        (lambda: Sequential([Conv2D(2, 3)], (5, 5)), "2 spatial axes"),
        (lambda: Sequential([Conv2D(2, 3, groups=2)], (5, 5, 3)), "channels for 2 groups"),
        (
            lambda: Sequential([Conv2DTranspose(2, 3, 2, output_padding=2)], (5, 5, 3)),
            "output_padding below strides",
        ),
    ],
)
def test_unfit_options_are_named(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
