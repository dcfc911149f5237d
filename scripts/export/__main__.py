"""Write a trained network as a program of NumPy alone, and prove that it computes the same.

MODEL is a file (.keras, .npz of numpy_impl, .weights.h5 of a documented network), the folder of a
training, or the name of one below runs/. Two files are written: NAME.py with a function for each
layer, whose formulas are those that this project trains with, and NAME.npz with the weights. They
need NumPy and nothing of this project. Before they are put in their place the program is run on
random samples and compared, in single and in double precision, with the NumPy network and, if MODEL
is a .keras file, with Keras; if a difference is larger than rounding explains, nothing is written.

"onnx" and "litert" are written by Keras's own exporters, and proven likewise by running the file in
onnxruntime and in TensorFlow's interpreter; the former needs tf2onnx, onnx and onnxruntime. "keras"
and "npz" are this project's own files.

With --from MODEL is a file of another library: of PyTorch a state_dict (.pt, .safetensors or .npz),
of scikit-learn a pickled or, uncompressed, joblib-dumped MLPClassifier or MLPRegressor, or an ONNX
file that is a chain of operators (which needs onnx). Nothing in it is run, and the network is
compared with that library's formulas before it is written.
"""

import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl.functional import AnyNetwork
from terminal_io import CliError, os_reason, printable, run

from .. import model_files, run_files, starting
from . import formats, incoming
from .proof import Check, KerasOutputs, keras_outputs, prove, random_inputs
from .source import Exported, export
from .symbolic import NotSpecializable

RUNS = Path("runs")
EPILOG = """\
examples:
  python -m scripts.export runs/mine --to numpy
  python -m scripts.export model.keras --to numpy --out plain.py --force
  python -m scripts.export mlp.pt --from torch --activation relu --to keras
  python -m scripts.export cnn.pt --from torch --like same_layers.keras --to npz
  python -m scripts.export cnn.onnx --from onnx --to keras
  python -m scripts.export mlp.joblib --from sklearn --to numpy
"""


def _options(argv: Sequence[str] | None) -> Namespace:
    parser = starting.parser("export", __doc__, EPILOG)
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a model file, or a training's folder or name")
    add("--to", choices=("numpy", *formats.FORMATS), required=True, help="what to write")
    out = (
        "the file; a program's weights go beside it (default: beside MODEL, such as MODEL_numpy.py)"
    )
    add("--out", type=Path, metavar="FILE", help=out)
    add("--from", dest="source", choices=tuple(incoming.SOURCES), help="whose file MODEL is")
    add("--activation", metavar="NAME", help="of a state_dict's hidden layers, such as relu")
    add("--output-activation", metavar="NAME", help="of its last layer (default: none)")
    add("--like", type=Path, metavar="MODEL", help="a model with the layers of a state_dict")
    add("--force", action="store_true", help="replace files that are there")
    add("--samples", type=int, default=8, metavar="N", help="to compare on (default: 8)")
    add("--seed", type=int, default=0, metavar="N", help="draws the samples (default: 0)")
    options = parser.parse_args(argv)
    if options.samples < 1:
        raise CliError(f"--samples: expected at least 1. Received: {options.samples}")
    if options.seed < 0:
        raise CliError(f"--seed: expected at least 0. Received: {options.seed}")
    for option in ("activation", "output_activation", "like"):
        if getattr(options, option) is not None and options.source != "torch":
            raise CliError(f"--{option.replace('_', '-')}: expected only with --from torch")
    incoming.check_activation("--activation", options.activation)
    incoming.check_activation("--output-activation", options.output_activation)
    return options


def _model_path(given: Path) -> Path:
    """Return the file of a model, of which the folder or the name may be given."""
    places = [given] if given.exists() else [given, RUNS / given]
    for place in places:
        if place.is_dir():
            return place / run_files.MODEL_NPZ
    return given


def _read(path: Path) -> tuple[AnyNetwork, Any]:
    """Return a model as a NumPy network and, if it is one of Keras's and Keras is there, as it."""
    if path.suffix != ".keras":
        return model_files.read(path), None
    try:
        from parity import numpy_twin
    except ImportError:
        return model_files.read(path), None
    model = model_files.load_keras(path)
    try:
        return numpy_twin(model), model
    except ValueError as error:
        raise CliError(f"{path}: expected layers that numpy_impl has. {error}") from error


