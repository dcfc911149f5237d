"""Initial values of kernels and biases, each drawn from an explicit ``numpy.random.Generator``.

An initializer is a function ``(shape, rng) -> float64 array``; the layer casts to its own dtype,
so that float32 and float64 networks start from the same numbers up to rounding. For a kernel of
shape (inputs, units), ``fan_in = inputs`` and ``fan_out = units``; for one of a convolution, shape
(*size, channels, filters), they are ``prod(size) * channels`` and ``prod(size) * filters``.
"""

import math
from collections.abc import Callable

import numpy as np

from numpy_impl.types import Array

Initializer = Callable[[tuple[int, ...], np.random.Generator], Array]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return ``fan_in`` and ``fan_out`` of a kernel, as Keras counts them."""
    size = math.prod(shape[:-2])
    return size * shape[-2], size * shape[-1]


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return zeros; ``rng`` is not used."""
    return np.zeros(shape)


def standard_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from N(0, 1), as documents D0, D1 and D3 do."""
    return rng.standard_normal(shape)


def uniform_one(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw uniformly from [-1, 1), as document D2 does."""
    return rng.uniform(-1.0, 1.0, shape)


def scaled_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from N(0, 1/fan_in): Nielsen's cure for units that start saturated."""
    return rng.standard_normal(shape) / math.sqrt(fans(shape)[0])


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw uniformly from [-l, l), l = sqrt(6 / (fan_in + fan_out)): Keras's default.

    Reference: Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward
    neural networks", eq. 16.
    """
    limit = math.sqrt(6.0 / sum(fans(shape)))
    return rng.uniform(-limit, limit, shape)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from N(0, 2/fan_in).

    Keras's initializer of this name draws from a truncated normal of the same variance.

    Reference: He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", eq. 10.
    """
    return rng.standard_normal(shape) * math.sqrt(2.0 / fans(shape)[0])


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw a matrix whose rows (or columns, of a tall one) are orthonormal: it keeps lengths.

    Reference: Saxe, McClelland, Ganguli (2014), "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", arXiv:1312.6120.
    """
    rows, columns = shape
    q, r = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    # With the signs of R's diagonal all orthogonal matrices are equally likely.
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T


INITIALIZERS: dict[str, Initializer] = {
    f.__name__: f
    for f in (
        zeros, standard_normal, uniform_one, scaled_normal, glorot_uniform, he_normal, orthogonal,
    )
}  # fmt: skip


def get(identifier: str | Initializer) -> Initializer:
    """Return the initializer called ``identifier``.

    Raises:
        ValueError: The name is not known.
    """
    if callable(identifier):
        return identifier
    if identifier not in INITIALIZERS:
        raise ValueError(
            f"Unknown initializer. Expected one of: {', '.join(sorted(INITIALIZERS))}. "
            f"Received: {identifier!r}"
        )
    return INITIALIZERS[identifier]
