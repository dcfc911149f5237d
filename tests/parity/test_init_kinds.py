"""``python -m parity init``: programs whose calls take more, or less, than x and y."""

import pytest

import parity
from tests.parity.drafted import drafted, is_right, is_wrong, own_imports

__all__ = ["own_imports"]  # a fixture that every test here has

# Labels count from 1; the run shows it.
FROM_ONE = """
import numpy as np
lam = 0.3
r = np.random.default_rng(0)
T1, T2 = r.normal(size=(7, 6)) * 0.4, r.normal(size=(4, 8)) * 0.4
def sigmoid(z):
    return 1 / (1 + np.exp(-z))
def ones(a):
    return np.hstack([np.ones((len(a), 1)), a])
def predict(X):
    return sigmoid(ones(sigmoid(ones(X) @ T1.T)) @ T2.T)
def descend(X, y, alpha):
    global T1, T2
    a1 = ones(X)
    a2 = ones(sigmoid(a1 @ T1.T))
    d3 = sigmoid(a2 @ T2.T) - np.eye(4)[y - 1]
    d2 = (d3 @ T2 * a2 * (1 - a2))[:, 1:]
    T2 = T2 - alpha * d3.T @ a2 / len(X)
    T1 = T1 - alpha * d2.T @ a1 / len(X)
if __name__ == "__main__":
    X = r.normal(size=(90, 5))
    y = 1 + np.argmax(X[:, :4], axis=1)
    for _ in range(50):
        descend(X, y, 1.0)
"""
# The velocity is handed over and given back, and the steps are counted.
STATE = """
import numpy as np
MOMENTUM = 0.8
def make(sizes):
    r = np.random.default_rng(1)
    return [{"W": r.normal(size=s) * 0.5, "b": np.zeros(s[1])} for s in zip(sizes, sizes[1:])]
def zeros(params):
    return [{k: np.zeros_like(v) for k, v in layer.items()} for layer in params]
def apply(params, x):
    return np.tanh(x @ params[0]["W"] + params[0]["b"]) @ params[1]["W"] + params[1]["b"]
def cost(params, x, y):
    return ((apply(params, x) - y) ** 2).sum(axis=1).mean() / 2
def grads_of(params, x, y):
    h = np.tanh(x @ params[0]["W"] + params[0]["b"])
    d = (h @ params[1]["W"] + params[1]["b"] - y) / len(x)
    e = d @ params[1]["W"].T * (1 - h * h)
    return [{"W": x.T @ e, "b": e.sum(0)}, {"W": h.T @ d, "b": d.sum(0)}]
def momentum_step(params, vel, grads, lr):
    new, kept = [], []
    for p, v, g in zip(params, vel, grads):
        v = {k: MOMENTUM * v[k] - lr * g[k] for k in p}
        new.append({k: p[k] + v[k] for k in p})
        kept.append(v)
    return new, kept
if __name__ == "__main__":
    r = np.random.default_rng(2)
    x = r.normal(size=(40, 3))
    params = make([3, 6, 2])
    vel = zeros(params)
    for i in range(80):
        params, vel = momentum_step(params, vel, grads_of(params, x, x[:, :2]), 0.1)
"""
# The loss takes actions and returns beside the states.
ACTIONS = """
import numpy as np
class Critic:
    def __init__(self, states, actions):
        r = np.random.default_rng(3)
        self.A, self.B = r.normal(size=(states, 9)), r.normal(size=(9, actions)) / 3
    def q(self, s):
        self.h = np.tanh(s @ self.A)
        return self.h @ self.B
    def huber(self, s, taken, aims):
        e = self.q(s)[np.arange(len(s)), taken] - aims
        return np.where(np.abs(e) < 1, e * e / 2, np.abs(e) - 0.5).mean()
    def grads(self, s, taken, aims):
        rows = np.arange(len(s))
        e = self.q(s)
        d = np.zeros_like(e)
        d[rows, taken] = np.clip(e[rows, taken] - aims, -1, 1) / len(s)
        return [s.T @ (d @ self.B.T * (1 - self.h ** 2)), self.h.T @ d]
if __name__ == "__main__":
    r = np.random.default_rng(4)
    critic = Critic(4, 3)
    for _ in range(60):
        s = r.normal(size=(20, 4))
        for w, g in zip((critic.A, critic.B), critic.grads(s, r.integers(0, 3, 20), s[:, 0] * 2)):
            w -= 0.1 * g
"""
TIED = """
import numpy as np
class Tied:
    def __init__(self, seen=9, hidden=4):
        r = np.random.default_rng(5)
        self.W, self.c, self.d = r.normal(size=(seen, hidden)), np.zeros(hidden), np.zeros(seen)
        self.back = self.W.T
    def code(self, x):
        return 1 / (1 + np.exp(-(x @ self.W + self.c)))
    def cost(self, x):
        z = 1 / (1 + np.exp(-(self.code(x) @ self.W.T + self.d)))
        return -(x * np.log(z) + (1 - x) * np.log(1 - z)).sum(axis=1).mean()
    def grads(self, x):
        h = self.code(x)
        e = (1 / (1 + np.exp(-(h @ self.W.T + self.d))) - x) / len(x)
        f = e @ self.W * h * (1 - h)
        return x.T @ f + e.T @ h, f.sum(0), e.sum(0)
if __name__ == "__main__":
    x = np.random.default_rng(6).uniform(size=(50, 9))
    net = Tied()
    for _ in range(20):
        for w, g in zip((net.W, net.c, net.d), net.grads(x)):
            w -= 0.1 * g
        net.cost(x)
"""
COROUTINE = """
import numpy as np
def network(i, h, o):
    r = np.random.default_rng(7)
    A, a, B, b = r.normal(size=(i, h)), np.zeros(h), r.normal(size=(h, o)), np.zeros(o)
    def predict(x):
        return np.tanh(x @ A + a) @ B + b
    def learner():
        while True:
            x, y, eta = yield
            hidden = np.tanh(x @ A + a)
            d = (hidden @ B + b - y) / len(x)
            e = d @ B.T * (1 - hidden ** 2)
            B[...] -= eta * hidden.T @ d
            b[...] -= eta * d.sum(0)
            A[...] -= eta * x.T @ e
            a[...] -= eta * e.sum(0)
    teach = learner()
    next(teach)
    return (A, a, B, b), predict, teach
if __name__ == "__main__":
    x = np.random.default_rng(8).normal(size=(30, 4))
    weights, predict, teach = network(4, 6, 2)
    for _ in range(30):
        teach.send((x, x[:, :2], 0.05))
"""
CLOSURE = """
import numpy as np
LEVELS = np.array([0.2, 0.8])
def pinball(pred, y):
    e = y[:, None] - pred
    return np.maximum(LEVELS * e, (LEVELS - 1) * e).sum(axis=1).mean()
def build(n, width):
    r = np.random.default_rng(9)
    A, B = r.normal(size=(n, width)), r.normal(size=(width, 2))
    def weights():
        return [A, B]
    def predict(x):
        return np.arctan(x @ A) @ B
    def backprop(x, y):
        z = x @ A
        d = np.where(y[:, None] > np.arctan(z) @ B, -LEVELS, 1 - LEVELS) / len(y)
        return [x.T @ (d @ B.T / (1 + z * z)), np.arctan(z).T @ d]
    return weights, predict, backprop
if __name__ == "__main__":
    r = np.random.default_rng(10)
    x = r.normal(size=(40, 3))
    weights, predict, backprop = build(3, 7)
    for _ in range(30):
        for w, g in zip(weights(), backprop(x, x[:, 0])):
            w -= 0.1 * g
        pinball(predict(x), x[:, 0])
"""
# All weights lie in one vector, column by column.
VECTOR = """
import numpy as np
def pack(*arrays):
    return np.concatenate([a.ravel(order="F") for a in arrays])
def unpack(theta):
    return theta[:30].reshape((6, 5), order="F"), theta[30:].reshape((3, 6), order="F")
r = np.random.default_rng(11)
theta = pack(r.normal(size=(6, 5)), r.normal(size=(3, 6)))
def predict(theta, X):
    A, B = unpack(theta)
    return np.tanh(X @ A.T) @ B.T
def cost(theta, X, Y):
    A, B = unpack(theta)
    H = np.tanh(X @ A.T)
    D = (H @ B.T - Y) / len(X)
    return len(X) * (D ** 2).sum() / 2, pack((D @ B * (1 - H * H)).T @ X, D.T @ H)
if __name__ == "__main__":
    X = r.normal(size=(40, 5))
    for _ in range(30):
        J, g = cost(theta, X, X[:, :3])
        theta -= 0.1 * g
"""
DROPOUT = """
import numpy as np
class Net:
    def __init__(self, n=5, h=8, k=3, drop=0.4):
        r = np.random.default_rng(12)
        self.params = {"W1": r.normal(size=(n, h)), "W2": r.normal(size=(h, k))}
        self.drop = drop
    def loss(self, X, y=None, mode=None):
        mode = mode or ("test" if y is None else "train")
        h = np.maximum(0, X @ self.params["W1"])
        if mode == "train":
            mask = (np.random.rand(*h.shape) > self.drop) / (1 - self.drop)
            h = h * mask
        s = h @ self.params["W2"]
        if y is None:
            return s
        p = np.exp(s - s.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        rows = np.arange(len(X))
        cost = -np.log(p[rows, y]).mean()
        p[rows, y] -= 1
        p /= len(X)
        d = p @ self.params["W2"].T * (h > 0)
        if mode == "train":
            d = d * mask
        return cost, {"W1": X.T @ d, "W2": h.T @ p}
"""

