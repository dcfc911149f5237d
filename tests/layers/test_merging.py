"""Layers that merge several arrays, reshape one, or have a slope: see ``harness``."""

import numpy as np
import pytest

from keras_impl import keras
from numpy_impl.layers import Add, Dense, Maximum
from numpy_impl.network import Sequential
from tests.layers import harness

L = keras.layers


def _merged(make, *shapes, branches=2):
    """Return a model that merges what Dense layers make of its inputs."""

    def model() -> keras.Model:
        inputs = [keras.Input(shape) for shape in (shapes or [(4,)] * branches)]
        merged = make()([L.Dense(x.shape[-1])(x) for x in inputs])
        flat = L.Flatten()(merged) if len(merged.shape) > 2 else merged
        return keras.Model(inputs, L.Dense(2)(flat))

    return model


def _reshaped(make, *shape):
    def model() -> keras.Model:
        x = keras.Input(shape)
        return keras.Model(
            x, L.Dense(2)(L.Flatten()(make()(L.Dense(shape[-1], use_bias=False)(x))))
        )

    return model


MODELS = {
    "add": _merged(L.Add, branches=3),
    "subtract": _merged(L.Subtract),
    "multiply": _merged(L.Multiply, branches=3),
    "average": _merged(L.Average, branches=3),
    "maximum": _merged(L.Maximum, branches=3),
    "minimum": _merged(L.Minimum),
    "stretched add": _merged(L.Add, (2, 3), (1, 3)),
    "stretched multiply": _merged(L.Multiply, (2, 3), (2, 1)),
    "stretched maximum": _merged(L.Maximum, (1, 3), (2, 1)),
    "stretched subtract": _merged(L.Subtract, (2, 3), (2, 1)),
    "concatenate": _merged(L.Concatenate, (3,), (2,)),
    "concatenate steps": _merged(lambda: L.Concatenate(axis=1), (2, 3), (4, 3)),
    "dot": _merged(lambda: L.Dot(axes=1)),
    "cosine": _merged(lambda: L.Dot(axes=-1, normalize=True)),
    "dot of sequences": _merged(lambda: L.Dot(axes=(2, 1)), (2, 3), (3, 4)),
    "cosines of sequences": _merged(lambda: L.Dot(axes=(1, 2), normalize=True), (3, 2), (4, 3)),
    "reshape": _reshaped(lambda: L.Reshape((2, -1)), 4, 3),
    "permute": _reshaped(lambda: L.Permute((3, 1, 2)), 2, 3, 4),
    "cropping": _reshaped(lambda: L.Cropping1D((1, 2)), 5, 2),
    "cropping of pictures": _reshaped(lambda: L.Cropping2D(((0, 1), (1, 0))), 3, 3, 2),
    "slope": _reshaped(L.PReLU, 4),
    "shared slope": _reshaped(lambda: L.PReLU(shared_axes=[1]), 3, 2),
    "dense of sequences": _reshaped(lambda: L.Dense(3, "softmax"), 4, 3),
}
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
@pytest.mark.census(keep=3)
def test_agrees_with_keras(name, dtype):
    harness.agrees_with_keras(MODELS[name], dtype=dtype)


@each
def test_backward_is_the_derivative_of_forward(name):
    harness.backward_is_the_derivative_of_forward(MODELS[name])


@each
@pytest.mark.census(keep=2)
def test_survives_files(name, tmp_path):
    harness.survives_files(MODELS[name], (), tmp_path)


def test_a_wrong_gradient_is_seen():
    harness.sees_a_wrong_gradient(MODELS["shared slope"])


def test_of_equal_ones_the_first_gets_the_gradient():
    x = [np.array([[1.0, 5.0]]), np.array([[1.0, 2.0]]), np.array([[1.0, 9.0]])]
    layer = Maximum()
    layer.build_many([(2,)] * 3)
    y, kept = layer.compute(x, {}, False)
    np.testing.assert_array_equal(y, [[1, 9]])
    _, back = layer.differentiate(np.array([[3.0, 4.0]]), kept, {})
    np.testing.assert_array_equal(back, [[[3, 0]], [[0, 0]], [[0, 4]]])


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([(3,)], "two or more inputs"),
        ([(3,), (2,)], "inputs of one shape"),
        ([(3,), (3, 3)], "axes"),
    ],
)
def test_shapes_that_do_not_fit(shapes, said):
    with pytest.raises(ValueError, match=f"Add expects .*{said}.*Received: shapes "):
        Add().build_many(shapes)


def test_a_chain_has_nothing_to_merge():
    with pytest.raises(ValueError, match="Add expects several inputs, in a Functional network"):
        Sequential([Dense(3), Add()], 3)
