"""One of several processes that train together: ``python -m tests.scripts.on_processes``.

It takes 50 steps with Keras on JAX, and saves the weights before and after each of them.
"""

import sys
from contextlib import nullcontext
from typing import Any

import numpy as np

from numpy_impl import models as numpy_models

STEPS, BATCH, RATE, NETWORK = 50, 24, 0.5, "64-40-10"


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Return what all of them train on: a batch for each step."""
    rng = np.random.default_rng(1)
    x = rng.random((STEPS * BATCH, 64))
    return x, np.eye(10)[rng.integers(0, 10, len(x))]


def batches() -> list[np.ndarray]:
    """Return the samples of each step, in an order that is drawn."""
    order = np.random.default_rng(2).permutation(STEPS * BATCH)
    return list(order.reshape(STEPS, BATCH))


def main(process: int, processes: int, coordinator: str, out: str, planted: str) -> None:
    """Train as one of the processes; ``planted`` is a mistake to make."""
    import keras_impl
    from keras_impl import data_parallel, keras, losses, models, training

    several = processes > 1
    with (
        data_parallel.joined(coordinator, processes, process) if several else nullcontext() as group
    ):
        part: Any = None if group is None else group.part
        if planted == "same part":  # every process takes the first half
            part = data_parallel.Group(processes, 0).part
        with keras_impl.precision("float64"):
            model = models.build(NETWORK, np.random.default_rng(0))
            start = numpy_models.build(NETWORK, np.random.default_rng(0), dtype="float64")
            model.set_weights(start.get_weights())
            training.compile_model(model, losses.get("quadratic"), keras.optimizers.SGD(RATE))
            seen = [_weights(model)]
            order = batches()
            training.fit(
                model, *samples(), epochs=STEPS, schedule=lambda epoch: [order[epoch]],
                on_epoch=lambda epoch, logs: seen.append(_weights(model)), part=part,
            )  # fmt: skip
        np.save(out, np.stack(seen))


def _weights(model: Any) -> np.ndarray:
    return np.concatenate([np.asarray(w).ravel() for w in model.get_weights()])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6])
