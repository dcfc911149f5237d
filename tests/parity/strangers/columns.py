"""Samples in columns, kernels (out, in), biases (n, 1), parameters in a dict of W1, b1, W2, ..."""

from typing import Any

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def initialize(*sizes, seed=1) -> dict[str, Any]:
    rng, parameters = np.random.default_rng(seed), {}
    for i in range(1, len(sizes)):
        parameters[f"W{i}"] = rng.standard_normal((sizes[i], sizes[i - 1])) * 0.7
        parameters[f"b{i}"] = np.zeros((sizes[i], 1))
    return parameters


def connect(p, forward, backward, loss=None):
    def gradients(X, Y):
        grads = backward(X, Y, p)
        return {name: grads["d" + name] for name in p}

    return Candidate(
        get_weights=lambda: p, forward=lambda X: forward(X, p)[-1], gradients=gradients, loss=loss
    )


def planar_forward(X, p):
    A1 = np.tanh(np.dot(p["W1"], X) + p["b1"])
    return A1, sigmoid(np.dot(p["W2"], A1) + p["b2"])


def planar_backward(X, Y, p):
    m = X.shape[1]
    A1, A2 = planar_forward(X, p)
    dZ2 = A2 - Y
    dZ1 = np.multiply(np.dot(p["W2"].T, dZ2), 1 - np.power(A1, 2))
    return {
        "dW1": (1 / m) * np.dot(dZ1, X.T),
        "db1": (1 / m) * np.sum(dZ1, axis=1, keepdims=True),
        "dW2": (1 / m) * np.dot(dZ2, A1.T),
        "db2": (1 / m) * np.sum(dZ2, axis=1, keepdims=True),
    }


@right()
def make_planar_bce():
    return connect(initialize(2, 4, 1), planar_forward, planar_backward)


def deep_forward(X, p):
    A, L = [X], len(p) // 2
    for i in range(1, L):
        A.append(np.maximum(0, p[f"W{i}"] @ A[-1] + p[f"b{i}"]))
    return [*A, sigmoid(p[f"W{L}"] @ A[-1] + p[f"b{L}"])]


def deep_backward(X, Y, p):
    A, L, m, grads = deep_forward(X, p), len(p) // 2, Y.shape[1], {}
    dA = -(np.divide(Y, A[-1]) - np.divide(1 - Y, 1 - A[-1]))
    dZ = dA * A[-1] * (1 - A[-1])
    for i in reversed(range(1, L + 1)):
        grads[f"dW{i}"] = dZ @ A[i - 1].T / m
        grads[f"db{i}"] = np.sum(dZ, axis=1, keepdims=True) / m
        dZ = p[f"W{i}"].T @ dZ
        dZ[A[i - 1] <= 0] = 0
    return grads


@right()
def make_four_layers_bce():
    def cost(X, Y):
        A = deep_forward(X, p)[-1]
        return np.squeeze(-np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / Y.shape[1])

    p = initialize(6, 7, 5, 4, 1, seed=3)
    return connect(p, deep_forward, deep_backward, cost)


def softmax_forward(X, p):
    A1 = sigmoid(p["W1"] @ X + p["b1"])
    Z2 = p["W2"] @ A1 + p["b2"]
    E = np.exp(Z2 - np.max(Z2, axis=0))
    return A1, E / np.sum(E, axis=0)


def softmax_backward(X, dZ2, A1, p):
    dZ1 = p["W2"].T @ dZ2 * A1 * (1 - A1)
    grads = {"dW2": dZ2 @ A1.T, "db2": dZ2.sum(1, keepdims=True)}
    return grads | {"dW1": dZ1 @ X.T, "db1": dZ1.sum(1, keepdims=True)}


@right()
def make_columns_softmax_one_hot():
    def backward(X, Y, p):
        A1, A2 = softmax_forward(X, p)
        return softmax_backward(X, (A2 - Y) / Y.shape[1], A1, p)

    return connect(initialize(5, 6, 4), softmax_forward, backward)


@right()
def make_columns_integer_labels():
    def backward(X, y, p):
        A1, A2 = softmax_forward(X, p)
        A2[y, np.arange(y.size)] -= 1
        return softmax_backward(X, A2, A1, p)

    return connect(initialize(4, 5, 3), softmax_forward, backward)


def xor_forward(X, p):
    A1 = sigmoid(p["W1"] @ X + p["b1"])
    return A1, sigmoid(p["W2"] @ A1 + p["b2"])


