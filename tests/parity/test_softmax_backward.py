"""Softmax differentiated with the wrong operand: an activation, and inside of attention."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import parity
from numpy_impl.types import Array
from parity import CheckReport, Outcome

# From the gradient by the outputs, the outputs and the inputs to the gradient by the inputs.
Backward = Callable[[Array, Array, Array], Array]


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def dot(one: Array, other: Array) -> Array:
    return (one * other).sum(axis=-1, keepdims=True)


def by_jacobian(of: Callable[[Array, Array], Array]) -> Backward:
    """The same in another style: a Jacobian for each row, of its outputs or of its inputs."""

    def backward(da: Array, a: Array, z: Array) -> Array:
        rows = zip(*(part.reshape(-1, part.shape[-1]) for part in (da, a, z)), strict=True)
        found = [(np.diag(s) - np.outer(s, s)) @ d for d, p, q in rows for s in [of(p, q)]]
        return np.reshape(found, da.shape)

    return backward


RIGHT: dict[str, Backward] = {
    "in arrays": lambda da, a, z: a * (da - dot(da, a)),
    "by rows": by_jacobian(lambda a, z: a),
}
WRONG: dict[str, tuple[Backward, str]] = {
    "diagonal of the inputs": (lambda da, a, z: da * z * (1 - z), "da * z * (1 - z)"),
    "of the inputs": (lambda da, a, z: z * (da - dot(da, z)), "z * (da - sum(da * z))"),
    "of the inputs, by rows": (by_jacobian(lambda a, z: z), "z * (da - sum(da * z))"),
    "twice": (
        lambda da, a, z: softmax(a) * (da - dot(da, softmax(a))), "where s is softmax(a) and not a",
    ),
    "twice, by rows": (by_jacobian(lambda a, z: softmax(a)), "where s is softmax(a) and not a"),
    "diagonal, twice": (
        lambda da, a, z: da * softmax(a) * (1 - softmax(a)), "da * s * (1 - s), where s is",
    ),
    "a plus": (lambda da, a, z: a * (da + dot(da, a)), "with a plus for the minus"),
    "off the diagonal": (lambda da, a, z: -a * dot(da, a), "the part of the diagonal is left out"),
}  # fmt: skip


def activation(backward: Backward) -> CheckReport:
    from keras_impl import keras

    return parity.check_layer(
        lambda z: (softmax(z), z), lambda da, z: backward(da, softmax(z), z),
        keras.layers.Activation("softmax"), inputs=(5, 4),
    )  # fmt: skip


def attention(backward: Backward) -> CheckReport:
    from keras_impl import keras

    def forward(q: Array, k: Array, v: Array) -> tuple[Array, Any]:
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        return softmax(scores) @ v, (q, k, v, scores)

    def back(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
        q, k, v, scores = cache
        a = softmax(scores)
        d = backward(dout @ v.transpose(0, 2, 1), a, scores) / np.sqrt(q.shape[-1])
        return d @ k, d.transpose(0, 2, 1) @ q, a.transpose(0, 2, 1) @ dout

    return parity.check_layer(
        forward, back, keras.ops.dot_product_attention, inputs=[(2, 4, 3), (2, 5, 3), (2, 5, 6)]
    )


@pytest.mark.parametrize("layer", [activation, attention])
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_form_is_right(layer: Callable[[Backward], CheckReport], name: str) -> None:
    report = layer(RIGHT[name])
    assert report.outcome is Outcome.RIGHT, str(report)


@pytest.mark.parametrize("layer", [activation, attention])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_form_is_named(layer: Callable[[Backward], CheckReport], name: str) -> None:
    backward, words = WRONG[name]
    report = layer(backward)
    assert {f.code for f in report.findings} == {"softmax-backward"}, str(report)
    assert words in report.findings[0].title
