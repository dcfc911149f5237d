"""What layers, losses and trainings refuse: a line says what was expected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numpy_impl import layers, losses, optimizers, training
from numpy_impl.functional import Functional
from numpy_impl.network import Call, Sequential


def chain(shape: tuple[int, ...], layer: layers.Layer) -> Callable[[], object]:
    return lambda: Sequential([layer], shape)


def merged(layer: layers.Layer, **shapes: Any) -> Callable[[], object]:
    return lambda: Functional(shapes, [Call("c", layer, tuple(shapes))], ["c"])


def fitted(**options: Any) -> Callable[[], object]:
    network = Sequential([layers.Dense(2)], 3, np.random.default_rng(0))
    loss, optimizer = losses.get("mean_squared_error"), optimizers.get("sgd")
    x, y = np.zeros((4, 3)), np.zeros((4, 2))
    return lambda: training.fit(
        network, loss, optimizer, x, y, epochs=1, schedule=training.in_order(4, 4), **options
    )


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: layers.Dense(0), "Dense expects at least one unit. Received: units=0"),
    (lambda: layers.LSTM(0), "LSTM expects at least one unit. Received: units=0"),
    (lambda: layers.Dropout(1), r"Dropout expects a rate in \[0, 1\). Received: rate=1"),
    (lambda: layers.Dropout(-0.1), r"a rate in \[0, 1\). Received: rate=-0.1"),
    (lambda: layers.RepeatVector(0), "RepeatVector expects at least one step. Received: n=0"),
    (lambda: layers.MultiHeadAttention(0, 2), "num_heads and key_dim of at least 1"),
    (chain((), layers.Dense(3)), r"Dense expects inputs of shape .* Received: input_shape=\(\)"),
    (chain((2, 3), layers.RepeatVector(2)), r"\(batch, features\). Received: input_shape=\(2, 3\)"),
    (chain((2, 3), layers.Permute((1, 1))), r"each of the axes 1 to 2 once. Received: .*\(1, 1\)"),
    (chain((2, 3), layers.Permute((0, 1))), r"each of the axes 1 to 2 once. Received: .*\(0, 1\)"),
    (chain((2, 3), layers.Reshape((5,))), r"a target_shape of 6 numbers, .* Received: \(5,\)"),
    (chain((4, 3), layers.Cropping1D(2)), "longer than what is cut off. Received: .* cropping=2"),
    (lambda: layers.ZeroPadding1D(-1), "an integer of at least 0, .* padding=-1"),
    (chain((2, 3), layers.LayerNormalization(axis=0)), "axes of 1 to 2, .*Received: axis=0"),
    (chain((2, 4), layers.GroupNormalization(3)), "part 4 channels evenly. Received: groups=3"),
    (chain((2, 4), layers.GroupNormalization(2, axis=5)), "channels, 1 to 2. Received: axis=5"),
    (chain((2, 4), layers.GroupNormalization(0)), "part 4 channels evenly. Received: groups=0"),
    (merged(layers.Concatenate(), a=3, b=(2, 2)), r"along axis -1 alone.* shapes \(3,\), \(2, 2\)"),
    (merged(layers.Dot((2, 2)), a=(2, 3), b=(4, 2)), r"axes \[2, 2\], not the batch's."),
    (lambda: losses.WeightedSum([losses.get("quadratic")], [1, 2]), "each of 1 losses"),
    (lambda: training.Means(("speed",)), "a metric of accuracy, squared_error. Received: 'speed'"),
    (fitted(class_weight={2: 1.0}), r"class_weight by numbers 0\.\.1. Received: 2"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_line_says_what_was_expected(make: Callable[[], object], message: str):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
