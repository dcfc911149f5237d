"""The same layer in another layout: axes turned, biases as columns, gradients in disorder."""

from collections.abc import Sequence

import numpy as np

from tests.parity.layers.functions import Pair

Axes = tuple[int, ...]


def turned(pair: Pair, arrays: Sequence[Axes | None], output: Axes | None = None) -> Pair:
    """Return a layer whose arrays lie with their axes in other orders.

    Args:
        pair: The layer.
        arrays: For each array the order in which its new axes stand in the old; None: as it was.
        output: The same of its output.
    """

    def back(array, axes):
        return array if axes is None else array.transpose(np.argsort(axes))

    def there(array, axes):
        return array if axes is None else array.transpose(axes)

    def forward(*given):
        said = pair[0](*(back(a, axes) for a, axes in zip(given, arrays, strict=True)))
        return there(said[0], output), said[1]

    def backward(dout, cache):
        found = pair[1](back(dout, output), cache)
        found = found if isinstance(found, tuple) else (found,)
        return tuple(there(g, axes) for g, axes in zip(found, arrays, strict=True))

    return forward, backward


def reordered(pair: Pair, order: Sequence[int]) -> Pair:
    """Return a layer whose gradients are returned in another order."""

    def backward(*given):
        found = pair[1](*given)
        return tuple(found[k] for k in order)

    return pair[0], backward


def reshaped(pair: Pair, place: int, column: bool) -> Pair:
    """Return a layer that takes one of its vectors as a row or as a column."""

    def forward(*given):
        flat = [a.reshape(-1) if k == place else a for k, a in enumerate(given)]
        return pair[0](*flat)

    def backward(*given):
        found = list(pair[1](*given))
        found[place] = found[place].reshape((-1, 1) if column else (1, -1))
        return tuple(found)

    return forward, backward


def gates_moved(pair: Pair, order: Sequence[int], places: Sequence[int]) -> Pair:
    """Return a layer whose weights at some places have their blocks of gates in another order."""

    def moved(array, by):
        blocks = np.split(array, len(order), axis=-1)
        return np.concatenate([blocks[k] for k in by], axis=-1)

    def forward(*given):
        back = list(np.argsort(order))
        return pair[0](*(moved(a, back) if k in places else a for k, a in enumerate(given)))

    def backward(*given):
        found = pair[1](*given)
        return tuple(moved(g, order) if k in places else g for k, g in enumerate(found))

    return forward, backward
