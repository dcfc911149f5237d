"""A layer that is an object, which keeps its weights and their gradients as attributes."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking import nested
from parity.checking.asking.subject import TheirError, called
from parity.checking.layer.theirs import (
    Douts,
    LayerAnswer,
    State,
    array_of,
    changed,
    dicts_in,
    gradients_in,
    is_float,
    is_numbers,
    parted,
    positional,
    with_mode,
)


class Object:
    """An object with the methods forward and backward, which keeps its weights.

    Args:
        make: Returns one, each time another or the same.
        inputs: Examples of what forward takes.
        weights: The attributes that are weights; None: those with a gradient of their name.
        arguments: What forward takes behind its inputs; a dict is handed over by names.
    """

    def __init__(
        self, make: Callable[[], Any], inputs: Sequence[Any], weights: Sequence[str] | None,
        arguments: Sequence[Any] | Mapping[str, Any],
    ) -> None:  # fmt: skip
        layer = called("the layer", make)
        self._make, self._given = make, list(inputs)
        self._arguments = with_mode(arguments, positional(layer.forward)[0])
        self._differentiable = [is_float(value) for value in self._given]
        x = [np.array(v) for v, yes in zip(self._given, self._differentiable, strict=True) if yes]
        self.inputs = len(x)
        self.douts = 1
        self.modified: set[str] = set()
        if weights is None:
            # The gradients may be there only after a first call.
            outputs, answer = self._run(layer, x, _ones)
            del outputs, answer
            weights = _with_gradients(layer, positional(layer.forward)[0])
        self._weights = list(weights)
        names, _ = positional(layer.forward)
        self.names = [
            *(n for n, yes in zip(names, self._differentiable, strict=False) if yes), *self._weights
        ]  # fmt: skip
        self.arrays = [*x, *(array_of(name, _held(layer, name)) for name in self._weights)]

    def in_state(
        self, arrays: Sequence[Array], prepare: Callable[[list[State]], None]
    ) -> tuple[list[Array], list[State]]:
        """Return the outputs of a call; and its attributes, and the dicts among its arguments."""
        layer, extra = self._set(arrays), deepcopy(self._arguments)
        states: list[State] = [vars(layer), *dicts_in(extra)]
        prepare(states)
        return self._run(layer, arrays[: self.inputs], None, extra)[0], states

    def _run(
        self, layer: Any, x: Sequence[Array], douts: Douts | None, arguments: Any = None
    ) -> tuple[list[Array], Any]:
        rest = iter(x)
        given = [
            next(rest).copy() if yes else deepcopy(value)
            for value, yes in zip(self._given, self._differentiable, strict=True)
        ]
        extra: Any = deepcopy(self._arguments) if arguments is None else arguments
        named: Mapping[str, Any] = {}
        if isinstance(extra, Mapping):
            extra, named = (), cast(Mapping[str, Any], extra)
        said = called("forward", layer.forward, *given, *extra, **named)
        floats = [v for v, yes in zip(given, self._differentiable, strict=True) if yes]
        names = [f"input {k}" for k in range(len(floats))]
        self.modified |= changed("forward", names, x, floats)
        outputs, _ = parted(said, len(positional(layer.backward)[0]) > 1)
        if douts is None:
            return outputs, None
        copies = [output.copy() for output in outputs]
        cache: list[Any] = (
            [said[-1]] if isinstance(said, tuple) and positional(layer.backward)[1] > 1 else []
        )
        chosen = [array.copy() for array in douts(copies[:1])]
        return copies, called("backward", layer.backward, *chosen, *cache)

    def _set(self, arrays: Sequence[Array]) -> Any:
        layer = called("the layer", self._make)
        for name, array in zip(self._weights, arrays[self.inputs :], strict=True):
            owner, key = _owner(layer, name)
            held = _held(layer, name)
            if nested.is_ndarray(held) and held.shape == array.shape and held.dtype == array.dtype:
                held[...] = array
            elif isinstance(owner, dict):
                owner[key] = array.copy()
            else:
                setattr(owner, key, array.copy())
        return layer

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs alone."""
        return self._run(self._set(arrays), arrays[: self.inputs], None)[0]

    def ask(
        self, arrays: Sequence[Array], douts: Douts, before: Sequence[Array] | None = None
    ) -> LayerAnswer:
        """Return outputs and gradients: of the inputs as returned, of the weights as kept."""
        layer = self._set(arrays)
        if before is not None:
            self._run(layer, before[: self.inputs], douts)
        outputs, answer = self._run(layer, arrays[: self.inputs], douts)
        nothing: list[Array | None] = [None] * self.inputs
        found = nothing if answer is None else gradients_in(answer)
        if isinstance(found, dict):
            return LayerAnswer(outputs, found)
        kept = [gradient_of(layer, name) for name in self._weights]
        if all(value is None for value in kept):
            return LayerAnswer(outputs, found)
        own = [None if value is None else array_of("backward", value) for value in kept]
        return LayerAnswer(outputs, [*found[: self.inputs], *own])


def _ones(outputs: list[Array]) -> list[Array]:
    return [np.ones_like(output) for output in outputs]


def _owner(layer: Any, name: str) -> tuple[Any, str]:
    """Return the dict of weights that has one, or the layer itself."""
    for place in ("params", "parameters", "weights"):
        holder = getattr(layer, place, None)
        if isinstance(holder, dict) and name in holder:
            return cast(dict[str, Any], holder), name
    return layer, name


def _held(layer: Any, name: str) -> Any:
    owner, key = _owner(layer, name)
    found = cast(Any, owner[key] if isinstance(owner, dict) else getattr(owner, key, None))
    if found is None:
        raise TheirError("the layer", f"expected an attribute {name!r}. Received: none")
    return found


def gradient_of(layer: Any, name: str) -> Any:
    """Return where a layer keeps the gradient of a weight; None if it has none."""
    for place in ("grads", "gradients", "grad"):
        holder = getattr(layer, place, None)
        if isinstance(holder, dict):
            found = cast(dict[str, Any], holder)
            key = next((k for k in _spellings(name) if k in found), None)
            if key is not None:
                return found[key]
    for spelling in _spellings(name)[1:]:
        found = getattr(layer, spelling, None)
        if is_numbers(found):
            return found
    return None


def _spellings(name: str) -> list[str]:
    return list(dict.fromkeys(f"{before}{name}{behind}" for before, behind in nested.AFFIXES))


def _with_gradients(layer: Any, inputs: Sequence[str]) -> list[str]:
    """Return the names of the arrays that a layer keeps with a gradient, but for its inputs."""
    names: list[str] = []
    held: dict[str, Any] = {}
    for place in ("params", "parameters", "weights"):
        holder = getattr(layer, place, None)
        if isinstance(holder, dict):
            held |= cast(dict[str, Any], holder)
    own = cast(dict[str, Any], vars(layer))
    held |= {k: v for k, v in own.items() if k not in held}
    for name, value in held.items():
        if not is_float(value) or name in inputs:
            continue
        gradient = gradient_of(layer, name)
        if gradient is not None and gradient is not value:
            names.append(name)
    return names
