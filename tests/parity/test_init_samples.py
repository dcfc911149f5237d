"""``python -m parity init``: samples of any axes, losses of any name, and weights in one piece."""

import pytest

import parity
from tests.parity.drafted import drafted, is_right, is_wrong, own_imports

__all__ = ["own_imports"]  # a fixture that every test here has

# One picture a call and its class as a number; backward is given nothing but that.
PICTURES = """
import numpy as np
class Finder:
    def __init__(self, filters, seed):
        r = np.random.default_rng(seed)
        self.K, self.k = r.normal(size=(filters, 3, 3)) / 3, np.zeros(filters)
        self.V, self.c = r.normal(size=filters * 16) / 4, np.zeros(1)
    def chance(self, picture):
        cut = np.lib.stride_tricks.sliding_window_view(picture, (3, 3))
        self.seen = cut
        self.h = np.tanh(np.einsum("ijab,fab->fij", cut, self.K) + self.k[:, None, None])
        self.p = 1 / (1 + np.exp(-(self.h.ravel() @ self.V + self.c[0])))
        return self.p
    def surprise(self, picture, kind):
        p = self.chance(picture)
        return -np.log(p if kind == 1 else 1 - p)
    def backward(self, kind):
        d = self.p - kind
        dh = (d * self.V).reshape(self.h.shape) * (1 - self.h ** 2)
        return [np.einsum("fij,ijab->fab", dh, self.seen), dh.sum((1, 2)), d * self.h.ravel(),
                np.array([d])]
if __name__ == "__main__":
    r = np.random.default_rng(0)
    net = Finder(2, 1)
    for _ in range(40):
        kind = int(r.integers(2))
        net.surprise(r.normal(size=(6, 6)) + kind, kind)
        for w, g in zip((net.K, net.k, net.V, net.c), net.backward(kind)):
            w -= 0.1 * g
"""
# Time first, names that say nothing, a matrix that is fixed, and labels that are never there twice.
GRAPH = """
import numpy as np
NEAR = np.eye(9) * 0.5 + 0.5 * np.roll(np.eye(9), 1, axis=0)
class Graph:
    def __init__(self, features, hidden):
        r = np.random.default_rng(2)
        self.near = NEAR.copy()
        self.A, self.B = r.normal(size=(features, hidden)), r.normal(size=(hidden, 3))
    def energy(self, signal, known):
        s = self.near @ np.tanh(self.near @ signal @ self.A) @ self.B
        e = np.exp(s)
        self.p = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.p[known, known % 3]).mean()
    def turned(self, signal, known):
        self.energy(signal, known)
        d = np.zeros_like(self.p)
        d[known] = self.p[known] / len(known)
        d[known, known % 3] -= 1 / len(known)
        h = np.tanh(self.near @ signal @ self.A)
        dh = self.near.T @ d @ self.B.T * (1 - h * h)
        return (self.near @ signal).T @ dh, (self.near @ h).T @ d
if __name__ == "__main__":
    net = Graph(4, 5)
    signal, known = np.random.default_rng(3).normal(size=(9, 4)), np.array([0, 3, 4, 8])
    for _ in range(50):
        a, b = net.turned(signal, known)
        net.A -= 0.3 * a
        net.B -= 0.3 * b
    print(net.energy(signal, known))
"""
# No gradients but an update of some rows, of one word number and several others.
ROWS = """
import numpy as np
class Pairs:
    def __init__(self, words, size):
        r = np.random.default_rng(4)
        self.near, self.far = r.normal(size=(words, size)), r.normal(size=(words, size))
    def wrongness(self, word, others):
        s = 1 / (1 + np.exp(-self.far[others] @ self.near[word]))
        return -np.log(s[0]) - np.log(1 - s[1:]).sum()
    def adapt(self, word, others, lr):
        e = 1 / (1 + np.exp(-self.far[others] @ self.near[word]))
        e[0] -= 1
        to_word = e @ self.far[others]
        np.subtract.at(self.far, others, lr * np.outer(e, self.near[word]))
        self.near[word] -= lr * to_word
if __name__ == "__main__":
    r = np.random.default_rng(5)
    net = Pairs(8, 3)
    for _ in range(60):
        word, others = int(r.integers(8)), r.integers(0, 8, 4)
        net.adapt(word, others, 0.05)
    print(net.wrongness(word, others))
"""
# The loss takes what forward returns; the network starts from a state that it is handed.
SEQUENCE = """
import numpy as np
class Memory:
    def __init__(self, inputs, hidden):
        r = np.random.default_rng(6)
        self.U, self.R = r.normal(size=(inputs, hidden)) / 2, r.normal(size=(hidden, hidden)) / 3
        self.V = r.normal(size=(hidden, 1))
        self.start = np.zeros(hidden)
    def forward(self, steps):
        self.x, self.h = steps, [np.tile(self.start, (len(steps), 1))]
        for t in range(steps.shape[1]):
            self.h.append(np.tanh(steps[:, t] @ self.U + self.h[-1] @ self.R))
        return self.h[-1] @ self.V
    def backward(self, out, aim):
        d = (out - aim) / len(aim)
        gU, gR, gV = np.zeros_like(self.U), np.zeros_like(self.R), self.h[-1].T @ d
        dh = d @ self.V.T
        for t in reversed(range(self.x.shape[1])):
            dz = dh * (1 - self.h[t + 1] ** 2)
            gU += self.x[:, t].T @ dz
            gR += self.h[t].T @ dz
            dh = dz @ self.R.T
        return {"U": gU, "R": gR, "V": gV}
def half_squares(out, aim):
    return ((out - aim) ** 2).mean() / 2
def main():
    r = np.random.default_rng(7)
    net, steps = Memory(2, 5), r.normal(size=(30, 6, 2))
    aim = steps[:, :, :1].sum(axis=1)
    for _ in range(40):
        out = net.forward(steps)
        for k, g in net.backward(out, aim).items():
            setattr(net, k, getattr(net, k) - 0.1 * g)
    print(half_squares(out, aim))
if __name__ == "__main__":
    main()
"""
# A tuple of weights that is kept in one piece and spread over arguments.
SPREAD = """
import numpy as np
def begin(d, h, k):
    r = np.random.RandomState(8)
    return r.randn(d, h), np.zeros(h), r.randn(h, k), np.zeros(k)
def outputs(X, A, a, B, b):
    H = np.tanh(X.dot(A) + a)
    E = np.exp(H.dot(B) + b)
    return H, E / E.sum(axis=1)[:, None]
def bprop(X, Y, A, a, B, b):
    H, P = outputs(X, A, a, B, b)
    D = (P - Y) / len(X)
    G = D.dot(B.T) * (1 - H * H)
    return X.T.dot(G), G.sum(0), H.T.dot(D), D.sum(0)
def descend(X, Y, all_weights, rate):
    return tuple(w - rate * g for w, g in zip(all_weights, bprop(X, Y, *all_weights)))
if __name__ == "__main__":
    X = np.random.RandomState(9).randn(50, 3)
    Y = np.eye(4)[np.arange(50) % 4]
    all_weights = begin(3, 6, 4)
    for _ in range(60):
        all_weights = descend(X, Y, all_weights, 0.3)
    print(outputs(X, *all_weights)[1][:2])
"""
# Functions in a dict, around weights that stand in it.
DICT = """
import numpy as np
def network(sizes):
    r = np.random.default_rng(10)
    params = {f"W{k}": r.normal(size=s) for k, s in enumerate(zip(sizes, sizes[1:]), 1)}
    def forward(x):
        return np.tanh(x @ params["W1"]) @ params["W2"]
    def gradients(x, y):
        h = np.tanh(x @ params["W1"])
        d = (h @ params["W2"] - y) / len(x)
        return {"W1": x.T @ (d @ params["W2"].T * (1 - h ** 2)), "W2": h.T @ d}
    def update(x, y, alpha):
        for k, g in gradients(x, y).items():
            params[k] -= alpha * g
    return dict(params=params, forward=forward, gradients=gradients, update=update)
if __name__ == "__main__":
    net, x = network([3, 7, 2]), np.random.default_rng(11).normal(size=(40, 3))
    for _ in range(30):
        net["update"](x, x[:, :2] ** 2, 0.1)
"""
# One sample a call, whose output and whose bias are numbers without axes.
BARE = """
import numpy as np
class Two:
    def __init__(self, d, h):
        r = np.random.RandomState(12)
        self.V, self.a, self.w, self.b = r.randn(h, d), r.randn(h), r.randn(h), np.zeros(())
    def f(self, x):
        self.h = np.tanh(self.V.dot(x) + self.a)
        return self.w.dot(self.h) + self.b
    def loss(self, x, t):
        return np.logaddexp(0.0, -t * self.f(x))
    def grad(self, x, t):
        s = -t / (1 + np.exp(t * self.f(x)))
        back = s * self.w * (1 - self.h * self.h)
        return np.outer(back, x), back, s * self.h, np.asarray(s)
if __name__ == "__main__":
    r = np.random.RandomState(13)
    net = Two(2, 5)
    for _ in range(50):
        x = r.randn(2)
        for w, g in zip((net.V, net.a, net.w, net.b), net.grad(x, np.sign(x[0]))):
            w -= 0.1 * g
"""

