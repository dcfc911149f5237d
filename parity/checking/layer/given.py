"""What the caller gives: examples of arrays or their shapes, functions or an object."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np

from parity.candidate import CandidateError
from parity.checking.asking.nested import is_ndarray
from parity.checking.layer.masks import drawn, given_masks, is_named_mask
from parity.checking.layer.objects import Object
from parity.checking.layer.theirs import Functions, Theirs, is_float, positional


def examples_of(inputs: Any, forward: Any, seed: int) -> list[Any]:
    """Return examples of the inputs, where some are given by their shapes.

    What forward calls a mask is one, drawn with ``seed``.
    """
    given = cast(list[Any], inputs) if isinstance(inputs, list) else [inputs]
    names = _names(forward)
    names += [""] * len(given)
    return [_drawn(name, one, seed) for name, one in zip(names, given, strict=False)]


def arguments_of(arguments: Any, seed: int) -> Any:
    """Return what forward takes behind its arrays, masks that are given by their shapes drawn."""
    if not isinstance(arguments, Mapping):
        return arguments
    named = cast(Mapping[str, Any], arguments)
    return {
        n: _drawn(n, v, seed) if is_named_mask(n) and v is not None else v for n, v in named.items()
    }


def _names(forward: Any) -> list[str]:
    """Return the names of forward's arguments; none where they are not known yet."""
    own = getattr(forward, "forward", forward)
    names, _ = positional(own)
    return names[1:] if isinstance(forward, type) and own is not forward else names


def _drawn(name: str, given: Any, seed: int) -> Any:
    example = _example(given)
    if isinstance(given, tuple) and is_named_mask(name):
        return drawn(np.random.default_rng([seed, 8, len(name)]), example.shape)
    return example


def _example(given: Any) -> Any:
    if isinstance(given, tuple):
        shape = cast(tuple[Any, ...], given)
        if not shape or not all(isinstance(n, int) and n > 0 for n in shape):
            raise CandidateError(f"expected a shape of whole numbers above 0. Received: {shape!r}")
        return np.full(shape, 0.5)
    return given


def as_numbers(examples: Sequence[Any]) -> list[Any]:
    """Return whole numbers as what a layer is differentiated by, but for masks of 0 and 1."""

    def counts(example: Any) -> bool:
        return is_ndarray(example) and example.dtype.kind in "iu" and bool(np.any(example > 1))

    return [example.astype(np.float64) if counts(example) else example for example in examples]


def options_of(examples: Sequence[Any], arguments: Any) -> dict[str, Any]:
    """Return what is given beside the reference: masks, and indices.

    "mask" is the one of the formulas, "masks" are all, as Keras's own layer is handed them.
    """
    found: dict[str, Any] = {}
    named: Mapping[str, Any] = {}
    if isinstance(arguments, Mapping):
        named = cast(Mapping[str, Any], arguments)
    if any(is_float(example) for example in examples):  # numbers alone may be indices
        found["masks"] = given_masks(examples, arguments)
    if named.get("mask") is not None:
        found["mask"] = np.asarray(named["mask"])
    elif len(found.get("masks", ())) == 1:
        found["mask"] = found["masks"][0][1]
    for example in examples:
        if is_ndarray(example) and example.dtype.kind in "iu":
            found["indices"] = example.reshape(len(example), -1)
    return found


def layer_of(
    forward: Any, backward: Callable[..., Any] | None, examples: Sequence[Any], weights: Any,
    arguments: Any,
) -> Theirs:  # fmt: skip
    if backward is not None:
        if not callable(forward) or not callable(backward):
            raise CandidateError("expected two callables, forward and backward. Received: others")
        given: Any = [] if weights is None else weights
        if isinstance(given, Mapping):
            shapes = cast(Mapping[str, Any], given)
            return Functions(
                forward, backward, examples, {k: _example(v) for k, v in shapes.items()}, arguments
            )
        return Functions(forward, backward, examples, [_example(v) for v in given], arguments)
    if isinstance(forward, type) or not hasattr(forward, "forward"):
        if not callable(forward):
            raise CandidateError(
                "expected forward and backward, or an object that has them. "
                f"Received: {type(forward).__name__}"
            )
        make = cast(Callable[[], Any], forward)
    else:

        def make() -> Any:
            return deepcopy(forward)

    return Object(make, examples, weights, arguments)
