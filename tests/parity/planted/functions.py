"""Style A: functions and a dict W1, b1, W2, ...; samples in rows; derivatives taken at z."""

import numpy as np

from parity import Candidate

rng = np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def tanh_prime(z):
    return 1 - np.tanh(z) ** 2


def relu(z):
    return np.maximum(z, 0)


def relu_prime(z):
    return np.where(z > 0, 1.0, 0.0)


def softmax(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def softmax_backward(s, grad):
    return s * (grad - np.sum(s * grad, axis=1, keepdims=True))


ACTIVATIONS = {"sigmoid": sigmoid, "tanh": np.tanh, "relu": relu, "softmax": softmax}
PRIMES = {"sigmoid": sigmoid_prime, "tanh": tanh_prime, "relu": relu_prime}


def init_params(net):
    p = {}
    for i in range(1, len(net.sizes)):
        p[f"W{i}"] = rng.standard_normal((net.sizes[i - 1], net.sizes[i]))
        if net.bias:
            p[f"b{i}"] = rng.standard_normal(net.sizes[i])
    return p


def forward(net, p, x, training=False):
    depth = len(net.sizes) - 1
    cache = {"h0": x}
    for i in range(1, depth + 1):
        z = cache[f"h{i - 1}"] @ p[f"W{i}"]
        if net.bias:
            z = z + p[f"b{i}"]
        f = ACTIVATIONS[net.hidden if i < depth else net.output]
        a = f(z)
        keep = net.keep if training and i < depth else 1.0
        mask = rng.random(a.shape) < keep
        cache |= {f"z{i}": z, f"a{i}": a, f"mask{i}": mask, f"h{i}": a * mask / keep}
    return cache


def predict(net, p, x):
    return forward(net, p, x)[f"a{len(net.sizes) - 1}"]


def cost(net, p, x, y):
    a = predict(net, p, x)
    if net.loss == "squared":
        value = 0.5 * np.sum((a - y) ** 2) / len(x)
    else:
        value = -np.sum(y * np.log(a)) / len(x)
    return value + 0.5 * net.decay * sum(np.sum(w**2) for k, w in p.items() if k[0] == "W")


def backward(net, p, x, y):
    m = len(x)
    depth = len(net.sizes) - 1
    cache = forward(net, p, x, training=True)
    a, z = cache[f"a{depth}"], cache[f"z{depth}"]
    if net.loss == "cross-entropy":
        delta = a - y
    elif net.output == "softmax":
        delta = softmax_backward(a, a - y)
    else:
        delta = (a - y) * PRIMES[net.output](z)
    delta = delta / m
    slope = PRIMES[net.hidden]
    grads = {}
    for i in range(depth, 0, -1):
        grads[f"W{i}"] = cache[f"h{i - 1}"].T @ delta + net.decay * p[f"W{i}"]
        if net.bias:
            grads[f"b{i}"] = np.sum(delta, axis=0)
        if i > 1:
            e = delta @ p[f"W{i}"].T
            e = e * cache[f"mask{i - 1}"] / net.keep
            delta = e * slope(cache[f"z{i - 1}"])
    return grads


def update(net, p, grads, state, lr):
    state["t"] = t = state.get("t", 0) + 1
    for k in p:
        g = grads[k]
        v, s = state.get(k, (0.0, 0.0))
        if net.optimizer == "sgd":
            p[k] -= lr * g
        elif net.optimizer == "momentum":
            v = 0.9 * v - lr * g
            p[k] += v
        elif net.optimizer == "rmsprop":
            s = 0.9 * s + 0.1 * g**2
            p[k] -= lr * g / np.sqrt(s + 1e-7)
        else:
            v = 0.9 * v + 0.1 * g
            s = 0.999 * s + 0.001 * g**2
            v_hat = v / (1 - 0.9**t)
            s_hat = s / (1 - 0.999**t)
            p[k] -= lr * v_hat / (np.sqrt(s_hat) + 1e-8)
        state[k] = v, s


def train_step(net, p, state, x, y, lr):
    grads = backward(net, p, x, y)
    update(net, p, grads, state, lr)


def build(net):
    p, state = init_params(net), {}
    return Candidate(
        get_weights=lambda: p,
        forward=lambda x: predict(net, p, x),
        gradients=lambda x, y: backward(net, p, x, y),
        step=lambda x, y, lr: train_step(net, p, state, x, y, lr),
        loss=lambda x, y: cost(net, p, x, y),
        labels="one-hot" if net.loss == "cross-entropy" else None,
    )
