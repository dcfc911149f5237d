"""Recurrent layers whose backward function is right but for one path, one index or one slope."""

from typing import Any

import numpy as np

from tests.parity.layers.functions import Pair
from tests.parity.layers.recurrent import sigmoid


def lstm_paths(bug: str = "") -> Pair:
    """(N, T, D) to all states; the gates i, f, g, o."""

    def forward(x, w, u, b):
        h = c = np.zeros((len(x), len(u)))
        kept, out = [], []
        for t in range(x.shape[1]):
            z = np.split(x[:, t] @ w + h @ u + b, 4, axis=1)
            i, f, o = sigmoid(z[0]), sigmoid(z[1]), sigmoid(z[3])
            g = np.tanh(z[2])
            new = f * c + i * g
            kept.append((h, c, new, i, f, g, o, z))
            h, c = o * np.tanh(new), new
            out.append(h)
        return np.stack(out, axis=1), (x, w, u, kept)

    def backward(dout, cache):
        x, w, u, kept = cache
        dx, dw, du, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros(w.shape[1])
        dh = dc = np.zeros((len(x), len(u)))
        first, last = (bug == "first step"), x.shape[1] - (bug == "last step")
        for t in reversed(range(first, last)):
            h, c, new, i, f, g, o, z = kept[t]
            dh = dout[:, t] + dh
            a = np.tanh(new)
            slope = {"1 - c^2": 1 - new**2, "old c in tanh'": 1 - np.tanh(c) ** 2}
            dc = dc + (0 if bug == "c of h" else dh * o * slope.get(bug, 1 - a**2))
            di = dc * g * i * (1 - i)
            df = dc * (new if bug == "new c" else c) * f * (1 - f)
            dg = dc * i * (g * (1 - g) if bug == "sigmoid's" else 1 - g**2)
            do = dh * (np.tanh(c) if bug == "old c" else a) * o * (1 - o)
            if bug == "slope of i":
                df = dc * c * i * (1 - i)
            if bug == "z (1 - z)":
                do = dh * a * z[3] * (1 - z[3])
            if bug == "no do":
                do = 0 * do
            parts = [di, df, dg, do]
            delta = np.hstack(parts)
            state = o * a if bug == "new h" else h
            dx[:, t], dw, du, db = (
                delta @ w.T, dw + x[:, t].T @ delta, du + state.T @ delta, db + delta.sum(axis=0),
            )  # fmt: skip
            lost = {"h through i": 0, "h through f": 1, "h through o": 3}.get(bug)
            if lost is not None:
                parts[lost] = 0 * parts[lost]
            dh = np.hstack(parts) @ u.T
            dc = dc if bug == "dc" else dc * f
        return dx, dw, du, db

    return forward, backward


def gru_paths(bug: str = "", after: bool = False) -> Pair:
    """(N, T, D) to all states; the gates z, r, g; one bias, but two where the reset is after."""

    def forward(x, w, u, b, *more):
        n, inner = len(u), more[0] if more else 0 * b
        h, kept, out = np.zeros((len(x), len(u))), [], []
        for t in range(x.shape[1]):
            outer = x[:, t] @ w + b
            hu = h @ u + inner
            z, r = sigmoid(outer[:, :n] + hu[:, :n]), sigmoid((outer + hu)[:, n : 2 * n])
            q = hu[:, 2 * n :]
            g = np.tanh(outer[:, 2 * n :] + (r * q if after else (r * h) @ u[:, 2 * n :]))
            kept.append((h, z, r, g, q))
            h = z * h + (1 - z) * g
            out.append(h)
        return np.stack(out, axis=1), (x, w, u, kept)

    def backward(dout, cache):
        x, w, u, kept = cache
        n = len(u)
        dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
        db, dinner, dh = np.zeros(3 * n), np.zeros(3 * n), np.zeros((len(x), n))
        for t in reversed(range(x.shape[1])):
            h, z, r, g, q = kept[t]
            dh = dout[:, t] + dh
            difference = {"sign": g - h, "only g": -g, "only h": h}.get(bug, h - g)
            dz = dh * difference * z * (1 - z)
            dg = dh * (z if bug == "z for 1 - z" else 1 - z) * (1 - g**2)
            if bug == "no dg":
                dg = 0 * dg
            back = dg if after else dg @ u[:, 2 * n :].T
            dr = back * (q if after else h) * r * (1 - r)
            outer = np.hstack([dz, dr, dg])
            if after:
                of_h = np.hstack([dz, dr, dg * r])
                du += h.T @ (outer if bug == "no r in du" else of_h)
                dinner += (outer if bug == "biases alike" else of_h).sum(axis=0)
                if bug == "candidate":
                    of_h[:, 2 * n :] = 0
                through = of_h @ u.T
            else:
                du[:, : 2 * n] += h.T @ outer[:, : 2 * n]
                du[:, 2 * n :] += (h if bug == "no r in du" else r * h).T @ dg
                through = outer[:, : 2 * n] @ u[:, : 2 * n].T
                through = through + {"candidate": 0, "no r": back}.get(bug, back * r)
            dx[:, t], dw, db = outer @ w.T, dw + x[:, t].T @ outer, db + outer.sum(axis=0)
            dh = through + dh * (1 if bug == "no z" else z)
        return (dx, dw, du, db, dinner) if after else (dx, dw, du, db)

    return forward, backward


def rnn_paths(bug: str = "") -> Pair:
    """(N, T, D) to all states."""

    def forward(x, w, u, b):
        states: list[Any] = [np.zeros((len(x), len(u)))]
        for t in range(x.shape[1]):
            states.append(np.tanh(x[:, t] @ w + states[-1] @ u + b))
        return np.stack(states[1:], axis=1), (x, w, u, states)

    def backward(dout, cache):
        x, w, u, states = cache
        dx, dw, du, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), np.zeros(len(u))
        dh = np.zeros((len(x), len(u)))
        for t in reversed(range(x.shape[1])):
            total = dout[:, t] + dh
            dz = total * (1 - states[t if bug == "old slope" else t + 1] ** 2)
            dx[:, t], dw, db = dz @ w.T, dw + x[:, t].T @ dz, db + dz.sum(axis=0)
            du += states[t + 1 if bug == "new h" else t].T @ dz
            dh = (total if bug == "unsloped" else dz) @ u.T
        return dx, dw, du, db

    return forward, backward
