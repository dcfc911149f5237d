"""Keras's gradients, masks and steps as they are laid open, against Keras driven another way."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_impl import autodiff, keras, losses, precision
from keras_impl.autodiff import Autodiff
from keras_impl.precision import Precision

DTYPES = ["float32", "float64"]
SAMPLES = 6


def _model(*, dropout: float | None = None, seed: int = 1) -> Any:
    layers = [keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3, activation="softmax")]
    if dropout is not None:
        layers.insert(1, keras.layers.Dropout(dropout, seed=3))
    model = keras.Sequential([keras.Input((5,)), *layers])
    rng = np.random.default_rng(seed)
    model.set_weights([0.7 * rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


def _data(dtype: Precision = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (SAMPLES, 5)).astype(dtype)
    return x, np.eye(3, dtype=dtype)[rng.integers(0, 3, SAMPLES)]


def _allowed(dtype: Precision) -> float:
    # Some 100 operations on a path from a weight to the cost and back (sums over 5, 4, 3 and 6
    # terms, tanh, softmax, loss, twice), each erring by u, enlarged at most 12 times by the two
    # kernels (largest absolute sums of their columns: 2.4 and 5.1).
    return 100 * 12 * float(np.finfo(dtype).eps) / 2


def _worst(ours: list[np.ndarray], theirs: list[Any]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.max(np.abs(a - np.asarray(b)))) for a, b in pairs)


def _tape(model: Any, loss: Any, x, y) -> tuple[float, list[Any]]:
    """Return loss and gradients by a plain tape around the model's own call."""
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        cost = loss(y, model(x, training=True))
    return float(cost), tape.gradient(cost, variables)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["quadratic", "mse", "mae", "categorical_crossentropy", "binary_crossentropy"]
)
def test_gradients_are_those_of_a_plain_tape(name: str, dtype: Precision) -> None:
    with precision(dtype):
        model, loss, (x, y) = _model(), losses.get(name), _data(dtype)
        value, gradients = Autodiff(model, loss).loss_and_gradients(x, y)
        expected, exact = _tape(model, loss, x, y)
    assert abs(value - expected) <= _allowed(dtype)
    assert _worst(gradients, exact) <= _allowed(dtype)
    assert all(g.dtype == dtype for g in gradients)
    assert all(g.shape == w.shape for g, w in zip(gradients, model.get_weights(), strict=True))


def test_another_gradient_would_be_seen() -> None:
    with precision("float64"):
        model, (x, y) = _model(), _data("float64")
        _, gradients = Autodiff(model, losses.get("mse")).loss_and_gradients(x, y)
        _, others = _tape(model, losses.get("quadratic"), x, y)
        x[0, 0] += 1e-9
        _, moved = _tape(model, losses.get("mse"), x, y)
    assert _worst(gradients, others) > 1e-3
    assert _worst(gradients, moved) > _allowed("float64")


def test_gradient_of_a_linear_model_by_hand() -> None:
    # C = sum (x W + b - y)^2 / (2 N): dC/dW = x^T (x W + b - y) / N, dC/db the same without x.
    with precision("float64"):
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
        kernel = np.random.default_rng(3).standard_normal((5, 3))
        model.set_weights([kernel, np.array([0.5, -1.0, 2.0])])
        x, y = _data("float64")
        value, gradients = Autodiff(model, losses.Quadratic()).loss_and_gradients(x, y)
    error = x @ kernel + [0.5, -1.0, 2.0] - y
    assert abs(value - np.sum(error**2) / 2 / SAMPLES) <= 10 * _allowed("float64")
    assert _worst(gradients, [x.T @ error / SAMPLES, error.sum(axis=0) / SAMPLES]) <= _allowed(
        "float64"
    )


