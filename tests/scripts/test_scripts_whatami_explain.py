"""``--explain``: which pixels decided, by occlusion and by the gradient, in both engines."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digit_data.pictures.examine import examine, open_image
from numpy_impl import Sequential, layers, models, serialization
from scripts import model_files
from scripts.whatami import __main__ as whatami
from scripts.whatami import answers
from scripts.whatami.explaining import COVERS, explain
from scripts.whatami.looking import SeenPicture
from tests.scripts.whatami_pictures import ROOT, draw

EPS = float(np.finfo(np.float64).eps)
PHOTO = ROOT / "docs" / "images" / "photo.jpg"


def _of_one_pixel(tmp_path: Path, row: int, column: int) -> model_files.Classifier:
    """A model that says 3 by one pixel alone: its score is that of a sigmoid at its brightness."""
    kernel = np.zeros((784, 10))
    kernel[28 * row + column, 3] = 4.0
    network = Sequential([layers.Dense(10, "sigmoid")], 784, dtype="float64")
    network.set_weights([kernel, np.where(np.arange(10) == 3, -1.0, -9.0)])
    path = tmp_path / "one-pixel.npz"
    serialization.save(network, path)
    model = model_files.load(path)
    model.rejecter = None
    return model


def _asked(model: model_files.Classifier, picture: np.ndarray) -> answers.Answer:
    found = examine(Image.fromarray(np.uint8(255 * picture)))
    found.pictures[:] = [picture]
    (answer,) = answers.answer(model, [SeenPicture("x", found)])
    return answer


def test_a_score_of_one_pixel_is_explained_by_that_pixel(tmp_path: Path):
    picture = np.zeros((28, 28))
    picture[4:24, 13:16] = 1.0
    model = _of_one_pixel(tmp_path, 10, 14)
    one = explain(model, picture, _asked(model, picture))
    assert one.digit == 3
    score = 1 / (1 + np.exp(-3.0))
    assert one.score == pytest.approx(100 * score, rel=1e-12)
    expected = np.zeros((28, 28))
    expected[10, 14] = 100 * 4 * score * (1 - score)
    np.testing.assert_allclose(one.gradient, expected, rtol=1e-12)
    half = COVERS[28] // 2
    expected = np.zeros((28, 28))
    lost = 100 * (score - 1 / (1 + np.exp(1.0)))
    expected[10 - half : 11 + half, 14 - half : 15 + half] = lost
    np.testing.assert_allclose(one.occlusion, expected, rtol=1e-12, atol=1e-12)


def test_at_the_edge_the_square_of_paper_is_cut_off(tmp_path: Path):
    picture = np.zeros((28, 28))
    picture[0, 27] = picture[10:20, 14] = 1.0
    model = _of_one_pixel(tmp_path, 0, 27)
    one = explain(model, picture, _asked(model, picture))
    assert np.count_nonzero(one.occlusion) == (COVERS[28] // 2 + 1) ** 2
    assert (one.occlusion[:3, 25:] > 0).all()


def _bound(picture: np.ndarray, digit: int) -> np.ndarray:
    """Return how far rounding can move the gradient of a score of the shipped network, per pixel.

    To first order: a product of n terms errs by n eps of the sum of their sizes; errors of the
    logits move a probability p by at most p (1 - p) + p (its own) times twice the worst of them.
    """
    network = serialization.load(model_files.SHIPPED_MODEL).clone("float64")
    kernels = [w for w in network.weights if w.ndim == 2]
    biases = [w for w in network.weights if w.ndim == 1]
    a = picture.reshape(1, -1).astype(np.float64)
    size, signs = a, []
    for kernel, bias in zip(kernels, biases, strict=True):
        z = a @ kernel + bias
        size = size @ np.abs(kernel) + np.abs(bias)
        signs.append(z)
        a = np.maximum(z, 0)
    terms = sum(len(kernel) + 2 for kernel in kernels)
    off = 2 * terms * EPS * float(size.max())  # of a logit, in either engine
    for z in signs[:-1]:
        assert (np.abs(z) > off).all()  # no ReLU can be on in one engine and off in the other
    p = network.forward(picture.reshape(1, -1))
    wanted = np.eye(10)[digit]
    delta = np.abs(p[0, digit] * (wanted - p))
    moved = p[0, digit] * (wanted + p) * (4 * off + 32 * EPS) + terms * EPS * delta
    on = [(z > 0) for z in signs[:-1]]
    for i in reversed(range(len(kernels))):
        grown = delta @ np.abs(kernels[i]).T
        moved = moved @ np.abs(kernels[i]).T + 2 * len(kernels[i].T) * EPS * grown
        delta = grown
        if i:
            moved, delta = moved * on[i - 1], delta * on[i - 1]
    return moved.reshape(28, 28)


def test_the_engines_have_the_same_gradient_up_to_rounding():
    numpy, keras = (model_files.load(model_files.SHIPPED_MODEL, e) for e in ("numpy", "keras"))
    picture = examine(open_image(PHOTO)).pictures[0].astype(np.float64)
    for digit in (7, 1):
        one, other = (model.gradient(picture[None], digit)[0] for model in (numpy, keras))
        bound = _bound(picture, digit)
        assert (np.abs(one - other) <= bound).all()
        # The bound, of the worst case, tells a gradient of another digit or of another scale.
        assert bound.max() < 1e-2 * np.abs(one).max()
        assert not (np.abs(numpy.gradient(picture[None], 9)[0] - other) <= bound).all()
        assert not (np.abs(1.01 * one - other) <= bound).all()


@pytest.mark.parametrize("engine", ["numpy", "keras"])
def test_a_model_that_takes_stored_pixels_is_differentiated_by_the_share_of_ink(
    engine: str, tmp_path: Path
):
    stack = [layers.Rescaling(1 / 255), layers.Dense(10, "softmax")]
    network = Sequential(stack, 784, np.random.default_rng(0), "float64")
    path = tmp_path / "m.npz"
    serialization.save(network, path)
    model = model_files.load(path, engine)
    picture = np.random.default_rng(1).random((1, 28, 28))
    step = np.zeros((1, 28, 28))
    step[0, 12, 13] = 1e-4
    slope = (model.scores(picture + step) - model.scores(picture - step))[0, 4] / 2e-4
    assert model.gradient(picture, 4)[0, 12, 13] == pytest.approx(slope, rel=1e-5)


def test_both_engines_explain_alike_also_what_is_no_digit():
    numpy, keras = (model_files.load(model_files.SHIPPED_MODEL, e) for e in ("numpy", "keras"))
    plus = np.full((100, 100), 250, np.uint8)
    plus[45:55, 15:85] = plus[15:85, 45:55] = 20
    for image, digit in ((open_image(PHOTO), 7), (Image.fromarray(plus), None)):
        found = examine(image)
        both = []
        for model in (numpy, keras):
            (answer,) = answers.answer(model, [SeenPicture("x", found)])
            both.append(explain(model, found.pictures[0], answer))
        one, other = both
        assert one.digit == other.digit == digit
        # In percentage points, of which each score has some 1e3 roundings.
        np.testing.assert_allclose(one.occlusion, other.occlusion, atol=100 * 1e4 * EPS)
        np.testing.assert_allclose(
            one.gradient, other.gradient, atol=1e4 * EPS * np.abs(one.gradient).max()
        )


def test_where_ink_is_covered_the_score_of_a_seven_falls():
    """The 7 has a bar across its stem; without it the network takes it for a 1."""
    model = model_files.load(model_files.SHIPPED_MODEL)
    found = examine(open_image(PHOTO))
    (answer,) = answers.answer(model, [SeenPicture("x", found)])
    one = explain(model, found.pictures[0], answer)
    ink = found.pictures[0] > 0.5
    row, column = np.unravel_index(one.occlusion.argmax(), (28, 28))
    assert ink[row - 1 : row + 2, column - 1 : column + 2].any()
    far = np.ones((28, 28), bool)
    for y, x in np.argwhere(found.pictures[0] > 0):
        far[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = False
    np.testing.assert_allclose(one.occlusion[far], 0, atol=1e-9)  # paper on paper


# ---- The command ----


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw().save("one.png")
    draw(size=(200, 60), strokes=(0.2, 0.5, 0.8)).save("ones.png")
    return tmp_path


def _size(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50
        return image.size


def test_the_figure_has_a_row_for_each_digit(capsys: pytest.CaptureFixture[str]):
    assert whatami.main(["one.png", "--explain", "one-why.png"]) == 0
    assert whatami.main(["ones.png", "--explain", "told-why.png"]) == 0
    assert whatami.main(["ones.png", "--segment", "--explain", "read-why.png"]) == 0
    assert whatami.main(["one.png", "--plot", "p.png", "--explain", "e.png"]) == 0
    one, told, read = map(_size, ("one-why.png", "told-why.png", "read-why.png"))
    assert one[1] < told[1] == read[1]
    assert _size("e.png") == one
    _size("p.png")
    assert "Traceback" not in capsys.readouterr().err


def test_a_network_for_pictures_of_8x8(capsys: pytest.CaptureFixture[str]):
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), Path("m.npz"))
    assert whatami.main(["one.png", "--model", "m.npz", "--explain", "why.png"]) == 0
    _size("why.png")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one.png", "--explain", "."], "--explain: expected a file in a folder. Received: ."),
        (["one.png", "--explain", "no/x.png"], "--explain: expected a file in a folder"),
        (["one.png", "--explain", "one.png"], "--explain: expected a file to write"),
        (["one.png"] * 21 + ["--explain", "x.png"], "--explain: expected at most 20 pictures"),
        (["one.png", "--plot", "x.png", "--explain", "x.png"], "another file than --plot"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    assert whatami.main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert said in error
    assert error.count("\n") == 1


def test_a_network_that_is_not_differentiated_is_said_before_anything_is_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refuse(*arguments: object) -> None:
        raise ValueError("Expected TensorFlow as Keras's backend. Received: jax")

    monkeypatch.setattr("numpy_impl.input_gradient.input_gradient", refuse)
    assert whatami.main(["one.png", "--explain", "x.png"]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert error.startswith("whatami: --explain: expected a network to be differentiated. ")
