"""All measurements of the backend that is running, as the JSON of its process.

``python -m tools.backends.measuring FILE``, with ``KERAS_BACKEND`` set. Importing this module
imports Keras.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import parity
from digit_data import datasets
from keras_impl import keras, precision
from numpy_impl import models
from numpy_impl.types import Precision
from scripts import recipes
from tools.backends.cases import DTYPES, Case, cases, worst
from tools.backends.differences import differences
from tools.backends.page import REFUSED

# Of 784-500-300-10 on MNIST by document D4's recipe.
STEPS, NETWORK = 300, "784-500-300-10"


def measure(on_case: Callable[[str], None] = lambda name: None) -> dict[str, Any]:
    """Return everything; ``on_case`` is called with the name of what is measured next."""
    backend = keras.backend.backend()
    agreement: list[dict[str, Any]] = []
    for case in cases():
        on_case(case.name)
        ratios = {dtype: compared(case, dtype) for dtype in DTYPES}
        agreement.append({"group": case.group, "name": case.name, **ratios})
    on_case("what differs")
    found = differences()
    on_case(f"{STEPS} steps")
    return {
        "backend": backend,
        "versions": {"keras": keras.__version__, backend: version(backend)},
        "agreement": agreement,
        "differences": found,
        "training": training(),
    }


def compared(case: Case, dtype: Precision) -> dict[str, Any]:
    """Return the worst of a case's comparison; or, where it is refused, the reason."""
    try:
        return _ratio(case.compare(dtype))
    except ValueError as error:
        return {"ratio": None, "verdict": REFUSED, "of": str(error)}


def _ratio(comparison: parity.Comparison) -> dict[str, Any]:
    row = worst(comparison)
    return {
        "ratio": row.ratio if np.isfinite(row.ratio) else None,
        "verdict": row.verdict.value,
        "of": f"{row.section} {row.tensor}",
    }


def training() -> dict[str, Any]:
    """Train by RMSprop in float64 on MNIST in both engines, and return how far apart they are.

    Raises:
        DatasetError: There is no MNIST.
    """
    weights_rng, order_rng, split_rng = np.random.default_rng(0).spawn(3)
    recipe = recipes.get(NETWORK)
    samples = recipe.load(None, split_rng, "float64")
    batches = recipe.order(len(samples.x_train), recipe.batch_size, order_rng)(0)[:STEPS]
    with precision("float64"):
        network = models.build(NETWORK, weights_rng, dtype="float64")
        compared = parity.compare_training(
            parity.keras_twin(network), network, samples.x_train, samples.y_train,
            loss=recipe.loss, optimizer=keras.optimizers.RMSprop(**recipe.options),
            batches=batches, check_every=30, measure_every=STEPS,
        )  # fmt: skip
    apart = compared.distances[-1]
    return {
        "steps": apart.steps,
        "engines": apart.engines,
        "control": apart.control,
        "checked": _ratio(compared),
    }


def main() -> int:
    """Write the measurements into the file that is named, with a line for each on the way."""

    def on_case(name: str) -> None:
        print(f"{keras.backend.backend()}: {name}", file=sys.stderr, flush=True)

    try:
        found = measure(on_case)
    except datasets.DatasetError as error:
        print(f"backends: {error}", file=sys.stderr)
        return 1
    Path(sys.argv[1]).write_text(json.dumps(found, ensure_ascii=False, indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