def test_sparse_labels() -> None:
    with precision("float64"):
        model, (x, y) = _model(), _data("float64")
        labels = y.argmax(axis=1)
        dense, sparse = (
            Autodiff(model, losses.get(f"{kind}categorical_crossentropy")).loss_and_gradients(x, t)
            for kind, t in (("", y), ("sparse_", labels))
        )
    assert abs(dense[0] - sparse[0]) <= _allowed("float64")
    assert _worst(dense[1], sparse[1]) <= _allowed("float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_a_given_mask_does_what_keras_does(rate: float, dtype: Precision) -> None:
    with precision(dtype):
        model, (x, y) = _model(dropout=rate), _data(dtype)
        loss: Any = losses.Quadratic()
        first, dropout, last = model.layers
        variables = [v.value for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            hidden = first(x)
            dropped = dropout(hidden, training=True)
            out = last(dropped)
            cost = loss(y, out)
        exact = tape.gradient(cost, variables)
        mask = np.asarray(dropped) != 0  # tanh itself is 0 nowhere here
        assert 0 < mask.mean() < 1
        side = Autodiff(model, loss)
        value, gradients = side.loss_and_gradients(x, y, [mask])
        outputs = side.layer_outputs(x, training=True, masks=[mask])
        _, others = side.loss_and_gradients(x, y, [~mask])
        resting = side.layer_outputs(x)
    # The scale is 1 / (1 - rate) here and may be rounded otherwise in Keras; at most 2.
    assert abs(value - float(cost)) <= 2 * _allowed(dtype)
    assert _worst(gradients, exact) <= 2 * _allowed(dtype)
    assert _worst(outputs, [hidden, dropped, out]) <= 2 * _allowed(dtype)
    assert _worst(others, exact) > 1e-3
    np.testing.assert_array_equal(resting[1], resting[0])


def test_number_of_masks() -> None:
    side, (x, y) = Autodiff(_model(dropout=0.5), losses.Quadratic()), _data()
    mask = np.ones((SAMPLES, 4), bool)
    for masks in ([], [mask, mask]):
        with pytest.raises(ValueError, match=rf"Expected 1 dropout masks\. Received: {len(masks)}"):
            side.loss_and_gradients(x, y, masks)
        with pytest.raises(ValueError, match=rf"Expected 1 dropout masks\. Received: {len(masks)}"):
            side.layer_outputs(x, True, masks)


def test_batches_of_any_length() -> None:
    with precision("float64"):
        model, (x, y) = _model(), _data("float64")
        side, loss = Autodiff(model, losses.Quadratic()), losses.Quadratic()
        for size in (1, 4, SAMPLES):
            _, gradients = side.loss_and_gradients(x[:size], y[:size])
            assert _worst(gradients, _tape(model, loss, x[:size], y[:size])[1]) <= _allowed(
                "float64"
            )


OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "Nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01),
    "RMSprop, all": lambda: keras.optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "Adam": lambda: keras.optimizers.Adam(0.01),
    "clipnorm, decay": lambda: keras.optimizers.SGD(0.1, clipnorm=0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_train_on_batch(name: str, dtype: Precision) -> None:
    with precision(dtype):
        model, twin, (x, y) = _model(), _model(), _data(dtype)
        # The same graph of operations; XLA would fuse them and round otherwise.
        twin.compile(OPTIMIZERS[name](), losses.Quadratic(), jit_compile=False)
        side = Autodiff(model, losses.Quadratic(), OPTIMIZERS[name]())
        start = side.weights()
        for batch in (slice(0, 4), slice(4, 6), slice(1, 5)):
            cost = side.step(x[batch], y[batch])
            twin.reset_metrics()  # before 3.15 it answers the mean over all batches so far
            assert cost == pytest.approx(
                float(twin.train_on_batch(x[batch], y[batch])), rel=0, abs=_allowed(dtype)
            )
    for own, other in zip(side.weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    assert _worst(side.weights(), start) > 1e-3


def test_steps_with_masks() -> None:
    # One plain SGD step is w - lr g, with the gradients of the same mask.
    with precision("float64"):
        model, (x, y) = _model(dropout=0.5), _data("float64")
        side = Autodiff(model, losses.Quadratic(), keras.optimizers.SGD(0.25))
        mask = np.random.default_rng(4).random((SAMPLES, 4)) < 0.5
        before, (value, gradients) = side.weights(), side.loss_and_gradients(x, y, [mask])
        assert side.step(x, y, [mask]) == value
    expected = [w - 0.25 * g for w, g in zip(before, gradients, strict=True)]
    assert _worst(side.weights(), expected) <= _allowed("float64")


@pytest.mark.parametrize(
    ("name", "slots"),
    [
        ("SGD", set()),
        ("momentum", {"momentum"}),
        ("Nesterov", {"momentum"}),
        ("RMSprop", {"velocity"}),
        ("RMSprop, all", {"velocity", "momentum", "average_gradient"}),
        ("Adam", {"momentum", "velocity"}),
    ],
)
def test_slots(name: str, slots: set[str]) -> None:
    model, (x, y) = _model(), _data()
    side = Autodiff(model, losses.Quadratic(), OPTIMIZERS[name]())
    assert set(side.slots()) == slots
    assert not any(value.any() for values in side.slots().values() for value in values)
    side.step(x, y)
    for values in side.slots().values():
        assert [v.shape for v in values] == [w.shape for w in model.get_weights()]
        assert all(v.any() for v in values)


def test_slots_hold_what_their_names_say() -> None:
    # After one step: velocity (1 - rho) g^2, average gradient (1 - rho) g, momentum the step.
    with precision("float64"):
        model, (x, y) = _model(), _data("float64")
        optimizer = keras.optimizers.RMSprop(0.01, rho=0.75, momentum=0.5, centered=True)
        side = Autodiff(model, losses.Quadratic(), optimizer)
        before, (_, gradients) = side.weights(), side.loss_and_gradients(x, y)
        side.step(x, y)
        slots = side.slots()
    steps = [a - b for a, b in zip(before, side.weights(), strict=True)]
    assert _worst(slots["velocity"], [0.25 * g**2 for g in gradients]) <= _allowed("float64")
    assert _worst(slots["average_gradient"], [0.25 * g for g in gradients]) <= _allowed("float64")
    assert _worst(slots["momentum"], steps) <= _allowed("float64")


def test_copies_are_handed_out() -> None:
    model, (x, y) = _model(), _data()
    side = Autodiff(model, losses.Quadratic(), OPTIMIZERS["Adam"]())
    side.step(x, y)
    kept, slots = side.weights(), side.slots()
    copies = [w.copy() for w in kept], [v.copy() for v in slots["velocity"]]
    side.step(x, y)
    assert _worst(kept, copies[0]) == _worst(slots["velocity"], copies[1]) == 0
    assert _worst(kept, side.weights()) > 0
    assert Autodiff(model, losses.Quadratic()).slots() == {}


def _branches() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Add()([keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)]))


def _two_outputs() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, [keras.layers.Dense(4)(x), keras.layers.Dense(4)(x)])


def _shared() -> keras.Model:
    x, layer = keras.Input((4,)), keras.layers.Dense(4)
    return keras.Model(x, layer(layer(x)))


def _operation_at_the_end() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(4)(x) * 2)


