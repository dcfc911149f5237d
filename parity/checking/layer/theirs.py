"""The user's layer: called with arrays, it answers with outputs and with gradients of the arrays.

A layer is two functions, ``forward(x, w, b, ...) -> out, cache`` and ``backward(dout, cache)``; or
an object with these methods, which keeps its weights and their gradients.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from numpy_impl.types import Array
from parity.checking.asking import nested
from parity.checking.asking.subject import TheirError, called

# Chooses the derivatives that backward is given, by the outputs.
Douts = Callable[[list[Array]], list[Array]]
# What a layer keeps beside its weights: its attributes, and dicts that are its arguments.
State = dict[str, Any]
# What says whether a layer is trained, and is true then.
MODES = ("training", "train", "is_training", "train_mode", "is_train")


@dataclass(frozen=True)
class LayerAnswer:
    """What a layer said of one set of arrays.

    Attributes:
        outputs: Those by which ``backward`` is given derivatives, and others behind them.
        gradients: What ``backward`` returned, unnamed in a list or by name.
    """

    outputs: list[Array]
    gradients: list[Array | None] | dict[str, Array]

    @property
    def given(self) -> list[Array]:
        """All gradients that were given, in their order."""
        found = self.gradients
        return [g for g in (found.values() if isinstance(found, dict) else found) if g is not None]


class Theirs(Protocol):
    """A user's layer.

    Attributes:
        names: Of the arrays that it takes, in the order of the call.
        inputs: How many of them it is given at each call.
        arrays: Examples of them.
        douts: By how many outputs ``backward`` takes derivatives.
        modified: What calls have changed of what they were given: "forward changes x".
    """

    names: list[str]
    inputs: int
    arrays: list[Array]
    douts: int
    modified: set[str]

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs alone."""
        ...

    def ask(
        self, arrays: Sequence[Array], douts: Douts, before: Sequence[Array] | None = None
    ) -> LayerAnswer:
        """Return outputs and gradients, for derivatives that are chosen by the outputs.

        ``before`` is what the same layer is called with before; its own weights it keeps.
        """
        ...

    def in_state(
        self, arrays: Sequence[Array], prepare: Callable[[list[State]], None]
    ) -> tuple[list[Array], list[State]]:
        """Return the outputs of a call, and what the layer keeps beside its arrays, after it.

        ``prepare`` may change what is kept before.
        """
        ...


def array_of(name: str, value: Any) -> Array:
    try:
        return nested.to_array(value)
    except ValueError as error:
        raise TheirError(name, str(error)) from error


def is_numbers(value: Any) -> bool:
    return nested.is_array(value) or isinstance(value, int | float | np.generic)


def parted(answer: Any, keeps_cache: bool) -> tuple[list[Array], Any]:
    """Return outputs and cache; where there are several things, the last is the cache."""
    if not isinstance(answer, tuple) or not answer:
        return [array_of("forward", answer)], None
    parts = list(cast(tuple[Any, ...], answer))
    cache = parts.pop() if keeps_cache and len(parts) > 1 else None
    return [array_of("forward", part) for part in parts if is_numbers(part)], cache


# backward(*derivatives_and_cache) takes as many as there are outputs.
_EVERY = 100


