"""Gradient descent with a constant step: ``x <- x - learning_rate f'(x)``."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from numpy_impl.types import Array

Gradient = Callable[[Array], Array]
Diverged = Literal["raise", "nan"]


def gradient_descent(
    gradient: Gradient,
    start: Array | float,
    learning_rate: Array | float,
    steps: int,
    diverged: Diverged = "raise",
) -> Array:
    """Return the whole path ``x[k + 1] = x[k] - learning_rate f'(x[k])``.

    Args:
        gradient: ``f'``, applied to every element of an array: (...) to (...).
        start: Where each run begins, any shape.
        learning_rate: The step of each run, above 0; a shape that broadcasts with that of ``start``
            (a column of steps and a row of starts give every combination).
        steps: How many steps, 0 or more.
        diverged: What to do with a run that leaves the finite numbers: "raise", or "nan" in all its
            positions from there on, while the other runs go on.

    Returns:
        float64, shape (steps + 1, ...): the start, then the position after each step.

    Raises:
        ValueError: An argument out of its range, or a gradient of another shape than its argument.
        OverflowError: A run left the finite numbers.

    Reference: A.-L. Cauchy (1847), "Méthode générale pour la résolution des systèmes d'équations
    simultanées".
    """
    return np.stack(list(_positions(gradient, start, learning_rate, steps, diverged)))


def descend(
    gradient: Gradient,
    start: Array | float,
    learning_rate: Array | float,
    steps: int,
    diverged: Diverged = "raise",
) -> Array:
    """Return where :func:`gradient_descent` ends, without keeping the path.

    Args:
        gradient: See there, as for the other arguments.
        start: See there.
        learning_rate: See there.
        steps: See there.
        diverged: See there.

    Returns:
        float64, shape (...): the position after the last step.

    Raises:
        ValueError: See there.
        OverflowError: See there.
    """
    [end] = deque(_positions(gradient, start, learning_rate, steps, diverged), maxlen=1)
    return end


def _positions(
    gradient: Gradient,
    start: Array | float,
    learning_rate: Array | float,
    steps: int,
    diverged: Diverged,
) -> Iterator[Array]:
    """Yield the start, and the position after each step."""
    x, rate = _checked(start, learning_rate, steps, diverged)
    yield x
    for step in range(1, steps + 1):
        with np.errstate(all="ignore"):  # what is not finite is handled below
            slope = np.asarray(gradient(x))
            if slope.shape != x.shape:
                raise ValueError(f"Expected a gradient of shape {x.shape}. Received: {slope.shape}")
            x = x - rate * slope
        finite = np.isfinite(x)
        if not finite.all():
            if diverged == "raise":
                raise OverflowError(_message(step, finite, start, rate))
            x = np.where(finite, x, np.nan)
        yield x


def _checked(
    start: Array | float, learning_rate: Array | float, steps: int, diverged: Diverged
) -> tuple[Array, Array]:
    x, rate = np.broadcast_arrays(np.asarray(start, float), np.asarray(learning_rate, float))
    if steps < 0:
        raise ValueError(f"Expected steps of 0 or more. Received: {steps}")
    if not np.isfinite(x).all():
        raise ValueError(f"Expected finite starts. Received: {x[~np.isfinite(x)][0]}")
    wrong = ~(np.isfinite(rate) & (rate > 0))
    if wrong.any():
        raise ValueError(f"Expected learning rates above 0. Received: {rate[wrong][0]}")
    if diverged not in ("raise", "nan"):
        raise ValueError(f"Expected diverged to be 'raise' or 'nan'. Received: {diverged!r}")
    return x.copy(), rate


def _message(step: int, finite: Array, start: Array | float, rate: Array) -> str:
    which = tuple(np.argwhere(~finite)[0])
    begun = np.broadcast_to(np.asarray(start, float), finite.shape)[which]
    return (
        "Expected a learning rate so small that the path stays finite. Received: "
        f"{rate[which]:g}, with which the run from {begun:g} left the finite numbers in step {step}"
    )