def xor_backward(X, Y, p):
    A1, A2 = xor_forward(X, p)
    dZ2 = (A2 - Y) * A2 * (1 - A2)
    return softmax_backward(X, dZ2, A1, p)


@right()
def make_columns_xor_squared():
    return connect(initialize(2, 2, 1), xor_forward, xor_backward)


@wrong(code_words=("bias", "sum", "averag", "divi", "mean", "batch"), where="bias")
def make_biases_not_averaged():
    def backward(X, Y, p):
        A1, A2 = planar_forward(X, p)
        dZ2 = A2 - Y
        dZ1 = p["W2"].T @ dZ2 * (1 - A1**2)
        grads = {"dW1": dZ1 @ X.T / X.shape[1], "db1": np.sum(dZ1, axis=1, keepdims=True)}
        grads |= {"dW2": dZ2 @ A1.T / X.shape[1], "db2": np.sum(dZ2, axis=1, keepdims=True)}
        return grads

    return connect(initialize(3, 4, 1), planar_forward, backward)


@wrong(code_words=("sum", "shape"), where="bias")
def make_bias_summed_over_everything():
    def backward(X, Y, p):
        grads = xor_backward(X, Y, p)
        return {k: np.sum(g) * np.ones(g.shape) if "b" in k else g for k, g in grads.items()}

    return connect(initialize(4, 5, 3), xor_forward, backward)


@wrong(code_words=("divi", "averag", "batch", "factor", "scale", "twice", "mean"), where="layer 1")
def make_first_layer_divided_twice():
    def backward(X, Y, p):
        m = X.shape[1]
        A1, A2 = planar_forward(X, p)
        dZ2 = (A2 - Y) / m
        dZ1 = p["W2"].T @ dZ2 * (1 - A1**2) / m
        grads = {"dW1": dZ1 @ X.T, "db1": np.sum(dZ1, axis=1, keepdims=True)}
        return grads | {"dW2": dZ2 @ A1.T, "db2": np.sum(dZ2, axis=1, keepdims=True)}

    return connect(initialize(4, 5, 2), planar_forward, backward)


@wrong(code_words=("derivative", "tanh"), where="layer 1")
def make_tanh_derivative_of_a_sigmoid():
    def backward(X, Y, p):
        m = X.shape[1]
        A1, A2 = xor_forward(X, p)
        dZ2 = A2 - Y
        dZ1 = np.dot(p["W2"].T, dZ2) * (1 - np.power(A1, 2))
        grads = {"dW1": dZ1 @ X.T / m, "db1": dZ1.sum(axis=1, keepdims=True) / m}
        return grads | {"dW2": dZ2 @ A1.T / m, "db2": dZ2.sum(axis=1, keepdims=True) / m}

    return connect(initialize(4, 6, 1), xor_forward, backward)


def sigmoid_derivative(a):
    return a * (1 - a)


@wrong(code_words=("derivative", "pre-activation", "preactivation"), where="layer 1")
def make_derivative_of_z():
    def backward(X, Y, p):
        Z1 = p["W1"] @ X + p["b1"]
        A1, A2 = xor_forward(X, p)
        dZ2 = (A2 - Y) * sigmoid_derivative(A2)
        dZ1 = p["W2"].T @ dZ2 * sigmoid_derivative(Z1)
        grads = {"dW1": dZ1 @ X.T, "db1": dZ1.sum(1, keepdims=True)}
        return grads | {"dW2": dZ2 @ A1.T, "db2": dZ2.sum(1, keepdims=True)}

    return connect(initialize(3, 5, 2), xor_forward, backward)


@wrong(code_words=("updated", "already", "new", "order"))
def make_delta_through_updated_kernel():
    def step(X, Y, learning_rate):
        m = X.shape[1]
        A1, A2 = planar_forward(X, p)
        dZ2 = A2 - Y
        p["W2"] = p["W2"] - learning_rate * np.dot(dZ2, A1.T) / m
        p["b2"] = p["b2"] - learning_rate * np.sum(dZ2, axis=1, keepdims=True) / m
        dZ1 = np.dot(p["W2"].T, dZ2) * (1 - np.power(A1, 2))
        p["W1"] = p["W1"] - learning_rate * np.dot(dZ1, X.T) / m
        p["b1"] = p["b1"] - learning_rate * np.sum(dZ1, axis=1, keepdims=True) / m

    p = initialize(4, 5, 3)
    return Candidate(get_weights=lambda: p, forward=lambda X: planar_forward(X, p)[1], step=step)
