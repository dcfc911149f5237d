"""Layer objects with forward and backward methods, stacked in a list."""

import numpy as np

from parity import Candidate
from tests.parity.strangers import right, wrong


class FC:
    def __init__(self, n_in, n_out, seed):
        rng = np.random.default_rng(seed)
        self.weights = rng.random((n_in, n_out)) - 0.5
        self.bias = rng.random((1, n_out)) - 0.5

    def forward(self, input_data):
        self.input = input_data
        return np.dot(self.input, self.weights) + self.bias

    def backward(self, output_error, learning_rate):
        input_error = np.dot(output_error, self.weights.T)
        self.weights -= learning_rate * np.dot(self.input.T, output_error)
        self.bias -= learning_rate * output_error
        return input_error


class TanhLayer:
    def forward(self, input_data):
        self.input = input_data
        return np.tanh(self.input)

    def backward(self, output_error, learning_rate):
        return (1 - np.tanh(self.input) ** 2) * output_error


class FCNetwork:
    """One sample a call, as a row (1, n); every layer updates itself on the way back."""

    def __init__(self, *layers):
        self.layers = layers

    def predict(self, output):
        for layer in self.layers:
            output = layer.forward(output)
        return output

    def fit_one(self, x, y, learning_rate):
        output = self.predict(x)
        error = 2 * (output - y) / y.size
        for layer in reversed(self.layers):
            error = layer.backward(error, learning_rate)

    def connect(self):
        dense = [layer for layer in self.layers if isinstance(layer, FC)]
        return Candidate(
            get_weights=lambda: [(layer.weights, layer.bias) for layer in dense],
            forward=self.predict,
            step=self.fit_one,
        )


@right()
def make_fc_layers_mse():
    return FCNetwork(FC(4, 6, 0), TanhLayer(), FC(6, 3, 1), TanhLayer()).connect()


class UpdatesBeforePassingOn(FC):
    def backward(self, output_error, learning_rate):
        self.weights -= learning_rate * np.dot(self.input.T, output_error)
        self.bias -= learning_rate * output_error
        return np.dot(output_error, self.weights.T)


@wrong(code_words=("updated", "already", "new", "order"))
def make_fc_updates_before_passing_on():
    last = UpdatesBeforePassingOn(6, 3, 1)
    return FCNetwork(FC(5, 6, 0), TanhLayer(), last, TanhLayer()).connect()


class Dense:
    def __init__(self, n_in, n_out, rng):
        self.W, self.b = rng.standard_normal((n_in, n_out)) * 0.6, np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad):
        self.dW, self.db = self.x.T @ grad, grad.sum(axis=0)
        return grad @ self.W.T


class Softplus:
    def forward(self, x):
        self.x = x
        return np.log(1 + np.exp(x))

    def backward(self, grad):
        return grad / (1 + np.exp(-self.x))


class LeakyReLU:
    def __init__(self, alpha=0.01):
        self.alpha = alpha

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.alpha * x)

    def backward(self, grad):
        return np.where(self.x > 0, grad, self.alpha * grad)


class ReLU(LeakyReLU):
    def __init__(self):
        super().__init__(0.0)


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, grad):
        return grad * self.out * (1 - self.out)


class Softmax:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.out = e / e.sum(axis=1, keepdims=True)
        return self.out

    def backward(self, grad):
        result = np.empty_like(grad)
        for i, (s, g) in enumerate(zip(self.out, grad, strict=True)):
            result[i] = (np.diag(s) - np.outer(s, s)) @ g
        return result


class Model:
    def __init__(self, *layers, loss_grad):
        self.layers, self.loss_grad = layers, loss_grad
        self.dense = [layer for layer in layers if hasattr(layer, "W")]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, x, y):
        grad = self.loss_grad(self.forward(x), y)
        for layer in self.layers[::-1]:
            grad = layer.backward(grad)
        return [g for layer in self.dense for g in (layer.dW, layer.db)]


def mse(p, y):
    return 2 * (p - y) / p.size


def cce(p, y):
    return -y / p / len(p)


