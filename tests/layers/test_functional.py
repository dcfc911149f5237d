"""Functional models whose layers branch, meet again or are shared: see ``harness``."""

from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras
from keras_impl import losses as keras_losses
from numpy_impl import losses, optimizers, training
from numpy_impl.files import keras_files, npz
from numpy_impl.functional import Functional
from numpy_impl.layers import Add, Dense, Dropout
from numpy_impl.network import Call, Sequential
from tests.layers import harness

L = keras.layers


def residual() -> keras.Model:
    x = keras.Input((4,), name="x")
    h = L.Dense(4, "tanh", name="first")(x)
    for name in ("second", "third"):
        inner = L.Dense(4, name=f"{name}_out")(L.Dense(6, "relu", name=name)(h))
        h = L.Add(name=f"{name}_sum")([h, inner])
    return keras.Model(x, L.Dense(2, name="last")(h))


def two_inputs() -> keras.Model:
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    both = L.Concatenate()([L.Dense(3, "tanh")(a), L.Dense(2, "sigmoid")(b), b])
    return keras.Model([a, b], L.Dense(2)(both))


def two_outputs() -> keras.Model:
    x = keras.Input((4,))
    h = L.Dense(5, "tanh")(x)
    first = L.Dense(3)(h)
    # The second goes on from the first output.
    return keras.Model(x, [first, L.Dense(2)(L.Multiply()([first, L.Dense(3)(h)]))])


def siamese() -> keras.Model:
    a, b = keras.Input((4,)), keras.Input((4,))
    inner_in = keras.Input((4,))
    shared = keras.Model(inner_in, L.Dense(3, "tanh")(L.Dense(5, "sigmoid")(inner_in)))
    return keras.Model([a, b], L.Dense(1)(L.Subtract()([shared(a), shared(b)])))


def recurrent_by_hand() -> keras.Model:
    """One layer three times in a row, and normalized by a shared layer in between."""
    x, layer, norm = keras.Input((4,)), L.Dense(4, "tanh", name="again"), L.LayerNormalization()
    return keras.Model(x, L.Dense(2)(layer(norm(layer(norm(layer(x)))))))


def nested() -> keras.Model:
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "tanh"), L.Dense(4)])
    y = keras.Input((4,))
    branches = keras.Model(y, L.Add()([inner(y), y, L.Dense(4)(y)]))
    return keras.Model(x, L.Dense(2)(L.Average()([branches(x), x])))


MODELS = {
    f.__name__: f for f in (residual, two_inputs, two_outputs, siamese, recurrent_by_hand, nested)
}
each = pytest.mark.parametrize("name", MODELS)


@each
@pytest.mark.parametrize("dtype", harness.DTYPES)
def test_agrees_with_keras(name, dtype):
    # The larger steps of other layers' tests would make some of these run away.
    harness.agrees_with_keras(MODELS[name], dtype=dtype, optimizer=lambda: keras.optimizers.Adam())


@each
def test_backward_is_the_derivative_of_forward(name):
    harness.backward_is_the_derivative_of_forward(MODELS[name])


@each
def test_survives_files(name, tmp_path):
    harness.survives_files(MODELS[name], (), tmp_path)


def test_a_wrong_gradient_of_a_shared_layer_is_seen():
    harness.sees_a_wrong_gradient(siamese)


def test_cross_entropies_of_two_outputs_take_the_logits():
    x = keras.Input((4,))
    h = L.Dense(5, "tanh", name="h")(x)
    digit, even = L.Dense(3, "softmax", name="digit")(h), L.Dense(1, "sigmoid", name="even")(h)
    model = keras.Model(x, [digit, even])
    model.compile(
        "sgd", ["sparse_categorical_crossentropy", "binary_crossentropy"], loss_weights=[0.5, 2.0]
    )
    rng = np.random.default_rng(0)
    data = rng.normal(size=(8, 4)).astype(np.float32)
    labels, bits = rng.integers(0, 3, 8), rng.integers(0, 2, (8, 1)).astype(np.float32)
    network: Any = parity.numpy_twin(model)
    # The losses and their weights are those that the model was compiled with.
    result = parity.compare(model, network, data, [labels, bits])
    assert result.passed, str(result)
    ours: Any = parity.numpy_loss(
        keras_losses.of_outputs(model.loss, network.output_names, [0.5, 2.0]), model
    )
    assert [(type(t).__name__, t.fused, w) for t, w in ours.terms()] == [
        ("SparseCategoricalCrossentropy", True, 0.5),
        ("BinaryCrossentropy", True, 2.0),
    ]
    cost, _ = network.loss_and_gradients(data, [labels, bits], ours)
    assert cost == pytest.approx(model.evaluate(data, [labels, bits], verbose=0)[0], rel=1e-5)
    # Other weights are another cost.
    other = parity.compare(
        model, network, data, [labels, bits], numpy_loss=losses.WeightedSum(ours.losses)
    )
    assert not other.passed


def test_dropout_draws_a_mask_for_each_call():
    x = keras.Input((4,))
    drop = L.Dropout(0.5)
    model = keras.Model(x, L.Dense(2)(drop(L.Dense(4, "tanh")(drop(x)))))
    network = parity.numpy_twin(model)
    rng = np.random.default_rng(0)
    masks = network.draw_masks(6, rng)
    assert [mask.shape for mask in masks] == [(6, 4), (6, 4)]
    data, targets = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    result = parity.compare(model, network, data, targets, loss="mse", masks=masks)
    assert result.passed, str(result)