def _keras_twin(network: AnyNetwork) -> Any:
    import keras_impl  # late: it takes four seconds
    from parity import keras_twin

    with keras_impl.precision(network.precision):
        return keras_twin(network)


def _places(options: Namespace, model: Path) -> list[Path]:
    """Return where the file goes, and its weights if they have one of their own."""
    program = options.to == "numpy"
    suffix = ".py" if program else formats.FORMATS[options.to].suffix
    stem = model.name.partition(".")[0]
    out = options.out or model.with_name(f"{stem}{'_numpy' * program}{suffix}")
    if out.suffix != suffix:
        raise CliError(f"--out: expected a file NAME{suffix}. Received: {out}")
    places = [out, out.with_suffix(".npz")] if program else [out]
    for place in places:
        if place.exists() and model.exists() and place.samefile(model):
            raise CliError(f"--out: expected other files than the model. Received: {out}")
        if place.is_dir() or (place.exists() and not options.force):
            raise CliError(f"{place} is there already: --out names another place"
                           + ("" if place.is_dir() else ", --force replaces it"))  # fmt: skip
    return places


def write(
    network: AnyNetwork,
    program: Path,
    inputs: list[Any],
    keras: KerasOutputs | None = None,
) -> tuple[Exported, list[Check]]:
    """Write a network as a program, once it is proven to compute what the network does.

    Args:
        network: The network.
        program: Where the program goes; its weights go beside it. What is there is replaced.
        inputs: The samples to prove it on, an array for each of the network's inputs.
        keras: The same model in Keras; None if there is none.

    Returns:
        What was written, and the comparisons.

    Raises:
        CliError: The program does not compute the same. Nothing is written then.
        OSError: The files cannot be written.
    """
    weights = program.with_suffix(".npz")
    try:
        exported = export(network, program.stem)
    except NotSpecializable as error:
        raise CliError(f"expected formulas that can be written as a program. {error}") from error
    folder = Path(tempfile.mkdtemp(prefix=".export-", dir=program.parent))
    try:
        trial = folder / program.name
        trial.write_text(exported.source, encoding="utf-8")
        arrays: dict[str, Any] = dict(exported.weights)
        np.savez(trial.with_suffix(".npz"), **arrays)
        checks = prove(trial, network, exported.outputs, inputs, keras)
        # Never a program beside the weights of another.
        program.unlink(missing_ok=True)
        os.replace(trial.with_suffix(".npz"), weights)
        os.replace(trial, program)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return exported, checks


def _table(checks: Sequence[Check]) -> str:
    rows = [("compared with", "precision", "largest difference", "rounding explains", "at")]
    for check in checks:
        at = f"{check.tensor}{list(check.index)}"
        largest = f"{check.difference:.2g}" if check.difference else "0 (the same bits)"
        rows.append((check.reference, check.dtype, largest, f"{check.bound:.2g}", at))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _run(argv: Sequence[str] | None) -> int:
    options = _options(argv)
    path = options.model if options.source else _model_path(options.model)
    places = _places(options, path)
    if options.to != "numpy":
        formats.check_installed(options.to)
    agreed: list[Check] = []
    if options.source:
        model = None
        network, inputs, check = incoming.compared(options)
        agreed.append(check)
    else:
        network, model = _read(path)
        inputs = random_inputs(network, options.samples, np.random.default_rng(options.seed))
    out = places[0]
    made = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if options.to == "numpy":
            keras = None if model is None else keras_outputs(model)
            exported, checks = write(network, out, inputs, keras)
            sizes = [exported.source.count("\n"), sum(a.size for a in exported.weights.values())]
            notes = [
                f" ({n:,} {what})" for n, what in zip(sizes, ("lines", "numbers"), strict=True)
            ]
        else:
            model = _keras_twin(network) if model is None else model
            checks = formats.write(options.to, model, network, out, inputs)
            notes = [f" ({out.stat().st_size:,} bytes)"]
    except OSError as error:
        reason = os_reason(error)
        raise CliError(f"--out: expected a file to write. Received: {reason}") from error
    finally:
        for folder in made:  # nothing is left of an export that was refused
            with suppress(OSError):  # something is in it, or it was not made
                folder.rmdir()
    print(_table([*agreed, *checks]))
    written = (printable(place) + note for place, note in zip(places, notes, strict=True))
    print(f"wrote {' and '.join(written)}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("export", lambda: _run(argv))


if __name__ == "__main__":
    sys.exit(main())