def connect(*layers, loss_grad=mse, loss=None):
    model = Model(*layers, loss_grad=loss_grad)
    return Candidate(
        get_weights=lambda: [w for layer in model.dense for w in (layer.W, layer.b)],
        forward=model.forward,
        gradients=model.backward,
        loss=loss,
    )


def dense(*sizes, kinds=None, seed=4):
    rng, kinds = np.random.default_rng(seed), kinds or [Dense] * len(sizes)
    return [k(m, n, rng) for k, m, n in zip(kinds, sizes, sizes[1:], strict=False)]


@right()
def make_layers_softplus():
    a, b = dense(5, 6, 2)
    return connect(a, Softplus(), b)


@right()
def make_layers_softmax_mse():
    a, b = dense(4, 6, 3)
    return connect(a, Sigmoid(), b, Softmax(), loss="mean_squared_error")


@right()
def make_layers_split_cce():
    a, b, c = dense(5, 7, 6, 4)
    return connect(a, ReLU(), b, Sigmoid(), c, Softmax(), loss_grad=cce)


@right()
def make_layers_leaky_relu():
    a, b = dense(6, 8, 3)
    return connect(a, LeakyReLU(), b, Sigmoid())


class DiagonalSoftmax(Softmax):
    def backward(self, grad):
        return grad * self.out * (1 - self.out)


@wrong(code_words=("softmax", "diagonal", "jacobian"))
def make_softmax_diagonal_only():
    a, b = dense(5, 6, 4)
    return connect(a, Sigmoid(), b, DiagonalSoftmax())


@wrong(code_words=("softmax", "derivative", "twice", "again"))
def make_softmax_derivative_again():
    a, b = dense(6, 5, 4)
    layers = [a, Sigmoid(), b, DiagonalSoftmax()]
    loss = "categorical_crossentropy"
    return connect(*layers, loss_grad=lambda p, y: (p - y) / len(p), loss=loss)


class Accumulating(Dense):
    def __init__(self, n_in, n_out, rng):
        super().__init__(n_in, n_out, rng)
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def backward(self, grad):
        self.dW += self.x.T @ grad
        self.db += grad.sum(axis=0)
        return grad @ self.W.T


@wrong(code_words=("accumul", "zeroed", "reset", "call", "state", "determin", "repeat"))
def make_gradients_accumulate():
    a, b = dense(4, 5, 3, kinds=[Accumulating, Accumulating])
    return connect(a, Sigmoid(), b, Sigmoid())


class NoDerivative(ReLU):
    def backward(self, grad):
        return grad


@wrong(code_words=("derivative", "mask", "relu"), where="layer 2")
def make_second_relu_not_derived():
    a, b, c = dense(5, 8, 7, 3)
    return connect(a, ReLU(), b, NoDerivative(), c, Softmax(), loss_grad=cce)


class TransposedGradient(Dense):
    def backward(self, grad):
        self.dW, self.db = np.dot(grad.T, self.x), np.sum(grad, axis=0)
        return np.dot(grad, self.W.T)


@wrong(code_words=("transpos",), where="layer 2")
def make_square_kernel_gradient_transposed():
    a, b, c = dense(4, 6, 6, 2, kinds=[Dense, TransposedGradient, Dense])
    return connect(a, Sigmoid(), b, Sigmoid(), c, Sigmoid())


class Untransposed(Dense):
    def backward(self, grad):
        self.dW, self.db = self.x.T @ grad, grad.sum(axis=0)
        return grad @ self.W


@wrong(code_words=("transpos",))
def make_delta_through_kernel_not_transposed():
    a, b, c = dense(3, 5, 5, 2, kinds=[Dense, Untransposed, Dense])
    return connect(a, Sigmoid(), b, Sigmoid(), c, Sigmoid())


class WrongSlope(LeakyReLU):
    def backward(self, grad):
        return grad * np.where(self.x > 0, 1, 0.1)


@wrong(code_words=("derivative", "slope", "leaky"), where="layer 1")
def make_leaky_relu_other_slope():
    a, b = dense(6, 9, 3)
    return connect(a, WrongSlope(), b, Softmax(), loss_grad=cce)
