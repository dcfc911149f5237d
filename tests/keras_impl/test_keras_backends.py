"""The comparison on Keras's other backends, where they are installed."""

import importlib.util
import os
import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
import parity
from keras_impl import keras, models, precision

LOSSES = {"64-40-10": "quadratic", "784-64-10": "categorical_crossentropy"}
with precision("DTYPE"):
    for name, loss in LOSSES.items():
        rng = np.random.default_rng(0)
        model = models.build(name, rng)
        x = rng.random((15, model.input_shape[1]))
        y = np.eye(10)[rng.integers(0, 10, 15)]
        for optimizer in (keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.Adam()):
            parity.compare(
                model, parity.numpy_twin(model), x, y, loss=loss, optimizer=optimizer, steps=3
            ).raise_for_failure()
print("identical on", keras.backend.backend())
"""


def run(backend: str, program: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; Keras's default backend is TensorFlow")
    environment = os.environ | {"KERAS_BACKEND": backend}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("backend", "dtype"), [("jax", "float32"), ("jax", "float64"), ("torch", "float32")]
)
def test_networks_are_identical_on_the_other_backends(backend, dtype):
    done = run(backend, PROGRAM.replace("DTYPE", dtype))
    assert f"identical on {backend}" in done.stdout, done.stdout + done.stderr


def test_a_backend_without_float64_is_refused():
    done = run("torch", "import keras_impl; keras_impl.set_precision('float64')")
    assert "multiplies float64 matrices in float64. Received: torch, which does so in float32" in (
        done.stderr
    )
