"""Layers as courses have them written: two functions, with what backward needs in a cache."""

from collections.abc import Callable
from typing import Any

import numpy as np

Pair = tuple[Callable[..., Any], Callable[..., Any]]


def affine(bug: str = "", rows: bool = True) -> Pair:
    def forward(x, w, b):
        return x.reshape(len(x), -1) @ w + b, (x, w, b)

    def backward(dout, cache):
        x, w, _ = cache
        flat = x.reshape(len(x), -1)
        dx = dout @ (w if bug == "untransposed" else w.T)
        dw, db = flat.T @ dout, dout.sum(axis=0)
        if bug == "db not summed":
            db = dout
        if bug == "dw averaged":
            dw = dw / len(x)
        if bug == "dw sign":
            dw = -dw
        if bug == "dw overwritten":
            for n in range(len(x)):
                dw = np.outer(flat[n], dout[n])
        if bug == "dw zero":
            dw = np.zeros_like(w)
        if bug == "dw nonsense":
            dw = np.sin(dw)
        return dx.reshape(x.shape), dw, db

    return forward, backward


def activation(name: str, bug: str = "") -> Pair:
    def forward(x):
        a = np.maximum(x, 0)
        if name == "tanh":
            a = np.tanh(x)
        if name == "softmax":
            a = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
        return a, (x, a)

    def backward(dout, cache):
        x, a = cache
        if bug == "missing":
            return dout
        if bug == "function":
            return dout * a
        if name == "tanh":
            return dout * (1 - a**2)
        if name == "softmax":
            if bug == "diagonal":
                return dout * a * (1 - a)
            return a * (dout - (dout * a).sum(axis=-1, keepdims=True))
        return dout * (x > 0)

    return forward, backward


