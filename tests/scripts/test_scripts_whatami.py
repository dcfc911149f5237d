"""``scripts.whatami``: text, JSON, bad pictures, both engines, both kinds of file."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from numpy_impl import Sequential, models, serialization
from numpy_impl.layers import Dense, Rescaling
from scripts import model_files, run_files, whatami

ROOT = Path(__file__).parents[2]
SCORE = re.compile(r"Am I a (\d) \? -- score: (\d+\.\d{3})")


def draw(mode: str = "L", size: tuple[int, int] = (60, 60)) -> Image.Image:
    """A one: a dark stroke on white paper."""
    image = Image.new("RGB", size, "white")
    width, height = size
    box = (int(width * 0.45), int(height * 0.2), int(width * 0.55), int(height * 0.8))
    ImageDraw.Draw(image).rectangle(box, fill="black")
    return image.convert(mode)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A good picture."""
    path = tmp_path / "one.png"
    draw().save(path)
    return path


def ask_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    whatami.main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)


def test_text_form(picture: Path, model_784: Path, capsys: pytest.CaptureFixture[str]):
    assert whatami.main([str(picture), "--model", str(model_784)]) == 0
    *scores, verdict = capsys.readouterr().out.splitlines()
    found = [SCORE.fullmatch(line) for line in scores]
    assert [match and match[1] for match in found] == list("0123456789")
    assert verdict.startswith("I am ")
    assert abs(sum(float(match[2]) for match in found if match) - 100) < 0.01


@pytest.mark.parametrize(
    ("mode", "size"),
    [("L", (60, 60)), ("1", (60, 60)), ("RGB", (40, 90)), ("RGBA", (60, 60)), ("L", (5, 9)),
     ("RGB", (4000, 3000))],
)  # fmt: skip
def test_pictures_of_all_kinds(
    mode: str, size: tuple[int, int], tmp_path: Path, model_784: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    path = tmp_path / "picture.png"
    draw(mode, size).save(path)
    (record,) = ask_json(capsys, path, "--model", model_784)
    assert record["error"] is None
    assert len(record["scores"]) == 10


def test_a_bad_file_does_not_stop_the_others(
    picture: Path, model_784: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bad, blank = tmp_path / "bad.png", tmp_path / "blank.png"
    bad.write_text("no picture")
    Image.new("L", (30, 30), "white").save(blank)
    names = [str(path) for path in (bad, picture, tmp_path / "missing.png", blank, picture)]
    assert whatami.main([*names, "--model", str(model_784)]) == 2
    out, error = capsys.readouterr()
    assert len(SCORE.findall(out)) == 20
    assert out.count(f"{picture}:\n") == 2
    lines = error.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"whatami: {tmp_path}") for line in lines)
    assert lines[0].count("bad.png") == 1
    records = ask_json(capsys, *names, "--model", model_784)
    assert [record["file"] for record in records] == names
    assert [record["error"] is None for record in records] == [False, True, False, False, True]
    for record in records:
        assert set(record) == {"file", "digit", "scores", "error"}
        assert (record["scores"] is None) == (record["error"] is not None)
    assert records[0]["digit"] is None


def test_both_engines_and_both_files_give_the_same_scores(
    picture: Path, model_784: Path, capsys: pytest.CaptureFixture[str]
):
    keras_file = model_784.with_suffix(".keras")
    run_files.save_keras(serialization.load(model_784), keras_file)
    answers = [
        ask_json(capsys, picture, "--model", model, "--engine", engine)
        for model in (model_784, keras_file)
        for engine in ("numpy", "keras")
    ]
    assert all(answer == answers[0] for answer in answers)
    # Planted error: one weight a little off shows.
    network = serialization.load(model_784)
    network.weights[-1][0] += 1e-3
    serialization.save(network, model_784)
    assert ask_json(capsys, picture, "--model", model_784) != answers[0]


