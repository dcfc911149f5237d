"""Which of somebody's arrays is which variable of a Keras model."""

import functools
from typing import Any

import numpy as np
import pytest

import parity


@functools.cache
def model() -> Any:
    from keras_impl import keras

    layers = keras.layers
    return keras.Sequential([
        keras.Input((4,)), layers.Dense(4, "tanh", name="a"), layers.Dense(4, "tanh", name="b"),
        layers.Dense(2, name="c"),
    ])  # fmt: skip


def arrays() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((4, 4), 4, (4, 4), 4, (2, 4), 2)]


def forward(w: list[Any], x: Any) -> Any:
    """The first layer's arrays are the second pair, its kernel and the last are turned."""
    h = np.tanh(x @ w[2].T + w[3])
    return np.tanh(h @ w[0] + w[1]) @ w[4].T + w[5]


def told(match: parity.WeightMatch) -> list[tuple[str, bool, str]]:
    return [
        ("/".join(row.variable.split("/")[-2:]), row.axes == (1, 0), row.by) for row in match.rows
    ]


def test_shapes_alone_leave_ties_open():
    match = parity.match_weights(model(), arrays())
    assert match.complete
    assert match.ambiguous
    assert told(match)[0] == ("a/kernel", False, "order")
    assert set(match.rows[0].others) == {"transposed", match.rows[2].variable}
    assert told(match)[4:] == [("c/kernel", True, "shape"), ("c/bias", False, "shape")]


def test_forward_decides():
    w = arrays()
    before = [a.copy() for a in w]
    match = parity.match_weights(model(), w, functools.partial(forward, w))
    assert told(match) == [
        ("b/kernel", False, "forward"), ("b/bias", False, "forward"),
        ("a/kernel", True, "forward"), ("a/bias", False, "forward"),
        ("c/kernel", True, "shape"), ("c/bias", False, "shape"),
    ]  # fmt: skip
    assert not match.ambiguous
    assert all(np.array_equal(a, b) for a, b in zip(w, before, strict=True))


def test_a_wrong_forward_decides_nothing():
    w = arrays()
    match = parity.match_weights(model(), w, lambda x: np.cos(forward(w, x)))
    assert match.ambiguous


def test_values_decide():
    given = {"last": model().get_weights()[4].T, "first": model().get_weights()[0].T}
    match = parity.match_weights(model(), given)
    assert told(match) == [("c/kernel", True, "values"), ("a/kernel", True, "values")]
    assert [path.rpartition("/")[2] for path in match.variables] == [
        "bias",
        "kernel",
        "bias",
        "bias",
    ]


def test_arrays_that_are_not_filled_yet_are_not_taken_for_biases_of_zeros():
    from keras_impl import keras

    gru = keras.Sequential([keras.Input((5, 2)), keras.layers.GRU(3)])  # two rows of biases
    given = [np.zeros(w.shape) for w in gru.get_weights()]
    match = parity.match_weights(gru, given)
    assert [row.variable.rpartition("/")[2] for row in match.rows] == [
        "kernel", "recurrent_kernel", "bias",
    ]  # fmt: skip


def test_what_has_no_variable_is_said():
    match = parity.match_weights(model(), [np.ones((3, 3)), *arrays()])
    assert match.arrays == ("weights[0]",)
    assert not match.complete


def test_it_prints_as_a_table():
    lines = str(parity.match_weights(model(), arrays())).splitlines()
    assert lines[0].split("  ")[0] == "your array"
    assert len(lines) == 7
    assert lines[5].endswith("the only one of its shape")


def test_as_given_turns_a_value():
    row = parity.match_weights(model(), arrays()).rows[4]
    value = np.arange(8.0).reshape(4, 2)
    assert np.array_equal(row.as_given(value), value.T)


def test_what_raises_is_said_in_one_line():
    w = arrays()
    with pytest.raises(ValueError, match="forward raises an exception: ZeroDivisionError"):
        parity.match_weights(model(), w, lambda x: 1 / 0)
