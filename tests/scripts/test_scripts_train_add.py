"""``--add``: the shipped network, trained further on the user's own labelled pictures."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from numpy_impl import serialization
from scripts import model_files, recipes
from scripts.train import __main__ as train
from scripts.train import adding
from tests.scripts.whatami_pictures import draw

ACCURACY = re.compile(r"(.+): before ([\d.]+)% \((\d+) of (\d+)\), after ([\d.]+)% \((\d+) of \4\)")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of one's own, where no MNIST is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_PATH", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def _sign(rng: np.random.Generator) -> Image.Image:
    """A hand that writes its 8 as two bars with one bar across them: what the network calls a 4."""
    image = np.full((100, 100), 240, np.uint8)
    across, down, width = rng.integers(45, 56), rng.integers(-4, 5), int(rng.integers(8, 12))
    for left in (25 + down, 70 + down):
        image[20:80, left : left + width] = 30
    image[across : across + width, 25 + down : 75 + down] = 30
    return Image.fromarray(image)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty such 8s, five 1s, and what cannot be used."""
    path, rng = tmp_path / "my-digits", np.random.default_rng(0)
    for label in "18":
        (path / label).mkdir(parents=True)
    for place in range(20):
        _sign(rng).save(path / "8" / f"{place:02}.png")
    for place in range(5):
        draw(size=(60, 60 + place)).save(path / "1" / f"{place}.png")
    return path


def ask(*arguments: object) -> int:
    return train.main(["mnist-robust", *map(str, arguments)])


def shown(out: str) -> dict[str, tuple[int, int, int]]:
    """Return what was right before and after, and of how many, by the name of the set."""
    found = (ACCURACY.fullmatch(line) for line in out.splitlines())
    return {m[1]: (int(m[3]), int(m[6]), int(m[4])) for m in found if m}


def _hash() -> str:
    return hashlib.sha256(model_files.SHIPPED_MODEL.read_bytes()).hexdigest()


