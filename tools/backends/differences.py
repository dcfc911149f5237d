"""What Keras's backends compute differently, measured in float64 on the one that is running.

Importing this module imports Keras.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from scipy.special import erf

from keras_impl import keras, losses, precision
from keras_impl.autodiff import Autodiff, to_numpy
from keras_impl.precision import as_keras_has_it
from keras_impl.pullback import pullback

L: Any = keras.layers
# A measurement's name, and what is measured: a number, or the reason why there is none.
Measured = dict[str, float | str]


def differences() -> dict[str, Measured]:
    """Return what is measured, by the table that it belongs to."""
    with precision("float64"):
        here = {
            "fallbacks": _each(_fallbacks()),
            "losses": _each(_losses()),
            "constants": _each(_constants()),
            "ways": _each(_ways()),
        }
    with precision("float64"), as_keras_has_it():
        return {"fallbacks as Keras has it": _each(_fallbacks()), **here}


def _each(measurements: dict[str, Callable[[], float]]) -> Measured:
    found: Measured = {}
    for name, measure in measurements.items():
        try:
            found[name] = float(measure())
        except (RuntimeError, TypeError, ValueError) as error:
            found[name] = type(error).__name__
    return found


def _computed(function: Callable[..., Any], *arrays: Any) -> np.ndarray:
    tensors = [keras.ops.convert_to_tensor(np.asarray(a, np.float64)) for a in arrays]
    return to_numpy(function(*tensors))


def _off(computed: Any, exact: Any) -> float:
    """Return the largest error relative to the largest number."""
    computed, exact = np.asarray(computed, np.float64), np.asarray(exact, np.float64)
    return float(np.max(np.abs(computed - exact)) / np.max(np.abs(exact)))


def _fallbacks() -> dict[str, Callable[[], float]]:
    """Operations on float64 whose result float32 numbers may stand in, by their relative error."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 6)), rng.normal(size=(6, 4))
    z = rng.normal(size=50)
    ops: Any = keras.ops
    return {
        "matrix product": lambda: _off(_computed(ops.matmul, a, b), a @ b),
        "`tanh`": lambda: _off(_computed(ops.tanh, z), np.tanh(z)),
        "`exp`": lambda: _off(_computed(ops.exp, z), np.exp(z)),
        "`log`": lambda: _off(_computed(ops.log, z * z), np.log(z * z)),
        "`sigmoid`": lambda: _off(_computed(ops.sigmoid, z), 1 / (1 + np.exp(-z))),
        "`sqrt`": lambda: _off(_computed(ops.sqrt, z * z), np.abs(z)),
        "`mean`": lambda: _off(_computed(ops.mean, z), np.mean(z)),
        "`var`": lambda: _off(_computed(ops.var, z), np.var(z)),
        "`einsum`": lambda: _off(
            _computed(lambda p, q: ops.einsum("ij,jk->ik", p, q), a, b), a @ b
        ),
        "Dense layer": lambda: _off(_dense_output(a, b), a @ b),
    }


