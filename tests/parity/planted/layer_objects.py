"""Style C: layer objects that keep their gradients in buffers; samples in rows."""

import numpy as np

from parity import Candidate

rng = np.random.default_rng(2)


class Dense:
    def __init__(self, n_in, n_out, net):
        self.net = net
        self.W = rng.standard_normal((n_in, n_out))
        self.b = rng.standard_normal((1, n_out)) if net.bias else np.zeros((1, n_out))
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def params(self):
        return [self.W, self.b] if self.net.bias else [self.W]

    def gradients(self):
        return [self.dW, self.db] if self.net.bias else [self.dW]

    def forward(self, x, training):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.dW[...] = self.x.T @ grad
        self.dW += self.net.decay * self.W
        self.db[...] = grad.sum(axis=0)
        return grad @ self.W.T


class Sigmoid:
    def forward(self, z, training):
        self.z = z
        self.a = 1.0 / (1.0 + np.exp(-z))
        return self.a

    def backward(self, grad):
        return grad * self.a * (1.0 - self.a)


class Tanh:
    def forward(self, z, training):
        self.z = z
        self.a = np.tanh(z)
        return self.a

    def backward(self, grad):
        return grad * (1.0 - self.a * self.a)


class ReLU:
    def forward(self, z, training):
        self.z = z
        self.a = z * (z > 0)
        return self.a

    def backward(self, grad):
        return np.where(self.z > 0, grad, 0.0)


class Softmax:
    def forward(self, z, training):
        exps = np.exp(z - z.max(axis=-1, keepdims=True))
        self.a = exps / exps.sum(axis=-1, keepdims=True)
        return self.a

    def backward(self, grad):
        return self.a * (grad - (grad * self.a).sum(axis=-1, keepdims=True))


class Dropout:
    def __init__(self, keep):
        self.keep = keep

    def forward(self, a, training):
        self.mask = rng.random(a.shape) < self.keep
        return a * self.mask / self.keep if training else a

    def backward(self, grad):
        return grad * self.mask / self.keep


class SquaredError:
    def value(self, a, y):
        return 0.5 * np.sum((a - y) ** 2) / len(y)

    def gradient(self, a, y):
        return (a - y) / len(y)


class CrossEntropy:
    def value(self, a, y):
        return -np.sum(y * np.log(a)) / len(y)

    def gradient(self, a, y):
        return -y / a / len(y)


class Optimizer:
    def __init__(self, kind):
        self.kind, self.t, self.m, self.v = kind, 0, {}, {}

    def step(self, params, grads, lr):
        self.t += 1
        for i, (p, g) in enumerate(zip(params, grads, strict=True)):
            m, v = self.m.setdefault(i, np.zeros_like(p)), self.v.setdefault(i, np.zeros_like(p))
            if self.kind == "momentum":
                m[...] = 0.9 * m + lr * g
                p -= m
            elif self.kind == "rmsprop":
                v[...] = 0.9 * v + 0.1 * g * g
                p -= lr * g / np.sqrt(v + 1e-7)
            elif self.kind == "adam":
                m += (1 - 0.9) * (g - m)
                v += (1 - 0.999) * (g * g - v)
                alpha = lr * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
                p -= alpha * m / (np.sqrt(v) + 1e-7)
            else:
                p -= lr * g


ACTIVATIONS = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU, "softmax": Softmax}
LOSSES = {"squared": SquaredError, "cross-entropy": CrossEntropy}


class Model:
    def __init__(self, net):
        self.net = net
        self.layers = []
        for n_in, n_out in zip(net.sizes[:-2], net.sizes[1:-1], strict=True):
            self.layers += [Dense(n_in, n_out, net), ACTIVATIONS[net.hidden]()]
            if net.keep < 1:
                self.layers.append(Dropout(net.keep))
        self.layers += [Dense(net.sizes[-2], net.sizes[-1], net), ACTIVATIONS[net.output]()]
        self.dense = [layer for layer in self.layers if isinstance(layer, Dense)]
        self.loss = LOSSES[net.loss]()
        self.optimizer = Optimizer(net.optimizer)

    def params(self):
        return [p for layer in self.dense for p in layer.params()]

    def predict(self, x, training=False):
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def cost(self, x, y):
        penalty = sum(np.sum(layer.W * layer.W) for layer in self.dense)
        return self.loss.value(self.predict(x), y) + 0.5 * self.net.decay * penalty

    def gradients(self, x, y):
        a = self.predict(x, training=True)
        grad = self.loss.gradient(a, y)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return [g for layer in self.dense for g in layer.gradients()]

    def train_on_batch(self, x, y, lr):
        grads = self.gradients(x, y)
        self.optimizer.step(self.params(), grads, lr)


def build(net):
    model = Model(net)
    return Candidate(
        get_weights=model.params,
        forward=model.predict,
        gradients=model.gradients,
        step=model.train_on_batch,
        loss=model.cost,
        labels="one-hot",
    )
