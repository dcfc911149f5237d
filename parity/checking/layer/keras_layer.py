"""What Keras's own layer says: its outputs, and its automatic differentiation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.checking.layer.reference import Reference

# The formula's own way, whatever the reference says of layouts.
_OWN_WAY: dict[str, Any] = {
    "data_format": "channels_last", "return_sequences": True, "return_state": True, "axis": -1,
    "use_bias": True, "center": True, "scale": True,
}  # fmt: skip


def ask_keras(
    reference: Reference, arrays: Mapping[str, Array], douts: Sequence[Array | None]
) -> tuple[list[Array], dict[str, Array]]:
    """Return Keras's outputs, and the gradients of ``sum(output * dout)``, in float64.

    Args:
        reference: What to ask.
        arrays: By role, as the formula takes them.
        douts: The derivative by each output; None for those that do not count.
    """
    from keras_impl import keras, precision
    from keras_impl.pullback import pullback

    kind, inputs = reference.kind, [role.name for role in reference.kind.inputs]
    with precision("float64"):
        call = _callable(keras, reference, arrays)

        def layer(variables: Mapping[str, Any]) -> Any:
            weights = {name: v for name, v in variables.items() if name not in inputs}
            own = kind.keras(keras.ops, weights, reference.options) if weights else []
            return call(variables, own)

        return pullback(layer, arrays, douts)


def _callable(
    keras: Any, reference: Reference, example: Mapping[str, Any]
) -> Callable[[Mapping[str, Any], Sequence[Any]], Any]:
    """Return ``(inputs by role, weights) -> outputs`` of Keras's own."""
    options = reference.options
    mask = options.get("mask")

    def shown(queries: Any, keys: Any) -> Any:
        """Return the mask of attention, (batch, queries, keys)."""
        shape = (queries.shape[0], queries.shape[1], keys.shape[1])
        return None if mask is None else np.broadcast_to(np.asarray(mask, bool), shape)

    if not reference.config:

        def attention(given: Mapping[str, Any], own: Sequence[Any]) -> Any:
            q, k, v = (given[n] for n in ("query", "key", "value"))
            seen = shown(q, k)
            return reference.layer(q, k, v, mask=None if seen is None else seen[:, None])

        return attention
    changes = {k: v for k, v in _OWN_WAY.items() if k in reference.config}
    config = {k: v for k, v in {**reference.config, **changes}.items() if k != "name"}
    layer = reference.made({**config, "dtype": "float64"})

    def arguments(given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        if "query" in given and "x" not in given:
            # One head, which the layer takes without an axis of its own.
            parts = (keras.ops.squeeze(given[n], 2) for n in ("query", "value", "key"))
            # It takes a mask of values, and none of queries and keys.
            seen = np.asarray(mask, bool)
            of_values = seen.ndim == 3 and seen.shape[1] == 1
            return [list(parts)], {"mask": [None, seen[:, 0]]} if of_values else {}
        if "h" in given:
            states = [given[n] for n in ("h", "c") if n in given]
            valid = None if mask is None else np.asarray(mask, bool)
            return [given["x"]], {"initial_state": states, "mask": valid}
        if not reference.kind.inputs:
            return [options["indices"]], {}
        x = given["x"]
        if "num_heads" in config:
            return [x, x], {"attention_mask": shown(x, x)}
        return [_as_keras(layer, x)], {"training": True} if "momentum" in config else {}

    positional, named = arguments(example)
    layer(*positional, **named)

    def call(given: Mapping[str, Any], own: Sequence[Any]) -> Any:
        positional, named = arguments(given)
        others = [v.value for v in layer.non_trainable_variables]
        said, _ = layer.stateless_call(list(own), others, *positional, **named)
        return said

    return call


def _as_keras(layer: Any, x: Any) -> Any:
    """Return a picture of width 1 as the sequence that a layer of sequences takes."""
    kind = type(layer).__name__
    return x[:, :, 0, :] if kind.endswith("1D") and len(x.shape) == 4 else x
