"""``python -m scripts.browse``: the slider, the grid, and errors in one line."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backend_bases import KeyEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from numpy_impl import models, serialization
from scripts import browse, model_files


@pytest.fixture
def model_64(tmp_path: Path) -> Path:
    path = tmp_path / "model64.npz"
    serialization.save(models.build("64-40-10", np.random.default_rng(1)), path)
    return path


def _figure() -> Figure:
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure


def test_the_slider_shows_the_example_it_stands_at():
    examples = browse.load("digits", "train")
    browser = browse.Browser(_figure(), examples, index=2)
    assert browser.axes.get_title() == "digits, train 2: labelled 2"
    browser.slider.set_val(11)
    (image,) = browser.axes.get_images()
    np.testing.assert_array_equal(np.asarray(image.get_array()), examples.pictures[11])
    assert browser.axes.get_title() == f"digits, train 11: labelled {examples.labels[11]}"
    assert browser.bars is None


def test_with_a_model_the_slider_shows_its_ten_scores(model_64: Path):
    examples, model = browse.load("digits", "test"), model_files.load(model_64)
    browser = browse.Browser(_figure(), examples, model)
    browser.slider.set_val(5)
    assert browser.bars is not None
    heights = [bar.get_bbox().height for bar in browser.bars.containers[0]]
    np.testing.assert_allclose(heights, model.scores(examples.pictures[5:6])[0])


@pytest.mark.parametrize(("index", "key", "then"), [(3, "right", 4), (0, "left", 0), (3, "x", 3)])
def test_arrow_keys_go_on_and_back_and_stop_at_the_ends(index, key, then):
    figure = _figure()
    browser = browse.Browser(figure, browse.load("digits", "test"), index=index)
    figure.canvas.callbacks.process(
        "key_press_event", KeyEvent("key_press_event", figure.canvas, key)
    )
    assert browser.slider.val == then
    assert f"test {then}:" in browser.axes.get_title()


def test_mnist_pixels_are_scaled_for_the_model_and_not_for_the_eye(tiny_mnist, model_784):
    examples, model = browse.load("mnist", "test", tiny_mnist), model_files.load(model_784)
    assert examples.pictures.max() == 255
    expected = model.scores(examples.pictures[:2] / 255)
    np.testing.assert_array_equal(examples.scores(model, slice(2)), expected)


def test_a_grid_is_written_where_out_says(tmp_path, model_64, capsys):
    plain, asked = tmp_path / "a" / "plain.png", tmp_path / "asked.png"
    assert browse.main(["--part", "train", "--out", str(plain)]) == 0
    assert capsys.readouterr().out == f"wrote {plain}\n"
    assert browse.main(["--index", "350", "--model", str(model_64), "--out", str(asked)]) == 0
    heights = []
    for path in (plain, asked):
        with Image.open(path) as image:
            assert image.format == "PNG"
            heights.append(image.height)
    assert heights[0] > 2 * heights[1]  # five rows of pictures, and two for the last nine


def test_without_a_display_a_grid_is_written_and_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pyplot.switch_backend("agg")
    assert browse.main([]) == 0
    path = Path("runs/browse/digits-test.png")
    assert capsys.readouterr().out == f"no display for a window; wrote {path}\n"
    assert path.is_file()


def test_with_a_display_the_window_stays_open_until_it_is_closed(monkeypatch, capsys):
    figure, shown = _figure(), []
    monkeypatch.setattr(browse, "window", lambda: figure)
    monkeypatch.setattr(browse, "run_window", shown.append)
    assert browse.main(["--index", "7"]) == 0
    (browser,) = shown
    assert browser.slider.val == 7
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["letters"], "invalid choice: 'letters'"),
        (["--index", "359"], "--index: expected 0..358. Received: 359"),
        (["--index", "-1"], "--index: expected 0..358. Received: -1"),
        (["--data", "x"], "--data: expected together with mnist. Received: x"),
        (["mnist", "--data", "nowhere.npz"], "nowhere.npz"),
        (["--model", "nowhere.npz"], "nowhere.npz"),
        (["--out", "."], "--out: expected a file to write. Received: ., a folder"),
        (["--out", "/dev/null/x.png"], "--out: expected a file to write. Received: "),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    assert browse.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_model_of_other_pictures_is_refused(model_784, capsys):
    assert browse.main(["--model", str(model_784)]) == 2
    assert "expected a model with 64 inputs for digits. Received: one with 784" in (
        capsys.readouterr().err
    )
