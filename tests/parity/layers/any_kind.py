"""Layers of kinds that have no formula here, by hand: right, or with a bug of forward or backward.

A bug whose name begins with "forward" is one of forward, of which backward is the derivative.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.parity.layers.functions import Pair

Make = Callable[[str], Pair]


def elementwise(f: Callable[[Any], Any], slope: Callable[[Any], Any], wrong: Any) -> Make:
    """An activation; "forward" is twice the function, "back" has a wrong derivative."""

    def make(bug: str) -> Pair:
        times = 2 if bug == "forward" else 1
        back = wrong if bug == "back" else slope
        return lambda x: (times * f(x), x), lambda g, x: times * g * back(x)

    return make


_SCALE, _ALPHA = 1.05070098735548, 1.67326324235437
selu = elementwise(
    lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(x)),
    lambda x: _SCALE * np.where(x > 0, 1, _ALPHA * np.exp(x)),
    lambda x: _SCALE * np.where(x > 0, 1, _ALPHA * np.expm1(x)),
)


def normal(axes: tuple[int, ...], centred: bool, groups: int = 1, eps: float = 1e-3) -> Make:
    """Normalization over axes of (N, H, W, G, C / G).

    "forward" groups rows, "back" lacks a term.
    """

    def make(bug: str) -> Pair:
        def split(x):
            n, h, w, c = x.shape
            if bug == "forward":
                return x.reshape(n, groups, c // groups, h, w).transpose(0, 3, 4, 1, 2)
            return x.reshape(n, h, w, groups, c // groups)

        def joined(x, shape):
            return (x.transpose(0, 3, 4, 1, 2) if bug == "forward" else x).reshape(shape)

        def forward(x, *weights):
            gamma, beta = weights if centred else (*weights, 0.0)
            parts = split(x)
            mean = parts.mean(axes, keepdims=True) if centred else 0.0
            inverse = 1 / np.sqrt(((parts - mean) ** 2).mean(axes, keepdims=True) + eps)
            hat = (parts - mean) * inverse
            return joined(hat, x.shape) * gamma + beta, (hat, inverse, gamma)

        def backward(dout, cache):
            hat, inverse, gamma = cache
            d = split(dout * gamma)
            below = d - hat * (d * hat).mean(axes, keepdims=True)
            if centred and bug != "back":
                below = below - d.mean(axes, keepdims=True)
            if not centred and bug == "back":
                below = d
            dgamma = (dout * joined(hat, dout.shape)).sum(axis=(0, 1, 2))
            dbeta = [dout.sum(axis=(0, 1, 2))] if centred else []
            return joined(inverse * below, dout.shape), dgamma, *dbeta

        return forward, backward

    return make


def prelu(bug: str) -> Pair:
    """One slope for each channel."""
    side = 1 if bug == "forward" else -1  # on which side of 0 the slope is

    def forward(x, alpha):
        return np.where(side * x > 0, alpha * x, x), (x, alpha)

    def backward(dout, cache):
        x, alpha = cache
        bent = side * x > 0
        counted = ~bent if bug == "back" else bent
        return dout * np.where(bent, alpha, 1), (dout * x * counted).sum(axis=(0, 1, 2))

    return forward, backward


def transposed(bug: str) -> Pair:
    """Pictures (N, H, W, C) and kernels (k, k, F, C), with stride 2."""
    s = 2

    def forward(x, w, b):
        k = len(w)
        n, rows, columns, _ = x.shape
        out = np.zeros((n, (rows - 1) * s + k, (columns - 1) * s + k, w.shape[2]))
        used = w[::-1, ::-1] if bug == "forward" else w
        for i in range(rows):
            for j in range(columns):
                share = np.einsum("nc,klfc->nklf", x[:, i, j], used)
                out[:, i * s : i * s + k, j * s : j * s + k] += share
        return out + b, (x, w, used)

    def backward(dout, cache):
        x, w, used = cache
        k, dx, dw = len(w), np.zeros_like(x), np.zeros_like(w)
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                at = dout[:, i * s : i * s + k, j * s : j * s + k]
                dx[:, i, j] = np.einsum("nklf,klfc->nc", at, used)
                dw += np.einsum("nklf,nc->klfc", at, x[:, i, j])
        dw = dw[::-1, ::-1] if bug == "forward" else dw
        return dx, dw / len(x) if bug == "back" else dw, dout.sum(axis=(0, 1, 2))

    return forward, backward


def depthwise(bug: str) -> Pair:
    """Pictures (N, H, W, C) and kernels (k, k, C, M), to (N, H', W', C * M).

    "forward" has one row of the kernel twice, "swapped" its height for its width.
    """

    def place(i, j):
        if bug == "swapped":
            return j, i
        return (0, j) if bug == "forward" and i == 1 else (i, j)

    def forward(x, w, b):
        k, _, c, m = w.shape
        rows, columns = x.shape[1] - k + 1, x.shape[2] - k + 1
        out = np.zeros((len(x), rows, columns, c, m))
        for i in range(k):
            for j in range(k):
                out += x[:, i : i + rows, j : j + columns, :, None] * w[place(i, j)]
        return out.reshape(*out.shape[:3], -1) + b, (x, w)

    def backward(dout, cache):
        x, w = cache
        k, _, c, m = w.shape
        rows, columns = dout.shape[1:3]
        d = dout.reshape(*dout.shape[:3], c, m)
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(k):
            for j in range(k):
                at = place(i, j)
                there = (slice(None), slice(i, i + rows), slice(j, j + columns))
                used = w[::-1, ::-1][at] if bug == "back" else w[at]
                dx[there] += (d * used).sum(axis=-1)
                dw[at] += np.einsum("nhwc,nhwcm->cm", x[there], d)
        return dx, dw, dout.sum(axis=(0, 1, 2))

    return forward, backward


def upsampling(bug: str) -> Pair:
    """Every pixel of (N, H, W, C) four times; "forward" tiles the picture."""

    def forward(x):
        if bug == "forward":
            return np.tile(x, (1, 2, 2, 1)), x.shape
        return x.repeat(2, axis=1).repeat(2, axis=2), x.shape

    def backward(dout, shape):
        n, h, w, c = shape
        if bug == "forward":
            return dout.reshape(n, 2, h, 2, w, c).sum(axis=(1, 3))
        blocks = dout.reshape(n, h, 2, w, 2, c)
        return blocks[:, :, 0, :, 0] if bug == "back" else blocks.sum(axis=(2, 4))

    return forward, backward


def grouped(bug: str) -> Pair:
    """A 1x1 convolution of (N, H, W, 4) in two groups, with a kernel (1, 1, 2, 6)."""

    def halves(w):
        return np.split(w[0, 0], 2, axis=1)

    def forward(x, w, b):
        parts = np.split(x, 2, axis=-1)
        parts = parts[::-1] if bug == "forward" else parts
        out = [part @ half for part, half in zip(parts, halves(w), strict=True)]
        return np.concatenate(out, axis=-1) + b, (parts, w)

    def backward(dout, cache):
        parts, w = cache
        d = np.split(dout, 2, axis=-1)
        dx = [e @ half.T for e, half in zip(d, halves(w), strict=True)]
        dx = dx[::-1] if bug in ("forward", "back") else dx
        dw = [np.einsum("nhwi,nhwo->io", p, e) for p, e in zip(parts, d, strict=True)]
        dw = np.concatenate(dw, axis=1)[None, None]
        return np.concatenate(dx, axis=-1), dw, dout.sum(axis=(0, 1, 2))

    return forward, backward


def dense(bug: str) -> Pair:
    """Of the last axis, as TimeDistributed(Dense) and models of one Dense have it."""
    sign = -1 if bug == "forward" else 1

    def forward(x, w, b):
        return x @ w + sign * b, (x, w)

    def backward(dout, cache):
        x, w = cache
        d = dout.reshape(-1, dout.shape[-1])
        dw = x.reshape(-1, x.shape[-1]).T @ d
        return dout @ w.T, dw / len(x) if bug == "back" else dw, sign * d.sum(axis=0)

    return forward, backward


def birnn(bug: str) -> Pair:
    """tanh RNNs in both directions, side by side."""

    def run(x, wx, wh, b):
        states = [np.zeros((len(x), len(wh)))]
        for t in range(x.shape[1]):
            states.append(np.tanh(x[:, t] @ wx + states[-1] @ wh + b))
        return states

    def back(dh, x, states, wx, wh):
        dx, dwx, dwh, db, late = np.zeros_like(x), 0 * wx, 0 * wh, 0 * wh[0], 0 * dh[:, 0]
        for t in reversed(range(x.shape[1])):
            dz = (dh[:, t] + late) * (1 - states[t + 1] ** 2)
            dx[:, t], late = dz @ wx.T, dz @ wh.T
            dwx, dwh, db = dwx + x[:, t].T @ dz, dwh + states[t].T @ dz, db + dz.sum(axis=0)
        return dx, dwx, dwh, db

    def forward(x, *w):
        one, two = run(x, *w[:3]), run(x[:, ::-1], *w[3:])
        later = np.stack(two[1:], axis=1)
        later = later if bug == "forward" else later[:, ::-1]
        return np.concatenate([np.stack(one[1:], axis=1), later], axis=-1), (x, one, two, w)

    def backward(dout, cache):
        x, one, two, w = cache
        first, second = np.split(dout, 2, axis=-1)
        second = second if bug == "forward" else second[:, ::-1]
        a = back(first, x, one, w[0], w[1])
        b = back(second, x[:, ::-1], two, w[3], w[4])
        dx = a[0] + (b[0] if bug == "back" else b[0][:, ::-1])
        return dx, *a[1:], *b[1:]

    return forward, backward


def added(bug: str) -> Pair:
    """Two inputs."""
    sign = -1 if bug == "forward" else 1
    return lambda x, y: (x + sign * y, 0), lambda g, _: (g, g * (-sign if bug == "back" else sign))


@dataclass(frozen=True)
class Case:
    """A layer, its reference, and the gradient that its bug of backward spoils.

    Attributes:
        reference: Makes it, of ``keras``.
        make: Makes the layer with a bug.
        spoiled: The gradients that the bug "back" spoils.
        inputs: Shapes.
        weights: Shapes.
        told: Whether another forward is told to be wrong: every layout there is has been tried.
    """

    reference: Callable[[Any], Any]
    make: Make
    spoiled: str
    inputs: Any
    weights: tuple[tuple[int, ...], ...] = ()
    told: bool = True


_PICTURE, _W = (2, 3, 4, 6), ((6,), (6,))
_RNN = ((3, 4), (4, 4), (4,))
CASES = {
    "Activation": Case(lambda k: k.layers.Activation("selu"), selu, "dx", (4, 5)),
    "GroupNormalization": Case(
        lambda k: k.layers.GroupNormalization(2), normal((1, 2, 4), True, 2), "dx", _PICTURE, _W
    ),
    "RMSNormalization": Case(
        lambda k: k.layers.RMSNormalization(epsilon=1e-3), normal((3, 4), False), "dx", _PICTURE,
        _W[:1],
    ),
    "PReLU": Case(
        lambda k: k.layers.PReLU(shared_axes=[1, 2]), prelu, "dalpha", (2, 4, 5, 3), ((1, 1, 3),)
    ),
    "Conv2DTranspose": Case(
        lambda k: k.layers.Conv2DTranspose(3, 3, strides=2), transposed, "dw", (2, 3, 4, 2),
        ((3, 3, 3, 2), (3,)),
    ),
    "DepthwiseConv2D": Case(
        lambda k: k.layers.DepthwiseConv2D(3, depth_multiplier=2), depthwise, "dx", (2, 5, 6, 3),
        ((3, 3, 3, 2), (6,)),
    ),
    "UpSampling2D": Case(lambda k: k.layers.UpSampling2D(2), upsampling, "dx", (2, 3, 4, 2)),
    "groups": Case(
        lambda k: k.layers.Conv2D(6, 1, groups=2), grouped, "dx", (2, 3, 2, 4), ((1, 1, 2, 6), (6,))
    ),
    "TimeDistributed": Case(
        lambda k: k.layers.TimeDistributed(k.layers.Dense(4)), dense, "dw", (2, 5, 3),
        ((3, 4), (4,)),
    ),
    "Sequential": Case(
        lambda k: k.Sequential([k.layers.Dense(4)]), dense, "dw", (5, 3), ((3, 4), (4,))
    ),
    "Bidirectional": Case(
        lambda k: k.layers.Bidirectional(k.layers.SimpleRNN(4, return_sequences=True)), birnn,
        "dx", (2, 4, 3), (*_RNN, *_RNN), told=False,
    ),
    "Add": Case(lambda k: k.layers.Add(), added, "dy", [(3, 4), (3, 4)], told=False),
}  # fmt: skip
