"""Recurrent layers over whole sequences, and one time step a call."""

from typing import Any

import numpy as np

from tests.parity.layers.functions import Pair


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rnn(bug: str = "", time_first: bool = False) -> Pair:
    """(N, T, D) to all states (N, T, H), from h0."""

    def turned(z):
        return z.transpose(1, 0, 2) if time_first else z

    def forward(x, h0, wx, wh, b):
        steps, h, states = turned(x), h0, [h0]
        for t in range(steps.shape[1]):
            h = np.tanh(steps[:, t] @ wx + h @ wh + b)
            states.append(h)
        return turned(np.stack(states[1:], axis=1)), (x, states, wx, wh)

    def backward(dout, cache):
        x, states, wx, wh = cache
        steps, dout = turned(x), turned(dout)
        dx, dwx, dwh = np.zeros_like(steps), np.zeros_like(wx), np.zeros_like(wh)
        db, dh = np.zeros(wx.shape[1]), np.zeros_like(states[0])
        for t in reversed(range(steps.shape[1])):
            total = dout[:, t] + (0 if bug == "dh_next" else dh)
            h = states[t + 1]
            dz = total if bug == "derivative" else total * (1 - h**2)
            if bug == "function":
                dz = total * h
            dx[:, t] = dz @ wx.T
            if bug == "overwritten":
                dwx, dwh, db = steps[:, t].T @ dz, states[t].T @ dz, dz.sum(axis=0)
            else:
                dwx += steps[:, t].T @ dz
                dwh += states[t].T @ dz
                db += dz.sum(axis=0)
            dh = dz @ (wh if bug == "untransposed" else wh.T)
            if bug == "truncated" and t % 2 == 0:
                dh = 0 * dh if t else dh
        return turned(dx), dh, dwx, dwh, db

    return forward, backward


def rnn_windows(length: int) -> Pair:
    """Each output is propagated back through so many steps, as tutorials on truncation have it."""
    forward, whole = rnn()

    def backward(dout, cache):
        x, states, wx, wh = cache
        total: Any = None
        for t in range(x.shape[1]):
            first = max(0, t - length)
            part = np.zeros((len(x), t + 1 - first, dout.shape[2]))
            part[:, -1] = dout[:, t]
            some = whole(part, (x[:, first : t + 1], states[first : t + 2], wx, wh))
            if total is None:
                total = [np.zeros_like(x), np.zeros_like(some[1]), 0 * wx, 0 * wh, 0 * some[4]]
            total[0][:, first : t + 1] += some[0]
            total[1] += some[1] if first == 0 else 0
            for k in (2, 3, 4):
                total[k] += some[k]
        return tuple(total)

    return forward, backward


ORDER = "ifog"  # of this style; Keras has i, f, g, o


def lstm_step(bug: str = "") -> Pair:
    """One time step: (N, D), h, c to the next h and c."""

    def gate(z):
        return np.clip(0.2 * z + 0.5, 0, 1) if bug == "hard" else sigmoid(z)

    def forward(x, h, c, wx, wh, b):
        zi, zf, zo, zg = np.split(x @ wx + h @ wh + b, 4, axis=1)
        i, f, o, g = gate(zi), gate(zf), gate(zo), np.tanh(zg)
        new = f * c + i * g
        shown = new if bug == "cell" else np.tanh(new)
        return o * shown, new, (x, h, c, wx, wh, i, f, o, g, new, (zi, zf, zo))

    def backward(dh, dc, cache):
        x, h, c, wx, wh, i, f, o, g, new, zs = cache
        t = np.tanh(new)
        given = 0 if bug == "dc_next" else dc
        dc = given + (dh * o if bug in ("function of c", "cell") else dh * o * (1 - t**2))
        deltas = []
        shown = new if bug in ("cell", "cell back") else t
        for a, z, d in zip((i, f, o), zs, (dc * g, dc * c, dh * shown), strict=True):
            slope = a * (1 - a)
            if bug == "hard":
                slope = 0.2 * ((z > -2.5) & (z < 2.5))
            if bug == "hard back":
                slope = 0.2 * ((z > -2.5) & (z < 2.5))
            if bug == "gates":
                slope = 1.0
            if bug == "function for derivative":
                slope = a
            deltas.append(d * slope)
        dg = dc * i * (1 - g**2)
        dz = np.hstack([*deltas, dg])
        if bug == "order":
            dz = np.hstack([deltas[0], deltas[1], dg, deltas[2]])
        back = wh if bug != "untransposed" else np.hstack([w.T for w in np.split(wh, 4, axis=1)])
        return dz @ wx.T, dz @ back.T, dc * f, x.T @ dz, h.T @ dz, dz.sum(axis=0)

    return forward, backward


