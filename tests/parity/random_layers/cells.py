"""More layers with their backward pass: embedding, recurrences, attention and normalizations."""

from typing import Any

import numpy as np

from tests.parity.random_layers.blocks import (
    Block,
    Rng,
    Shape,
    kernel,
    over_rows,
    rows,
    sigmoid,
)

WORDS = 5


def embedding(rng: Rng, shape: Shape) -> Block:
    """Of class numbers, of which some repeat."""

    def backward(g: Any, ids: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        dw = np.zeros_like(w[0])
        np.add.at(dw, ids, g)
        return None, [dw]

    table = rng.normal(size=(WORDS, int(rng.integers(2, 5))))
    return Block("embedding", [table], lambda ids, w: (w[0][ids], ids), backward)


def _bundle(x: Any, last: bool) -> Any:
    return x[-1] if last else np.stack(x, axis=1)


def _flow(g: Any, last: bool, t: int, steps: int) -> Any:
    """Return what flows into the state of one moment from outside."""
    if last:
        return g if t == steps - 1 else np.zeros_like(g)
    return g[:, t]


def simple_rnn(rng: Rng, shape: Shape) -> Block:
    m, last = int(rng.integers(2, 4)), bool(rng.integers(2))
    w = [kernel(rng, shape[-1], m), kernel(rng, m, m), 0.3 * rng.normal(size=m)]
    w = w[: int(rng.integers(2, 4))]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        h = [np.zeros((len(x), m), x.dtype)]
        for t in range(x.shape[1]):
            h.append(np.tanh(x[:, t] @ w[0] + h[-1] @ w[1] + (w[2] if len(w) > 2 else 0)))
        return _bundle(h[1:], last), (x, h)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, h = kept
        dx, found = np.zeros_like(x), [np.zeros_like(a) for a in w]
        back, steps = np.zeros_like(h[0]), x.shape[1]
        for t in reversed(range(steps)):
            d = (back + _flow(g, last, t, steps)) * (1 - h[t + 1] ** 2)
            found[0] += x[:, t].T @ d
            found[1] += h[t].T @ d
            if len(w) > 2:
                found[2] += d.sum(axis=0)
            dx[:, t], back = d @ w[0].T, d @ w[1].T
        return dx, found

    return Block("simple rnn", w, forward, backward)


def lstm(rng: Rng, shape: Shape) -> Block:
    """Gates in the order input, forget, candidate, output."""
    m, last = int(rng.integers(2, 4)), bool(rng.integers(2))
    w = [kernel(rng, shape[-1], 4 * m), kernel(rng, m, 4 * m), 0.3 * rng.normal(size=4 * m)]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        h = [np.zeros((len(x), m), x.dtype)]
        c, gates = [h[0]], list[Any]()
        for t in range(x.shape[1]):
            i, f, a, o = np.split(x[:, t] @ w[0] + h[-1] @ w[1] + w[2], 4, axis=1)
            i, f, a, o = sigmoid(i), sigmoid(f), np.tanh(a), sigmoid(o)
            gates.append((i, f, a, o))
            c.append(f * c[-1] + i * a)
            h.append(o * np.tanh(c[-1]))
        return _bundle(h[1:], last), (x, h, c, gates)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, h, c, gates = kept
        dx, found = np.zeros_like(x), [np.zeros_like(a) for a in w]
        dh, dc, steps = np.zeros_like(h[0]), np.zeros_like(h[0]), x.shape[1]
        for t in reversed(range(steps)):
            i, f, a, o = gates[t]
            dh = dh + _flow(g, last, t, steps)
            s = np.tanh(c[t + 1])
            dc = dc + dh * o * (1 - s**2)
            d = np.concatenate(
                [dc * a * i * (1 - i), dc * c[t] * f * (1 - f), dc * i * (1 - a**2),
                 dh * s * o * (1 - o)], axis=1,
            )  # fmt: skip
            found[0] += x[:, t].T @ d
            found[1] += h[t].T @ d
            found[2] += d.sum(axis=0)
            dx[:, t], dh, dc = d @ w[0].T, d @ w[1].T, dc * f
        return dx, found

    return Block("lstm", w, forward, backward)


def gru(rng: Rng, shape: Shape) -> Block:
    """``h = z h + (1 - z) tanh(x W + (r h) U)``, the three kernels apart."""
    n, m, last = shape[-1], int(rng.integers(2, 4)), bool(rng.integers(2))
    w = [kernel(rng, *size) for size in [(n, m)] * 3 + [(m, m)] * 3]

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        h, gates = [np.zeros((len(x), m), x.dtype)], list[Any]()
        for t in range(x.shape[1]):
            z = sigmoid(x[:, t] @ w[0] + h[-1] @ w[3])
            r = sigmoid(x[:, t] @ w[1] + h[-1] @ w[4])
            a = np.tanh(x[:, t] @ w[2] + (r * h[-1]) @ w[5])
            gates.append((z, r, a))
            h.append(z * h[-1] + (1 - z) * a)
        return _bundle(h[1:], last), (x, h, gates)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, h, gates = kept
        dx, found = np.zeros_like(x), [np.zeros_like(a) for a in w]
        dh, steps = np.zeros_like(h[0]), x.shape[1]
        for t in reversed(range(steps)):
            z, r, a = gates[t]
            dh = dh + _flow(g, last, t, steps)
            da = dh * (1 - z) * (1 - a**2)
            dz = dh * (h[t] - a) * z * (1 - z)
            inner = da @ w[5].T
            dr = inner * h[t] * r * (1 - r)
            for k, (d, state) in enumerate([(dz, h[t]), (dr, h[t]), (da, r * h[t])]):
                found[k] += x[:, t].T @ d
                found[k + 3] += state.T @ d
                dx[:, t] += d @ w[k].T
            dh = dh * z + inner * r + dz @ w[3].T + dr @ w[4].T
        return dx, found

    return Block("gru", w, forward, backward)


def attention(rng: Rng, shape: Shape) -> Block:
    """One head of self-attention, causal or not, on the sum with its input or not."""
    c, causal, skip = shape[-1], bool(rng.integers(2)), int(rng.integers(2))
    w = [kernel(rng, c, c) for _ in range(3)]
    mask = np.triu(np.ones((shape[0], shape[0]), bool), 1) & causal

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        q, k, v = (x @ a for a in w)
        scores = np.where(mask, -np.inf, q @ k.transpose(0, 2, 1) / np.asarray(c**0.5, x.dtype))
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
        return p @ v + skip * x, (x, q, k, v, p)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        x, q, k, v, p = kept
        dp = g @ v.transpose(0, 2, 1)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / np.asarray(c**0.5, x.dtype)
        parts = [ds @ k, ds.transpose(0, 2, 1) @ q, p.transpose(0, 2, 1) @ g]
        dx = skip * g + sum(d @ a.T for d, a in zip(parts, w, strict=True))
        return dx, [over_rows(x, d) for d in parts]

    return Block("attention", w, forward, backward)


def normalization(rng: Rng, shape: Shape) -> Block:
    """Over the batch and all places, in training, or over the last axis."""
    batch = bool(rng.integers(2)) or shape[-1] < 3
    w = [1 + 0.3 * rng.normal(size=shape[-1]), 0.3 * rng.normal(size=shape[-1])]

    def axes(x: Any) -> Any:
        return tuple(range(x.ndim - 1)) if batch else -1

    def forward(x: Any, w: list[Any]) -> tuple[Any, Any]:
        over = axes(x)
        s = np.sqrt(x.var(axis=over, keepdims=True) + np.asarray(1e-3, x.dtype))
        n = (x - x.mean(axis=over, keepdims=True)) / s
        return w[0] * n + w[1], (n, s)

    def backward(g: Any, kept: Any, w: list[Any]) -> tuple[Any, list[Any]]:
        n, s = kept
        d, over = g * w[0], axes(n)
        mean, along = d.mean(axis=over, keepdims=True), (d * n).mean(axis=over, keepdims=True)
        return (d - mean - n * along) / s, [rows(g * n).sum(axis=0), rows(g).sum(axis=0)]

    return Block("batch norm" if batch else "layer norm", w, forward, backward)