def test_layers_in_another_order_than_keras_has_them():
    rng = np.random.default_rng(0)
    calls = [
        Call("late", Dense(4), ("x",)),  # Keras lists it behind those that need more layers
        Call("one", Dense(4, "tanh"), ("x",)),
        Call("two", Dense(4, "tanh"), ("one",)),
        Call("sum", Add(), ("late", "two")),
    ]
    network = Functional({"x": 4}, calls, ["sum"], rng, "float32")
    model = parity.keras_twin(network)
    assert [layer.name for layer in model.layers] != ["x", "late", "one", "two", "sum"]
    x = rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(model.predict_on_batch(x), network.predict(x), rtol=1e-5)
    result = parity.compare(
        model, network, x, rng.normal(size=(5, 4)), loss="mse", optimizer=keras.optimizers.Adam()
    )
    assert result.passed, str(result)


def test_gradients_of_two_paths_add_up_by_hand():
    """``y = w x + w (w x)`` has ``dy/dw = x + 2 w x``."""
    layer = Dense(1, use_bias=False)
    calls = [Call("a", layer, ("x",)), Call("b", layer, ("a",)), Call("y", Add(), ("a", "b"))]
    network = Functional({"x": 1}, calls, ["y"], dtype="float64")
    network.set_weights([np.array([[3.0]])])
    # The quadratic cost with target 0 hands y = 24 back, and dC/dw = y dy/dw.
    cost, (gradient,) = network.loss_and_gradients(
        np.array([[2.0]]), np.array([[0.0]]), losses.Quadratic()
    )
    assert cost == 24**2 / 2
    assert gradient.tolist() == [[24 * (2 + 2 * 3 * 2)]]


def test_fit_trains_a_graph_of_one_input_and_one_output():
    rng = np.random.default_rng(0)
    calls = [
        Call("h", Dense(8, "tanh"), ("x",)),
        Call("more", Dense(8, "relu"), ("h",)),
        Call("sum", Add(), ("h", "more")),
        Call("p", Dense(2, "softmax"), ("sum",)),
    ]
    network = Functional({"x": 2}, calls, ["p"], rng)
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    history = training.fit(
        network, losses.get("sparse_categorical_crossentropy", fused=True), optimizers.Adam(0.02),
        x, y, epochs=30, schedule=training.shuffled(200, 20, rng),
    )  # fmt: skip
    assert history.epochs["accuracy"][-1] > 0.95


REFUSED = {
    "unknown source": ([Call("y", Dense(2), ("z",))], "y to take inputs or outputs of earlier .*z"),
    "two names": ([Call("x", Dense(2), ("x",))], r"names, each another\. Received: .*\['x'\]"),
    "dead end": (
        [Call("d", Dense(2), ("x",)), Call("y", Dense(2), ("x",))], "to an output. Received: d",
    ),
    "two inputs": ([Call("y", Dense(2), ("x", "x"))], "y: Dense expects one input. Received: 2"),
    "no output": ([Call("z", Dense(2), ("x",))], "lead to an output. Received: z"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_graph(what):
    calls, said = REFUSED[what]
    with pytest.raises(ValueError, match=said):
        Functional({"x": 4}, calls, ["y"])


def test_a_shared_layer_whose_weights_do_not_fit():
    layer = Dense(2)
    with pytest.raises(
        ValueError, match=r"one Dense for which its weights fit, shapes .*Received: "
    ):
        Functional({"x": 4}, [Call("h", layer, ("x",)), Call("y", layer, ("h",))], ["y"])


def test_what_does_not_fit_a_network_is_said():
    network: Any = parity.numpy_twin(two_inputs())
    x = [np.ones((3, 4)), np.ones((2, 3))]
    with pytest.raises(ValueError, match=r"Expected 2 inputs, a, b. Received: 1"):
        network.predict(x[:1])
    with pytest.raises(ValueError, match=r"as many samples of each input. Received: 3, 2"):
        network.predict(x)
    with pytest.raises(ValueError, match=r"inputs b of shape \(N, 3\). Received: shape \(3, 4\)"):
        network.predict([x[0], x[0]])
    with pytest.raises(ValueError, match=r"network with one input. Received: inputs a, b"):
        _ = network.input_shape
    with pytest.raises(ValueError, match=r"2 inputs and targets of 1 outputs. Received: 1 and 1"):
        parity.compare(two_inputs(), network, x[0], x[1], loss="mse")


def test_a_fused_loss_of_an_output_that_goes_on():
    calls = [Call("p", Dense(2, "softmax"), ("x",)), Call("y", Dense(2), ("p",))]
    network = Functional({"x": 4}, calls, ["p", "y"])
    loss = losses.WeightedSum(
        [losses.CategoricalCrossentropy(fused=True), losses.MeanSquaredError()]
    )
    y = np.eye(2)
    with pytest.raises(ValueError, match=r"no other layer takes. Received: p, which one does"):
        network.loss_and_gradients(np.ones((2, 4)), [y, y], loss)


def test_damaged_files_of_graphs(tmp_path):
    npz.save(parity.numpy_twin(residual()), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        arrays: dict[str, Any] = dict(archive)
    config = str(arrays["config"]).replace('["first"]', '["nowhere"]')
    arrays["config"] = np.array(config)
    save: Any = np.savez
    save(tmp_path / "b.npz", **arrays)
    with pytest.raises(ValueError, match=r"Expected a network in .*earlier calls.*nowhere"):
        npz.load(tmp_path / "b.npz")


def test_a_chain_is_a_sequential_and_its_file_too(tmp_path):
    x = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "tanh"), L.Dropout(0.5)])
    model = keras.Model(x, L.Dense(2)(inner(x)))
    model.save(tmp_path / "chain.keras")
    for network in (parity.numpy_twin(model), keras_files.load_keras(tmp_path / "chain.keras")):
        assert isinstance(network, Sequential)
        assert [type(layer) for layer in network.layers] == [Dense, Dropout, Dense]
