"""A training step as the list of the NumPy calls that it consists of.

The networks here are small: a step of 64-40-10 is some 25 calls of a microsecond or less, and
Python takes longer to find its way through layers and activations from one call to the next than
NumPy takes for the calls. But every step makes the same calls on the same arrays. So the layers
make theirs through an argument, ``do``::

    do(np.dot, x, kernel, out=z)

which is either :func:`now`, the call as it stands, or a :class:`Program`, which makes the call and
remembers it. A training lets a program record the first step and only runs it from then on.

That asks two things of whoever is handed a ``do``. What is to happen in every step has to go
through it, as everything else happens in the recorded step alone. And the arrays have to be the
same ones in every step, their contents new: ``out=`` says where to. A class that keeps to that says
so by :func:`recordable`. Its subclasses have to say so themselves; without, they are never handed a
``do`` and computed step by step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

Do = Callable[..., Any]
Kind = TypeVar("Kind", bound=type)

_RECORDABLE: set[type] = set()


def recordable(kind: Kind) -> Kind:
    """Mark a class, but not its subclasses, whose steps go wholly through ``do``; a decorator."""
    _RECORDABLE.add(kind)
    return kind


def are_recordable(*things: object) -> bool:
    """Return whether the class of each is marked :func:`recordable`."""
    return all(type(thing) in _RECORDABLE for thing in things)


def _takes_unnamed_out(function: Callable[..., Any]) -> bool:
    """Return whether ``out`` may be the last argument without a name: 0.2 microseconds less."""
    deprecated = (np.maximum, np.minimum)
    return function is np.dot or (isinstance(function, np.ufunc) and function not in deprecated)


def now(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call ``function`` and return what it returns."""
    return function(*arguments, **named)


class Program:
    """The calls made through it, which :meth:`run` makes again in the same order."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if set(named) == {"out"} and _takes_unnamed_out(function):
            arguments, named = (*arguments, named["out"]), {}
        call = partial(function, *arguments, **named)
        self.calls.append(call)
        return call()

    def run(self) -> None:
        """Make all calls once more."""
        for call in self.calls:
            call()
