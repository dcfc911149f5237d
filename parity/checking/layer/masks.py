"""Masks that a layer is handed: which arrays are some, by which of Keras's arguments they go."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.asking.nested import is_array
from parity.checking.layer.theirs import is_float

# What Keras is called with beside its inputs, by name.
Named = dict[str, Any]


def is_mask(value: Any) -> bool:
    """Return whether something is an array of 0 and 1 that no layer is differentiated by."""
    found = is_array(value) and not is_float(value) and np.ndim(value) > 0
    return found and set(np.unique(np.asarray(value)).tolist()) <= {0, 1}


def is_named_mask(name: str) -> bool:
    """Return whether an argument is a mask by its name, such as "mask" or "attention_mask"."""
    return name.endswith("mask")


def drawn(rng: np.random.Generator, shape: Shape) -> Array:
    """Return a mask of a shape: in each row the first is True, and in some row not all are.

    What a recurrence gives in front of its first step is a matter of taste: Keras gives 0.
    """
    mask = rng.random(shape) < 0.6
    mask[..., 0] = True
    if shape[-1] > 1:
        mask.reshape(-1, shape[-1])[0, rng.integers(1, shape[-1])] = False
    return mask


def given_masks(examples: Sequence[Any], arguments: Any) -> list[tuple[str, Array]]:
    """Return the masks among inputs and further arguments, with the names that these have."""
    found = [("", np.asarray(e, bool)) for e in examples if is_mask(e)]
    if isinstance(arguments, Mapping):
        named = cast(Mapping[str, Any], arguments)
        rest = [(n, v) for n, v in named.items() if is_named_mask(n) and is_mask(v)]
    else:
        rest = [("", v) for v in arguments if is_mask(v)]
    return [*found, *((name, np.asarray(value, bool)) for name, value in rest)]


def in_keras(name: str, value: Any) -> str:
    """Return by which of Keras's arguments masks go, in words: "mask of input 2"."""
    if not isinstance(value, list):
        return f"{name} {value.shape}"
    parts = enumerate(cast(list[Any], value), 1)
    return " and ".join(f"{name} of input {k} {m.shape}" for k, m in parts if m is not None)


def without_each(masks: Mapping[str, Any]) -> Iterator[Named]:
    """Yield masks with one of them True everywhere, for each that is not so already."""
    for name, value in masks.items():
        parts = cast(list[Any], value) if isinstance(value, list) else [value]
        for k, part in enumerate(parts):
            if part is not None and not np.all(part):
                others = [*parts[:k], np.ones_like(part), *parts[k + 1 :]]
                yield {**masks, name: others if isinstance(value, list) else others[0]}


def ways(layer: Any, masks: Sequence[tuple[str, Array]], inputs: int) -> Iterator[Named]:
    """Yield the arguments by which a Keras layer may be handed masks, the likeliest first.

    Args:
        layer: The layer.
        masks: With the names that they have in the user's forward.
        inputs: How many inputs the layer is given: "mask" is then a list of as many.
    """
    if not masks:
        yield {}
        return
    parameters = inspect.signature(layer.call).parameters.values()
    # A flag, such as use_causal_mask, is False by default.
    names = [
        p.name
        for p in parameters
        if is_named_mask(p.name) and (p.default is None or p.default is p.empty)
    ]
    slots: list[tuple[str, int]] = []
    for name in names:
        slots += [(name, k) for k in range(inputs if name == "mask" else 1)]
    chosen = list(permutations(slots, len(masks)))
    own = [name for name, _ in masks]
    chosen.sort(key=lambda some: -sum(a == b for (a, _), b in zip(some, own, strict=True)))
    for turned in (False, True):  # steps in front of samples
        arrays = [m.T if turned else m for _, m in masks]
        if turned and all(m.ndim < 2 for m in arrays):
            return
        for some in chosen:
            yield from _handed(some, arrays, inputs)


def _handed(
    slots: Sequence[tuple[str, int]], arrays: Sequence[Array], inputs: int
) -> Iterator[Named]:
    """Yield the arguments with masks in their places.

    One of two axes may say what each sample's queries see, or what each query of all samples does.
    """
    pairs = list(zip(slots, arrays, strict=True))
    short = any(name == "attention_mask" and array.ndim == 2 for (name, _), array in pairs)
    for axis in (1, 0) if short else (1,):
        named: Named = {}
        for (name, k), given in pairs:
            widened = name == "attention_mask" and given.ndim == 2
            array = np.expand_dims(given, axis) if widened else given
            if name == "mask" and inputs > 1:
                named.setdefault(name, [None] * inputs)[k] = array
            else:
                named[name] = array
        yield named
