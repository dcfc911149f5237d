"""Run somebody's trained Keras network through its NumPy twin, on photographs.

``python -m tools.pretrained MODEL``: MODEL is a file of a network for pictures that Keras reads,
``.keras`` or HDF5. It answers for pieces of the two photographs that come with scikit-learn, and so
does its twin; then every layer's output and every weight's gradient are compared in float64. A
gradient through many batch normalizations has no bound; its error is told. Reading the file is up
to Keras: give it only files that you trust.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from numpy_impl.types import Array
from terminal_io import FAILURE, CliError, Parser, run


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = Parser(prog="python -m tools.pretrained", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .keras or HDF5 file")
    parser.add_argument(
        "--compared", type=int, default=4, metavar="N",
        help="compare layers and gradients for so many pieces (4)",
    )  # fmt: skip
    return parser.parse_args(argv)


def pieces(height: int, width: int, channels: int) -> Array:
    """Return pieces of photographs beside each other, (N, height, width, channels) in [-1, 1]."""
    from sklearn.datasets import load_sample_images

    found: list[Array] = []
    for photograph in load_sample_images().images:
        image = Image.fromarray(photograph).convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(image, np.float64).reshape(*photograph.shape[:2], -1)
        found += [
            pixels[top : top + height, left : left + width]
            for top in range(0, pixels.shape[0] - height + 1, height)
            for left in range(0, pixels.shape[1] - width + 1, width)
        ]
    return np.stack(found) / 127.5 - 1


def _load(path: Path) -> tuple[Any, Any]:
    """Return the Keras model and its twin."""
    import parity
    from keras_impl import keras

    try:
        model: Any = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever the file makes Keras raise
        reason = " ".join(str(error).split())[:300]
        raise CliError(f"{path}: expected a model that Keras reads. Received: {reason}") from error
    try:
        network = parity.numpy_twin(model)
    except ValueError as error:
        raise CliError(f"{path}: {error}") from error
    ends = network.input_names, network.output_names
    shapes = [network.shapes[name] for names in ends for name in names]
    if (
        len(shapes) != 2
        or len(shapes[0]) != 3
        or shapes[0][-1] not in (1, 3)
        or len(shapes[1]) != 1
    ):
        raise CliError(
            f"{path}: expected one picture, grey or in colours, and one vector of answers. "
            f"Received: shapes {', '.join(map(str, shapes))}"
        )
    return model, network


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    if options.compared < 1:
        raise CliError(f"expected --compared of at least 1. Received: {options.compared}")
    import keras_impl
    import parity
    from parity.comparing.rows import Verdict

    model, network = _load(options.model)
    x = pieces(*network.input_shape).astype(network.dtype)
    theirs, ours = np.asarray(model.predict(x, verbose=0)), network.predict(x)
    same = np.count_nonzero(np.argmax(theirs, axis=1) == np.argmax(ours, axis=1))
    print(
        f"{model.name}: {len(network.layers)} layers, {model.count_params()} weights, "
        f"{network.dtype}.\n{len(x)} pieces of photographs: the largest output is at the same "
        f"place in {same}, and outputs differ by at most {np.max(np.abs(theirs - ours)):.1e}."
    )
    wide = network.clone("float64")
    x, y = x[: options.compared], np.eye(ours.shape[1])[np.argmax(ours, axis=1)]
    with keras_impl.precision("float64"):
        twin = parity.keras_twin(wide)
        result = parity.compare(twin, wide, x, y[: options.compared], loss="mean_squared_error")
    for section in ("forward", "gradients"):
        rows = result.section(section)
        found = Counter(row.verdict for row in rows)
        worst = max(rows, key=lambda row: row.ulps)
        print(
            f"{section} in float64: "
            f"{', '.join(f'{n} {verdict.value}' for verdict, n in found.items())}; "
            f"the largest error, in {worst.tensor}, is {worst.ulps:.3g} units in the last place."
        )
    known = {row.verdict for row in result.section("forward")} <= {
        Verdict.IDENTICAL, Verdict.ROUNDING,
    }  # fmt: skip
    right = known and all(row.verdict is not Verdict.DIFFERENT for row in result.rows)
    return 0 if right and same == len(ours) else FAILURE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0 if both give the same up to rounding."""
    return run("pretrained", lambda: _run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