# Word numbers in, and a function called loss_fn.
WORDS = """
import numpy as np

class Words:
    def __init__(self, words, dim):
        r = np.random.default_rng(13)
        self.E, self.U = r.normal(size=(words, dim)), r.normal(size=(dim, words))

    def run(self, around):
        h = self.E[around].mean(axis=1)
        e = np.exp(h @ self.U)
        return h, e / e.sum(axis=1, keepdims=True)

def loss_fn(net, around, word):
    return -np.log(net.run(around)[1][np.arange(len(word)), word]).mean()

def gradients(net, around, word):
    h, p = net.run(around)
    d = (p - np.eye(len(net.E))[word]) / len(word)
    dE = np.zeros_like(net.E)
    np.add.at(dE, around, ((d @ net.U.T) / around.shape[1])[:, None])
    return dE, h.T @ d

if __name__ == "__main__":
    text = np.random.default_rng(0).integers(0, 9, 40)
    around = np.stack([text[i : i + 4] for i in range(30)])
    net = Words(9, 5)
    for _ in range(100):
        dE, dU = gradients(net, around, text[4:34])
        net.E -= dE
        net.U -= dU
    print(loss_fn(net, around, text[4:34]))
"""
# Kernels of three axes, of which nothing may be left out.
KERNELS = """
import numpy as np

class Sequence:
    def __init__(self):
        r = np.random.default_rng(14)
        self.K, self.c = r.normal(size=(3, 2, 4)), r.normal(size=(1, 4))
        self.W, self.b = r.normal(size=(4, 1)), np.zeros(1)

    def forward(self, x):
        self.seen = np.stack([x[:, t : t + 3] for t in range(x.shape[1] - 2)], axis=1)
        self.h = np.tanh(np.tensordot(self.seen, self.K, 2) + self.c)
        return self.h.mean(axis=1) @ self.W + self.b

    def loss(self, x, y):
        return 0.5 * ((self.forward(x) - y) ** 2).mean()

    def gradients(self, x, y):
        d = (self.forward(x) - y) / len(x)
        dz = (d @ self.W.T)[:, None] / self.h.shape[1] * (1 - self.h ** 2)
        dK, dc = np.tensordot(self.seen, dz, ([0, 1], [0, 1])), dz.sum(axis=(0, 1))[None]
        return dK, dc, self.h.mean(axis=1).T @ d, d.sum(axis=0)

if __name__ == "__main__":
    r = np.random.default_rng(0)
    x = r.normal(size=(20, 7, 2))
    net = Sequence()
    for _ in range(30):
        for w, g in zip((net.K, net.c, net.W, net.b), net.gradients(x, x[:, :1, 0])):
            w -= 0.1 * g
    print(net.loss(x, x[:, :1, 0]))
"""

