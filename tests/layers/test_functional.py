"""Functional models whose layers branch, meet again or are shared: see ``harness``."""

import pytest

from keras_impl import keras
from tests.layers import harness

L = keras.layers


def residual() -> keras.Model:
    x = keras.Input((4,), name="x")
    h = L.Dense(4, "tanh", name="first")(x)
    for name in ("second", "third"):
        inner = L.Dense(4, name=f"{name}_out")(L.Dense(6, "relu", name=name)(h))
        h = L.Add(name=f"{name}_sum")([h, inner])
    return keras.Model(x, L.Dense(2, name="last")(h))


def two_inputs() -> keras.Model:
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    both = L.Concatenate()([L.Dense(3, "tanh")(a), L.Dense(2, "sigmoid")(b), b])
    return keras.Model([a, b], L.Dense(2)(both))


def two_outputs() -> keras.Model:
    x = keras.Input((4,))
    h = L.Dense(5, "tanh")(x)
    first = L.Dense(3)(h)
    # The second goes on from the first output.
    return keras.Model(x, [first, L.Dense(2)(L.Multiply()([first, L.Dense(3)(h)]))])


def siamese() -> keras.Model:
    a, b = keras.Input((4,)), keras.Input((4,))
    inner_in = keras.Input((4,))
    shared = keras.Model(inner_in, L.Dense(3, "tanh")(L.Dense(5, "sigmoid")(inner_in)))
    return keras.Model([a, b], L.Dense(1)(L.Subtract()([shared(a), shared(b)])))


def recurrent_by_hand() -> keras.Model:
    """One layer three times in a row, and normalized by a shared layer in between."""
    x, layer, norm = keras.Input((4,)), L.Dense(4, "tanh", name="again"), L.LayerNormalization()
    return keras.Model(x, L.Dense(2)(layer(norm(layer(norm(layer(x)))))))


def nested() -> keras.Model:
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "tanh"), L.Dense(4)])
    y = keras.Input((4,))
    branches = keras.Model(y, L.Add()([inner(y), y, L.Dense(4)(y)]))
    return keras.Model(x, L.Dense(2)(L.Average()([branches(x), x])))


MODELS = {
    f.__name__: f for f in (residual, two_inputs, two_outputs, siamese, recurrent_by_hand, nested)
}
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    # The larger steps of other layers' tests would make some of these run away.
    harness.agrees_with_keras(MODELS[name], dtype=dtype, optimizer=lambda: keras.optimizers.Adam())


@each
def test_backward_is_the_derivative_of_forward(name):
    harness.backward_is_the_derivative_of_forward(MODELS[name])


@each
def test_survives_files(name, tmp_path):
    harness.survives_files(MODELS[name], (), tmp_path)