def _dense_output(a: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    layer = L.Dense(kernel.shape[1], use_bias=False)
    layer.build(a.shape)
    layer.set_weights([kernel])
    return _computed(layer, a)


def _losses() -> dict[str, Callable[[], float]]:
    """Cross-entropies of a confident wrong answer: logits 0 and 30, where the first is right."""
    logits, vector, label = np.array([[0.0, 30.0]]), np.array([[1.0, 0.0]]), np.array([0])

    def taken(last: str, loss: str, y: np.ndarray) -> tuple[float, float]:
        model: Any = keras.Sequential([keras.Input((2,)), L.Dense(2, last)])
        model.set_weights([np.eye(2), np.zeros(2)])
        autodiff = Autodiff(model, losses.get(loss), eager=True)
        cost, (_, of_logits) = autodiff.loss_and_gradients(logits, y)
        return cost, float(np.max(np.abs(of_logits)))

    named = {
        "`categorical_crossentropy` of softmax": ("softmax", "categorical_crossentropy", vector),
        "`sparse_categorical_crossentropy` of softmax": (
            "softmax", "sparse_categorical_crossentropy", label,
        ),
        "`categorical_crossentropy` of sigmoid": ("sigmoid", "categorical_crossentropy", vector),
        "`binary_crossentropy` of sigmoid": ("sigmoid", "binary_crossentropy", vector),
    }  # fmt: skip
    found: dict[str, Callable[[], float]] = {}
    for name, entry in named.items():
        found[name] = lambda entry=entry: taken(*entry)[0]
        found[f"{name}: largest gradient"] = lambda entry=entry: taken(*entry)[1]
    return found


def _constants() -> dict[str, Callable[[], float]]:
    """Constants of float64 that may be those of float32, by their relative error."""
    ones, rule = np.ones((2, 3)), keras.optimizers

    def activated(name: str, z: float, exact: float) -> Callable[[], float]:
        return lambda: _off(_computed(keras.activations.get(name), [z]), exact)

    def layer(made: Callable[[], Any], x: Any, exact: Any) -> Callable[[], float]:
        return lambda: _off(_computed(made(), x), exact)

    def steps(make: Callable[[], Any], exact: float, count: int = 1) -> Callable[[], float]:
        """Return what is measured of a weight that is 1 and gets gradients of 1."""

        def measured() -> float:
            weight = _variable()
            optimizer = make()
            optimizer.build([weight])
            for _ in range(count):
                with _no_gradients():
                    optimizer.apply([keras.ops.ones(1, dtype="float64")], [weight])
            return abs(float(to_numpy(weight)[0]) - exact)

        return measured

    def penalty() -> float:
        return _off(_computed(keras.regularizers.L2(0.1), [1.0]), 0.1)

    def attended(size: int, **options: Any) -> float:
        made = L.MultiHeadAttention(1, size, use_bias=False, **options)
        q = np.arange(2.0 * size).reshape(1, 2, size) / 7
        made(q, q)
        made.set_weights([np.eye(size).reshape(w.shape) for w in made.get_weights()])
        e = np.exp(q[0] @ q[0].T / math.sqrt(size))
        return _off(_computed(lambda x: made(x, x), q)[0], e / e.sum(1, keepdims=True) @ q[0])

    decay = rule.schedules.ExponentialDecay(0.1, 10, 0.9)
    return {
        "learning rate 0.01": steps(lambda: rule.SGD(0.01), 0.99),
        "`SGD(momentum=0.9)`": steps(lambda: rule.SGD(1.0, momentum=0.9), 1 - 1 - 1.9, 2),
        "`weight_decay=0.1`": steps(lambda: rule.SGD(1.0, weight_decay=0.1), 1 - 0.1 - 1),
        "`RMSprop(rho=0.9)`": steps(
            lambda: rule.RMSprop(1.0, rho=0.9, epsilon=0.0), 1 - 1 / math.sqrt(1 - 0.9)
        ),
        # Corrected, the means of gradients of 1 are 1.
        "`Adam`'s correction": steps(lambda: rule.Adam(1.0, epsilon=0.0), 1 - 2, 2),
        "`Lion(beta_2=0.9)`": _lion_momentum,
        "`Adagrad`, where it starts": steps(
            lambda: rule.Adagrad(1.0, epsilon=0.0), 1 - 1 / math.sqrt(1.1)
        ),
        "`ExponentialDecay`": lambda: _off(to_numpy(decay(3)), 0.1 * 0.9**0.3),
        "`L2(0.1)`": penalty,
        "`Rescaling(0.1)`": layer(lambda: L.Rescaling(0.1), ones, 0.1 * ones),
        "`Dropout`'s 1 / (1 - 0.3)": lambda: _off(_dropped(0.3), 1 / 0.7),
        "`LeakyReLU(0.3)`": layer(lambda: L.LeakyReLU(0.3), -ones, -0.3 * ones),
        "`leaky_relu`'s slope": activated("leaky_relu", -1.0, -0.2),
        "`hard_sigmoid`'s slope": lambda: _off(
            _slope(keras.activations.hard_sigmoid, [1.0]), 1 / 6
        ),
        "`Nadam`'s 1 - 0.999, in float32": _nadam_rest,
        "`gelu`": activated("gelu", 1.0, 0.5 * (1 + erf(math.sqrt(0.5)))),
        "`MultiHeadAttention`'s 1/√3, with dropout": partial(attended, 3, dropout=0.1),
        "`MultiHeadAttention`, 1/√4, without": partial(attended, 4),
    }  # fmt: skip


def _lion_momentum() -> float:
    return _off(_first_mean(keras.optimizers.Lion(1.0, beta_2=0.9), "momentum"), 1 - 0.9)


def _first_mean(optimizer: Any, slot: str) -> np.ndarray:
    """Return a running mean after one gradient of 1."""
    weight = _variable()
    optimizer.build([weight])
    with _no_gradients():
        optimizer.apply([keras.ops.ones(1, dtype=keras.config.floatx())], [weight])
    return next(to_numpy(v) for v in optimizer.variables if slot in v.path)


def _variable() -> Any:
    """Return a weight that is 1, in the precision that Keras is set to."""
    kind: Any = keras.Variable
    return kind(np.ones(1), dtype=keras.config.floatx())


def _dropped(rate: float) -> float:
    layer = L.Dropout(rate, seed=0)
    return float(np.max(_computed(lambda x: layer(x, training=True), np.ones(100))))


def _no_gradients() -> Any:
    """Return the context in which PyTorch lets weights be changed."""
    if keras.backend.backend() == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        return torch.no_grad()
    return nullcontext()


def _slope(made: Any, x: Any, place: Any = 0) -> float:
    x = np.asarray(x, np.float64)
    shape = _computed(made, x).shape
    _, gradients = pullback(lambda t: made(t["x"]), {"x": x}, [np.ones(shape)])
    return float(gradients["x"][place])


def _nadam_rest() -> float:
    with precision("float32"):
        return _off(_first_mean(keras.optimizers.Nadam(1.0, beta_2=0.999), "velocity"), 1e-3)


def _ways() -> dict[str, Callable[[], float]]:
    """What has several right values, or is computed in several ways."""

    def padded() -> float:
        pool = L.AveragePooling2D((3, 2), padding="same")
        return float(_computed(pool, np.arange(1.0, 5.0).reshape(1, 4, 1, 1))[0, 1, 0, 0])

    ties, first = np.ones((1, 2, 2, 1)), (0, 0, 0, 0)
    return {
        "`relu`'s slope at 0": lambda: _slope(keras.activations.relu, [0.0]),
        "`abs`'s slope at 0": lambda: _slope(keras.ops.abs, [0.0]),
        "`maximum(x, x)`'s slope": lambda: _slope(lambda x: keras.ops.maximum(x, 1.0), [1.0]),
        "`MaxPooling2D` of four equal numbers: the first's gradient": lambda: _slope(
            L.MaxPooling2D(2), ties, first
        ),
        "`GlobalMaxPooling2D` of four equal numbers: the first's gradient": lambda: _slope(
            L.GlobalMaxPooling2D(), ties, first
        ),
        "`AveragePooling2D((3, 2), padding='same')` of a column of 1 to 4: of 3 and 4": padded,
    }
