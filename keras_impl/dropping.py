"""Dropout masks handed to Keras's layers, in place of those that each backend draws from a seed."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras


@contextmanager
def dropping(layer: keras.Layer, masks: Sequence[Any]) -> Generator[None]:
    """Let a layer drop by these masks, True where kept, in the calls inside.

    Args:
        layer: The layer.
        masks: As many tensors as :func:`mask_count` says. Of ``Dropout`` one of its inputs' shape,
            of ``MultiHeadAttention`` one (batch, heads, T, S), of ``Attention`` and
            ``AdditiveAttention`` one (batch, T, S), of recurrent layers one for
            ``dropout``, (batch, gates, features), and one for ``recurrent_dropout``, (batch, gates,
            units); without the latter there is one for all gates together. ``Bidirectional`` has
            those of the layer that reads forward first.
    """
    with ExitStack() as stack:
        for hand_over, mask in zip(_places(layer), masks, strict=True):
            stack.callback(hand_over(mask))
        yield


def mask_count(layer: keras.Layer) -> int:
    """Return how many masks a layer takes in training."""
    return len(_places(layer))


# What takes a mask, and returns what takes it back.
_Place = Callable[[Any], Callable[[], None]]


def _places(layer: Any) -> list[_Place]:
    if isinstance(layer, keras.layers.Bidirectional):
        return [*_places(layer.forward_layer), *_places(layer.backward_layer)]
    if isinstance(layer, keras.layers.Dropout):
        return [_of_layer(layer)]
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return [_of_layer(layer._dropout_layer)] if layer.dropout else []
    if isinstance(layer, keras.layers.Attention):  # AdditiveAttention is one
        return [_of_weights(layer)] if layer.dropout else []
    cell = getattr(layer, "cell", None)
    rates = ("dropout", "recurrent_dropout")
    return [_of_cell(cell, name) for name in rates if getattr(cell, name, 0.0)]


def _of_layer(layer: Any) -> _Place:
    """Return the place of the mask of a layer ``Dropout``: kept inputs times ``1 / (1 - rate)``."""

    def hand_over(mask: Any) -> Callable[[], None]:
        def call(inputs: Any, training: bool = False) -> Any:
            scaled = inputs * (1.0 / (1.0 - layer.rate))
            return keras.ops.where(mask, scaled, keras.ops.zeros_like(scaled))

        layer.call = call

        def take_back() -> None:
            del layer.call

        return take_back

    return hand_over


def _of_weights(layer: Any) -> _Place:
    """Return the place of the mask of an attention's weights, which it drops by itself."""

    def hand_over(mask: Any) -> Callable[[], None]:
        right = layer._apply_scores

        def apply_scores(scores: Any, value: Any, scores_mask: Any, training: bool) -> Any:
            _, weights = right(scores, value, scores_mask, False)
            scaled = weights * (1.0 / (1.0 - layer.dropout))
            left = keras.ops.where(mask, scaled, keras.ops.zeros_like(scaled))
            return keras.ops.matmul(left, value), left

        layer._apply_scores = apply_scores

        def take_back() -> None:
            del layer._apply_scores

        return take_back

    return hand_over


def _of_cell(cell: Any, name: str) -> _Place:
    """Return the place of a mask of an RNN's cell, which multiplies by 0 and ``1 / (1 - rate)``.

    With ``implementation=1``, which no file says, each gate has a mask also where there is no
    ``recurrent_dropout``: all of them the one that is handed over.
    """
    gates = getattr(cell, "dropout_mask_count", None)
    rate = getattr(cell, name)

    def hand_over(mask: Any) -> Callable[[], None]:
        factors = keras.ops.cast(mask, cell.compute_dtype) * (1.0 / (1.0 - rate))
        last = factors.shape[1] - 1
        of_gates = [factors[:, min(k, last)] for k in range(gates or 1)]
        own = of_gates[0] if gates is None else of_gates
        setattr(cell, f"_{name}_mask", own)

        def take_back() -> None:
            setattr(cell, f"_{name}_mask", None)

        return take_back

    return hand_over
