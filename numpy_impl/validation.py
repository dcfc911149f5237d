"""Checks of what comes in from outside: each says what it expected and what it received."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_impl.types import Array, DTypeLike


def float_dtype(dtype: DTypeLike | None) -> np.dtype[Any]:
    """Return ``dtype`` as a NumPy dtype; float32 and float64 are supported."""
    allowed = (np.dtype("float32"), np.dtype("float64"))
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    # None is NumPy's default, float64; it even equals that dtype.
    if dtype is None or found not in allowed:
        raise ValueError(f"Expected dtype float32 or float64. Received: {dtype!r}")
    return found


def inputs(x: Array, input_shape: tuple[int, ...], dtype: DTypeLike, what: str = "inputs") -> Array:
    """Return ``x`` as an array of ``dtype`` after checking shape, type and finiteness.

    ``what`` is the word for ``x`` in the errors.

    Raises:
        ValueError: The shape is not (N, *input_shape), the values are not real numbers, or one of
            them is NaN or infinite.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"Expected real numbers as {what}. Received: dtype {x.dtype}")
    if x.shape[1:] != input_shape or x.ndim == 0:
        expected = ", ".join(["N", *map(str, input_shape)])
        raise ValueError(f"Expected {what} of shape ({expected}). Received: shape {x.shape}")
    with np.errstate(over="ignore", invalid="ignore"):  # becomes an infinity, refused below
        x = x.astype(dtype, copy=False)
        # A finite sum has finite terms, and takes half the time of looking at each.
        all_finite = np.isfinite(x.sum())
    if not all_finite and not (finite := np.isfinite(x)).all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"Expected finite {what}. Received: {x[where]} at index {where}")
    return x


def targets(
    y: Array, samples: int, output_shape: tuple[int, ...], sparse: bool, dtype: DTypeLike
) -> Array:
    """Return ``y`` ready for a loss.

    Args:
        y: Floats of shape (samples, *output_shape) or, if ``sparse``, an integer label for each
            vector of outputs: (samples,), or (samples, time) for sequences.
        samples: How many there are.
        output_shape: Shape of one sample's outputs, as ``Sequential.output_shape``.
        sparse: Whether the loss takes labels.
        dtype: The network's dtype.

    Raises:
        ValueError: Another shape, a label outside 0..outputs-1, or a NaN or infinity.
    """
    y = np.asarray(y)
    *places, outputs = samples, *output_shape
    if not sparse:
        if y.shape != (samples, *output_shape):
            hint = "; use one-hot targets or a sparse loss" if y.shape == tuple(places) else ""
            raise ValueError(
                f"Expected targets of shape {(samples, *output_shape)}{hint}. "
                f"Received: shape {y.shape}"
            )
        return inputs(y, output_shape, dtype, "targets")
    if y.shape != tuple(places) or y.dtype.kind not in "iu":
        raise ValueError(
            f"Expected {math.prod(places)} integer labels, shape {tuple(places)}. "
            f"Received: shape {y.shape}, dtype {y.dtype}"
        )
    labels(y, outputs)
    return y


def sample_weights(
    weights: Array, samples: int, output_shape: tuple[int, ...], dtype: DTypeLike
) -> Array:
    """Return a weight for each vector of outputs: (samples,), or of sequences (samples, time).

    Args:
        weights: As many; or one for each sample, which is then that of all its steps.
        samples: How many there are.
        output_shape: Shape of one sample's outputs.
        dtype: The network's dtype.

    Raises:
        ValueError: Another shape, or a NaN or infinity.
    """
    places = samples, *output_shape[:-1]
    weights = np.asarray(weights)
    if weights.shape not in (places, (samples,)):
        either = f" or {(samples,)}" if len(places) > 1 else ""
        raise ValueError(
            f"Expected sample weights of shape {places}{either}. Received: shape {weights.shape}"
        )
    weights = inputs(weights, weights.shape[1:], dtype, "sample weights")
    return np.broadcast_to(
        weights.reshape(weights.shape + (1,) * (len(places) - weights.ndim)), places
    )


def labels(y: Array, classes: int) -> None:
    """Check that every integer label is in 0..classes-1.

    Raises:
        ValueError: One is not; it is named with its index.
    """
    wrong = np.argwhere((y < 0) | (y >= classes))
    if wrong.size:
        place = tuple(int(i) for i in wrong[0])
        raise ValueError(
            f"Expected labels in 0..{classes - 1}. "
            f"Received: {y[place]} at index {place if y.ndim > 1 else place[0]}"
        )


def same_shapes(names: Sequence[str], own: Sequence[Array], new: Sequence[Array]) -> None:
    """Check that arrays to be copied fit.

    Raises:
        ValueError: Another number of arrays, or a shape that differs.
    """
    if len(own) != len(new):
        expected = ", ".join(
            f"{name} {array.shape}" for name, array in zip(names, own, strict=True)
        )
        raise ValueError(f"Expected {len(own)} arrays ({expected}). Received: {len(new)}")
    for name, mine, other in zip(names, own, new, strict=True):
        if mine.shape != np.shape(other):
            raise ValueError(
                f"Expected shape {mine.shape} for {name}. Received: shape {np.shape(other)}"
            )
