"""Nothing but a training method: what it does to the weights is all there is to see."""

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class BookNetwork:
    """No biases; takes flat lists, makes columns of them, keeps its own learning rate."""

    def __init__(self, inputs, hidden, outputs, lr=0.3):
        rng = np.random.default_rng(0)
        self.lr = lr
        self.wih = rng.normal(0.0, hidden**-0.5, (hidden, inputs))
        self.who = rng.normal(0.0, outputs**-0.5, (outputs, hidden))

    def train(self, inputs_list, targets_list):
        inputs = np.array(inputs_list, ndmin=2).T
        targets = np.array(targets_list, ndmin=2).T
        hidden_outputs = sigmoid(self.wih @ inputs)
        final_outputs = sigmoid(self.who @ hidden_outputs)
        output_errors = targets - final_outputs
        hidden_errors = self.who.T @ (output_errors * final_outputs * (1.0 - final_outputs))
        slope = output_errors * final_outputs * (1.0 - final_outputs)
        self.who += self.lr * np.dot(slope, hidden_outputs.T)
        slope = hidden_errors * hidden_outputs * (1.0 - hidden_outputs)
        self.wih += self.lr * np.dot(slope, inputs.T)

    def query(self, inputs_list):
        hidden_outputs = sigmoid(self.wih @ np.array(inputs_list, ndmin=2).T)
        return sigmoid(self.who @ hidden_outputs)

    def train_at(self, x, y, lr):
        self.lr = lr
        self.train(x, y)

    def connect(self):
        return Candidate(
            get_weights=lambda: [self.wih, self.who],
            forward=lambda x: self.query(x)[:, 0],
            step=self.train_at,
        )


@right()
def make_book_without_biases():
    return BookNetwork(6, 5, 3).connect()


class ErrorsSplitByWeight(BookNetwork):
    """Passes the errors themselves back, not the slopes, as the book's own drawing suggests."""

    def train(self, inputs_list, targets_list):
        inputs = np.array(inputs_list, ndmin=2).T
        targets = np.array(targets_list, ndmin=2).T
        hidden = sigmoid(self.wih @ inputs)
        final = sigmoid(self.who @ hidden)
        output_errors = targets - final
        hidden_errors = np.dot(self.who.T, output_errors)
        self.who += self.lr * np.dot(output_errors * final * (1.0 - final), hidden.T)
        self.wih += self.lr * np.dot(hidden_errors * hidden * (1.0 - hidden), inputs.T)


@wrong(code_words=("derivative", "delta", "propagat", "output"))
def make_book_errors_not_slopes():
    return ErrorsSplitByWeight(7, 6, 4).connect()


class ElevenLines:
    def __init__(self):
        rng = np.random.default_rng(1)
        self.syn0 = 2 * rng.random((3, 4)) - 1
        self.syn1 = 2 * rng.random((4, 1)) - 1

    def forward(self, X):
        l1 = sigmoid(X @ self.syn0)
        return [l1, sigmoid(l1 @ self.syn1)]

    def train(self, X, y, alpha):
        l1, l2 = self.forward(X)
        l2_delta = (y - l2) * (l2 * (1 - l2))
        l1_delta = l2_delta.dot(self.syn1.T) * (l1 * (1 - l1))
        self.syn1 += alpha * l1.T.dot(l2_delta)
        self.syn0 += alpha * X.T.dot(l1_delta)


@right()
def make_eleven_lines():
    net = ElevenLines()
    return Candidate(get_weights=lambda: [net.syn0, net.syn1], forward=net.forward, step=net.train)


INPUTS, HIDDEN, OUTPUTS = 784, 300, 10


