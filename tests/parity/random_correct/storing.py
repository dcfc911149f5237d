"""How people keep their weights and hand over their gradients: lists, dicts, tuples, arrays."""

from collections import namedtuple
from typing import Any

import numpy as np

Pair = tuple[list[Any], list[Any]]


def objects(arrays: list[Any]):
    box = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        box[i] = array
    return box


def names(kernels: list[Any], biases: list[Any]) -> list[str]:
    """Return W1, b1, W2, b2, ..."""
    letters = "Wb" if biases else "W"
    return [f"{letter}{i}" for i in range(1, len(kernels) + 1) for letter in letters]


def interleaved(kernels: list[Any], biases: list[Any]) -> list[Any]:
    """Return kernel, bias, kernel, bias, ..."""
    if not biases:
        return list(kernels)
    return [array for pair in zip(kernels, biases, strict=True) for array in pair]


def _namedtuple(kernels: list[Any], biases: list[Any]):
    return namedtuple("Params", names(kernels, biases))(*interleaved(kernels, biases))


def _dict(kernels: list[Any], biases: list[Any]) -> dict[str, Any]:
    return dict(zip(names(kernels, biases), interleaved(kernels, biases), strict=True))


def _pairs(kernels: list[Any], biases: list[Any]) -> list[Any]:
    return [list(pair) for pair in zip(kernels, *([biases] if biases else []), strict=True)]


def _list_of_dicts(kernels: list[Any], biases: list[Any]) -> list[Any]:
    keys = ("W", "b") if biases else ("W",)
    return [dict(zip(keys, pair, strict=True)) for pair in _pairs(kernels, biases)]


PACK = {
    "interleaved": interleaved,
    "kernels first": lambda kernels, biases: [*kernels, *biases],
    "biases first": lambda kernels, biases: [*biases, *kernels],
    "dict": _dict,
    "pairs": _pairs,
    "two lists": lambda kernels, biases: (kernels, biases) if biases else (kernels,),
    "object array": lambda kernels, biases: objects(interleaved(kernels, biases)),
    "two object arrays": lambda kernels, biases: {
        "weights": objects(kernels), **({"biases": objects(biases)} if biases else {})
    },
    "namedtuple": _namedtuple,
    "tuple": lambda kernels, biases: tuple(interleaved(kernels, biases)),
    "list of dicts": _list_of_dicts,
}  # fmt: skip


def unpack(container: Any, kind: str, depth: int, biased: bool) -> Pair:
    """Return kernels and biases of what :data:`PACK` made."""
    if kind in ("two lists", "two object arrays"):
        parts = list(container.values() if isinstance(container, dict) else container)
        return list(parts[0]), list(parts[1]) if biased else []
    flat = _flat(container, kind)
    if not biased:
        return flat, []
    if kind == "kernels first":
        return flat[:depth], flat[depth:]
    if kind == "biases first":
        return flat[depth:], flat[:depth]
    return flat[::2], flat[1::2]


def _flat(container: Any, kind: str) -> list[Any]:
    if kind == "dict":
        return list(container.values())
    if kind == "pairs":
        return [array for pair in container for array in pair]
    if kind == "list of dicts":
        return [array for layer in container for array in layer.values()]
    return list(container)


def gradient_container(kind: str, weights: str, prefix: str, kernels: list, biases: list) -> Any:
    """Return gradients as people give them beside weights kept in the container ``weights``.

    The keys of a dict are matched by name where the weights are in a dict, and then may come in the
    order of the backward pass; else its values are in the order of the weights.
    """
    if kind == "dict" and weights == "dict":
        entries = list(_dict(kernels, biases).items())[::-1]
        return {prefix + key: value for key, value in entries}
    if kind == "dict":
        flat, _ = _in_order(weights, kernels, biases)
        return {f"{prefix}{i}": value for i, value in enumerate(flat)}
    if kind == "list":
        return _in_order(weights, kernels, biases)[0]
    if weights == "list of dicts":
        layers = PACK[weights](kernels, biases)
        return [{prefix + key: g for key, g in reversed(layer.items())} for layer in layers]
    return PACK[weights](kernels, biases)


def _in_order(weights: str, kernels: list[Any], biases: list[Any]) -> tuple[list[Any], None]:
    if weights in ("kernels first", "two lists", "two object arrays"):
        return [*kernels, *biases], None
    if weights == "biases first":
        return [*biases, *kernels], None
    return interleaved(kernels, biases), None
