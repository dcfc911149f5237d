"""The quadratic cost in Keras, losses by name, and the precision that is set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_impl import keras, losses, precision, set_precision
from keras_impl.precision import Precision

# errors: (1, -2, 2) and (0, 3, -1); their squares sum to 9 and 10.
TRUE = np.array([[0.0, 2.0, 1.0], [5.0, -1.0, 0.5]])
PREDICTED = np.array([[1.0, 0.0, 3.0], [5.0, 2.0, -0.5]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quadratic(dtype: Precision) -> None:
    with precision(dtype):
        loss: Any = losses.Quadratic()
        value = loss(TRUE.astype(dtype), PREDICTED.astype(dtype))
        assert keras.backend.standardize_dtype(value.dtype) == dtype
        assert float(value) == 4.75  # (9/2 + 10/2) / 2 samples
        each = np.asarray(loss.call(TRUE, PREDICTED))
    assert each.tolist() == [4.5, 5.0]


def test_quadratic_gradient() -> None:
    import tensorflow as tf

    predicted = tf.constant(PREDICTED)
    with precision("float64"), tf.GradientTape() as tape:
        tape.watch(predicted)
        value: Any = losses.Quadratic()(tf.constant(TRUE), predicted)
    gradient = tape.gradient(value, predicted)
    np.testing.assert_array_equal(gradient, (PREDICTED - TRUE) / 2)  # (a - y) / N


def test_quadratic_survives_saving(tmp_path: Path) -> None:
    model: Any = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(loss=losses.Quadratic(name="mine", reduction="sum"), optimizer="sgd")
    model.train_on_batch(PREDICTED, TRUE)
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is losses.Quadratic
    assert loaded.loss.get_config() == model.loss.get_config()
    assert (loaded.loss.name, loaded.loss.reduction) == ("mine", "sum")
    assert loaded.evaluate(PREDICTED, TRUE, verbose=0) == model.evaluate(PREDICTED, TRUE, verbose=0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("quadratic", losses.Quadratic),
        ("mean_squared_error", keras.losses.MeanSquaredError),
        ("mse", keras.losses.MeanSquaredError),
        ("mean_absolute_error", keras.losses.MeanAbsoluteError),
        ("mae", keras.losses.MeanAbsoluteError),
        ("categorical_crossentropy", keras.losses.CategoricalCrossentropy),
        ("sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy),
        ("binary_crossentropy", keras.losses.BinaryCrossentropy),
        ("huber", keras.losses.Huber),
    ],
)
def test_names(name: str, kind: type) -> None:
    loss = losses.get(name)
    assert type(loss) is kind
    assert loss.reduction == "sum_over_batch_size"
    assert losses.get(loss) is loss


@pytest.mark.parametrize("name", ["quadratisch", "", "get", "serialize", "loss_scale"])
def test_unknown_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"Unknown loss\. Expected quadratic, cat") as caught:
        losses.get(name)
    assert str(caught.value).endswith(f"Received: {name!r}")


def _settings() -> tuple[str, str]:
    return keras.config.floatx(), keras.config.dtype_policy().name


def test_precision_is_set_and_restored() -> None:
    assert _settings() == ("float32", "float32")
    with precision("float64"):
        assert _settings() == ("float64", "float64")
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        with precision("float32"):
            assert _settings() == ("float32", "float32")
        assert _settings() == ("float64", "float64")
    assert _settings() == ("float32", "float32")
    assert model.compute_dtype == "float64"
    assert model.get_weights()[0].dtype == "float64"
    assert losses.get("mse").dtype == "float32"


def test_precision_is_restored_after_an_exception() -> None:
    with pytest.raises(KeyError), precision("float64"):
        raise KeyError
    assert _settings() == ("float32", "float32")


def test_another_policy_is_restored_as_it_was() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with precision("float64"):
            assert _settings() == ("float64", "float64")
        assert _settings() == ("float32", "mixed_bfloat16")
    finally:
        keras.config.set_dtype_policy("float32")


def test_set_precision() -> None:
    try:
        set_precision("float64")
        assert _settings() == ("float64", "float64")
    finally:
        set_precision("float32")
    assert _settings() == ("float32", "float32")
    with pytest.raises(ValueError, match=r"float32 or float64\. Received: 'float16'"):
        set_precision("float16")  # type: ignore[arg-type]
    wrong: Any = "double"
    with pytest.raises(ValueError, match="Received: 'double'"), precision(wrong):
        pass
    assert _settings() == ("float32", "float32")