class FixedSizes:
    def __init__(self):
        rng = np.random.default_rng(5)
        self.W1 = rng.standard_normal((INPUTS, HIDDEN)) * np.sqrt(2 / INPUTS)
        self.b1 = np.zeros((1, HIDDEN))
        self.W2 = rng.standard_normal((HIDDEN, OUTPUTS)) * np.sqrt(2 / HIDDEN)
        self.b2 = np.zeros((1, OUTPUTS))

    def forward(self, X):
        assert X.shape[1] == INPUTS
        self.H = np.maximum(X @ self.W1 + self.b1, 0)
        Z = self.H @ self.W2 + self.b2
        E = np.exp(Z - Z.max(1, keepdims=True))
        return E / E.sum(1, keepdims=True)

    def train(self, X, Y, lr=0.1):
        dZ = (self.forward(X) - Y) / X.shape[0]
        dH = dZ @ self.W2.T * (self.H > 0)
        self.W1 -= lr * X.T @ dH
        self.b1 -= lr * dH.sum(0)
        self.W2 -= lr * self.H.T @ dZ
        self.b2 -= lr * dZ.sum(0)


@right()
def make_fixed_784_300_10():
    net = FixedSizes()
    return Candidate(
        get_weights=lambda: [net.W1, net.b1, net.W2, net.b2], forward=net.forward, step=net.train
    )


class XorBce:
    """Flat targets (m,) and flat outputs (m,), as in many a gate example."""

    def __init__(self, hidden=3):
        rng = np.random.default_rng(11)
        self.params = [
            rng.uniform(-1, 1, (2, hidden)),
            np.zeros(hidden),
            rng.uniform(-1, 1, (hidden, 1)),
            np.zeros(1),
        ]

    def predict(self, X):
        W1, b1, W2, b2 = self.params
        return sigmoid(sigmoid(X @ W1 + b1) @ W2 + b2)[:, 0]

    def train(self, X, y, lr):
        W1, b1, W2, b2 = self.params
        A = sigmoid(X @ W1 + b1)
        D2 = (sigmoid(A @ W2 + b2)[:, 0] - np.ravel(y))[:, None] / len(X)
        D1 = D2 @ W2.T * A * (1 - A)
        grads = [X.T @ D1, D1.sum(0), A.T @ D2, D2.sum(0)]
        self.params = [p - self.rate(lr) * g for p, g in zip(self.params, grads, strict=True)]

    def rate(self, lr):
        return lr

    def connect(self):
        return Candidate(get_weights=lambda: self.params, forward=self.predict, step=self.train)


@right()
def make_xor_bce_flat_targets():
    return XorBce().connect()


class LearningRateTwice(XorBce):
    def rate(self, lr):
        return lr * lr


@wrong(code_words=("learning rate", "learning-rate", "rate"))
def make_learning_rate_twice():
    return LearningRateTwice(4).connect()


class DropoutNet:
    """Tanh, dropout, softmax, no biases; one flat sample a call."""

    def __init__(self, inputs=64, hidden=200, outputs=10):
        self.rng = np.random.default_rng(6)
        self.W1 = self.rng.uniform(-1, 1, (hidden, inputs))
        self.W2 = self.rng.uniform(-1, 1, (outputs, hidden))

    def predict(self, x):
        return self.output(np.tanh(self.W1 @ x))

    def output(self, h):
        e = np.exp(self.W2 @ h - np.max(self.W2 @ h))
        return e / e.sum()

    def learn(self, x, target, eta):
        mask = self.rng.random(len(self.W1)) < 0.5
        h = np.tanh(self.W1 @ x)
        dropped = h * mask * 2
        delta = self.output(dropped) - target
        back = self.through_dropout(self.W2.T @ delta, mask)
        self.W2 -= eta * np.outer(delta, dropped)
        self.W1 -= eta * np.outer(back * (1 - h**2), x)

    def through_dropout(self, back, mask):
        return back

    def connect(self):
        return Candidate(
            get_weights=lambda: [self.W1, self.W2], forward=self.predict, step=self.learn
        )


@wrong(code_words=("dropout", "mask", "random", "determin", "repeat"), reference="64-200-10")
def make_dropout_mask_not_in_backward():
    return DropoutNet().connect()


class MaskWithoutFactor(DropoutNet):
    def through_dropout(self, back, mask):
        return back * mask


@wrong(code_words=("dropout", "mask", "random", "determin", "repeat"), reference="64-200-10")
def make_dropout_mask_without_factor():
    return MaskWithoutFactor().connect()
