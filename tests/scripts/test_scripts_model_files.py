"""``scripts.model_files``: every kind of file in both engines, with the same scores."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from numpy_impl import Sequential, models, serialization
from numpy_impl.layers import Dense, Rescaling
from scripts import model_files, run_files
from scripts.whatami import __main__ as whatami
from terminal_io import CliError
from tests.scripts.whatami_pictures import ROOT, ask_json, draw

ENGINES = ("numpy", "keras")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A good picture."""
    path = tmp_path / "one.png"
    draw().save(path)
    return path


def refusal(path: Path, engine: str = "numpy") -> str:
    """Return the one line with which a model file is refused."""
    with pytest.raises(CliError) as error:
        model_files.load(path, engine)
    return str(error.value)


def save_weights(name: str, path: Path) -> Sequential:
    """Write Keras's weights of a documented network; return its NumPy twin."""
    from parity import keras_twin

    network = models.build(name, np.random.default_rng(5))
    keras_twin(network).save_weights(path)
    return network


# ---- Both engines ----


def test_both_engines_and_all_kinds_of_file_give_the_same_scores(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights = tmp_path / "model.weights.h5"
    network = save_weights("784-500-300-10", weights)
    npz, keras_file = tmp_path / "model.npz", tmp_path / "model.keras"
    serialization.save(network, npz)
    run_files.save_keras(network, keras_file)
    records = [
        ask_json(capsys, picture, "--model", model, "--engine", engine)
        for model in (npz, keras_file, weights)
        for engine in ENGINES
    ]
    assert all(record == records[0] for record in records)
    # Planted error: one weight a little off shows.
    network.weights[-1][0] += 1e-3
    serialization.save(network, npz)
    assert ask_json(capsys, picture, "--model", npz) != records[0]


def test_the_shipped_model_is_the_same_in_both_engines_within_the_parity_bound():
    import keras_impl
    import parity

    network = serialization.load(model_files.SHIPPED_MODEL).clone("float64")
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 784)), np.eye(10)[rng.integers(0, 10, 32)]
    with keras_impl.precision("float64"):
        twin = parity.keras_twin(network)
        parity.compare(twin, network, x, y, loss="categorical_crossentropy").raise_for_failure()
        # Planted error: what is off by a millionth is found.
        network.weights[0][400, 7] += 1e-6
        assert not parity.compare(twin, network, x, y, loss="categorical_crossentropy").passed
    pictures = x.reshape(-1, 28, 28)
    by_engine = [
        model_files.load(model_files.SHIPPED_MODEL, engine).scores(pictures) for engine in ENGINES
    ]
    np.testing.assert_allclose(*by_engine, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in models.ARCHITECTURES if "-" in name])
def test_weights_of_every_documented_network(name: str, tmp_path: Path):
    path = tmp_path / "x.weights.h5"
    expected = model_files.Classifier(
        path, (models.ARCHITECTURES[name][0],), (10,), ["Dense"],
        save_weights(name, path).clone("float64").forward,
    )  # fmt: skip
    x = np.random.default_rng(1).random((3, expected.side, expected.side))
    for engine in ENGINES:
        scores = model_files.load(path, engine).scores(x)
        np.testing.assert_allclose(scores, expected.scores(x), rtol=0, atol=1e-12)


def test_keras_files_are_read_without_keras(tmp_path: Path, picture: Path):
    weights, keras_file = tmp_path / "model.weights.h5", tmp_path / "model.keras"
    run_files.save_keras(save_weights("784-30-10", weights), keras_file)
    code = (
        "import sys; from scripts.whatami.__main__ import main; "
        f"codes = [main([{str(picture)!r}, '--model', name]) for name in sys.argv[1:]]; "
        "print(codes, sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(weights), str(keras_file)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[0, 0] []"


# ---- What a network is given ----


def test_a_64_input_network_sees_16_grey_levels(tmp_path: Path):
    path = tmp_path / "m.npz"
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), path)
    model = model_files.load(path)
    x = np.random.default_rng(1).integers(0, 17, (3, 8, 8)).astype("float64")
    expected = models.build("64-40-10", np.random.default_rng(0)).predict(x.reshape(3, 64))
    np.testing.assert_allclose(model.scores(x), expected, rtol=0, atol=1e-5)


def test_a_784_input_network_with_rescaling_sees_0_to_255(tmp_path: Path, model_784: Path):
    plain = serialization.load(model_784)
    path = tmp_path / "rescaled.npz"
    serialization.save(run_files.with_rescaling(plain, 1 / 255, 0.0), path)
    x = np.random.default_rng(1).random((2, 28, 28))
    expected = model_files.load(model_784).scores(x)
    np.testing.assert_allclose(model_files.load(path).scores(x), expected, rtol=0, atol=1e-12)


# ---- Refused ----


@pytest.mark.parametrize(
    ("layers", "inputs", "text"),
    [
        ([Dense(10, "softmax")], 100, "64 or 784 inputs. Received: input shape (100,)"),
        ([Dense(3, "softmax")], 64, "10 outputs"),
    ],
)
def test_models_of_other_shapes_are_refused(
    layers: list[Any], inputs: int, text: str, tmp_path: Path
):
    path = tmp_path / "other.npz"
    serialization.save(Sequential(layers, inputs), path)
    assert text in refusal(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("value", "shown"), [(1e308, "inf"), (7.0, "7")])
