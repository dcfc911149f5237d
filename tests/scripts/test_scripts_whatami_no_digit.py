"""What is no digit is turned down, and hardly any digit is: by the rejecter that is shipped.

The least shares are below what the card of the rejecter has, by the chance of a small sample.
"""

import hashlib
import os
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digit_data.datasets import load_mnist
from digit_data.pictures.examine import examine, open_image
from numpy_impl import models, serialization
from scripts import model_files
from scripts.whatami.answers import CLUTTER, LEAST_SCORE, STEEPNESS, answer
from scripts.whatami.looking import SeenPicture
from tests import census
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
    told = answer(model(), [SeenPicture("x", examine(image)) for image in images])
    return float(np.mean([one.digit is None and one.number is None for one in told]))


def _told(images: list[Image.Image]) -> float:
    """Return of how many a digit or a number is said."""
    return len(images) * (1 - _silent(images))


def _printed(characters: str, share: int = 10) -> list[Image.Image]:
    """Return a day's sample of characters in every font."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    images: list[Image.Image] = []
    for font in FONTS:
        for character in census.sample(characters, share, f"{font} {characters}"):
            image = Image.new("L", (160, 160), 240)
            own = ImageFont.truetype(folder / font, 90)
            ImageDraw.Draw(image).text((80, 80), character, font=own, fill=20, anchor="mm")
            images.append(image)
    return images


@pytest.mark.parametrize(
    ("kind", "least"), [("animals and things, drawn", 0.75), ("plus, minus, brackets, drawn", 0.95)]
)
def test_drawings_of_kinds_never_seen_are_turned_down(kind: str, least: float):
    pictures = held_out.pictures(kind, held_out.KINDS[kind], 60, seed=5)
    images = [Image.fromarray(picture) for picture in pictures]
    assert _silent(images) >= least


def test_letters_are_turned_down_and_digits_are_not():
    letters = _printed("AEFHKMNRWXaehkmnrwx&?%@", 6)
    assert _told(letters) <= census.most(0.1, len(letters))
    assert _silent(_printed("0123456789")) <= 0.08


def test_doodles_in_scenes_are_turned_down():
    drawn = census.sample(list(doodles(5)), 20, "doodles")
    assert _told([open_image(BytesIO(each.data)) for each in drawn]) <= census.most(0.1, len(drawn))


def _drawn_digits() -> list[tuple[np.ndarray, int]]:
    """Plain digits of a font, as a network sees them, with their labels."""
    images = _printed("0123456789")[:10]
    return [(examine(image).pictures[0], digit) for digit, image in enumerate(images)]


def _seven(light: np.ndarray) -> SeenPicture:
    """A seven in a light that makes no shadow or blots, as uint8."""
    image = Image.new("L", light.shape[::-1], 255)
    ImageDraw.Draw(image).line([(80, 60), (150, 60), (105, 160)], fill=40, width=11)
    dark = np.minimum(np.asarray(image), light).astype(np.uint8)
    return SeenPicture("x", examine(Image.fromarray(dark)))


def test_a_digit_on_a_sheet_in_uneven_light_has_no_clutter_around_it_and_blots_are_some():
    rows, columns = np.mgrid[:220, :220]
    slope = 250 - 0.4 * columns
    blots = 170 + 80 * np.sin(rows / 14) * np.sin(columns / 18)
    even, many = (_seven(light).found for light in (slope, blots))
    assert even is not None
    assert many is not None
    assert even.clutter < 0.02
    assert many.clutter > CLUTTER


def test_clutter_divides_the_odds_of_a_digit():
    seen = _seven(np.full((220, 220), 250.0))
    assert seen.found is not None
    sure: Any = SimpleNamespace(
        side=28, rejecter=None,
        scores=lambda pictures: np.tile(0.99 * np.eye(10)[7], (len(pictures), 1)),
        digit_scores=lambda pictures: np.full(len(pictures), 0.9),
        known=lambda pictures: np.full(len(pictures), 0.9),
    )  # fmt: skip
    shares = (0.0, CLUTTER, CLUTTER + 0.03, CLUTTER + 0.2)
    said = answer(sure, [replace(seen, found=replace(seen.found, clutter=c)) for c in shares])
    odds = [9 * np.exp(-STEEPNESS * further) for further in (0, 0, 0.03, 0.2)]
    expected = [100 * each / (1 + each) for each in odds]
    assert [one.digit_score for one in said] == pytest.approx(expected, abs=1e-3)
    assert [one.digit for one in said] == [7, 7, 7, None]


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


def test_what_both_networks_take_for_the_same_digit_is_known():
    loaded = model_files.load(model_files.SHIPPED_MODEL)
    assert loaded.rejecter is not None
    pictures = np.random.default_rng(1).random((20, 28, 28))
    scores, others = loaded.scores(pictures), loaded.rejecter(pictures.reshape(20, -1))
    both = [
        max(a * b for a, b in zip(*row, strict=False)) for row in zip(scores, others, strict=True)
    ]
    np.testing.assert_allclose(loaded.known(pictures), both, rtol=1e-12)
    # One that takes every digit for the next one agrees with nothing that is sure.
    digits = np.stack([p for p, _ in _drawn_digits()])
    assert np.mean(loaded.known(digits)) > 0.8
    right = loaded.rejecter
    loaded.rejecter = lambda x: np.roll(right(x), 1, axis=1)
    assert np.mean(loaded.known(digits)) < 0.2
    loaded.rejecter = None
    np.testing.assert_array_equal(loaded.known(digits), loaded.scores(digits).max(axis=1))


def test_the_rejecter_is_small_and_its_card_is_its_own():
    network = serialization.load(model_files.SHIPPED_REJECTER)
    assert (network.input_shape, network.output_shape) == ((784,), (11,))
    assert model_files.SHIPPED_REJECTER.stat().st_size < 0.6e6
    card = model_files.SHIPPED_REJECTER.with_suffix(".md").read_text(encoding="utf-8")
    assert hashlib.sha256(model_files.SHIPPED_REJECTER.read_bytes()).hexdigest() in card


def test_a_network_of_64_inputs_has_no_rejecter(tmp_path: Path):
    path = tmp_path / "m.npz"
    serialization.save(models.build("64-40-10", np.random.default_rng(0)), path)
    assert model_files.load(path).digit_scores(np.zeros((1, 8, 8))) is None