# The program, what is drafted, and what the check's first sentences say.
RIGHT = {
    "pictures": (PICTURES, ("gradients", "loss"), "gradients of 4 arrays"),
    "graph": (GRAPH, ("gradients", "loss"), "gradients of 2 arrays"),
    "rows": (ROWS, ("step", "loss"), "steps of 2 arrays"),
    "sequence": (SEQUENCE, ("gradients", "loss"), "gradients of 3 arrays"),
    "spread": (SPREAD, ("gradients", "step"), "3-6-4 (tanh, softmax)"),
    "dict": (DICT, ("gradients", "step"), "3-7-2 (tanh, linear, no biases)"),
    "bare": (BARE, ("gradients", "loss"), "2-5-1 (tanh, linear)"),
}
WRONG = {
    "pictures": ("* (1 - self.h ** 2)", "* (1 - self.h)", "own loss"),
    "graph": ("self.near.T @ d", "self.near @ d", "own loss"),
    "rows": ("e[0] -= 1", "e[0] -= 2", "own loss"),
    "sequence": ("dh = dz @ self.R.T", "dh = dz @ self.R", "own loss"),
    "spread": ("D.dot(B.T) * (1 - H * H)", "D.dot(B.T)", "missing activation derivative"),
    "dict": (" * (1 - h ** 2)", "", "missing activation derivative"),
    "bare": ("s * self.w * (1 - self.h * self.h)", "s * self.w", "missing activation derivative"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_draft_of_such_a_program_is_right_unedited(name: str):
    is_right(*RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_a_bug_is_found_through_it(name: str):
    is_wrong(RIGHT[name][0], *WRONG[name])


def test_objects_of_several_kinds_in_a_list_are_no_weights_in_nodes():
    """Layers of which three have an epsilon, and the others in their list have none."""
    text = """
import numpy as np
class Scale:
    def __init__(self, n):
        self.eps, self.g = 1e-5, np.ones(n)
    def forward(self, x):
        self.x = x
        return x * self.g
    def backward(self, d):
        self.dg = (d * self.x).sum(axis=0)
        return d * self.g
class Affine:
    def __init__(self, i, o):
        r = np.random.default_rng(1)
        self.W = r.normal(size=(i, o))
    def forward(self, x):
        self.x = x
        return x @ self.W
    def backward(self, d):
        self.dW = self.x.T @ d
        return d @ self.W.T
class Net:
    def __init__(self):
        self.stack = [Affine(3, 5), Scale(5), Scale(5), Scale(5), Affine(5, 2)]
    def forward(self, x):
        for part in self.stack:
            x = part.forward(x)
        return x
    def loss(self, x, y):
        return ((self.forward(x) - y) ** 2).sum() / len(x)
    def backward(self, x, y):
        d = 2 * (self.forward(x) - y) / len(x)
        for part in reversed(self.stack):
            d = part.backward(d)
if __name__ == "__main__":
    net, x = Net(), np.random.default_rng(0).normal(size=(20, 3))
    net.backward(x, x[:, :2])
"""
    assert parity.check(drafted(text)).outcome.name == "RIGHT"