def lstm(bug: str = "") -> Pair:
    """(N, T, D) to all states, from h0; the kernels are one, of (D + H, 4H)."""
    step = lstm_step("" if bug in ("dh_next", "dc_next", "mask", "mask back") else bug)

    def forward(x, h0, w, b, mask=None):
        n, h, c, caches, out = x.shape[2], h0, np.zeros_like(h0), [], []
        for t in range(x.shape[1]):
            new_h, new_c, cache = step[0](x[:, t], h, c, w[:n], w[n:], b)
            if mask is not None and bug != "mask":
                here = mask[:, t, None]
                new_h, new_c = np.where(here, new_h, h), np.where(here, new_c, c)
            h, c = new_h, new_c
            caches.append(cache)
            out.append(h)
        return np.stack(out, axis=1), (x, w, caches, mask)

    def backward(dout, cache):
        x, w, caches, mask = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        db, dh, dc = np.zeros(w.shape[1]), 0 * dout[:, 0], 0 * dout[:, 0]
        for t in reversed(range(x.shape[1])):
            dh = dout[:, t] + (0 if bug == "dh_next" else dh)
            dc = 0 * dc if bug == "dc_next" else dc
            here = np.ones((len(x), 1))
            if mask is not None and bug not in ("mask", "mask back"):
                here = mask[:, t, None]
            some = step[1](dh * here, dc * here, caches[t])
            dx[:, t], dh, dc = some[0], some[1] + dh * (1 - here), some[2] + dc * (1 - here)
            dw += np.vstack([some[3], some[4]])
            db += some[5]
        return dx, dh, dw, db

    return forward, backward


def gru_step(bug: str = "", after: bool = True) -> Pair:
    """One time step, the gates z, r, g as in Keras."""
    swapped, placed = bug == "update", after != (bug == "place")

    def forward(x, h, wx, wh, b, c):
        n = h.shape[1]
        outer, inner = x @ wx + b, h @ wh + c
        z, r = sigmoid(outer[:, :n] + inner[:, :n]), sigmoid((outer + inner)[:, n : 2 * n])
        used = np.ones_like(r) if bug == "reset" else r
        reset = used * inner[:, 2 * n :] if placed else (used * h) @ wh[:, 2 * n :] + c[2 * n :]
        g = np.tanh(outer[:, 2 * n :] + reset)
        new = (1 - z) * h + z * g if swapped else z * h + (1 - z) * g
        return new, (x, h, wx, wh, z, r, used, g, inner[:, 2 * n :])

    def backward(dout, cache):
        x, h, wx, wh, z, r, used, g, hg = cache
        n = h.shape[1]
        dz = dout * (g - h if swapped else h - g) * z * (1 - z)
        dg = dout * (z if swapped else 1 - z) * (1 - g**2)
        kept = dout * (1 - z if swapped else z)
        if placed:
            dr, dhg = dg * hg * r * (1 - r), dg * used
            if bug == "reset factor":
                dhg = dg
            if bug in ("reset", "reset back"):
                dr = 0 * dr
            dinner = np.hstack([dz, dr, dhg])
            dwh, dc, dh = h.T @ dinner, dinner.sum(axis=0), dinner @ wh.T
        else:
            below = dg @ wh[:, 2 * n :].T
            dr = below * h * r * (1 - r)
            if bug in ("reset", "reset back"):
                dr = 0 * dr
            first = np.hstack([dz, dr])
            dwh = np.hstack([h.T @ first, (used * h).T @ dg])
            dh = first @ wh[:, : 2 * n].T + below * used
            dc = np.hstack([first, dg]).sum(axis=0)
        outer = np.hstack([dz, dr, dg])
        if bug != "kept":
            dh = dh + kept
        return outer @ wx.T, dh, x.T @ outer, dwh, outer.sum(axis=0), dc

    return forward, backward
