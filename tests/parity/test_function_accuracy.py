"""The error figures of ``parity.bounds.activations`` hold for every function in both engines."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from keras_impl import keras, precision
from numpy_impl import activations
from parity.bounds.activations import EVALUATIONS, Evaluation
from parity.comparing.twins import keras_activation, numpy_twin

ELEMENTWISE = [
    name
    for name, function in activations.ACTIVATIONS.items()
    if type(function) is activations.ActivationFunction
]


def _points(dtype: str) -> np.ndarray:
    sizes = np.concatenate([np.logspace(-8, 2, 5000), np.linspace(0, 8, 5001)[1:]])
    z = np.concatenate([sizes, -sizes]).astype(dtype)
    # A function's kinks, where the derivative is a matter of taste.
    kinks = np.unique([abs(k) for f in activations.ACTIVATIONS.values() for k in f.kinks])
    return z[np.min(np.abs(np.abs(z)[:, None] - kinks), axis=1) > 0]


def _exact(function, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return value and derivative in extended precision (gelu: in float64 by scipy's erfc)."""
    wide = z.astype(np.longdouble)
    if function.name != "gelu":
        value = function.value(wide)
        return value, function.derivative(wide, value)
    z = z.astype(np.float64)
    cdf = 0.5 * special.erfc(-z / math.sqrt(2))
    return z * cdf, cdf + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _keras(name: str, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tf: Any = pytest.importorskip("tensorflow", reason="measured with Keras on TensorFlow")
    x = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value: Any = keras.activations.get(keras_activation(activations.get(name)))(x)
    return value.numpy(), tape.gradient(value, x).numpy()


def _twin(name: str):
    """Return the NumPy function with the constants that Keras uses in the precision that is set."""
    layer = keras.layers.Activation(keras_activation(activations.get(name)))
    model = keras.Sequential([keras.Input((1,)), layer])
    return numpy_twin(model).layers[0].activation  # pyright: ignore[reportAttributeAccessIssue]


def _excess(measured, exact, allowed) -> float:
    return float(np.max(np.abs(measured.astype(np.longdouble) - exact) / allowed))


def _allowed(e: Evaluation, z, value, derivative, dtype) -> tuple[np.ndarray, np.ndarray]:
    u, size = float(np.finfo(dtype).eps) / 2, np.abs(z.astype(np.float64))
    value, derivative = np.abs(value).astype(float), np.abs(derivative).astype(float)
    scale = {"none": 0.0, "one": 1.0, "z": size}[e.scale]
    # Results below the smallest normal number may be flushed to 0; the bounds add it everywhere.
    tiny = float(np.finfo(dtype).tiny)
    own_value = e.value * u * (value + size * derivative + scale) + tiny
    return own_value, e.derivative * u * (1 + derivative) * (1 + size * e.gated) + tiny


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_evaluations_are_as_exact_as_the_bounds_assume(name, dtype):
    z = _points(dtype)
    if name == "exponential":
        z = z[np.abs(z) < 80]
    if name in ("elu", "selu"):
        # exp(z) - 1 rounds to 0 next to 0, where Keras then takes the derivative of the other side:
        # for the bounds that is a kink some units roundoff wide.
        z = z[np.abs(z) > 1e-6]
    with precision(dtype):
        function = _twin(name)
        theirs = _keras(name, z)
    exact = _exact(function, z)
    if name == "gelu" and dtype == "float64":
        # Keras's own constant, rounded to float32, is part of the function here.
        exact = (function.value(z), function.derivative(z, z))
    value = function.value(z)
    ours = value, function.derivative(z, value)
    allowed = _allowed(EVALUATIONS.get(name, Evaluation()), z, *exact, dtype)
    for side in (theirs, ours):
        for measured, truth, most in zip(side, exact, allowed, strict=True):
            assert _excess(measured, truth, most) <= 1


def test_the_float32_constant_of_tensorflow_would_be_seen():
    # The checker checked: without the twin's constant, leaky_relu in float64 is far outside.
    z = _points("float64")
    with precision("float64"):
        theirs = _keras("leaky_relu", z)
    plain = activations.get("leaky_relu")
    exact = _exact(plain, z)
    allowed = _allowed(Evaluation(), z, *exact, "float64")
    assert _excess(theirs[0], exact[0], allowed[0]) > 1e6
