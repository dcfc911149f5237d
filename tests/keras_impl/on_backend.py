"""What is asked of one of Keras's backends: ``python -m tests.keras_impl.on_backend`` prints JSON.

A process of its own, as Keras has one backend a process. Each function gives plain values, which
``test_keras_backends.py`` judges.
"""

import json
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import parity
from digit_data import datasets
from keras_impl import autodiff, keras, losses, models, precision, training
from keras_impl.input_gradient import input_gradient
from keras_impl.precision import as_keras_has_it
from numpy_impl import input_gradient as numpy_input_gradient
from numpy_impl import training as numpy_training
from numpy_impl.types import Precision
from tests.parity.test_gradients_beside_keras import Recurrence

L: Any = keras.layers
DTYPES: tuple[Precision, ...] = ("float64", "float32")


def pair(name: str = "64-200-10") -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(0)
    model = models.build(name, rng)
    x = rng.random((15, model.input_shape[1]))
    return model, parity.numpy_twin(model), x, np.eye(10)[rng.integers(0, 10, 15)]


def networks() -> dict[str, bool]:
    """Whether small networks and their twins are the same, by network, dtype and optimizer."""
    found: dict[str, bool] = {}
    for dtype in DTYPES:
        with precision(dtype):
            for name, loss in (
                ("64-40-10", "quadratic"),
                ("64-200-10", "categorical_crossentropy"),
            ):
                for optimizer in (
                    keras.optimizers.SGD(0.1, momentum=0.9),
                    keras.optimizers.Nadam(),
                ):
                    compared = parity.compare(*pair(name), loss=loss, optimizer=optimizer, steps=3)
                    found[f"{name} {dtype} {type(optimizer).__name__}"] = compared.passed
    return found


def planted() -> list[str]:
    """Of which tensors a comparison in float64 says that they differ: one gradient is wrong."""
    with precision("float64"):
        model, network, x, y = pair()
        right = network.loss_and_gradients

        def wrong(*arguments: Any) -> Any:
            cost, gradients = right(*arguments)
            gradients[0] = gradients[0].copy()
            place = np.unravel_index(np.argmax(np.abs(gradients[0])), gradients[0].shape)
            gradients[0][place] *= 1 + 1e-9
            return cost, gradients

        network.loss_and_gradients = wrong
        compared = parity.compare(model, network, x, y, loss="categorical_crossentropy")
        return [f"{row.section} {row.tensor}" for row in compared.failures()]


def by_itself() -> str:
    """What a comparison says in float64 that is set as Keras's manual has it."""
    with precision("float64"), as_keras_has_it():
        try:
            compared = parity.compare(*pair(), loss="categorical_crossentropy")
        except ValueError as error:
            return str(error)
        return "identical" if compared.passed else "different"


def own_ways() -> dict[str, bool]:
    """Whether what a backend has in a way of its own is matched."""
    found: dict[str, bool] = {}
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        with precision(dtype):
            x, labels = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
            y = np.eye(3)[labels]
            for kind in ("tanh", "gelu", "leaky_relu", "hard_sigmoid"):
                model = keras.Sequential([keras.Input((5,)), L.Dense(4, kind), L.Dense(3)])
                found[f"{kind} {dtype}"] = parity.compare(
                    model, parity.numpy_twin(model), x, y, loss="mean_squared_error"
                ).passed
            for loss in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
                model = keras.Sequential([keras.Input((5,)), L.Dense(3, "softmax")])
                # So sure of itself that probabilities are clipped where they are.
                model.set_weights([30 * rng.normal(size=(5, 3)), np.zeros(3)])
                found[f"{loss}, confident {dtype}"] = parity.compare(
                    model, parity.numpy_twin(model), x, labels if "sparse" in loss else y, loss=loss
                ).passed
    return found


def apart() -> float:
    """How far both engines are apart after 300 steps of RMSprop in float64, on real digits."""
    digits = datasets.load_digits_split("last359")
    x, y = digits.x_train.reshape(-1, 64) / 16, datasets.one_hot(digits.y_train)
    batches = np.arange(300 * 50).reshape(300, 50) % len(x)
    with precision("float64"):
        layers = [L.Dense(30, "relu"), L.Dense(20, "relu"), L.Dense(10, "softmax")]
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((64,)), *layers])
        compared = parity.compare_training(
            model, parity.numpy_twin(model), x, y, loss="categorical_crossentropy",
            optimizer=keras.optimizers.RMSprop(0.001), batches=batches, check_every=60,
            measure_every=300,
        )  # fmt: skip
        compared.raise_for_failure()
    return compared.distances[-1].engines