def test_scores_that_are_no_scores_are_an_error(
    value: float, shown: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    # Ten units' outputs of 1 weigh a tenth of the value each, or all of 1e308: too large a sum.
    network = Sequential([Rescaling(0.0), Dense(10), Dense(10)], 784, dtype="float64")
    network.weights[1][...] = 1
    network.weights[2][...] = value if shown == "inf" else value / 10
    path = tmp_path / "wild.npz"
    serialization.save(network, path)
    for options in ([], ["--segment"]):
        (record,) = ask_json(capsys, picture, "--model", path, *options)
        assert record["digits" if options else "scores"] is None
        assert f"Received: {shown}, {shown}" in record["error"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path):
    network = models.build("784-30-10", np.random.default_rng(0))
    network.weights[1][2] = value
    path = tmp_path / "diverged.npz"
    serialization.save(network, path)
    for engine in ENGINES:
        assert refusal(path, engine).endswith("Received: NaN or infinity in weights[1]")


def edited(path: Path, config: Any = None, **members: bytes) -> Path:
    """Write a ``.keras`` file of a network again, with its config changed, or with more members."""
    run_files.save_keras(models.build("784-30-10", np.random.default_rng(0)), path)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    if config is not None:
        described = json.loads(contents["config.json"])
        config(described["config"]["layers"])
        contents["config.json"] = json.dumps(described).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**contents, **members}.items():
            archive.writestr(name, content)
    return path


def test_what_a_keras_file_only_asks_for_is_refused_before_it_is_made(tmp_path: Path):
    def more(layers: Any) -> None:
        layers[-1]["config"]["units"] = 10**9

    path = edited(tmp_path / "m.keras", more)
    assert "try --engine keras" not in refusal(path)
    assert "weights in a file with 23860" in refusal(path, "keras")
    import keras

    # What was only counted must not be made when a scope ends later.
    with keras.StatelessScope():
        pass
    assert model_files.load(edited(path), "keras").side == 28  # unchanged, it is taken


def test_a_hint_to_keras_is_given_for_a_whole_file_only(tmp_path: Path):
    def other(layers: Any) -> None:
        layers.append(
            {"module": "keras.layers", "class_name": "UnitNormalization", "config": {"name": "c"}}
        )

    assert "; try --engine keras" in refusal(edited(tmp_path / "m.keras", other))
    bomb = io.BytesIO()
    with h5py.File(bomb, "w") as file:
        file.create_dataset("layers/c/vars/0", (2**20, 2**20), "f4", chunks=(1024, 1024))
    for weights in (bomb.getvalue(), b"damaged"):
        path = edited(tmp_path / "m.keras", other, **{"model.weights.h5": weights})
        for engine in ENGINES:
            assert "try --engine keras" not in refusal(path, engine)
    path = edited(tmp_path / "m.keras", None, **{"../outside": b"x"})
    assert "Received: metadata.json" in refusal(path, "keras")
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes in folders")
@pytest.mark.parametrize("suffix", model_files.SUFFIXES)
def test_a_pipe_is_not_waited_for(suffix: str, tmp_path: Path):
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    assert refusal(path).endswith("Received: a pipe or a device")


def saved_by_keras(path: Path, *layers: Any) -> Path:
    import keras

    model = keras.Sequential([keras.Input((28, 28, 1)), *layers, keras.layers.Flatten(),
                              keras.layers.Dense(10, activation="softmax")])  # fmt: skip
    model.save(path)
    return path


def test_a_convolution_is_asked_in_both_engines(tmp_path: Path):
    from keras import layers

    path = saved_by_keras(
        tmp_path / "convolution.keras", layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(), layers.BatchNormalization(),
    )  # fmt: skip
    # Keras's input layer keeps float32, in which these are exact.
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28)) / 256
    scores = [model_files.load(path, engine).scores(pictures) for engine in ENGINES]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-12)


def test_layers_that_the_engine_lacks_are_named(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from keras import layers

    path = saved_by_keras(tmp_path / "unit.keras", layers.UnitNormalization(axis=(1, 2)))
    (record,) = ask_json(capsys, picture, "--model", path, "--engine", "keras")
    assert len(record["scores"]) == 10
    assert whatami.main([str(picture), "--model", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "UnitNormalization" in error
    assert "try --engine keras" in error


def test_weights_of_other_networks_and_old_files_are_refused_by_name(tmp_path: Path):
    import keras

    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((784,)), keras.layers.Dense(10)]).save_weights(other)
    legacy = tmp_path / "legacy.h5"
    import h5py

    with h5py.File(legacy, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
    for engine in ENGINES:
        assert "784-500-300-10" in refusal(other, engine)
        assert "legacy HDF5 file of Keras 2" in refusal(legacy, engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["x.npz", "x.keras", "x.weights.h5", "x.h5"])
def test_damaged_files_are_one_line(
    name: str, engine: str, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / name
    np.savez(tmp_path / "some.npz", allow_pickle=False, x=np.zeros(3))
    for content in (b"", b"text", (tmp_path / "some.npz").read_bytes()):
        path.write_bytes(content)
        assert whatami.main([str(picture), "--model", str(path), "--engine", engine]) == 2
        out, error = capsys.readouterr()
        assert out == ""
        assert error.count("\n") == 1
        assert "xpected" in error
        assert name in error


def test_without_h5py_the_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x.weights.h5"
    save_weights("784-30-10", path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "expected h5py" in refusal(path)