def positional(function: Callable[..., Any]) -> tuple[list[str], int]:
    """Return the names of the arguments of a function, and how many of them have no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return [], 0
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [p.name for p in plain], sum(p.default is p.empty for p in plain)


def gradients_in(answer: Any) -> list[Array | None] | dict[str, Array]:
    if answer is None:
        raise TheirError("backward", "expected gradients. Received: None")
    if isinstance(answer, Mapping):
        found = cast(Mapping[str, Any], answer)
        return {str(k): array_of("backward", v) for k, v in found.items() if is_numbers(v)}
    parts = list(cast(tuple[Any, ...], answer)) if isinstance(answer, tuple | list) else [answer]
    return [None if part is None else array_of("backward", part) for part in parts]


class Functions:
    """Two functions.

    Args:
        forward: ``(*inputs, *weights, *arguments) -> out, cache``.
        backward: ``(dout, cache) -> gradients``.
        inputs: Examples; what is no array of floating-point numbers is handed over as it is.
        weights: The same; a dict is handed over as one.
        arguments: What forward takes behind them; a dict is handed over by names.
    """

    def __init__(
        self, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Sequence[Any],
        weights: Sequence[Any] | Mapping[str, Any], arguments: Sequence[Any] | Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._forward, self._backward = forward, backward
        self._given = list(inputs)
        self._keys = list(weights) if isinstance(weights, Mapping) else None
        self._weights = [*(weights.values() if isinstance(weights, Mapping) else weights)]
        names, _ = positional(forward)
        self._arguments = with_mode(arguments, names)
        names = [*names[: len(self._given)], *(self._keys or names[len(self._given) :])]
        names += [f"array {k}" for k in range(len(names), len(self._given) + len(self._weights))]
        self._differentiable = [is_float(value) for value in (*self._given, *self._weights)]
        both = [*self._given, *self._weights]
        self.names = [n for n, yes in zip(names, self._differentiable, strict=False) if yes]
        self.arrays = [
            np.array(v) for v, yes in zip(both, self._differentiable, strict=True) if yes
        ]
        self.inputs = sum(self._differentiable[: len(self._given)])
        parameters, needed = positional(backward)
        # backward(dh, dc, cache): one derivative for each but the cache.
        self.douts = max(1, (needed or len(parameters) or _EVERY) - 1)
        self._alone = len(parameters) == 1
        self.modified: set[str] = set()

    def in_state(
        self, arrays: Sequence[Array], prepare: Callable[[list[State]], None]
    ) -> tuple[list[Array], list[State]]:
        """Return the outputs of a call, and the dicts among its arguments, after it."""
        extra = deepcopy(self._arguments)
        states = dicts_in(extra)
        prepare(states)
        return self._called(arrays, extra)[0], states

    def _given_to_forward(self, arrays: Sequence[Array]) -> list[Any]:
        rest = iter(arrays)
        given = [
            next(rest).copy() if yes else deepcopy(value)
            for value, yes in zip([*self._given, *self._weights], self._differentiable, strict=True)
        ]
        if self._keys is not None:
            first = len(self._given)
            given = [*given[:first], dict(zip(self._keys, given[first:], strict=True))]
        return given

    def _called(self, arrays: Sequence[Array], arguments: Any = None) -> tuple[list[Array], Any]:
        given = self._given_to_forward(arrays)
        extra: Any = deepcopy(self._arguments) if arguments is None else arguments
        if isinstance(extra, Mapping):
            said = called("forward", self._forward, *given, **extra)
        else:
            said = called("forward", self._forward, *given, *extra)
        held = given if self._keys is None else [*given[:-1], *given[-1].values()]
        kept = [v for v, yes in zip(held, self._differentiable, strict=True) if yes]
        self.modified |= changed("forward", self.names, arrays, kept)
        return parted(said, not self._alone)

    def outputs(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs alone."""
        return self._called(arrays)[0]

    def ask(
        self, arrays: Sequence[Array], douts: Douts, before: Sequence[Array] | None = None
    ) -> LayerAnswer:
        """Return outputs and gradients."""
        if before is not None:
            self.ask(before, douts)
        outputs, cache = self._called(arrays)
        copies = [output.copy() for output in outputs]
        chosen = [array.copy() for array in douts(copies[: self.douts])]
        behind: list[Any] = [] if self._alone else [cache]
        if cache is None and not self._alone and len(outputs) == 1:
            # Without a cache, backward(dout, x, w) is given what forward was given.
            behind, chosen = self._given_to_forward(arrays)[: self.douts], chosen[:1]
        kept = [array.copy() for array in chosen]
        found = gradients_in(called("backward", self._backward, *chosen, *behind))
        self.modified |= changed("backward", ["dout"] * len(kept), kept, chosen)
        return LayerAnswer(copies, found)


def changed(
    function: str, names: Sequence[str], before: Sequence[Array], after: Sequence[Any]
) -> set[str]:
    """Return which of its arrays a function has changed."""
    triples = zip(names, before, after, strict=True)
    return {f"{function} changes {name}" for name, a, b in triples if not np.array_equal(a, b)}


def with_mode(arguments: Any, names: Sequence[str]) -> Any:
    """Return the arguments; where none are given, with what says that a layer is trained."""
    mode = next((name for name in MODES if name in names), None)
    return {mode: True} if mode is not None and not arguments else arguments


def dicts_in(arguments: Any) -> list[State]:
    """Return the dicts among the arguments, the arguments by names being one."""
    if isinstance(arguments, dict):
        named = cast(State, arguments)
        return [named, *(cast(State, v) for v in named.values() if isinstance(v, dict))]
    return [cast(State, part) for part in arguments if isinstance(part, dict)]


def is_float(value: Any) -> bool:
    """Return whether something is an array that a layer is differentiated by.

    Numbers that are 0 and 1, and nothing else, are a mask.
    """
    if not nested.is_array(value) or np.asarray(value).dtype.kind != "f":
        return False
    return set(np.unique(np.asarray(value)).tolist()) != {0.0, 1.0}
