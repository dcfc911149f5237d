"""The documented architectures, written by somebody who read only the document."""

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - np.max(z, axis=0))
    return e / np.sum(e, axis=0)


class Digits64:
    """64-40-10, sigmoid, quadratic cost; a window of samples in rows."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.w1, self.b1 = rng.standard_normal((64, 40)), rng.standard_normal(40)
        self.w2, self.b2 = rng.standard_normal((40, 10)), rng.standard_normal(10)

    def hidden(self, x):
        return sigmoid(x @ self.w1 + self.b1)

    def hidden_slope(self, h):
        return h * (1 - h)

    def output(self, h):
        return sigmoid(h @ self.w2 + self.b2)

    def forward(self, x):
        return self.output(self.hidden(x))

    def gradients(self, x, y):
        h = self.hidden(x)
        a = self.output(h)
        d2 = (a - y) * a * (1 - a) / len(x)
        d1 = d2 @ self.w2.T * self.hidden_slope(h)
        return x.T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0)

    def connect(self):
        return Candidate(
            get_weights=lambda: (self.w1, self.b1, self.w2, self.b2),
            forward=self.forward,
            gradients=self.gradients,
        )


@right(reference="64-40-10")
def make_document_64_40_10():
    return Digits64().connect()


class NoOutputBias(Digits64):
    def output(self, h):
        return sigmoid(h @ self.w2)


@wrong(code_words=("bias", "forward"), where="layer 2", reference="64-40-10")
def make_document_output_bias_forgotten():
    return NoOutputBias().connect()


class TanhHidden(Digits64):
    def hidden(self, x):
        return np.tanh(x @ self.w1 + self.b1)

    def hidden_slope(self, h):
        return 1 - h**2


@wrong(
    code_words=("activation", "tanh", "sigmoid", "forward"), where="layer 1", reference="64-40-10"
)
def make_document_tanh_for_sigmoid():
    return TanhHidden().connect()


class Tanh200:
    """64-200-10 with its dropout switched off; one sample a call, flat."""

    def __init__(self, keep=1.0):
        self.rng, self.keep = np.random.default_rng(4), keep
        self.hidden = self.rng.random((200, 64)) * 2 - 1
        self.out = self.rng.random((10, 200)) * 2 - 1

    def ask(self, x):
        return softmax(self.out @ np.tanh(self.hidden @ x))

    def backprop(self, x, target):
        mask = (self.rng.random(200) < self.keep) / self.keep
        a = np.tanh(self.hidden @ x)
        delta = softmax(self.out @ (a * mask)) - target
        delta_hidden = (delta @ self.out) * mask * (1 - a * a)
        return [np.outer(delta_hidden, x), np.outer(delta, a * mask)]


@right(reference="64-200-10")
def make_document_64_200_10():
    net = Tanh200()
    return Candidate(
        get_weights=lambda: [net.hidden, net.out], forward=net.ask, gradients=net.backprop
    )


class Columns784:
    """784-64-10 in float32, samples in columns, softmax output."""

    def __init__(self):
        rng = np.random.default_rng(5)
        self.W1 = rng.standard_normal((64, 784)).astype(np.float32)
        self.W2 = rng.standard_normal((10, 64)).astype(np.float32)
        self.b1 = np.zeros((64, 1), dtype=np.float32)
        self.b2 = np.zeros((10, 1), dtype=np.float32)

    def forward(self, X):
        A1 = sigmoid(self.W1 @ X.astype(np.float32) + self.b1)
        return {"A1": A1, "A2": softmax(self.W2 @ A1 + self.b2)}

    def gradients(self, X, Y):
        X, Y = X.astype(np.float32), Y.astype(np.float32)
        cache, m = self.forward(X), X.shape[1]
        dZ2 = cache["A2"] - Y
        dZ1 = self.W2.T @ dZ2 * cache["A1"] * (1 - cache["A1"])
        grads = {"dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True)}
        grads |= {"dW2": dZ2 @ cache["A1"].T, "db2": dZ2.sum(axis=1, keepdims=True)}
        return {name: g / np.float32(m) for name, g in grads.items()}


@right(reference="784-64-10")
def make_document_784_64_10():
    net = Columns784()
    return Candidate(
        get_weights=lambda: {"W1": net.W1, "b1": net.b1, "W2": net.W2, "b2": net.b2},
        forward=lambda X: net.forward(X)["A2"],
        gradients=net.gradients,
    )


class Relu784:
    """784-500-300-10 with RMSprop in float32."""

    def __init__(self):
        rng = np.random.default_rng(6)
        self.params = []
        for m, n in ((784, 500), (500, 300), (300, 10)):
            limit = np.sqrt(6 / (m + n))
            self.params += [rng.uniform(-limit, limit, (m, n)).astype("f"), np.zeros(n, "f")]
        self.v = [np.zeros_like(p) for p in self.params]

    def forward(self, x):
        w1, b1, w2, b2, w3, b3 = self.params
        h1 = np.maximum(x.astype("f") @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        return h1, h2, softmax((h2 @ w3 + b3).T).T

    def train_on_batch(self, x, y, lr=0.001, rho=0.9):
        h1, h2, p = self.forward(x)
        d3 = (p - y.astype("f")) / np.float32(len(x))
        d2 = d3 @ self.params[4].T * (h2 > 0)
        d1 = d2 @ self.params[2].T * (h1 > 0)
        grads = [x.astype("f").T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0)]
        for w, g, v in zip(self.params, grads, self.v, strict=True):
            v[...] = np.float32(rho) * v + np.float32(1 - rho) * g * g
            w -= np.float32(lr) * g / np.sqrt(v + np.float32(1e-7))


@right(reference="784-500-300-10")
def make_document_784_500_300_10():
    net = Relu784()
    return Candidate(get_weights=lambda: net.params, forward=net.forward, step=net.train_on_batch)
