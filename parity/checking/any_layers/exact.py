"""Attributes with which Keras computes in float64 throughout, where it is asked to."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.checking.bugs.activating import gelu
from parity.checking.bugs.change import Setting


def exact(keras: Any, layer: Any) -> Iterator[Setting]:
    """Yield attributes of a layer with which it computes in float64 throughout.

    TensorFlow's gelu and leaky_relu have their constants in float32, Rescaling casts scale and
    offset on the way, and attention takes its scores in float32. See docs/keras-semantics.md.
    """
    ops, activations = keras.ops, keras.activations

    def leaky_relu(z: Any, negative_slope: float = 0.2) -> Any:
        return ops.where(z > 0, z, negative_slope * z)

    in_float64: dict[Any, Any] = {
        activations.gelu: functools.partial(gelu, ops),
        activations.leaky_relu: leaky_relu,
    }
    held: Any = layer.__dict__
    own = held.get("activation")
    if callable(own) and own in in_float64:
        yield layer, "activation", in_float64[own]
    if "negative_slope" in held and "max_value" not in held:
        yield layer, "call", functools.partial(_leaky, leaky_relu, layer)
    if hasattr(layer, "_inverse_sqrt_key_dim"):
        # Without dropout the scores go through a fused form that has them in float32.
        yield layer, "_dropout", np.finfo(np.float64).tiny
        yield layer, "_inverse_sqrt_key_dim", np.float64(layer._inverse_sqrt_key_dim)
    if "unroll" in held:
        yield layer, "unroll", True  # the same, and several times as fast where all is eager
    for name in ("scale", "offset"):
        value = held.get(name)
        if isinstance(value, float):
            yield layer, name, np.float64(value)


def _leaky(function: Any, layer: Any, x: Any) -> Any:
    """Return what a layer computes with the slope that it has at the moment."""
    return function(x, layer.negative_slope)
