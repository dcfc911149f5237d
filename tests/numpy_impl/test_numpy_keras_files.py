"""Keras's own files, read without Keras: the same weights to the last bit, the same outputs."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
from keras_impl import keras, precision
from keras_impl import models as keras_models
from keras_impl.autodiff import to_numpy
from numpy_impl import Call, Functional, Sequential, activations, models, serialization
from numpy_impl.files.keras_files import (
    documented_architecture,
    load_keras,
    load_keras_weights,
)
from numpy_impl.types import Precision
from parity.comparing.rows import Verdict
from parity.comparing.twins import keras_activation
from tests.numpy_impl.keras_samples import edit_config, functional, sequential

L: Any = keras.layers
ROOT = Path(__file__).parents[2]


def _data(inputs: int, dtype: Precision = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((20, inputs)).astype(dtype), np.eye(10, dtype=dtype)[rng.integers(0, 10, 20)]


def _assert_read(model: keras.Model, path: Path, x: np.ndarray | None = None) -> Sequential:
    """Save the model and read it back: weights, name, dtype and outputs are the model's."""
    model.save(path)
    network = load_keras(path)
    assert network.name == model.name
    assert len(network.weights) == len(model.get_weights())
    for ours, theirs in zip(network.weights, model.get_weights(), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
    if x is None:
        x = np.random.default_rng(1).standard_normal((9, *network.input_shape))
    assert network.input_shape == model.input_shape[1:]
    outputs = to_numpy(model(x, training=False))
    assert network.predict(x).dtype == outputs.dtype
    assert np.allclose(network.predict(x), outputs, rtol=1e-5, atol=1e-6)
    return network


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_documented_networks(name: str, dtype: Precision, tmp_path: Path) -> None:
    loss = "categorical_crossentropy"
    with precision(dtype):
        model = keras_models.build(name, np.random.default_rng(1))
        x, y = _data(models.ARCHITECTURES[name][0], dtype)
        optimizers = {"float32": keras.optimizers.Adam(0.01), "float64": "rmsprop"}
        model.compile(optimizers[dtype], loss, run_eagerly=True)
        for _ in range(3):
            model.train_on_batch(x, y)
        network = _assert_read(model, tmp_path / "model.keras", x)
        assert network.dtype == np.dtype(dtype)
        # Every layer's output within its rounding bound, and the weights bit for bit.
        result = parity.compare(model, network, x, y, loss=loss)
        if (name, dtype) == ("lstm", "float32"):  # 28 steps leave no bound: docs/limits.md
            assert Verdict.DIFFERENT not in {row.verdict for row in result.rows}
        else:
            result.raise_for_failure()
        path = tmp_path / "model.weights.h5"
        model.save_weights(path)
    assert documented_architecture(path) == name
    for rate in (None, 0):
        other = models.build(name, dtype=dtype, dropout=rate)
        load_keras_weights(path, other)
        assert other.parameters.tobytes() == network.parameters.tobytes()


def test_names_are_not_what_counts(tmp_path: Path) -> None:
    sequential(L.Dense(3))  # so that the names below do not start with "dense" itself
    model = sequential(*[L.Dense(3, "tanh") for _ in range(12)], L.Dense(2, name="dense"))
    network = _assert_read(model, tmp_path / "many.keras")
    assert model.layers[0].name != "dense"
    model.save_weights(tmp_path / "many.weights.h5")
    blank = network.clone()
    blank.parameters[:] = 0
    load_keras_weights(tmp_path / "many.weights.h5", blank)
    assert np.array_equal(blank.parameters, network.parameters)


def test_odd_names(tmp_path: Path) -> None:
    odd = ["A.b-c_D>1", "dense_9", "layers", "vars", "0", "x" * 300]
    path = tmp_path / "odd.keras"
    _assert_read(sequential(*[L.Dense(2, name=name) for name in odd]), path)
    # What TensorFlow does not allow, another backend does.
    odd = [f"{i}: größte №/{i}\n🙂" for i in range(6)]

    def rename(model: Any) -> None:
        model["config"]["name"] = "D1: größte"
        for layer, name in zip(model["config"]["layers"][1:], odd, strict=True):
            layer["config"]["name"] = name

    before = load_keras(path).parameters
    network = load_keras(edit_config(path, rename))
    assert network.name == "D1: größte"
    assert np.array_equal(network.parameters, before)


def test_elu_of_an_old_file_is_what_keras_reads(tmp_path: Path) -> None:
    """Keras 3.10 does not save alpha: what is read is its default, by Keras as well."""
    model = keras.Sequential([keras.Input((3,)), L.ELU(0.5)])
    model.save(tmp_path / "elu.keras")

    def forget(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            layer["config"].pop("alpha", None)

    path = edit_config(tmp_path / "elu.keras", forget)
    x = np.linspace(-2, 1, 6, dtype=np.float32).reshape(2, 3)
    theirs = to_numpy(keras.saving.load_model(path)(x))
    ours = load_keras(path).predict(x)
    assert np.allclose(ours, theirs, rtol=1e-6, atol=0)
    assert np.allclose(ours, np.where(x < 0, np.expm1(x), x), rtol=1e-6, atol=0)


LAYERS = {
    "every kind": lambda: [
        L.Rescaling(1 / 3, -0.1), L.Flatten(), L.Dense(4, use_bias=False), L.Activation("mish"),
        L.Dropout(0.3, seed=1), L.Dense(2), L.Identity(), L.Softmax(),
    ],
    "activation layers": lambda: [
        L.Flatten(), L.ReLU(), L.LeakyReLU(), L.LeakyReLU(0.2), L.ELU(), L.ReLU(6.0),
        L.ReLU(negative_slope=0.1), L.Softmax(axis=[-1]),
    ],
    "activation layers with options": lambda: [
        L.Flatten(), L.ELU(0.5), L.ReLU(5), L.ReLU(threshold=0.3), L.ReLU(2.0, 0.1, 0.5),
    ],
    "layers as activations": lambda: [
        L.Flatten(), L.Dense(3, L.LeakyReLU(0.01)), L.Activation(L.ReLU()), L.Dense(3, L.Softmax()),
    ],
    "what only training uses": lambda: [
        L.Flatten(), L.Dense(3, "gelu", kernel_regularizer="l2", bias_constraint="non_neg"),
        L.Dense(3, trainable=False, activity_regularizer="l1"),
    ],
    "without weights": lambda: [L.Rescaling(2)],
}  # fmt: skip


@pytest.mark.parametrize("what", LAYERS)
def test_layers(what: str, tmp_path: Path) -> None:
    _assert_read(sequential(*LAYERS[what](), shape=(2, 3)), tmp_path / "layers.keras")


@pytest.mark.parametrize("name", [*activations.ACTIVATIONS, "swish", None])
def test_activations(name: str, tmp_path: Path) -> None:
    function = activations.get(name)
    own = keras_activation(function) if name == function.name else name
    network = _assert_read(sequential(L.Dense(5, own)), tmp_path / "activation.keras")
    assert network.layers[0].config()["activation"] == activations.get(name).name


def test_another_slope_is_not_saved_as_the_default_one(tmp_path: Path) -> None:
    network = _assert_read(sequential(L.LeakyReLU(0.3)), tmp_path / "leaky.keras")
    serialization.save(network, tmp_path / "leaky.npz")
    again = serialization.load(tmp_path / "leaky.npz")
    x = np.linspace(-2, 2, 3 * np.prod(network.input_shape)).reshape(3, *network.input_shape)
    np.testing.assert_array_equal(again.predict(x), network.predict(x))


@pytest.mark.parametrize(("input_dtype", "dtype"), [("uint8", "float32"), ("float64", "float64")])
def test_inputs_of_another_dtype(input_dtype: str, dtype: Precision, tmp_path: Path) -> None:
    layers = [L.Rescaling(1 / 255, dtype=dtype), L.Dense(3, "relu", dtype=dtype)]
    model = keras.Sequential([keras.Input((4,), dtype=input_dtype), *layers])
    _assert_read(model, tmp_path / "inputs.keras", np.arange(12, dtype=input_dtype).reshape(3, 4))


def test_functional_models(tmp_path: Path) -> None:
    model = functional(L.Flatten(), L.Dense(3), L.Dropout(0.5), L.Dense(2), shape=(2, 2))
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(np.ones((3, 2, 2)), np.ones((3, 2)))
    _assert_read(model, tmp_path / "functional.keras")
    entry = keras.Input((4,))
    model = keras.Model([entry], [L.Dense(2)(inputs=L.Dense(3)(entry))])
    model.save(tmp_path / "lists.keras")
    model.save_weights(tmp_path / "lists.weights.h5")
    network = load_keras(tmp_path / "lists.keras")
    parity.copy_weights(model, expected := network.clone())
    assert np.array_equal(network.parameters, expected.parameters)
    network.parameters[:] = 0
    load_keras_weights(tmp_path / "lists.weights.h5", network)
    assert np.array_equal(network.parameters, expected.parameters)


def test_weights_of_all_kinds_of_layers(tmp_path: Path) -> None:
    layers = [
        L.Conv1D(4, 2), L.BatchNormalization(), L.Conv1D(4, 2, use_bias=False),
        L.LayerNormalization(), L.BatchNormalization(center=False), L.Dropout(0.5, seed=1),
        L.TimeDistributed(L.Dense(3)), L.PReLU(),
        L.Bidirectional(L.LSTM(2, return_sequences=True)), L.GRU(2), L.Dense(2), L.ReLU(),
        L.Dense(2),
    ]  # fmt: skip
    model = sequential(*layers, shape=(6, 3))
    rng = np.random.default_rng(0)
    model.set_weights([rng.random(w.shape) for w in model.get_weights()])
    model.save_weights(tmp_path / "all.weights.h5")
    network = parity.numpy_twin(model)
    blank = network.clone()
    blank.set_weights([np.zeros_like(weight) for weight in network.weights])
    load_keras_weights(tmp_path / "all.weights.h5", blank)
    for own, other in zip(blank.weights, network.weights, strict=True):
        np.testing.assert_array_equal(own, other)


def test_weights_of_a_graph_by_the_names_of_its_layers(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    h = L.MultiHeadAttention(1, 2, name="attention")(*[L.Reshape((2, 2), name="r")(x)] * 2)
    one, two = L.Dense(2, name="one")(h), L.Dense(2, name="two")(h)
    model = keras.Model(x, L.Add(name="sum")([two, one]))
    model.save_weights(tmp_path / "graph.weights.h5")
    twin = parity.numpy_twin(model)
    layers = {
        own: copy.copy(layer) for own, layer in zip(twin.layer_names, twin.layers, strict=True)
    }
    for layer in layers.values():
        layer.built = False
    # The same network, with the branches written in another order than Keras has them.
    calls = [Call(c.name, layers[c.name], c.sources) for c in twin.calls]
    places = {call.name: i for i, call in enumerate(calls)}
    calls[places["one"]], calls[places["two"]] = calls[places["two"]], calls[places["one"]]
    other = Functional({"x": 4}, calls, twin.output_names)
    load_keras_weights(tmp_path / "graph.weights.h5", other)
    inputs = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_array_equal(other.predict(inputs), twin.predict(inputs))


def test_nested_models(tmp_path: Path) -> None:
    def inner(units: int) -> keras.Sequential:
        return sequential(L.Dense(units, "tanh"), L.Dropout(0.1), L.Dense(4))

    deep = sequential(inner(2), L.Dense(4), functional(inner(3), L.Dense(4)))
    network = _assert_read(sequential(inner(5), deep, inner(6)), tmp_path / "nested.keras")
    assert len(network.weights) == 2 * 10
    _assert_read(functional(inner(5), L.Dense(4), deep), tmp_path / "nested.keras")
    deep.save_weights(tmp_path / "nested.weights.h5")
    with pytest.raises(ValueError, match=r"of another kind in layers/(functional|sequential)"):
        load_keras_weights(tmp_path / "nested.weights.h5", models.build([4, 4]))


def test_neither_keras_nor_tensorflow_is_imported(tmp_path: Path) -> None:
    model = keras_models.build("64-40-10", np.random.default_rng(0))
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    code = """
import sys
from numpy_impl.files import keras_files as files
from numpy_impl import models
assert "h5py" not in sys.modules
network = files.load_keras(sys.argv[1])
twin = models.build(files.documented_architecture(sys.argv[2]))
files.load_keras_weights(sys.argv[2], twin)
assert (network.parameters == twin.parameters).all()
assert "h5py" in sys.modules and network.parameters.any()
print({"keras", "tensorflow", "keras_impl", "parity", "scipy"} & set(sys.modules))
"""
    command = [sys.executable, "-W", "error", "-c", code]
    command += [str(tmp_path / "m.keras"), str(tmp_path / "m.weights.h5")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
