"""``--save-preprocessed`` and ``--plot``."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digit_data.pictures.examine import examine, open_image
from numpy_impl import models, serialization
from scripts.whatami import __main__ as whatami
from scripts.whatami import seen_files
from tests.scripts.whatami_pictures import ask_json, draw


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture of one digit and one of three."""
    monkeypatch.chdir(tmp_path)
    draw().save("one.png")
    draw(size=(200, 60), strokes=(0.2, 0.5, 0.8)).save("ones.png")
    return tmp_path


def saved() -> list[str]:
    """Return the names of the files in the folder ``seen``."""
    return sorted(path.name for path in Path("seen").iterdir())


# ---- Saved ----


def test_what_is_saved_is_what_the_network_saw(capsys: pytest.CaptureFixture[str]):
    assert whatami.main(["one.png", "missing.png", "--save-preprocessed", "seen"]) == 2
    assert saved() == ["one-28x28.png"]
    expected = examine(open_image("one.png")).pictures[0]
    with Image.open("seen/one-28x28.png") as image:
        assert (image.mode, image.size) == ("L", (28, 28))
        np.testing.assert_allclose(np.asarray(image) / 255, expected, atol=0.5 / 255 + 1e-6)
    capsys.readouterr()
    (first,) = ask_json(capsys, "one.png")
    (second,) = ask_json(capsys, "seen/one-28x28.png")
    np.testing.assert_allclose(second["scores"], first["scores"], atol=0.5)


def test_the_16_grey_levels_of_a_64_input_network(tmp_path: Path):
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), tmp_path / "m.npz")
    options = ["--model", "m.npz", "--save-preprocessed", "seen"]
    assert whatami.main(["one.png", *options]) == 0
    expected = examine(open_image("one.png"), 8).pictures[0]
    with Image.open("seen/one-8x8.png") as image:
        np.testing.assert_array_equal(np.rint(np.asarray(image) / 255 * 16), expected)


def test_no_file_replaces_another_or_an_original(tiny_mnist: Path):
    Path("other").mkdir()
    draw().save("other/one.jpg")
    assert whatami.main(["one.png", "other/one.jpg", "--save-preprocessed", "seen"]) == 0
    assert whatami.main(["ones.png", "--segment", "--save-preprocessed", "seen"]) == 0
    whatami.main(
        ["--index", "3", "--data", str(tiny_mnist), "--save-preprocessed", "seen"]
    )  # noise, which the network need not know
    numbered = [f"ones-28x28-{place}.png" for place in (1, 2, 3)]
    assert saved() == [
        "MNIST-test-image-3-28x28.png", "one-28x28-2.png", "one-28x28.png", *numbered
    ]  # fmt: skip
    draw(strokes=(0.3,)).save("one-28x28.png")
    before = Path("one-28x28.png").read_bytes()
    assert whatami.main(["one.png", "one-28x28.png", "--save-preprocessed", "."]) == 0
    assert Path("one-28x28.png").read_bytes() == before
    assert Path("one-28x28-2.png").exists()


def test_long_names(folder: Path):
    name = "é" * 120 + ".png"
    draw().save(name)
    assert whatami.main([name, "--save-preprocessed", "seen"]) == 0
    assert len(saved()) == 1
    assert seen_files.LONGEST_NAME + 20 < 255


# ---- Plotted ----


def test_a_plot_of_one_picture_and_of_several(capsys: pytest.CaptureFixture[str]):
    odd = "a$b_{$\x1b.png"
    draw("RGBA").save(odd)
    for plot, arguments in (
        ("one-plot.png", ["one.png"]),
        ("three-plot.png", ["one.png", "missing.png", odd, "ones.png"]),
        ("number-plot.png", ["ones.png", "--segment"]),
    ):
        assert whatami.main([*arguments, "--plot", plot]) == (2 if len(arguments) > 3 else 0)
    sizes = []
    for plot in ("one-plot.png", "three-plot.png", "number-plot.png"):
        with Image.open(plot) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
            assert len(np.unique(pixels, axis=0)) > 50
            sizes.append(image.height)
    assert sizes[0] < sizes[1] == sizes[2]
    assert "Warning" not in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["1", "P", "LA", "CMYK", "I;16", "F"])
def test_a_plot_of_pictures_of_every_mode(mode: str):
    name = "picture.tif"
    if mode in ("I;16", "F"):
        grey = np.asarray(draw()).astype(np.uint16 if mode == "I;16" else np.float32)
        Image.fromarray(grey).save(name)
    else:
        draw(mode if mode != "P" else "L").convert(mode).save(name)
    assert whatami.main([name, "--plot", "plot.png"]) == 0
    assert Path("plot.png").exists()


def test_nothing_is_drawn_where_nothing_was_seen():
    assert whatami.main(["missing.png", "--plot", "plot.png"]) == 2
    assert not Path("plot.png").exists()


def test_more_digits_than_the_figure_holds_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from scripts.whatami import plots as answer_plots

    monkeypatch.setattr(answer_plots, "MOST_ROWS", 2)
    assert whatami.main(["ones.png", "one.png", "--segment", "--plot", "plot.png"]) == 0
    assert "whatami: --plot: 2 digits were left out\n" in capsys.readouterr().err
