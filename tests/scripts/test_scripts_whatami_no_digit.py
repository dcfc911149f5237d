"""What is no digit is turned down, and hardly any digit is: by the rejecter that is shipped.

The least shares are below what the card of the rejecter has, by the chance of a small sample.
"""

import hashlib
import os
from functools import cache
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digit_data.datasets import load_mnist
from digit_data.pictures.examine import examine, open_image
from numpy_impl import models, serialization
from scripts import model_files
from scripts.whatami.answers import LEAST_SCORE, answer
from scripts.whatami.looking import Seen
from tests.pictures import scenes
from tests.pictures.negatives import doodles
from tools.rejecter import held_out

needs_mnist = pytest.mark.skipif(
    not os.environ.get("MNIST_PATH"), reason="MNIST_PATH names no copy of MNIST"
)
# Fonts that Matplotlib ships and that the rejecter was not trained on.
FONTS = ("cmr10.ttf", "cmtt10.ttf", "STIXGeneral.ttf", "STIXGeneralBol.ttf")


@cache
def model() -> model_files.Classifier:
    return model_files.load(model_files.SHIPPED_MODEL)


def _silent(images: list[Image.Image]) -> float:
    """Return the share of pictures of which no digit is said, nor a number."""
    told = answer(model(), [Seen("x", examine(image)) for image in images])
    return float(np.mean([one.digit is None and one.number is None for one in told]))


def _printed(characters: str) -> list[Image.Image]:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    images: list[Image.Image] = []
    for font in FONTS:
        for character in characters:
            image = Image.new("L", (160, 160), 240)
            own = ImageFont.truetype(folder / font, 90)
            ImageDraw.Draw(image).text((80, 80), character, font=own, fill=20, anchor="mm")
            images.append(image)
    return images


@pytest.mark.parametrize(
    ("kind", "least"), [("animals and things, drawn", 0.5), ("plus, minus, brackets, drawn", 0.9)]
)
def test_drawings_of_kinds_never_seen_are_turned_down(kind: str, least: float):
    images = [Image.fromarray(picture) for picture in held_out.pictures(kind, 60, seed=5)]
    assert _silent(images) >= least


def test_letters_are_turned_down_and_digits_are_not():
    assert _silent(_printed("AEFHKMNRWXaehkmnrwx&?%@")) >= 0.9
    assert _silent(_printed("0123456789")) <= 0.08


def test_doodles_in_scenes_are_turned_down():
    assert _silent([open_image(BytesIO(each.data)) for each in doodles(5)]) >= 0.9


@needs_mnist
def test_at_most_one_in_a_hundred_of_mnists_digits_is_lost():
    test = load_mnist()
    pictures = test.x_test / np.float32(255)
    right = model().scores(pictures).argmax(axis=1) == test.y_test
    scores = model().digit_scores(pictures)
    assert scores is not None
    assert np.mean(100 * scores[right] < LEAST_SCORE) <= 0.01


def test_drawn_and_photographed_digits_are_not_lost():
    plain = [s.name for s in scenes.SCENES if not s.name.startswith(("paint", "finger", "scan"))]
    samples = scenes.collection(seed=77, per_scene=10, left_out=plain)
    images = [open_image(BytesIO(sample.data)) for sample in samples]
    assert _silent(images) <= 0.03


def test_both_engines_have_the_same_rejecter():
    keras = model_files.load(model_files.SHIPPED_MODEL, "keras")
    pictures = np.random.default_rng(0).random((20, 28, 28))
    one, other = model().digit_scores(pictures), keras.digit_scores(pictures)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_the_rejecter_belongs_to_the_shipped_network_and_is_small():
    rest = serialization.load(model_files.SHIPPED_REJECTER)
    digest = hashlib.sha256(model_files.SHIPPED_MODEL.read_bytes()).hexdigest()
    assert rest.name == f"{model_files.SHIPPED_REJECTER.stem}-{digest[:12]}"
    assert model_files.SHIPPED_REJECTER.stat().st_size < 1e6
    card = model_files.SHIPPED_REJECTER.with_suffix(".md").read_text(encoding="utf-8")
    assert hashlib.sha256(model_files.SHIPPED_REJECTER.read_bytes()).hexdigest() in card


def test_a_network_of_64_inputs_has_no_rejecter(tmp_path: Path):
    path = tmp_path / "m.npz"
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), path)
    assert model_files.load(path).digit_scores(np.zeros((1, 8, 8))) is None
