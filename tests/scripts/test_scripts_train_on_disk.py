"""Trainings on samples that stay on the disk: the same as on samples in memory, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digit_data import on_disk
from numpy_impl import serialization
from scripts import run_files
from scripts.train import __main__ as train

ROOT = Path(__file__).parents[2]


def _run(*arguments: object) -> int:
    return train.main([str(argument) for argument in arguments])


def _mapped(source: Path, folder: Path) -> Path:
    """Write a data set in MNIST's form as four files."""
    folder.mkdir()
    with np.load(source) as arrays:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            np.save(folder / f"{name}.npy", arrays[name])
    return folder


def _pictures(source: Path, folder: Path) -> tuple[Path, Path]:
    """Write the same as pictures, and as four files in the order of these."""
    sorted_, kept = folder / "sorted", {}
    with np.load(source) as arrays:
        for part in on_disk.PARTS:
            x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
            for i, (pixels, label) in enumerate(zip(x, y, strict=True)):
                place = folder / "pictures" / part / str(label)
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place / f"{i:05}.png")
            order = np.argsort(y, kind="stable")
            kept |= {f"x_{part}": x[order], f"y_{part}": y[order]}
    sorted_.mkdir()
    for name, array in kept.items():
        np.save(sorted_ / f"{name}.npy", array)
    return folder / "pictures", sorted_