# The program, what is drafted, and what the check's first sentences say.
RIGHT = {
    "from one": (FROM_ONE, ("step",), "5-7-4 (sigmoid, sigmoid)"),
    "state": (STATE, ("gradients", "step", "loss"), "SGD with momentum 0.8"),
    "actions": (ACTIONS, ("gradients", "loss"), "derivative of your own loss"),
    "tied": (TIED, ("gradients", "loss"), "gradients of 3 arrays"),
    "coroutine": (COROUTINE, ("step",), "4-6-2 (tanh, linear)"),
    "closure": (CLOSURE, ("gradients", "loss"), "gradients of 2 arrays"),
    "vector": (VECTOR, ("gradients", "loss"), "gradients of 1 arrays"),
    "words": (WORDS, ("gradients", "loss"), "gradients of 2 arrays"),
    "kernels": (KERNELS, ("gradients", "loss"), "gradients of 4 arrays"),
    "dropout": (DROPOUT, ("gradients", "loss"), "5-8-3 (relu, linear, no biases)"),
}
WRONG = {
    "from one": ("np.eye(4)[y - 1]", "np.eye(4)[y - 2]", "shifted by one class"),
    "state": ("return new, kept", "return new, vel", "the momentum that is declared has no effect"),
    "actions": ("np.clip(e[rows, taken] - aims, -1, 1)", "(e[rows, taken] - aims)", "own loss"),
    "closure": ("d @ B.T / (1 + z * z)", "d @ B.T / (1 + z)", "the derivative of your own loss"),
    "words": (" / around.shape[1])[:, None]", ")[:, None]", "4 times what it should be"),
    "kernels": ("* (1 - self.h ** 2)", "* (1 - self.h)", "own loss"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_draft_of_such_a_program_is_right_unedited(name: str):
    is_right(*RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_a_bug_is_found_through_it(name: str):
    is_wrong(RIGHT[name][0], *WRONG[name])


def test_a_bug_is_found_in_weights_that_are_one_vector():
    """The vector itself is drafted, although no gradient tells that it is what the loss takes."""
    wrong = VECTOR.replace("D @ B * (1 - H * H)", "D @ B * (1 - H)")
    report = parity.check(drafted(wrong))
    assert report.outcome.name == "WRONG", str(report)
    assert "weights[0]" in str(report).split("\n\n")[0]


def test_gradients_for_which_no_weights_are_known_are_named(capsys: pytest.CaptureFixture[str]):
    """A kernel that is made anew by each forward pass is no weight that could be set."""
    text = KERNELS.replace("self.K, self.c = r.normal(size=(3, 2, 4)), r", "self.c = r")
    text = text.replace(
        "        self.seen =", "        self.K = np.ones((3, 2, 4)) / 6\n        self.seen =", 1
    )
    text = text.replace("(net.K, net.c,", "(net.c,")
    drafted(text.replace("net.gradients(x, x[:, :1, 0])):", "net.gradients(x, x[:, :1, 0])[1:]):"))
    assert "check: that dK are no gradients" in " ".join(capsys.readouterr().out.split())
