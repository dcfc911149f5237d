"""What is compiled computes what is called."""

import numpy as np
import pytest

from keras_impl import keras, precision
from keras_impl.tracing import traced
from parity.checking.layer.any_kind import _OFTEN, Asked


def test_a_compiled_function_computes_the_same_for_every_shape():
    calls = []

    def function(tensors):
        calls.append(1)
        return [keras.ops.tanh(tensors["x"] @ tensors["w"]), keras.ops.sum(tensors["x"], axis=0)]

    compiled = traced(function)
    rng = np.random.default_rng(0)
    with precision("float64"):
        for rows in (3, 3, 5, 3, 5):
            x, w = rng.normal(size=(rows, 4)), rng.normal(size=(4, 2))
            one, two = compiled({"x": x, "w": w})
            np.testing.assert_allclose(one, np.tanh(x @ w), rtol=1e-13, atol=1e-15)
            np.testing.assert_allclose(two, x.sum(axis=0), rtol=1e-13, atol=1e-15)
    if keras.backend.backend() == "tensorflow":
        assert len(calls) == 2  # once for each shape


class Unwilling(keras.layers.Layer):
    """A layer that looks at its numbers, which nothing that is compiled has."""

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x):
        return x * (2.0 if np.all(np.isfinite(keras.ops.convert_to_numpy(x))) else 3.0)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (lambda: keras.layers.LSTM(3, return_sequences=True), [(2, 12), (3, 12), (12,)]),
        (lambda: keras.layers.Dense(3, activation="gelu"), [(2, 3), (3,)]),
        (Unwilling, []),
    ],
)
def test_the_glances_after_many_are_as_the_first(layer, shapes):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 4, 2))
    asked = Asked(layer(), [x], [(0, 1, 2)], {})
    weights = dict(zip(asked.names, [rng.normal(size=s) for s in shapes], strict=True))
    for number in range(_OFTEN + 3):
        arrays = {"x": x * (1 + number), **weights}
        found = asked._outputs(arrays)
        (right,) = asked.run(*asked.parts(arrays)).outputs
        np.testing.assert_allclose(found[0], right, rtol=1e-12, atol=1e-14)
