"""Layers with their backward pass, written by hand: dense, convolutions, poolings and sums."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Rng = np.random.Generator
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """One layer: ``forward(x, w) -> (out, kept)`` and ``backward(g, kept, w) -> (dx, dw)``."""

    name: str
    weights: list[Any]
    forward: Callable[[Any, list[Any]], tuple[Any, Any]]
    backward: Callable[[Any, Any, list[Any]], tuple[Any, list[Any]]]


def sigmoid(z: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * z))


# The function of z, and its derivative from z and what came out.
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "linear": (lambda z: z, lambda z, a: np.ones_like(z)),
    "tanh": (np.tanh, lambda z, a: 1 - a**2),
    "sigmoid": (sigmoid, lambda z, a: a * (1 - a)),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: z > 0),
    "leaky": (lambda z: np.where(z > 0, z, 0.1 * z), lambda z, a: np.where(z > 0, 1, 0.1)),
    "softplus": (lambda z: np.logaddexp(z, 0), lambda z, a: sigmoid(z)),
    "swish": (lambda z: z * sigmoid(z), lambda z, a: a + sigmoid(z) * (1 - a)),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z, a: 1 / (1 + np.abs(z)) ** 2),
}


def any_activation(rng: Rng) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    return ACTIVATIONS[str(rng.choice(sorted(ACTIVATIONS)))]


def kernel(rng: Rng, *shape: int) -> Any:
    """Return a kernel for inputs of about 1."""
    return rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))


def rows(x: Any) -> Any:
    return x.reshape(-1, x.shape[-1])


def over_rows(x: Any, d: Any) -> Any:
    """Return the gradient of a kernel between the last axes."""
    return rows(x).T @ rows(d)


def dense(rng: Rng, shape: Shape, units: int = 0, linear: bool = False) -> Block:
    f, slope = ACTIVATIONS["linear"] if linear else any_activation(rng)
    units = units or int(rng.integers(2, 5))
    w = [kernel(rng, shape[-1], units), 0.3 * rng.normal(size=units)]
    w = w[: 1 + int(rng.random() < 0.7)]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        z = x @ w[0] + (w[1] if len(w) > 1 else 0)
        return f(z), (x, z)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, z = kept
        d = g * slope(z, f(z))
        return d @ w[0].T, [over_rows(x, d), rows(d).sum(axis=0)][: len(w)]

    return Block("dense", w, forward, backward)


def flatten(rng: Rng, shape: Shape) -> Block:
    return Block(
        "flatten", [], lambda x, w: (x.reshape(len(x), -1), x.shape),
        lambda g, kept, w: (g.reshape(kept), []),
    )  # fmt: skip


def conv(rng: Rng, shape: Shape) -> Block:
    """One or two dimensions, with padding and a stride."""
    f, slope = any_activation(rng)
    pad, stride, size = int(rng.integers(2)), int(rng.integers(1, 3)), int(rng.integers(2, 4))
    axes, filters = len(shape) - 1, int(rng.integers(2, 4))
    w = [kernel(rng, *(size,) * axes, shape[-1], filters), 0.3 * rng.normal(size=filters)]
    w = w[: int(rng.integers(1, 3))]
    counts = [(n + 2 * pad - size) // stride + 1 for n in shape[:-1]]

    def windows() -> list[tuple[Any, Any]]:
        def window(place: Shape) -> Any:
            return (slice(None), *(slice(p * stride, p * stride + size) for p in place))

        return [((slice(None), *place), window(place)) for place in np.ndindex(*counts)]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        padded = np.pad(x, [(0, 0), *[(pad, pad)] * axes, (0, 0)])
        z = np.zeros((len(x), *counts, filters), x.dtype)
        for place, window in windows():
            z[place] = np.tensordot(padded[window], w[0], axes + 1)
        if len(w) > 1:
            z = z + w[1]
        return f(z), (padded, z)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        padded, z = kept
        d, dx, dk = g * slope(z, f(z)), np.zeros_like(padded), np.zeros_like(w[0])
        for place, window in windows():
            dk += np.tensordot(padded[window], d[place], ([0], [0]))
            dx[window] += np.tensordot(d[place], w[0], ([1], [axes + 1]))
        inner = (slice(None), *(slice(pad, pad + n) for n in shape[:-1]))
        return dx[inner], [dk, rows(d).sum(axis=0)][: len(w)]

    return Block(f"conv{axes}d", w, forward, backward)


def pooling(rng: Rng, shape: Shape) -> Block:
    """The largest or the mean of two (or two times two) neighbours."""
    largest, axes = bool(rng.integers(2)), len(shape) - 1
    counts = [n // 2 for n in shape[:-1]]

    def corners() -> list[Any]:
        return [
            (slice(None), *(slice(o, 2 * n, 2) for o, n in zip(offset, counts, strict=True)))
            for offset in np.ndindex(*(2,) * axes)
        ]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        parts = np.stack([x[corner] for corner in corners()])
        return (parts.max(axis=0) if largest else parts.mean(axis=0)), (x, parts.argmax(axis=0))

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, first = kept
        dx = np.zeros_like(x)
        for k, corner in enumerate(corners()):
            dx[corner] = g * (first == k) if largest else g / 2**axes
        return dx, []

    return Block("max pooling" if largest else "mean pooling", [], forward, backward)


def global_pooling(rng: Rng, shape: Shape) -> Block:
    largest = bool(rng.integers(2))

    def flat(x: Any) -> Any:
        return x.reshape(len(x), -1, x.shape[-1])

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        return (flat(x).max(axis=1) if largest else flat(x).mean(axis=1)), x

    def backward(g: Any, x: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        share = np.full_like(flat(x), 1 / flat(x).shape[1])
        if largest:
            share = np.arange(flat(x).shape[1])[:, None] == flat(x).argmax(axis=1)[:, None]
        return (share * g[:, None]).reshape(x.shape), []

    return Block("global pooling", [], forward, backward)


def dropout(rng: Rng, shape: Shape) -> Block:
    """With one mask for all samples and calls."""
    mask = (rng.random(shape) < 0.7) / 0.7

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        return x * mask.astype(x.dtype), None

    return Block("dropout", [], forward, lambda g, kept, w: (g * mask.astype(g.dtype), []))


def residual(rng: Rng, shape: Shape) -> Block:
    f, slope = any_activation(rng)
    c, m = shape[-1], int(rng.integers(2, 5))
    w = [kernel(rng, c, m), 0.3 * rng.normal(size=m), kernel(rng, m, c)]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        z = x @ w[0] + w[1]
        return x + f(z) @ w[2], (x, z)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, z = kept
        d = g @ w[2].T * slope(z, f(z))
        return g + d @ w[0].T, [over_rows(x, d), rows(d).sum(axis=0), over_rows(f(z), g)]

    return Block("residual", w, forward, backward)


def highway(rng: Rng, shape: Shape) -> Block:
    """``t h + (1 - t) x``, or ``t h`` alone, which is a gated linear unit."""
    f, slope = any_activation(rng)
    c, carries = shape[-1], int(rng.integers(2))
    w = [kernel(rng, c, c), 0.3 * rng.normal(size=c), kernel(rng, c, c), rng.normal(size=c)]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        z, t = x @ w[0] + w[1], sigmoid(x @ w[2] + w[3])
        return t * f(z) + carries * (1 - t) * x, (x, z, t)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, z, t = kept
        d = g * t * slope(z, f(z))
        e = g * (f(z) - carries * x) * t * (1 - t)
        dx = d @ w[0].T + e @ w[2].T + carries * g * (1 - t)
        return dx, [over_rows(x, d), rows(d).sum(axis=0), over_rows(x, e), rows(e).sum(axis=0)]

    return Block("highway" if carries else "gated", w, forward, backward)


def tied(rng: Rng, shape: Shape) -> Block:
    """``f(x W + b) W.T``: one kernel used twice."""
    f, slope = any_activation(rng)
    m = int(rng.integers(2, 5))
    w = [kernel(rng, shape[-1], m), 0.3 * rng.normal(size=m)]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        z = x @ w[0] + w[1]
        return f(z) @ w[0].T, (x, z)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, z = kept
        d = g @ w[0] * slope(z, f(z))
        return d @ w[0].T, [over_rows(x, d) + over_rows(g, f(z)), rows(d).sum(axis=0)]

    return Block("tied", w, forward, backward)
