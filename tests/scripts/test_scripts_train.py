"""``scripts.train``: both engines, what is left behind, and how it ends."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from numpy_impl import serialization
from scripts import recipes, run_files
from scripts.train import __main__ as train


@pytest.fixture
def no_keras_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test the four seconds of Keras's import."""
    monkeypatch.setattr(run_files, "save_keras", lambda network, path: path.touch())


def _run(*arguments: object) -> int:
    return train.main([str(argument) for argument in arguments])


def _rows(directory: Path) -> list[dict[str, str]]:
    with open(directory / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


# 64-40-10 not at its own learning rate of 1: with raw pixels that is chaotic. One unit in the last
# place of the initial weights grows to 2e-10 in 32 steps and to 0.2 in 100, within one engine.
@pytest.mark.parametrize(("name", "rate"), [("64-40-10", 0.01), ("64-200-10", 0.1)])
def test_both_engines_give_the_same_from_the_same_seed(
    name: str, rate: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    found: list[list[dict[str, str]]] = []
    summaries: list[dict[str, Any]] = []
    for engine in ("numpy", "keras"):
        out = tmp_path / engine
        options = ("--dtype", "float64", "--epochs", 1, "--no-dropout", "--seed", 5)
        command = (name, "--engine", engine, "--learning-rate", rate, *options)
        assert _run(*command, "--out", out) == 0
        assert sorted(path.name for path in out.iterdir()) == sorted(run_files.FILES)
        found.append(_rows(out))
        summaries.append(json.loads((out / "summary.json").read_text()))
    for one, other in zip(*found, strict=True):
        assert list(one) == list(other)
        for metric, value in one.items():
            # Keras keeps its running means in float32 even where all else is float64.
            assert float(value) == pytest.approx(float(other[metric]), rel=1e-6)
    assert summaries[0]["test_accuracy"] == summaries[1]["test_accuracy"]
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    assert [s["keras_backend"] for s in summaries] == [None, backend]
    weights = [serialization.load(tmp_path / e / "model.npz") for e in ("numpy", "keras")]
    for one, other in zip(*(network.weights for network in weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)
    assert "test accuracy" in capsys.readouterr().out


def test_distortions_decay_and_schedule_are_the_same_in_both_engines(
    tmp_path: Path, tiny_mnist: Path
):
    for engine in ("numpy", "keras"):
        # Not Adam, whose corrections Keras rounds to float32 and which magnifies what is small.
        rule = ("--optimizer", "sgd", "--learning-rate", 0.1, "--weight-decay", 0.1)
        options = ("--dtype", "float64", "--epochs", 3, "--dropout", 0, *rule)
        command = ("mnist-robust", "--engine", engine, "--data", tiny_mnist, *options)
        assert _run(*command, "--batch-size", 20, "--out", tmp_path / engine) == 0
    networks = [serialization.load(tmp_path / e / "model.npz") for e in ("numpy", "keras")]
    for one, other in zip(*(network.weights for network in networks), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)
    # Without the distortions, or with a constant rate, the weights would be others.
    plain = replace(recipes.get("mnist-robust"), distortions=None)
    constant = replace(recipes.get("mnist-robust"), decay="none")
    for changed in (plain, constant):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(recipes.RECIPES, "mnist-robust", changed)
            command = ("mnist-robust", "--engine", "numpy", "--data", tiny_mnist, *options)
            out = ("--out", tmp_path / "other", "--force")
            assert _run(*command, "--batch-size", 20, *out) == 0
        other = serialization.load(tmp_path / "other" / "model.npz")
        assert np.abs(other.parameters - networks[0].parameters).max() > 1e-4
    summary = json.loads((tmp_path / "numpy" / "summary.json").read_text())
    assert summary["learning_rate_decay"] == "cosine"
    assert summary["distortions"]["elastic"] == 34.0
    assert summary["optimizer"] == {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.1}
    assert summary["dropout"] == []
    assert summary["training_samples"] == 58  # 60, a twelfth held out, and three drawn


def test_what_is_left_is_readable_and_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert _run("64-200-10", "--engine", "numpy", "--epochs", 1, "--out", tmp_path) == 0
    history = json.loads((tmp_path / "history.json").read_text())
    rows = _rows(tmp_path)
    assert list(history) == list(rows[0])
    assert list(history) == [
        "epoch", "loss", "accuracy", "squared_error", "val_loss", "val_accuracy",
        "val_squared_error",
    ]  # fmt: skip
    assert history["epoch"] == [1]
    assert float(rows[0]["loss"]) == history["loss"][0]
    for name in ("curves.png", "confusion_matrix.png"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 400
    network = serialization.load(tmp_path / "model.npz")
    assert [type(layer).__name__ for layer in network.layers] == [
        "Rescaling", "Dense", "Dropout", "Dense",
    ]  # fmt: skip
    from digit_data.datasets import load_digits_split, one_hot
    from scripts.model_files import load

    # The saved models take the pictures as they are, 0..16, and do as well as was printed.
    split = np.random.default_rng(0).spawn(3)[2]
    parts = load_digits_split("random", split)
    right = json.loads((tmp_path / "summary.json").read_text())["test_accuracy"]
    for kind in ("npz", "keras"):
        scores = load(tmp_path / f"model.{kind}").scores(parts.x_test)
        assert np.mean(scores.argmax(1) == parts.y_test) == right
        matrix = run_files.confusion_matrix(one_hot(parts.y_test), scores)
        assert matrix.sum() == 450
        assert matrix.trace() == round(450 * right)
    assert f"{right:.2%}" in capsys.readouterr().out


@pytest.mark.usefixtures("no_keras_file")
def test_the_same_seed_gives_the_same_and_another_does_not(tmp_path: Path):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        command = ("64-40-10", "--engine", "numpy", "--epochs", 1, "--seed", seed)
        assert _run(*command, "--out", tmp_path / out) == 0
    text = {out: (tmp_path / out / "history.csv").read_text() for out in "abc"}
    assert text["a"] == text["b"] != text["c"]


@pytest.mark.usefixtures("no_keras_file")
def test_training_stops_by_the_recipes_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # 1347 of 1797 samples are for training; two of the first passes' errors are below this.
    errors: list[float] = []
    is_done = recipes.Recipe.is_done

    def lenient(recipe, logs, samples):
        errors.append(logs["squared_error"] * 1347 / 1797)
        return is_done(replace(recipe, stop_below=0.2), logs, samples)

    monkeypatch.setattr(recipes.Recipe, "is_done", lenient)
    assert _run("64-200-10", "--engine", "numpy", "--epochs", 9, "--out", tmp_path) == 0
    assert len(_rows(tmp_path)) == len(errors) < 9
    assert errors[-1] <= 0.2 < min(errors[:-1])


@pytest.mark.usefixtures("no_keras_file")
def test_options_reach_the_training(tmp_path: Path, tiny_mnist: Path):
    command = ("784-64-10", "--engine", "numpy", "--optimizer", "rmsprop", "--momentum", 0.5)
    options = ("--batch-size", 7, "--epochs", 2, "--data", tiny_mnist, "--dtype", "float64")
    out = tmp_path / "out"
    assert _run(*command, *options, "--out", out) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["optimizer"] == {"name": "rmsprop", "learning_rate": 0.001, "momentum": 0.5}
    assert (summary["batch_size"], summary["epochs_trained"]) == (7, 2)
    assert serialization.load(out / "model.npz").dtype == np.float64


@pytest.mark.usefixtures("no_keras_file")
def test_no_epochs_save_the_initial_network(tmp_path: Path):
    assert _run("64-40-10", "--engine", "numpy", "--epochs", 0, "--out", tmp_path) == 0
    assert _rows(tmp_path) == []
    assert serialization.load(tmp_path / "model.npz").weights[0].any()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["nope"], "Expected one of: 64-40-10, 784-30-10"),
        (["64-40-10", "--epochs", "-1"], "--epochs: expected 0 or more. Received: -1"),
        (["64-40-10", "--epochs", "x"], "invalid int value"),
        (["64-40-10", "--batch-size", "0"], "--batch-size: expected 1 or more"),
        (["64-40-10", "--learning-rate", "nan"], "--learning-rate: expected a finite"),
        (["64-40-10", "--learning-rate", "inf"], "--learning-rate: expected a finite"),
        (["64-40-10", "--learning-rate", "-1"], "--learning-rate: expected a finite"),
        (["64-40-10", "--momentum", "1.5"], "--momentum: expected a number in 0..1"),
        (["64-40-10", "--seed", "-3"], "--seed: expected 0 or more"),
        (["64-40-10", "--optimizer", "adam", "--momentum", "0.5"], "adam has none"),
        (["64-40-10", "--engine", "torch"], "invalid choice"),
        (["64-40-10", "--data", "x.npz"], "expected a network with 784 inputs"),
        (["784-30-10", "--data", "missing.npz"], "does not exist"),
        (["64-40-10", "--out", "{file}/x"], "expected a directory to write to"),
        ([], "required: NAME"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code = train.main([option.format(file=tmp_path / "file") for option in options])
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("train: ")
    assert error.count("\n") == 1
    assert text in error


def test_data_that_does_not_fit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "small.npz"
    x, y = np.zeros((6, 8, 8), np.uint8), np.zeros(6, np.uint8)
    np.savez(path, allow_pickle=False, x_train=x, y_train=y, x_test=x, y_test=y)
    assert _run("784-30-10", "--data", path, "--out", tmp_path / "out") == 2
    assert "(N, 28, 28)" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]):
    assert train.main(["--help"]) == 0
    assert "python -m scripts.train 64-40-10 --engine numpy" in capsys.readouterr().out