def conv(bug: str = "", stride: int = 1, pad: int = 0) -> Pair:
    """Pictures (N, C, H, W) and kernels (F, C, k, k)."""

    def forward(x, w, b):
        padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        k = w.shape[2]
        used = w[:, :, ::-1, ::-1] if bug == "flipped" else w
        rows, columns = ((n + 2 * pad - k) // stride + 1 for n in x.shape[2:])
        out = np.zeros((len(x), len(w), rows, columns), np.result_type(x, w))
        for i in range(rows):
            for j in range(columns):
                at = padded[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
                out[:, :, i, j] = np.einsum("nckl,fckl->nf", at, used) + b
        return out, (x, w, used)

    def backward(dout, cache):
        x, w, used = cache
        k = w.shape[2]
        widths = ((0, 0), (0, 0), (pad, pad), (pad, pad))
        padded, dw = np.pad(x, widths), np.zeros_like(w)
        dpadded = np.zeros_like(padded)
        seen = used[:, :, ::-1, ::-1] if bug == "unflipped" else used
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                s = 1 if bug == "stride" else stride
                at = (..., slice(i * s, i * s + k), slice(j * s, j * s + k))
                share = np.einsum("nf,fckl->nckl", dout[:, :, i, j], seen)
                if bug == "overwritten":
                    dpadded[at] = share
                else:
                    dpadded[at] += share
                dw += np.einsum("nf,nckl->fckl", dout[:, :, i, j], padded[at])
        if bug == "flipped":
            dw = dw[:, :, ::-1, ::-1]
        db = dout.sum(axis=(0, 2, 3))
        if bug == "db not summed":
            db = dout.sum(axis=0)
        height, width = x.shape[2:]
        dx = dpadded[:, :, pad : pad + height, pad : pad + width]
        if bug == "border kept":
            dx = dpadded
        if bug == "padding":
            dx = dpadded[:, :, :height, :width]
        return dx, dw, db

    return forward, backward


def dilated(bug: str = "", dilation: int = 2) -> Pair:
    """Sequences (N, C, T) and kernels (F, C, k), whose elements lie apart."""

    def forward(x, w, b):
        k = w.shape[2]
        span = dilation * (k - 1) + 1
        out = np.zeros((len(x), len(w), x.shape[2] - span + 1))
        for t in range(out.shape[2]):
            at = x[:, :, t : t + span : dilation]
            out[:, :, t] = np.einsum("nck,fck->nf", at, w) + b
        return out, (x, w)

    def backward(dout, cache):
        x, w = cache
        dx, dw, k = np.zeros_like(x), np.zeros_like(w), w.shape[2]
        for t in range(dout.shape[2]):
            right = slice(t, t + dilation * (k - 1) + 1, dilation)
            at = slice(t, t + k) if bug else right
            dx[:, :, at] += np.einsum("nf,fck->nck", dout[:, :, t], w)
            dw += np.einsum("nf,nck->fck", dout[:, :, t], x[:, :, right])
        return dx, dw, dout.sum(axis=(0, 2))

    return forward, backward


def pool(largest: bool = True, bug: str = "", k: int = 2, stride: int = 2) -> Pair:
    """Pictures (N, C, H, W)."""

    def windows(shape):
        for i in range((shape[2] - k) // stride + 1):
            for j in range((shape[3] - k) // stride + 1):
                at = (..., slice(i * stride, i * stride + k), slice(j * stride, j * stride + k))
                yield i, j, at

    def forward(x):
        n, c = x.shape[:2]
        rows, columns = ((m - k) // stride + 1 for m in x.shape[2:])
        out = np.zeros((n, c, rows, columns), x.dtype)
        for i, j, at in windows(x.shape):
            out[:, :, i, j] = x[at].max(axis=(2, 3)) if largest else x[at].mean(axis=(2, 3))
        return out, x

    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, j, at in windows(x.shape):
            d, window = dout[:, :, i, j, None, None], x[at]
            if largest and bug != "to all":
                first = window == window.max(axis=(2, 3), keepdims=True)
                count = first.sum(axis=(2, 3), keepdims=True)
                if bug == "":  # the first of equal ones has it
                    flat = first.reshape(*first.shape[:2], -1)
                    first = ((np.cumsum(flat, axis=2) == 1) & flat).reshape(first.shape)
                if bug == "shared":
                    first = first / count
                if bug == "ties lost":
                    first = first & (count == 1)
                share = first * d
            else:
                share = np.ones_like(window) * d
                if not largest and bug != "undivided":
                    share = share / k**2
            if bug == "overwritten":
                dx[at] = share
            else:
                dx[at] += share
        return dx

    return forward, backward


def norm(layer: bool = False, bug: str = "", eps: float = 1e-3) -> Pair:
    """Batch (over axis 0) or layer normalization (over axis 1) of (N, D)."""
    axis = int(layer != (bug == "axis"))

    def forward(x, gamma, beta):
        mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
        if bug == "n - 1":
            var = var * x.shape[axis] / (x.shape[axis] - 1)
        inv = 1 / (np.sqrt(var) + eps) if bug == "eps place" else 1 / np.sqrt(var + eps)
        return (x - mean) * inv * gamma + beta, (x, mean, var, inv, gamma)

    def backward(dout, cache):
        x, mean, var, inv, gamma = cache
        n, hat = x.shape[axis], (x - mean) * inv
        dhat = dout if bug == "gamma" else dout * gamma
        over = 1 - axis if bug == "axis back" else axis
        dgamma = (dout * {"of x": x, "of centred": x - mean}.get(bug, hat)).sum(axis=0)
        if bug == "eps back":
            inv = 1 / np.sqrt(var)
        first, second = dhat.mean(over, keepdims=True), (dhat * hat).mean(over, keepdims=True)
        if bug in ("mean", "both"):
            first = 0 * first
        if bug in ("variance", "both"):
            second = 0 * second
        dx = inv * (dhat - first - hat * second)
        m = x.size // n
        sums = dhat.sum(over, keepdims=True) + hat * (dhat * hat).sum(over, keepdims=True)
        if bug == "wrong count":
            dx = inv / m * (m * dhat - sums)
        if bug == "first count":
            dx = inv / n * (m * dhat - sums)
        if bug == "no half":
            dx = inv * (dhat - first - 2 * hat * second)
        if bug == "no inverse":
            dx = dhat - first - hat * second
        if bug == "gamma behind":
            both = dout.mean(over, keepdims=True), (dout * hat).mean(over, keepdims=True)
            dx = gamma * inv * (dout - both[0] - hat * both[1])
        if bug in ("n - 1", "eps place"):  # the derivative of such a forward, by its parts
            dvar = (dhat * (x - mean)).sum(axis, keepdims=True)
            if bug == "n - 1":
                dvar = dvar * -0.5 * inv**3
                dx = dhat * inv + dvar * 2 * (x - mean) / (n - 1)
            else:
                dx = dhat * inv - dvar * inv**2 / np.sqrt(var) * (x - mean) / n
            dx = dx - (dhat * inv).mean(axis, keepdims=True)
        return dx, dgamma, dout.sum(axis=0)

    return forward, backward


def embedding(bug: str = "") -> Pair:
    def forward(indices, table):
        return table[indices], (indices, table)

    def backward(dout, cache):
        indices, table = cache
        dtable = np.zeros_like(table)
        if bug == "repeats":
            dtable[indices] += dout
        else:
            np.add.at(dtable, indices, dout)
        return dtable

    return forward, backward


def attention(bug: str = "") -> Pair:
    """q, k, v of (N, T, D)."""

    def forward(q, k, v, mask=None):
        scale = 1.0 if bug == "scale" else 1 / np.sqrt(q.shape[-1])
        scores = q @ k.transpose(0, 2, 1) * scale
        if mask is not None and bug not in ("mask after", "mask"):
            scores = np.where(mask, scores, -1e9)
        over = 1 if bug == "axis" else 2
        a = np.exp(scores - scores.max(axis=over, keepdims=True))
        a = soft = a / a.sum(axis=over, keepdims=True)
        if bug == "mask after":
            a = a * mask
        return a @ v, (q, k, v, a, soft, scale, over, mask)

    def backward(dout, cache):
        q, k, v, a, soft, scale, over, mask = cache
        da = dout @ v.transpose(0, 2, 1)
        if bug == "mask after":
            da = da * mask
        dscores = soft * (da - (da * soft).sum(axis=over, keepdims=True))
        if bug == "diagonal":
            dscores = da * soft * (1 - soft)
        if bug == "sum of da":
            dscores = soft * (da - da.sum(axis=over, keepdims=True))
        if bug == "no softmax":
            dscores = da
        if bug == "over queries":
            dscores = soft * (da - (da * soft).sum(axis=1, keepdims=True))
        if bug != "scale back":
            dscores = dscores * scale
        if bug == "dk turned":
            return dscores @ k, dscores @ q, a.transpose(0, 2, 1) @ dout
        if bug == "dv turned":
            return dscores @ k, dscores.transpose(0, 2, 1) @ q, a @ dout
        return dscores @ k, dscores.transpose(0, 2, 1) @ q, a.transpose(0, 2, 1) @ dout

    return forward, backward


def multi_head(heads: int = 2, bug: str = "") -> Pair:
    """x of (N, T, D), and kernels Wq, Wk, Wv, Wo of (D, D)."""
    inner, used = attention("scale back" if bug == "scale back" else ""), heads
    if bug == "heads":
        used = 1

    def parted(z):
        n, t, _ = z.shape
        return z.reshape(n, t, used, -1).transpose(0, 2, 1, 3).reshape(n * used, t, -1)

    def whole(z, n):
        _, t, d = z.shape
        return z.reshape(n, used, t, d).transpose(0, 2, 1, 3).reshape(n, t, used * d)

    def forward(x, wq, wk, wv, wo):
        out, cache = inner[0](parted(x @ wq), parted(x @ wk), parted(x @ wv))
        joined = whole(out, len(x))
        return joined @ wo, (x, wq, wk, wv, wo, joined, cache)

    def backward(dout, cache):
        x, wq, wk, wv, wo, joined, below = cache
        parts = inner[1](parted(dout @ wo.T), below)
        dq, dk, dv = (whole(part, len(x)) for part in parts)
        dx = dq @ wq.T + dk @ wk.T + dv @ wv.T
        if bug == "branch":
            dx = dv @ wv.T
        dw = [np.einsum("nti,nto->io", x, d) for d in (dq, dk, dv)]
        return dx, *dw, np.einsum("nti,nto->io", joined, dout)

    return forward, backward


def dropout(rate: float = 0.3, bug: str = "", seed: int = 0) -> Pair:
    rng = np.random.default_rng(seed)

    def forward(x):
        kept = rng.random(x.shape) < (rate if bug == "rate" else 1 - rate)
        mask = kept / {"unscaled": 1.0, "rate": rate}.get(bug, 1 - rate)
        return x * mask, (mask, kept)

    def backward(dout, cache):
        mask, kept = cache
        return dout * {"no mask": 1.0, "no scale": kept}.get(bug, mask)

    return forward, backward