def _same(one: Path, other: Path) -> bool:
    networks = [serialization.load(place / "model.npz") for place in (one, other)]
    same = (one / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
    return same and np.array_equal(networks[0].parameters, networks[1].parameters)


@pytest.mark.parametrize("engine", ["numpy", "keras"])
def test_what_is_on_the_disk_trains_as_what_is_in_memory(
    engine: str, tmp_path: Path, small_mnist: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_files, "save_keras", lambda network, path: path.touch())
    folder = _mapped(small_mnist, tmp_path / "mapped")
    # 300 samples in batches of 64: the last of an epoch is shorter.
    command = ("784-64-10", "--engine", engine, "--batch-size", 64, "--epochs", 3, "--seed", 3)
    for name, data in (("memory", small_mnist), ("disk", folder)):
        assert _run(*command, "--data", data, "--out", tmp_path / name) == 0
    assert _same(tmp_path / "memory", tmp_path / "disk")
    assert _run("784-64-10", "--resume", "--epochs", 4, "--out", tmp_path / "disk") == 0
    assert not _same(tmp_path / "memory", tmp_path / "disk")


def test_both_engines_see_the_samples_in_the_same_order(
    tmp_path: Path, small_mnist: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[list[int]] = []
    read = on_disk.MappedRows.__getitem__

    def noted(rows: on_disk.MappedRows, indices: Any) -> Any:
        if len(rows) == 300:
            seen[-1].extend(indices.tolist())
        return read(rows, indices)

    monkeypatch.setattr(run_files, "save_keras", lambda network, path: path.touch())
    folder = _mapped(small_mnist, tmp_path / "mapped")
    monkeypatch.setattr(on_disk.MappedRows, "__getitem__", noted)
    for engine in ("numpy", "keras"):
        seen.append([])
        command = ("784-64-10", "--engine", engine, "--batch-size", 50, "--epochs", 2)
        assert _run(*command, "--data", folder, "--out", tmp_path / engine) == 0
    numpy_order, keras_order = seen
    assert len(numpy_order) == 600
    # Keras reads the first batches once more, to see of what shape they are.
    assert any(keras_order[i : i + 300] == numpy_order[:300] for i in range(len(keras_order) - 299))
    assert keras_order[-300:] == numpy_order[-300:]


def test_a_folder_of_pictures_trains_as_an_array(tmp_path: Path, tiny_mnist: Path):
    pictures, mapped = _pictures(tiny_mnist, tmp_path)
    for name, data in (("a", pictures), ("b", mapped)):
        command = ("784-64-10", "--engine", "numpy", "--batch-size", 20, "--epochs", 2)
        assert _run(*command, "--data", data, "--out", tmp_path / name) == 0
    assert _same(tmp_path / "a", tmp_path / "b")


def test_pictures_of_8x8_have_pixels_up_to_16(tmp_path: Path):
    for part in on_disk.PARTS:
        for label in range(10):
            place = tmp_path / part / str(label)
            place.mkdir(parents=True)
            Image.fromarray(np.full((8, 8), 255, np.uint8)).save(place / "a.png")
    _, test = on_disk.load(tmp_path, 64, "float64")
    assert (test.x == 16).all()
    assert test.y.argmax(1).tolist() == list(range(10))


def _damaged(folder: Path, name: str, change: Any) -> None:
    array = np.load(folder / name)
    np.save(folder / name, change(array))


def _not_finite(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float32) / 255
    x[137, 0, 5] = np.nan
    return x


@pytest.mark.parametrize("engine", ["numpy", "keras"])
def test_a_sample_that_is_not_finite_is_named(
    engine: str, tmp_path: Path, small_mnist: Path, capsys: pytest.CaptureFixture[str]
):
    folder = _mapped(small_mnist, tmp_path / "mapped")
    _damaged(folder, "x_train.npy", _not_finite)
    command = ("784-64-10", "--engine", engine, "--batch-size", 50, "--data", folder)
    assert _run(*command, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert "sample 137" in error
    assert "finite" in error


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("y_train.npy", lambda y: y + 1, "expected labels 0..9. Received: 10 at index 9"),
        ("y_train.npy", lambda y: y[:-1], "expected 300 whole numbers"),
        ("y_train.npy", lambda y: y * 1.0, "expected 300 whole numbers"),
        ("x_train.npy", lambda x: x[:, 1:], "expected 784 numbers a sample. Received: 756"),
        ("x_test.npy", lambda x: x * 1j, "of real numbers"),
        ("x_train.npy", lambda x: x[:0], "expected samples. Received: none"),
    ],
)
def test_a_set_that_does_not_fit_is_one_line(
    name: str,
    change: Any,
    said: str,
    tmp_path: Path,
    small_mnist: Path,
    capsys: pytest.CaptureFixture[str],
):
    folder = _mapped(small_mnist, tmp_path / "mapped")
    _damaged(folder, name, change)
    assert _run("784-64-10", "--engine", "numpy", "--data", folder, "--out", tmp_path / "o") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert said in error


def test_damaged_files_are_one_line(
    tmp_path: Path, small_mnist: Path, capsys: pytest.CaptureFixture[str]
):
    folder = _mapped(small_mnist, tmp_path / "mapped")
    whole = (folder / "x_train.npy").read_bytes()
    command = ("784-64-10", "--engine", "numpy", "--data", folder, "--out", tmp_path / "o")
    for bytes_, said in (
        (whole[:-1000], "expected 235200 numbers. Received: a file with 234200"),
        (b"", "expected a .npy file"),
        (b"no array" * 100, "expected a .npy file"),
    ):
        (folder / "x_train.npy").write_bytes(bytes_)
        assert _run(*command) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert said in error
    (folder / "x_train.npy").unlink()
    assert _run(*command) == 2
    assert "x_train.npy" in capsys.readouterr().err


def test_pictures_that_do_not_fit_are_named(
    tmp_path: Path, tiny_mnist: Path, capsys: pytest.CaptureFixture[str]
):
    pictures, _ = _pictures(tiny_mnist, tmp_path)
    command = ("784-64-10", "--engine", "numpy", "--data", pictures, "--out", tmp_path / "o")
    place = pictures / "train" / "3" / "z.png"
    Image.fromarray(np.zeros((27, 28), np.uint8)).save(place)
    assert _run(*command) == 2
    assert "z.png: expected a picture of 28x28 pixels. Received: 28x27" in capsys.readouterr().err
    place.write_bytes(b"no picture")
    assert _run(*command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert "z.png: expected a picture" in error


def test_what_has_to_be_in_memory_is_refused(
    tmp_path: Path, small_mnist: Path, capsys: pytest.CaptureFixture[str]
):
    folder = _mapped(small_mnist, tmp_path / "mapped")
    assert _run("mnist-robust", "--engine", "numpy", "--data", folder) == 2
    assert "expected samples that fit into memory" in capsys.readouterr().err


def test_more_samples_than_memory(tmp_path: Path):
    """The training part is 157 MB as the network takes it; the process grows by a part of that."""
    rng = np.random.default_rng(0)
    count = 50_000
    for part, samples in (("train", count), ("test", 100)):
        x = rng.integers(0, 256, (samples, 784), np.uint8)
        np.save(tmp_path / f"x_{part}.npy", x)
        np.save(tmp_path / f"y_{part}.npy", (np.arange(samples) % 10).astype(np.uint8))
    grown = {}
    (tmp_path / "few").mkdir()
    for name in on_disk.ARRAYS:
        np.save(tmp_path / "few" / name, np.load(tmp_path / name)[:1000])
    for name, data in (("few", tmp_path / "few"), ("all", tmp_path)):
        program = (
            "import resource, sys; from scripts import run_files;"
            "run_files.save_keras = lambda network, path: path.touch();"
            "from scripts.train.__main__ import main; code = main(sys.argv[1:]);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
        )
        command = ["784-30-10", "--engine", "numpy", "--epochs", "1", "--batch-size", "100"]
        done = subprocess.run(
            [sys.executable, "-c", program, *command, "--data", data,
             "--out", tmp_path / "out" / name],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        grown[name] = int(done.stdout.split()[-1]) * 1024
    summary = json.loads((tmp_path / "out" / "all" / "summary.json").read_text())
    assert summary["training_samples"] == count
    # Stored they are a byte a pixel, and in memory they would be four.
    assert grown["all"] - grown["few"] < count * 784