@pytest.mark.parametrize("engine", ["numpy", "keras"])
def test_a_hand_of_its_own_is_learnt_and_the_shipped_weights_stay(
    engine: str, folder: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(adding, "OWN", 1000)
    before = _hash()
    assert ask("--add", folder, "--engine", engine, "--data", tiny_mnist, "--out", "own") == 0
    rows = shown(capsys.readouterr().out)
    trained, apart = rows["your pictures, trained on"], rows["your pictures, held out"]
    assert (trained[2], apart[2]) == (20, 5)
    assert trained[0] <= 6  # the 1s
    assert trained[1] >= 19
    assert apart[1] >= 4
    assert rows["MNIST's test pictures"][2] == 20
    assert _hash() == before
    # What is said is what the saved network does.
    own = model_files.load(Path("own/model.npz"))
    pictures, labels = adding.own_pictures(folder)
    right = int((own.scores(pictures).argmax(1) == labels).sum())
    assert right == trained[1] + apart[1]


def test_both_engines_start_from_the_shipped_weights_and_take_the_same_steps(
    folder: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(adding, "OWN", 100)
    networks = {}
    for engine in ("numpy", "keras"):
        options = "--epochs", "0", "--dtype", "float64", "--data", tiny_mnist
        assert ask("--add", folder, "--engine", engine, "--out", f"{engine}-0", *options) == 0
        start = serialization.load(Path(f"{engine}-0/model.npz"))
        for own, shipped in zip(start.get_weights(), adding.start_weights(), strict=True):
            np.testing.assert_array_equal(own, shipped)
        options = "--epochs", "1", "--dropout", "0", *options[2:]
        assert ask("--add", folder, "--engine", engine, "--out", f"{engine}-1", *options) == 0
        networks[engine] = serialization.load(Path(f"{engine}-1/model.npz")).get_weights()
    for one, other in zip(networks["numpy"], networks["keras"], strict=True):
        # One step of Adam, which divides by the root of a square: some 1e4 roundings, of float64.
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_without_mnist_it_is_said_that_others_may_be_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(adding, "OWN", 50)
    assert ask("--add", folder, "--engine", "numpy", "--epochs", "1") == 0
    out, error = capsys.readouterr()
    assert error.count("MNIST is not there") == 1
    assert list(shown(out)) == ["your pictures, trained on", "your pictures, held out"]


def test_what_cannot_be_used_is_left_out_and_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (folder / "8" / "broken.png").write_text("no picture")
    (folder / "8" / "notes.txt").write_text("no picture either")
    (folder / "8" / ".hidden.png").write_text("")
    draw(size=(200, 60), strokes=(0.2, 0.8)).save(folder / "1" / "two.png")
    pictures, labels = adding.own_pictures(folder)
    assert pictures.shape == (25, 28, 28)
    assert sorted(np.bincount(labels)[[1, 8]]) == [5, 20]
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 2
    assert error[0].endswith("two.png: expected one digit. Received: 2 of them")
    assert "broken.png: expected a picture" in error[1]


def test_a_fifth_of_each_digit_is_held_out_and_drawn():
    labels = np.repeat([0, 3, 7], [4, 5, 100])
    one, other = (adding.held_out(labels, np.random.default_rng(seed)) for seed in (0, 1))
    assert [int(one[labels == label].sum()) for label in (0, 3, 7)] == [0, 1, 20]
    assert (one != other).any()


def test_what_is_held_out_is_not_trained_on(monkeypatch: pytest.MonkeyPatch):
    pictures = np.random.default_rng(0).random((50, 28, 28))
    labels = np.repeat(np.arange(10), 5)
    samples = adding.mixed(pictures, labels, None, np.random.default_rng(0), "float64")
    trained = {row.tobytes() for row in samples.x_train}
    apart = {row.tobytes() for row in samples.shown["your pictures, held out"][0]}
    assert len(trained) == 40
    assert len(apart) == 10
    assert not trained & apart
    assert len(samples.x_train) >= adding.OWN


def test_a_training_that_was_stopped_goes_on_with_its_folder(
    folder: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(adding, "OWN", 100)
    options = "--engine", "numpy", "--add", folder, "--data", tiny_mnist
    assert ask(*options, "--epochs", "2", "--decay", "none", "--out", "whole") == 0
    assert ask(*options, "--epochs", "1", "--decay", "none", "--out", "part") == 0
    assert ask("--resume", "--epochs", "2", "--out", "part") == 0
    whole, part = (serialization.load(Path(f"{n}/model.npz")) for n in ("whole", "part"))
    for one, other in zip(whole.weights, part.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def _empty(folder: Path) -> list[object]:
    (folder / "empty" / "3").mkdir(parents=True)
    return ["--add", folder / "empty"]


def _useless(folder: Path) -> list[object]:
    (folder / "useless" / "3").mkdir(parents=True)
    (folder / "useless" / "3" / "x.png").write_text("no")
    return ["--add", folder / "useless"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda folder: ["--add", folder / "no"], "no such folder"),
        (lambda folder: ["--add", folder / "8" / "00.png"], "no such folder"),
        (lambda folder: ["--add", "a\0b"], "--add: expected a folder"),
        (_empty, "no picture in any"),
        (_useless, "1 that cannot be used, such as "),
        (
            lambda folder: ["--add", folder, "--out", model_files.SHIPPED_MODEL.parent, "--force"],
            "--out: expected another folder than that of the weights",
        ),
        (
            lambda folder: ["--add", folder, "--out", model_files.SHIPPED_MODEL.parents[1]],
            "--out: expected another folder than that of the weights",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    made: Callable[[Path], list[object]], said: str, folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before = _hash()
    assert ask(*made(folder), "--engine", "numpy") == 2
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1]
    assert error[-1].startswith("train: --")
    assert not any("Traceback" in line for line in error)
    assert _hash() == before


def test_only_a_network_whose_weights_come_with_the_project(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    for name in recipes.RECIPES:
        if name != "mnist-robust":
            assert train.main([name, "--add", str(folder)]) == 2
            assert "--add: expected mnist-robust" in capsys.readouterr().err
