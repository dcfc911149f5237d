"""``tools.rejecter``: what it learns from is what it says, and the boundary lies where it shall."""

import cv2
import numpy as np
import pytest

from numpy_impl import Sequential, serialization
from numpy_impl.layers import Dense
from scripts import model_files
from terminal_io import CliError
from tools.rejecter import drawings, glyphs, held_out, scenery, touching
from tools.rejecter.__main__ import LOST, set_boundary
from tools.rejecter.inks import parsed
from tools.rejecter.training_set import NO_DIGIT, coarse


def test_the_boundary_loses_of_each_kind_at_most_the_share_of_digits_that_it_may():
    rng = np.random.default_rng(0)
    rest = Sequential([Dense(16, "relu"), Dense(NO_DIGIT + 1, "softmax")], 500, rng, "float32")
    kinds = {
        name: (strength * rng.random((2_000, 28, 28))).astype(np.float32)
        for name, strength in (("strong", 1.0), ("faint", 0.4))
    }
    asked = set_boundary(rest, kinds)
    assert asked.keys() == kinds.keys()
    assert all(0 < score < 1 for score in asked.values())
    whole = model_files.rejecter(serialization.load(model_files.SHIPPED_MODEL), rest)
    lost = {
        name: np.mean(whole.predict(digits.reshape(-1, 784))[:, NO_DIGIT] > 0.5)
        for name, digits in kinds.items()
    }
    strictest = min(asked, key=lambda name: asked[name])
    assert lost[strictest] == pytest.approx(LOST, abs=0.001)
    assert all(share <= LOST + 0.001 for share in lost.values())


def _ring(radius: int) -> np.ndarray:
    sheet = np.zeros((28, 28), np.uint8)
    cv2.circle(sheet, (14, 14), radius, 255, 3)
    return sheet


def test_digits_are_pushed_together_until_they_touch():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = touching.touching(_ring(9), _ring(7), rng)
        assert one.shape == other.shape
        both = (np.maximum(one, other) > 0.4).astype(np.uint8)
        assert cv2.connectedComponents(both)[0] == 2  # the paper, and one piece
        assert np.minimum(one, other).sum() < 0.2 * other.sum()


def test_parts_of_touching_digits_are_whole_or_more_or_less_than_one():
    rng = np.random.default_rng(1)
    digits, labels = np.stack([_ring(9), _ring(7)]), np.array([3, 5])
    whole, more, less = touching.parts(digits, labels, 12, rng)
    assert {label for _, label in whole} == {3, 5}

    def median(pictures: list[np.ndarray], axis: int) -> float:
        spans = [np.ptp(np.flatnonzero((p > 0.3).any(axis=axis))) for p in pictures]
        return float(np.median(spans))

    # The longest side is brought to 20 pixels: a ring's both, the width of more than one ring, and
    # the height of less.
    rings = [picture for picture, _ in whole]
    assert median(rings, 0) > 17
    assert median(rings, 1) > 17
    assert median(more, 1) < 17 < median(more, 0)
    assert median(less, 0) < 15


def test_corners_are_kept_and_curves_are_smooth():
    (corner,) = parsed("0,0 100,0! 100,100")
    assert [1.0, 0.0] in corner.tolist()
    (curve,) = parsed("0,0 50,50 100,0")
    assert len(curve) > 20
    assert curve[:, 1].max() == pytest.approx(0.5)


def test_pictures_are_as_a_network_sees_them():
    rng = np.random.default_rng(0)
    made, labels = drawings.digits(12, rng)
    assert made.shape == (12, 28, 28)
    assert set(labels) <= set(range(10))
    parts = [
        made,
        drawings.chance(drawings.scribble, 4, rng),
        drawings.chance(drawings.figure, 4, rng),
        drawings.chance(drawings.doodle, 4, rng),
        drawings.chance(drawings.silhouette, 4, rng),
        drawings.chance(drawings.lying, 4, rng),
        drawings.pairs(made, 4, rng),
        drawings.masks(drawings.solid, 4, rng),
        drawings.masks(drawings.blob, 4, rng),
        np.array([coarse((255 * picture).astype(np.uint8), rng) for picture in made[:4]]),
    ]
    for part in parts:
        assert part.shape[1:] == (28, 28)
        assert part.min() >= 0
        assert part.max(axis=(1, 2)) == pytest.approx(1)


def test_what_is_held_out_is_in_no_training():
    """The kinds are others, and so are the fonts."""
    assert not held_out.BY_STROKE.keys() & (drawings.SIGNS.keys() | drawings.LETTERS.keys())
    trained = glyphs.TEXT.keys() | glyphs.FANCIFUL.keys() | glyphs.DISPLAYS.keys()
    assert not trained & glyphs.BOUNDARY.keys()
    trained |= glyphs.BOUNDARY.keys()
    assert not trained & (held_out.TEXT | held_out.BY_HAND | held_out.KANA | held_out.ICONS).keys()
    assert not set(held_out.ANIMALS + held_out.FACES + held_out.KANA_TEXT) & set(
        glyphs.SIGNS + glyphs.SCRIPTS
    )


def test_nothing_that_looks_like_a_digit_is_called_none():
    every = glyphs.LATIN + glyphs.GREEK + glyphs.CYRILLIC + glyphs.HEBREW
    assert not set("0123456789OolI|") & set(every)
    bar = np.zeros((28, 28))
    bar[4:24, 13:16] = 1
    wide = np.rot90(bar)
    kept = scenery.without_bars([bar, wide])
    assert len(kept) == 1
    np.testing.assert_array_equal(kept[0], wide)


def test_a_font_that_is_not_there_is_named():
    with pytest.raises(CliError, match="package fonts-no-such-font"):
        glyphs.files({"no-such-font": "no-such-font"})