def test_the_numpy_engine_starts_without_the_heavy_packages(picture: Path, model_784: Path):
    code = (
        "import sys; from scripts.whatami import main; code = main(sys.argv[1:]); "
        "heavy = {'keras', 'tensorflow', 'matplotlib', 'sklearn', 'rich', 'scipy'}; "
        "print(sorted(heavy & set(sys.modules)), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(picture), "--model", str(model_784)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[] 0"


def _answer(*scores: float) -> whatami.Answer:
    return whatami.Answer("x", list(scores) + [0.0] * (10 - len(scores)))


@pytest.mark.parametrize(
    ("answer", "digit", "verdict"),
    [
        (_answer(1, 2, 97), 2, "I am a 2."),
        (_answer(50, 49.999), 0, "I am a 0."),
        (_answer(49.999, 50.001 - 1), None, "I am undecided: the best score is 49.999, for 0"),
        (_answer(0, 80, 80), None, "I am undecided: 1 and 2 have the same score, 80.000."),
        (_answer(), None, "I am undecided: 0 and 1 and 2"),
    ],
)
def test_verdict(answer: whatami.Answer, digit: int | None, verdict: str):
    assert answer.digit == digit
    assert answer.verdict().startswith(verdict)
    assert answer.record()["digit"] == digit


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


@pytest.mark.parametrize(
    ("layers", "inputs", "text"),
    [
        ([Dense(10, "softmax")], 100, "64 or 784 inputs. Received: input shape (100,)"),
        ([Dense(3, "softmax")], 64, "10 outputs"),
    ],
)
def test_models_of_other_shapes_are_refused(
    layers: list[Any], inputs: int, text: str, picture: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    path = tmp_path / "other.npz"
    serialization.save(Sequential(layers, inputs), path)
    assert whatami.main([str(picture), "--model", str(path)]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (7.0, "7")])
def test_scores_that_are_no_scores_are_an_error(
    value: float, shown: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    network = Sequential([Rescaling(0.0), Dense(10)], 784)
    network.weights[1][...] = value
    path = tmp_path / "wild.npz"
    serialization.save(network, path)
    (record,) = ask_json(capsys, picture, "--model", path)
    assert record["scores"] is None
    assert f"Received: {shown}, {shown}" in record["error"]


def test_keras_models_that_are_no_chain_or_no_model(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    import keras

    inputs = keras.Input((28, 28, 1))
    branch = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(inputs))
    outputs = keras.layers.Dense(10, activation="softmax")(branch)
    convolution = tmp_path / "convolution.keras"
    keras.Model(inputs, outputs).save(convolution)
    (record,) = ask_json(capsys, picture, "--model", convolution, "--engine", "keras")
    assert len(record["scores"]) == 10
    assert whatami.main([str(picture), "--model", str(convolution)]) == 2
    assert "try --engine keras" in capsys.readouterr().err
    damaged = tmp_path / "damaged.keras"
    np.savez(tmp_path / "damaged.npz", allow_pickle=False, x=np.zeros(3))
    (tmp_path / "damaged.npz").rename(damaged)
    for engine in ("numpy", "keras"):
        assert whatami.main([str(picture), "--model", str(damaged), "--engine", engine]) == 2
        error = capsys.readouterr().err
        assert "expected a Keras model" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "expected an IMAGE or --index"),
        (["x.png"], "python -m scripts.train 784-500-300-10"),
        (["x.png", "--data", "y"], "--data: expected together with --index"),
        (["x.png", "--model", "missing.npz"], "No such file"),
        (["x.png", "--model", "."], "suffix"),
        (["x.png", "--model", "text.npz"], "no such archive"),
        (["x.png", "--model", "text.keras"], "no such archive"),
        (["x.png", "--model", "other.npz"], "numpy_impl.Sequential"),
        (["--index", "x"], "invalid int value"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("text.npz", "text.keras"):
        Path(name).write_text("no archive")
    np.savez("other.npz", allow_pickle=False, x=np.zeros(3))
    assert whatami.main(options) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("whatami: ")
    assert error.count("\n") == 1
    assert text in error


def test_mnist_index(
    picture: Path, model_784: Path, tiny_mnist: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    options = ("--model", model_784, "--data", tiny_mnist)
    records = ask_json(capsys, picture, "--index", 7, *options)
    assert [record["file"] for record in records] == [str(picture), "MNIST test image 7"]
    with np.load(tiny_mnist) as arrays:
        x = arrays["x_test"][7] / 255
    expected = model_files.load(model_784).scores(x[None])[0]
    np.testing.assert_allclose(records[1]["scores"], 100 * expected, rtol=0, atol=5.1e-4)
    assert whatami.main(["--index", "7", *map(str, options)]) == 0
    assert capsys.readouterr().out.startswith("MNIST test image 7:\n")
    for index in (20, -1):
        (record,) = ask_json(capsys, "--index", index, *options)
        assert record["error"] == f"expected an index in 0..19. Received: {index}"
    missing = ask_json(
        capsys, picture, "--index", 7, "--model", model_784, "--data", tmp_path / "no"
    )
    assert [record["error"] is None for record in missing] == [True, False]


def test_real_mnist_index(real_mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "m.npz"
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), path)
    (record,) = ask_json(capsys, "--index", 1004, "--model", path, "--data", real_mnist)
    assert record["error"] is None


def test_names_cannot_write_to_the_terminal(
    picture: Path, model_784: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bad = tmp_path / "a\x1b[31m\n.png"
    bad.write_bytes(picture.read_bytes())
    assert whatami.main([str(bad), str(tmp_path / "b\x1b.png"), "--model", str(model_784)]) == 2
    out, error = capsys.readouterr()
    assert "\x1b" not in out + error
    assert "a\\x1b[31m\\n.png:" in out
