"""How weights and gradients are kept: order, containers, dtype, memory; and broken returns."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


def sig(z):
    return 1 / (1 + np.exp(-z))


def run(x, weights, biases):
    acts = []
    for w, b in zip(weights, biases, strict=True):
        x = sig(x @ w + b)
        acts.append(x)
    return acts


def grads(x, y, weights, biases):
    """Return the gradients of kernels and of biases of ``sum (a - y)**2 / 2 / m``."""
    acts = [x, *run(x, weights, biases)]
    delta = (acts[-1] - y) / len(x)
    gw, gb = [], []
    for i in reversed(range(len(weights))):
        delta = delta * acts[i + 1] * (1 - acts[i + 1])
        gw.append(acts[i].T @ delta)
        gb.append(np.sum(delta, 0))
        delta = delta @ weights[i].T
    return gw[::-1], gb[::-1]


def init(*sizes: int, dtype: Any = np.float64, seed: int = 1) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(s).astype(dtype) for s in pairwise(sizes)]
    return weights, [rng.standard_normal(n).astype(dtype) for n in sizes[1:]]


@right()
def make_object_array():
    ws, bs = init(5, 6, 3)
    box = np.empty(2, dtype=object)
    box[:] = ws
    return Candidate(
        get_weights=lambda: {"weights": box, "biases": bs},
        forward=lambda x: run(x, box, bs)[-1],
        gradients=lambda x, y: dict(zip(("w", "b"), grads(x, y, box, bs), strict=True)),
    )


@right()
def make_biases_first_all_activations():
    ws, bs = init(4, 6, 5, 3)

    def gradients(x, y):
        gw, gb = grads(x, y, ws, bs)
        return [*gb, *gw]

    return Candidate(
        get_weights=lambda: [*bs, *ws], forward=lambda x: [x, *run(x, ws, bs)], gradients=gradients
    )


@right()
def make_flat_theta():
    theta = np.random.default_rng(0).normal(0, 0.5, 4 * 6 + 6 + 6 * 2 + 2)

    def unroll(v):
        return [v[:24].reshape(4, 6), v[24:30], v[30:42].reshape(6, 2), v[42:]]

    def gradients(x, y):
        w1, b1, w2, b2 = unroll(theta)
        gw, gb = grads(x, y, [w1, w2], [b1, b2])
        return gw[0], gb[0], gw[1], gb[1]

    def forward(x):
        w1, b1, w2, b2 = unroll(theta)
        return run(x, [w1, w2], [b1, b2])[-1]

    return Candidate(get_weights=lambda: unroll(theta), forward=forward, gradients=gradients)


class Params(NamedTuple):
    W1: Any
    b1: Any
    W2: Any
    b2: Any


class Frozen:
    """Read-only arrays, replaced as a whole after each step."""

    def __init__(self):
        ws, bs = init(5, 4, 2)
        self.set(Params(ws[0], bs[0], ws[1], bs[1]))

    def set(self, params):
        self.params = Params(*(np.array(p) for p in params))
        for p in self.params:
            p.setflags(write=False)

    def forward(self, x):
        return run(x, self.params[::2], self.params[1::2])[-1]

    def step(self, x, y, lr):
        gw, gb = grads(x, y, self.params[::2], self.params[1::2])
        new = zip(self.params, (gw[0], gb[0], gw[1], gb[1]), strict=True)
        self.set(Params(*(p - lr * g for p, g in new)))


@right()
def make_read_only_namedtuple():
    net = Frozen()
    return Candidate(
        get_weights=lambda: net.params, set_weights=net.set, forward=net.forward, step=net.step
    )


@right()
def make_fortran_order():
    ws, bs = init(6, 5, 4)
    ws = [np.asfortranarray(w) for w in ws]

    def gradients(x, y):
        gw, gb = grads(x, y, ws, bs)
        return [[np.asfortranarray(w), b] for w, b in zip(gw, gb, strict=True)]

    return Candidate(
        get_weights=lambda: [list(pair) for pair in zip(ws, bs, strict=True)],
        forward=lambda x: run(x, ws, bs)[-1],
        gradients=gradients,
    )


@right()
def make_float32():
    ws, bs = init(6, 7, 4, dtype=np.float32)

    def gradients(x, y):
        return grads(np.asarray(x, np.float32), np.asarray(y, np.float32), ws, bs)

    return Candidate(
        get_weights=lambda: (ws, bs),
        forward=lambda x: run(np.float32(x), ws, bs)[-1],
        gradients=gradients,
    )


def interleaved(sizes, change):
    """Connect a network whose right gradients, [w, b, w, b, ...], are changed into wrong ones."""
    ws, bs = init(*sizes)

    def gradients(x, y):
        return change([g for pair in zip(*grads(x, y, ws, bs), strict=True) for g in pair])

    return Candidate(
        get_weights=lambda: [p for pair in zip(ws, bs, strict=True) for p in pair],
        forward=lambda x: run(x, ws, bs)[-1],
        gradients=gradients,
    )


@wrong(code_words=("order", "revers", "swap", "exchang"))
def make_gradients_in_reversed_order():
    ws, bs = init(5, 5, 5, 5)

    def gradients(x, y):
        gw, gb = grads(x, y, ws, bs)
        return gw[::-1], gb[::-1]

    return Candidate(
        get_weights=lambda: (ws, bs), forward=lambda x: run(x, ws, bs)[-1], gradients=gradients
    )


@wrong(code_words=("none", "return", "nothing"))
def make_gradients_return_none():
    return interleaved((4, 5, 3), lambda found: None)


@wrong(code_words=("raise", "error", "exception", "fail"))
def make_gradients_raise():
    def change(found):
        return [g / found["scale"] for g in found]

    return interleaved((4, 5, 3), change)


@wrong(code_words=("determin", "random", "repeat", "noise", "calls"))
def make_noisy_gradients():
    rng = np.random.default_rng(0)
    return interleaved((4, 6, 3), lambda found: [g + rng.normal(0, 1e-6, g.shape) for g in found])


@wrong(code_words=("factor", "twice", "double", "scale", "half", "times"), where="layer 2")
def make_second_layer_doubled():
    return interleaved((4, 5, 5, 2), lambda g: [*g[:2], 2 * g[2], 2 * g[3], *g[4:]])


@wrong(code_words=("zero", "missing", "never", "left out"), where="layer 1")
def make_first_layer_never_reached():
    return interleaved((5, 4, 4, 3), lambda g: [np.zeros_like(g[0]), np.zeros_like(g[1]), *g[2:]])