def _operation_inside() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(4)(keras.ops.sin(keras.layers.Dense(4)(x))))


def _nested() -> keras.Model:
    return keras.Sequential([keras.Input((5,)), _model(), keras.layers.Dense(2)])


class _Subclass(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = keras.layers.Dense(4)

    def call(self, x):
        return self.first(x) * 2


@pytest.mark.parametrize("make", [_branches, _two_outputs, _shared])
def test_models_that_are_no_chains(make) -> None:
    model = make()
    with pytest.raises(ValueError, match="Expected a model whose layers follow one another") as e:
        autodiff.chain(model)
    assert str(e.value).endswith(f"Received: {type(model).__name__} {model.name!r}")


@pytest.mark.parametrize("make", [_operation_at_the_end, _operation_inside, _Subclass])
def test_models_of_other_things_than_layers_are_refused(make) -> None:
    model = make()
    with pytest.raises(ValueError, match=r"Expected a .* model that consists of layers") as e:
        Autodiff(model, losses.Quadratic())
    assert f"Received: {type(model).__name__} {model.name!r}" in str(e.value)


@pytest.mark.parametrize("make", [_branches, _two_outputs, _shared, _nested])
def test_graphs_compute_what_the_model_does(make) -> None:
    model = make()
    x = np.random.default_rng(0).normal(size=(3, model.input_shape[-1])).astype(np.float32)
    side = Autodiff(model, losses.Quadratic())
    outputs = dict(zip([c.name for c in side.graph.calls], side.layer_outputs(x), strict=True))
    expected = model(x)
    for name, array in zip(side.graph.outputs, autodiff.as_list(expected), strict=True):
        np.testing.assert_array_equal(outputs[name], array)


def test_a_functional_chain_is_taken() -> None:
    x = keras.Input((5,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(4, activation="tanh")(x))
    model = keras.Model(x, keras.layers.Dense(3, activation="softmax")(hidden))
    kinds = [type(layer).__name__ for layer in autodiff.chain(model)]
    assert kinds == ["Dense", "Dropout", "Dense"]
    inputs, _ = _data()
    outputs = Autodiff(model, losses.Quadratic()).layer_outputs(inputs)
    np.testing.assert_array_equal(outputs[-1], model(inputs))
    inner = keras.Model(model.inputs, model.layers[1].output)
    assert [type(layer).__name__ for layer in autodiff.chain(inner)] == ["Dense"]


def test_backends_that_do_not_differentiate(monkeypatch) -> None:
    model = _model()
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(ValueError, match=r"backends tensorflow, jax, torch, .* Received: numpy"):
        Autodiff(model, losses.Quadratic())


def test_rows_of_an_embedding_are_added_up_before_the_optimizer() -> None:
    """Number 1 stands four times, each with the gradient 1/2: Adam has to square their sum, 2.

    Keras on TensorFlow squares each (see docs/keras-semantics.md), which shows in ``fit``.
    """
    x, y = np.array([[1.0, 1.0, 1.0, 1.0]]), np.zeros((1, 4))

    def model() -> keras.Model:
        layers = [keras.layers.Embedding(3, 1), keras.layers.Flatten()]
        made = keras.Sequential([keras.Input((4,)), *layers])
        made.set_weights([np.ones((3, 1))])
        return made

    def adam() -> keras.optimizers.Adam:
        return keras.optimizers.Adam(0.1, beta_1=0.0, beta_2=0.0)

    own = Autodiff(model(), keras.losses.MeanSquaredError(), adam())
    own.step(x, y)
    np.testing.assert_allclose(own.slots()["velocity"][0].ravel(), [0, 4, 0])
    fitted = model()
    fitted.compile(adam(), "mse", jit_compile=False)
    fitted.fit(x, y, verbose=0)
    (velocity,) = (v for v in fitted.optimizer.variables if "velocity" in v.name)
    np.testing.assert_allclose(autodiff.to_numpy(velocity).ravel(), [0, 1, 0])
