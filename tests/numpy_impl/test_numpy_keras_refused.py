"""What a Keras file has and ``numpy_impl`` has not is refused in one line that names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_impl import keras
from numpy_impl import models
from numpy_impl.files.keras_files import documented_architecture, load_keras, load_keras_weights
from tests.numpy_impl.keras_samples import edit_config, functional, sequential

L: Any = keras.layers


@keras.saving.register_keras_serializable("Ours")
class OwnDense(keras.layers.Dense):
    """A layer that is not Keras's own."""


class Dense(keras.layers.Dense):
    """A layer that is not Keras's own either, whatever it is called."""


def own_activation(x: Any) -> Any:
    """An activation that is not Keras's own."""
    return x


def _masked() -> keras.Model:
    x, mask = keras.Input((3, 4)), keras.Input((3,), name="mask", dtype="bool")
    return keras.Model([x, mask], L.Attention(name="att")([x, x], mask=[mask, mask]))


def _scores() -> keras.Model:
    x = keras.Input((3, 4))
    layer = L.MultiHeadAttention(2, 3, name="mha")
    return keras.Model(x, layer(x, x, return_attention_scores=True)[0])


def _two_options() -> keras.Model:
    x, layer = keras.Input((3, 4)), L.MultiHeadAttention(2, 3, name="mha")
    return keras.Model(x, layer(layer(x, x), x, use_causal_mask=True))


def _quantized() -> keras.Model:
    model = functional(L.Dense(4, name="small"))
    model.layers[-1].quantize("int8")
    return model


CLASSES = "Expected layers that numpy_impl has "
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "noise": (
        lambda: sequential(L.GaussianNoise(0.5, name="n")),
        CLASSES + ".*: layer 'n' of class GaussianNoise",
    ),
    "Lambda": (lambda: sequential(L.Lambda(own_activation)), CLASSES + ".* of class Lambda"),
    "own class": (lambda: sequential(OwnDense(2)), CLASSES + ".* of class OwnDense"),
    "own class Dense": (lambda: sequential(Dense(2)), "Keras's own .*of class Dense from module"),
    "own activation": (
        lambda: sequential(L.Dense(2, own_activation, name="d")),
        "'d' of class Dense as .*: activation own_activation",
    ),
    "PReLU as activation": (
        lambda: sequential(L.Dense(2, L.PReLU(), name="d")), "'d' of .*: activation PReLU",
    ),
    "unknown activation": (
        lambda: sequential(L.Activation("sparsemax", name="a")), "'a' of .*Received: 'sparsemax'",
    ),
    "noise_shape": (
        lambda: sequential(L.Dropout(0.5, noise_shape=(1, 4))),
        r"Dropout .*: noise_shape=\[1, 4\]",
    ),
    "channels_first": (
        lambda: sequential(L.Flatten("channels_first"), shape=(2, 3)),
        "Flatten .*: data_format='channels_first'",
    ),
    "scales": (
        lambda: sequential(L.Rescaling([1.0, 2.0, 3.0, 4.0])), "Rescaling .*: scale=.*not one",
    ),
    "lora": (lambda: sequential(L.Dense(3, lora_rank=2)), "Dense .*: lora_rank=2"),
    "another axis": (
        lambda: sequential(L.RMSNormalization(axis=[1, 2], name="m"), shape=(2, 3)),
        "'m' of .*RMSNormalization expects the last axis, 2",
    ),
    "mixed_float16": (
        lambda: sequential(L.Dense(3, dtype="mixed_float16", name="h")),
        "dtype policy, float32 or float64, .*'h' of class Dense with dtype policy mixed_float16",
    ),
    "two policies": (
        lambda: sequential(L.Dense(3), L.Dense(3, dtype="float64", name="d")),
        "'d' of class Dense with dtype policy float64; the first layer's is float32",
    ),
    "quantized": (_quantized, "'small' of class Dense with dtype policy QuantizedDTypePolicy"),
    "rounded inputs": (
        lambda: keras.Sequential([keras.Input((4,), dtype="float16"), L.Dense(3)]),
        "inputs of dtype float32 .*of class InputLayer with dtype float16",
    ),
    "open shape": (
        lambda: sequential(L.Rescaling(2), shape=(None, 4)), r"fixed shape.*shape \(None, 4\)",
    ),
    "operations": (
        lambda: functional(lambda x: x * 2, L.Dense(2)),
        "Keras's own.*'multiply.*' of class Multiply from module keras.src.ops.numpy",
    ),
    "training": (
        lambda: functional(lambda x: L.Dropout(0.5, name="on")(x, training=True)),
        "'on' of class Dropout as .*: training=True",
    ),
    "masks": (_masked, "'att' of class Attention as .*'att' called with a tensor as mask"),
    "scores": (_scores, "'mha' of class MultiHeadAttention as .*: return_attention_scores=True"),
    "two options": (_two_options, "calls of a layer with the same options.*'mha'"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_numpy_impl_has_not_is_refused_by_name(what: str, tmp_path: Path) -> None:
    make, said = REFUSED[what]
    path = tmp_path / "refused.keras"
    make().save(path)
    with pytest.raises(ValueError, match=said) as caught:
        load_keras(path)
    assert f" in {path}. Received: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_layers(tmp_path: Path) -> None:
    path = tmp_path / "refused.keras"
    sequential(L.Dense(2)).save(path)
    for end in (0, 1):
        edit_config(path, lambda model, end=end: model["config"]["layers"].__delitem__(end))
        with pytest.raises(ValueError, match="an input layer and at least one layer after it"):
            load_keras(path)
        sequential(L.Dense(2)).save(path)


def _weights(path: Path, *layers: Any, shape: tuple[int, ...] = (4,)) -> Path:
    model = sequential(*layers, shape=shape)
    model(np.zeros((1, *shape)))  # builds what is inside Dense layers too
    model.save_weights(path)
    return path


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([L.Dense(3), L.Dense(3)], r"weights of shapes \(4, 3\), \(3,\), \(3, 2\), .*: \(4, 3\), "),
        ([L.Dense(3), L.BatchNormalization(), L.Dense(2)], "in layers/batch_normalization"),
        ([L.Dense(3, L.PReLU()), L.Dense(2)], "in layers/dense$"),
        ([L.Rescaling(2), L.Dense(3), L.Dense(2)], "without Rescaling.*: layers/rescaling"),
        ([L.Dropout(0.5)], "no group layers/dense"),
    ],
)
def test_weights_of_other_layers_are_refused(layers: Any, said: str, tmp_path: Path) -> None:
    path = _weights(tmp_path / "other.weights.h5", *layers)
    network = models.build([4, 3, 2], np.random.default_rng(0))
    before = network.parameters.copy()
    with pytest.raises(ValueError, match=said):
        load_keras_weights(path, network)
    assert np.array_equal(network.parameters, before)


def test_no_documented_architecture(tmp_path: Path) -> None:
    path = _weights(tmp_path / "other.weights.h5", L.Dense(2))
    with pytest.raises(
        ValueError, match=r"one of 64-40-10, .*: shapes \(4, 2\), \(2,\), which fit"
    ):
        documented_architecture(path)
