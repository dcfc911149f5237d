"""Pooling, padding and up-sampling: see ``harness`` for what is asked of each."""

from itertools import product

import numpy as np
import pytest

from keras_impl import keras
from keras_impl.precision import precision
from numpy_impl.layers.formula import first_largest, share_of_largest
from parity.bounds.rounding import Approx, Rounding
from parity.comparing import twins
from tests.layers import harness

L = keras.layers
SHAPES = {1: (7, 3), 2: (5, 6, 3)}


def inputs(kind, **options):
    """Return a shape of samples for a layer of this kind and these options."""
    shape = SHAPES[1 if "1D" in kind else 2]
    first = options.get("data_format") == "channels_first"
    return (shape[-1], *shape[:-1]) if first else shape


def model(kind, *arguments, **options):
    """Return a shape of inputs, and a layer between ones with weights: its gradients count."""
    shape = inputs(kind, **options)

    def layers():
        front = L.LayerNormalization(), L.Activation("relu")
        return [*front, getattr(L, kind)(*arguments, **options), *ending(), L.Dense(2)]

    def ending():
        return [] if "Global" in kind and not options.get("keepdims") else [L.Flatten()]

    return shape, layers


MODELS = {
    "MaxPooling1D": model("MaxPooling1D", 3, strides=2, padding="same"),
    "MaxPooling2D": model("MaxPooling2D", 2),
    "MaxPooling2D, overlapping": model("MaxPooling2D", 3, strides=(1, 2), padding="same"),
    "AveragePooling1D": model("AveragePooling1D", 3, strides=2, padding="same"),
    "AveragePooling2D": model("AveragePooling2D", (2, 3)),
    "AveragePooling2D, overlapping": model("AveragePooling2D", 3, strides=2, padding="same"),
    "GlobalMaxPooling1D": model("GlobalMaxPooling1D"),
    "GlobalMaxPooling2D": model("GlobalMaxPooling2D"),
    "GlobalAveragePooling1D": model("GlobalAveragePooling1D", keepdims=True),
    "GlobalAveragePooling2D": model("GlobalAveragePooling2D", data_format="channels_first"),
    "ZeroPadding1D": model("ZeroPadding1D", (0, 2)),
    "ZeroPadding2D": model("ZeroPadding2D", ((1, 0), (2, 3))),
    "UpSampling2D": model("UpSampling2D", (2, 3)),
}
each = pytest.mark.parametrize("name", MODELS)

FORMATS = ({}, {"data_format": "channels_first"})
_CASES = [
    *(
        (kind, (size,), {"strides": strides, "padding": padding, **form})
        for kind, size, strides, padding, form in product(
            ("MaxPooling1D", "AveragePooling1D"), (1, 2, 3), (None, 1, 3), ("valid", "same"),
            FORMATS,
        )
    ),
    *(
        (kind, (size,), {"strides": strides, "padding": padding, **form})
        for kind, size, strides, padding, form in product(
            ("MaxPooling2D", "AveragePooling2D"), (2, (3, 2), (1, 3)), (None, 1, (2, 3)),
            ("valid", "same"), FORMATS,
        )
    ),
    *(
        (f"Global{what}Pooling{rank}D", (), {"keepdims": keepdims, **form})
        for what, rank, keepdims, form in product(
            ("Max", "Average"), (1, 2), (False, True), FORMATS
        )
    ),
    *(("ZeroPadding2D", (p,), form) for p, form in product((1, (0, 2), ((1, 2), (0, 1))), FORMATS)),
    *(("UpSampling2D", (s,), form) for s, form in product((1, 2, (1, 3)), FORMATS)),
]  # fmt: skip
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


@pytest.mark.parametrize("name", ["MaxPooling2D, overlapping", "AveragePooling2D"])
def test_a_wrong_gradient_is_seen(name):
    shape, layers = MODELS[name]
    harness.sees_a_wrong_gradient(layers, shape)


def keras_gradient(layer, x, delta):
    """Return ``dC/dx`` of Keras's layer by its backend's differentiation."""
    tensorflow = pytest.importorskip("tensorflow")
    x = tensorflow.constant(x)
    with tensorflow.GradientTape() as tape:
        tape.watch(x)
        cost = tensorflow.reduce_sum(layer(x) * delta)
    return tape.gradient(cost, x).numpy()


@pytest.mark.parametrize("name", ["MaxPooling2D", "MaxPooling2D, overlapping"])
def test_of_equal_numbers_the_first_gets_the_gradient(name):
    _, layers = MODELS[name]
    with precision("float64"):
        theirs = layers()[2]
    ties_as_in_keras(theirs)


@pytest.mark.parametrize("kind", ["GlobalMaxPooling2D", "MaxPooling1D"])
def test_equal_numbers_share_a_global_maximum(kind):
    with precision("float64"):
        theirs = getattr(L, kind)()
    ties_as_in_keras(theirs)


def ties_as_in_keras(theirs):
    own = twins.numpy_layer(theirs, "float64")
    rng = np.random.default_rng(0)
    shape = SHAPES[1 if "1D" in type(theirs).__name__ else 2]
    x = rng.integers(0, 2, (4, *shape)).astype(float)
    own.build(x.shape[1:])
    delta = rng.normal(size=own.forward(x).shape)
    np.testing.assert_allclose(
        own.backward(delta), keras_gradient(theirs, x, delta), rtol=1e-14, atol=1e-15
    )


def test_what_is_nearly_equal_may_be_the_largest():
    r = Rounding("float64")
    x = Approx(np.array([[1.0, 1.0 + 1e-12, 0.5]]), np.full((1, 3), 1e-11), r)
    np.testing.assert_array_equal(first_largest(x, 1).value, [[0, 1, 0]])
    np.testing.assert_array_equal(first_largest(x, 1).bound, [[1, 1, 0]])
    np.testing.assert_array_equal(share_of_largest(x, (1,)).bound, [[1, 1, 0]])
    # What is known exactly is chosen alike by everybody.
    exact = r.exact(np.array([[1.0, 1.0, 0.5]]))
    np.testing.assert_array_equal(first_largest(exact, 1).value, [[1, 0, 0]])
    np.testing.assert_array_equal(share_of_largest(exact, (1,)).value, [[0.5, 0.5, 0]])
    np.testing.assert_array_equal(share_of_largest(exact, (1,)).bound, [[0, 0, 0]])
