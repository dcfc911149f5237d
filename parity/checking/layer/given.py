"""What the caller gives: examples of arrays or their shapes, functions or an object."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np

from parity.candidate import CandidateError
from parity.checking.asking.nested import is_ndarray
from parity.checking.layer.objects import Object
from parity.checking.layer.theirs import Functions, Theirs


def examples_of(inputs: Any) -> list[Any]:
    """Return examples of the inputs, where some are given by their shapes."""
    if isinstance(inputs, list):
        return [_example(one) for one in cast(list[Any], inputs)]
    return [_example(inputs)]


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
    """Return what is given beside the reference: a mask, and indices."""
    found: dict[str, Any] = {}
    if isinstance(arguments, Mapping):
        named = cast(Mapping[str, Any], arguments)
        if named.get("mask") is not None:
            found["mask"] = np.asarray(named["mask"])
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