def fitted() -> float:
    """How far Keras's own ``fit`` is from the NumPy engine's, after two epochs in float64."""
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 64)), np.eye(10)[rng.integers(0, 10, 60)]

    def schedule(epoch: int) -> list[np.ndarray]:
        return list(np.random.default_rng(epoch).permutation(60).reshape(6, 10))

    with precision("float64"):
        model = models.build("64-40-10", rng)
        network = parity.numpy_twin(model)
        loss, optimizer = losses.get("quadratic"), keras.optimizers.SGD(0.5)
        training.compile_model(model, loss, optimizer)
        training.fit(model, x, y, epochs=2, schedule=schedule)
        numpy_training.fit(
            network, parity.numpy_loss(loss, model), parity.numpy_optimizer(optimizer), x, y,
            epochs=2, schedule=schedule,
        )  # fmt: skip
    return parity.distance(model, network)


def checks() -> dict[str, Any]:
    """What checks say that ask Keras: beside a model, of a layer, and which weight is which."""
    model = keras.Sequential([keras.Input((5, 2)), L.SimpleRNN(4), L.Dense(3, "softmax")])
    right, wrong = Recurrence(), Recurrence("bias of one step")
    reports = [parity.check(each.candidate(), model) for each in (right, wrong)]

    def layer(slip: float) -> parity.CheckReport:
        return parity.check_layer(
            lambda x, w, b: (np.tanh(x @ w + b), (x, w, np.tanh(x @ w + b))),
            lambda dout, kept: _dense_back(dout * (1 - slip * kept[2] ** 2), *kept[:2]),
            L.Dense(4, "tanh"), inputs=(5, 3), weights=[(3, 4), (4,)],
        )  # fmt: skip

    reports += [layer(1.0), layer(1 + 1e-3)]
    matched = parity.match_weights(model, right.w, right.forward)
    return {
        "outcomes": [report.outcome.name for report in reports],
        "witnesses": [
            witness.agrees for report in reports for witness in report.witnesses
            if witness.name == "Keras's autodiff"
        ],
        "matched": [row.by for row in matched.rows],
    }  # fmt: skip


def _dense_back(dz: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, ...]:
    return dz @ w.T, x.T @ dz, dz.sum(axis=0)


def by_inputs() -> float:
    """How far the gradient by the inputs is from NumPy's, relative to it."""
    rng = np.random.default_rng(0)
    with precision("float64"):
        model = models.build("64-200-10", rng)
        x, dout = rng.random((3, 64)), rng.random((3, 10))
        theirs = input_gradient(model, x, dout)
    ours = numpy_input_gradient.input_gradient(parity.numpy_twin(model), x, dout)
    return float(np.max(np.abs(theirs - ours)) / np.max(np.abs(ours)))


def commands() -> dict[str, Any]:
    """The exit codes of the commands, and what of them is on the disk."""
    from scripts.draw.engines import LateKeras
    from scripts.model_files import SHIPPED_MODEL
    from scripts.train.__main__ import main as train
    from scripts.whatami.__main__ import main as whatami

    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "run")
        common = ["64-200-10", "--engine", "keras", "--batch-size", "200", "--out", out]
        codes = [train([*common, "--epochs", "1"]), train([*common, "--epochs", "2", "--resume"])]
        files = sorted(file.name for file in Path(out).iterdir())
        picture = str(Path(__file__).parents[2] / "docs" / "images" / "photo.jpg")
        seen = str(Path(folder) / "why.png")
        codes.append(whatami([picture, "--engine", "keras", "--explain", seen]))
        left = len(list(Path(folder).iterdir()))
    page = LateKeras(SHIPPED_MODEL)
    loading = threading.Thread(target=page.load)  # as the page does
    loading.start()
    loading.join()
    return {"codes": codes, "files": files, "left": left, "page": page.state}


def one_filter() -> str:
    """What a comparison says of a convolution of one filter in float64."""
    with precision("float64"):
        layers = [L.Conv2D(1, 3), L.Flatten(), L.Dense(2)]
        model = keras.Sequential([keras.Input((5, 5, 2)), *layers])
        x = np.random.default_rng(0).normal(size=(3, 5, 5, 2))
        try:
            compared = parity.compare(
                model, parity.numpy_twin(model), x, np.ones((3, 2)), loss="mean_squared_error"
            )
        except ValueError as error:
            return str(error)
        return "identical" if compared.passed else "different"


PARTS: tuple[Callable[[], Any], ...] = (
    networks, planted, by_itself, own_ways, apart, fitted, checks, by_inputs, commands, one_filter,
)  # fmt: skip


def found() -> dict[str, Any]:
    """Return what every part gives."""
    assert keras.backend.backend() in autodiff.ENGINES
    return {part.__name__: part() for part in PARTS}


def main() -> None:
    """Print it as one line of JSON, the last one."""
    print(json.dumps(found()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
