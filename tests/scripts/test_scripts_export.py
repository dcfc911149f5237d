"""``scripts.export``: the command, and that a program which computes something else is refused."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from numpy_impl import models, serialization
from numpy_impl.functional import AnyNetwork, Functional
from numpy_impl.layers import GRU, Activation, Conv2D, Dense, Embedding, Flatten, Layer
from numpy_impl.network import Call, Sequential
from scripts import run_files
from scripts.export import __main__ as command
from scripts.export import formats
from scripts.export.proof import random_inputs
from scripts.export.source import Exported, export
from terminal_io import CliError

ROOT = Path(__file__).parents[2]


def small() -> Sequential:
    layers: list[Layer] = [Embedding(5, 3), GRU(4), Dense(3, "softmax")]
    network = Sequential(layers, 6, np.random.default_rng(0))
    network.parameters += np.random.default_rng(1).normal(0, 0.3, network.parameters.shape)
    return network


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    serialization.save(small(), path)
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def batch(network: AnyNetwork) -> list[np.ndarray]:
    return random_inputs(network, 4, np.random.default_rng(2))


# The command


def test_a_program_runs_where_this_project_is_not(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(model), "--to", "numpy", "--out", str(tmp_path / "a" / "b.py")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in printed[:3]] == [
        "compared with", "the NumPy network", "the NumPy network",
    ]  # fmt: skip
    assert [line.split()[3] for line in printed[1:3]] == ["float32", "float64"]
    assert printed[-1].endswith(" (138 numbers)")
    assert files(tmp_path / "a") == ["b.npz", "b.py"]
    network = serialization.load(model)
    (x,) = batch(network)
    np.save(tmp_path / "x.npy", x)
    # Whatever is imported from here on has to come from NumPy or Python.
    program = (
        "import sys; sys.path.append('.')\n"
        "import numpy as np, b\n"
        "np.save('../y.npy', b.predict(np.load('../x.npy')))\n"
        "print({m.split('.')[0] for m in sys.modules} & {'numpy_impl', 'parity', 'keras', 'numba'})"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path / "a", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.stdout, ended.stderr) == ("set()\n", "")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), network.predict(x))


@pytest.mark.parametrize("given", ["runs/mine", "mine", "runs/mine/model.npz"])
def test_a_training_is_found_by_its_folder_or_name(
    tmp_path: Path, model: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    model.rename(tmp_path / "runs" / "mine" / run_files.MODEL_NPZ)
    monkeypatch.chdir(tmp_path)
    assert command.main([given, "--to", "numpy"]) == 0
    assert files(tmp_path / "runs" / "mine") == ["model.npz", "model_numpy.npz", "model_numpy.py"]


def test_keras_is_compared_with_and_is_not_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras_impl import keras

    layers = keras.layers
    entry = keras.Input((6, 6, 1), name="picture")
    x = layers.Conv2D(3, 3, padding="same", activation="gelu")(layers.Rescaling(1 / 16)(entry))
    x = layers.BatchNormalization()(layers.Add()([x, layers.Conv2D(3, 1)(x)]))
    x = layers.Reshape((9, 3))(layers.MaxPooling2D()(x))
    x = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(1, 2)(x, x))
    shared = layers.Dense(3, "leaky_relu", name="sum")
    first = shared(x)
    keras_model = keras.Model(entry, [layers.Dense(3, "softmax")(shared(first)), first])
    rng = np.random.default_rng(0)
    keras_model.set_weights([rng.uniform(0.1, 0.9, w.shape) for w in keras_model.get_weights()])
    path = tmp_path / "graph.keras"
    keras_model.save(path)

    assert command.main([str(path), "--to", "numpy"]) == 0
    compared = capsys.readouterr().out.splitlines()[1:4]
    assert [line.split("  ")[0] for line in compared] == [
        "the NumPy network", "Keras", "the NumPy network",
    ]  # fmt: skip
    # The same without Keras: it is read by h5py, and proven beside the NumPy network alone.
    ended = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['keras'] = None\n"
         "from scripts.export.__main__ import main; sys.exit(main(sys.argv[1:]))",
         str(path), "--to", "numpy", "--out", str(tmp_path / "graph_numpy.py"), "--force"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.stderr == ""
    assert "Keras" not in ended.stdout
    assert "float64" in ended.stdout


# What is there is not replaced


def test_files_that_are_there_are_replaced_only_by_force(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("own.py", "own.npz"):
        (tmp_path / name).write_text("mine")
        arguments = [str(model), "--to", "numpy", "--out", str(tmp_path / "own.py")]
        assert command.main(arguments) == 2
        assert f"{tmp_path / name} is there already" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == "mine"
        assert command.main([*arguments, "--force"]) == 0
        (tmp_path / "own.py").unlink()
        (tmp_path / "own.npz").unlink()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--out", "model.py"], "expected other files than the model"),
        (["--out", "model"], "expected a file NAME.py"),
        (["--samples", "0"], "--samples: expected at least 1. Received: 0"),
        (["--seed", "-1"], "--seed: expected at least 0. Received: -1"),
        (["--out", "model.npz/a.py"], "expected a file to write"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    model: Path,
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(model.parent)
    before = model.read_bytes()
    assert command.main(["model.npz", "--to", "numpy", "--force", *arguments]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert (files(model.parent), model.read_bytes()) == ([model.name], before)


# Other formats


def _convolutional(folder: Path) -> Path:
    layers: list[Layer] = [Conv2D(2, 3, activation="relu"), Flatten(), Dense(3, "softmax")]
    network = Sequential(layers, (5, 5, 1), np.random.default_rng(0))
    serialization.save(network, folder / "model.npz")
    return folder / "model.npz"


@pytest.mark.filterwarnings("ignore")  # what the exporters say about themselves
@pytest.mark.parametrize("name", formats.FORMATS)
def test_another_format_is_proven_by_its_runtime(
    tmp_path: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in formats.FORMATS[name].packages:
        pytest.importorskip(package, reason=f"{package} is not installed: no {name} to check")
    model = _convolutional(tmp_path)
    right = formats.FORMATS[name]
    arguments = [str(model), "--to", name, "--out", str(tmp_path / f"out{right.suffix}")]
    wrong = dataclasses.replace(
        right, run=lambda path, inputs: [y * np.float32(1.001) for y in right.run(path, inputs)]
    )
    with monkeypatch.context() as change:
        change.setitem(formats.FORMATS, name, wrong)
        assert command.main(arguments) == 1
    printed = capsys.readouterr()
    assert (printed.out, files(tmp_path)) == ("", ["model.npz"])
    assert "which differ by" in printed.err
    assert command.main(arguments) == 0
    compared = capsys.readouterr().out.splitlines()[1:3]
    assert [line.split("  ")[0] for line in compared] == ["the NumPy network", "Keras"]
    assert files(tmp_path) == ["model.npz", f"out{right.suffix}"]


def test_a_package_that_is_missing_is_named(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.util.find_spec
    absent = ("tf2onnx", "onnx")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else known(name) or 1
    )
    assert command.main([str(model), "--to", "onnx"]) == 2
    assert capsys.readouterr().err == (
        "export: --to onnx: expected tensorflow, keras, tf2onnx, onnx, onnxruntime. "
        "Received: no tf2onnx, onnx; pip install tf2onnx onnx\n"
    )


# A program that computes something else


def _in_source(old: str, new: str) -> Callable[[Exported], Exported]:
    def change(exported: Exported) -> Exported:
        assert old in exported.source
        return dataclasses.replace(exported, source=exported.source.replace(old, new, 1))

    return change


def _in_weights(name: str, change: Callable[[np.ndarray], np.ndarray]):
    def changed(exported: Exported) -> Exported:
        return dataclasses.replace(
            exported, weights={**exported.weights, name: change(exported.weights[name])}
        )

    return changed


WRONG = {
    "a sign": _in_source("(x @ kernel + bias)", "(x @ kernel - bias)"),
    "a gate": _in_source("rest = 1 - update", "rest = update"),
    "a gate's part": _in_source("z_2[:, 4:8]", "z_2[:, 0:4]"),
    "one step too few": _in_source("range(6)", "range(5)"),
    "an error just beyond rounding": _in_source("= np.tanh(v_g)", "= np.tanh(v_g * (1 + 1e-12))"),
    "another output": _in_source('[y["dense"] for', '[y["gru"] for'),
    "a layer that is not shown": _in_source('y["gru"] = gru(', 'g = gru('),
    "no program": _in_source("def gru(", "def gru"),
    "another precision": _in_source('DTYPE = "float32"', 'DTYPE = "float16"'),
    "a weight": _in_weights("gru/kernel", lambda w: w * np.float32(1.00001)),
    "a weight's shape": _in_weights("dense/bias", lambda w: np.append(w, w)),
    "weights in another order": _in_weights("dense/kernel", lambda w: w[::-1]),
}  # fmt: skip


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_wrong_program_is_refused_and_leaves_nothing(
    tmp_path: Path,
    model: Path,
    change: Callable[[Exported], Exported],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "export", lambda *given: change(export(*given)))
    out = tmp_path / "out"
    out.mkdir()
    (out / "own.py").write_text("an earlier export")
    arguments = [str(model), "--to", "numpy", "--out", str(out / "own.py"), "--force"]
    assert command.main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "own.py: expected " in printed.err
    assert (files(out), (out / "own.py").read_text()) == (["own.py"], "an earlier export")
    arguments[-2] = str(out / "new" / "folder" / "own.py")
    assert command.main(arguments) == 1
    assert files(out) == ["own.py"]


def test_keras_that_disagrees_is_believed(tmp_path: Path) -> None:
    network = small()
    (x,) = batch(network)

    def other(inputs: list[np.ndarray]) -> list[np.ndarray]:
        return [network.predict(inputs[0]) * np.float32(1.001)]

    with pytest.raises(CliError, match=r"in Keras .* which differ by"):
        command.write(network, tmp_path / "own.py", [x], other)
    assert files(tmp_path) == []


def cancelling() -> Sequential:
    """Return a network whose outputs are what is left of numbers 10^18 times as large."""
    network = Sequential([Dense(2), Dense(1)], 3, dtype="float64")
    network.set_weights(
        [np.full((3, 2), 1e15), np.zeros(2), np.array([[1.0], [-1.0]]), np.array([1e-3])]
    )
    return network


def test_where_rounding_explains_everything_nothing_is_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = cancelling()
    change = _in_weights("dense_1/bias", np.negative)
    monkeypatch.setattr(command, "export", lambda *given: change(export(*given)))
    with pytest.raises(CliError, match="rounding errors are as large as its outputs"):
        command.write(network, tmp_path / "own.py", batch(network))


def test_outputs_that_overflow_are_named(tmp_path: Path) -> None:
    network = Sequential([Activation("exponential")], 3)
    with pytest.raises(CliError, match=r"activation\[0, 0\] is inf in the NumPy network"):
        command.write(network, tmp_path / "own.py", [np.full((2, 3), 100, np.float32)])


def test_a_formula_that_is_not_understood_is_named(tmp_path: Path) -> None:
    class Own(Activation):
        def forward(self, x, training=False, mask=None):
            while True:
                return x

    network = Sequential([Dense(2), Own("relu")], 3)
    with pytest.raises(CliError, match=r"expected formulas .* Received: while True"):
        command.write(network, tmp_path / "own.py", batch(network))
    assert files(tmp_path) == []


def test_names_from_a_file_run_nothing(tmp_path: Path) -> None:
    evil = 'a"] = 0\n__import__("os").mkdir("hacked")\n#\\'
    title = '"""\nraise SystemExit("hacked")\n"""\\'
    calls = [Call(evil, Dense(2), ('x"""',)), Call("sum", Dense(2), (evil,))]
    network = Functional({'x"""': 3}, calls, ["sum"], np.random.default_rng(0), name=title)
    exported, _ = command.write(network, tmp_path / "own.py", batch(network))
    assert exported.outputs == [evil, "sum"]
    assert files(tmp_path) == ["own.npz", "own.py"]


def test_half_a_character_in_a_name_is_refused(tmp_path: Path) -> None:
    network = Functional({"x": 3}, [Call("\ud800", Dense(2), ("x",))], ["\ud800"])
    with pytest.raises(CliError, match="Expected names of characters"):
        command.write(network, tmp_path / "own.py", batch(network))


def test_samples_are_such_as_the_first_layer_takes() -> None:
    network = models.build("64-200-10", np.random.default_rng(0))
    pixels = run_files.with_rescaling(network, 1 / 16, -0.5)
    rng = np.random.default_rng(0)
    assert abs(random_inputs(pixels, 400, rng)[0] / 16 - 0.5).std() < 0.7
    (numbers,) = random_inputs(small(), 100, rng)
    assert set(np.unique(numbers)) == {0, 1, 2, 3, 4}
