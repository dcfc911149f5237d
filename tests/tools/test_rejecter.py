"""``tools.rejecter``: what it learns from is what it says, and the boundary lies where it shall."""

import cv2
import numpy as np
import pytest

from terminal_io import CliError
from tools.rejecter import drawings, glyphs, held_out, scenery, things, touching, validation
from tools.rejecter.__main__ import LOST, folded, set_boundary, trained, untrained
from tools.rejecter.inks import parsed
from tools.rejecter.training_set import NO_DIGIT, coarse


def test_the_boundary_loses_of_each_kind_at_most_the_share_of_digits_that_it_may():
    rng = np.random.default_rng(0)
    network = untrained(rng)
    kinds = {
        name: (strength * rng.random((2_000, 28, 28))).astype(np.float32)
        for name, strength in (("strong", 1.0), ("faint", 0.4))
    }
    asked = set_boundary(network, kinds)
    assert asked.keys() == kinds.keys()
    assert all(0 < score < 1 for score in asked.values())
    double = network.clone("float64")
    lost = {
        name: np.mean(double.predict(digits.reshape(-1, 784))[:, NO_DIGIT] > 0.5)
        for name, digits in kinds.items()
    }
    strictest = min(asked, key=lambda name: asked[name])
    assert lost[strictest] == pytest.approx(LOST, abs=0.001)
    assert all(share <= LOST + 0.001 for share in lost.values())


def test_training_tells_what_is_none_from_digits():
    """Upright bars are ones here, and lying bars are none."""
    rng = np.random.default_rng(0)
    x = np.zeros((400, 28, 28), np.float32)
    for picture, place in zip(x, rng.integers(9, 16, 400), strict=True):
        picture[5:23, place : place + 3] = 1
    x[200:] = np.rot90(x[200:], axes=(1, 2))
    labels = np.repeat([1, NO_DIGIT], 200)
    network = trained(x.reshape(-1, 784), labels, 8, rng)
    assert np.mean(network.predict(x.reshape(-1, 784)).argmax(axis=1) == labels) > 0.98


def test_without_batch_normalization_the_network_computes_the_same():
    rng = np.random.default_rng(3)
    network = untrained(rng, normalized=True)
    for layer in network.layers:
        for name in layer.state_names:
            state = getattr(layer, name)
            state[...] = state + 0.3 * rng.random(state.shape)
        for name in layer.weight_names:
            weight = getattr(layer, name)
            weight[...] = weight + 0.02 * rng.normal(size=weight.shape)
    x = rng.random((50, 784)).astype(np.float32)
    before = network.clone("float64").predict(x)
    assert np.ptp(before, axis=0).min() > 1e-3
    plain = folded(network)
    assert not any(layer.state_names for layer in plain.layers)
    after = plain.clone("float64").predict(x)
    # The folded weights are rounded to float32 once.
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)


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


def test_things_are_as_a_network_sees_them_and_anew_each_time():
    for kind in ("sign", "outline", "enclosed"):
        made = np.array(things.pictures(kind, 6, np.random.default_rng(0)))
        assert made.shape == (6, 28, 28)
        assert made.min() >= 0
        assert made.max(axis=(1, 2)) == pytest.approx(1)
        assert len(np.unique(made.reshape(6, -1), axis=0)) == 6


def test_outlines_are_never_as_round_as_a_nought():
    rng = np.random.default_rng(4)
    for _ in range(20):
        border, *_ = things.outline(rng)
        points = np.round(1000 * border).astype(np.int32)
        hull = cv2.contourArea(cv2.convexHull(points))
        # The border is smoothed after it was measured.
        assert cv2.contourArea(points) < (things.ROUND + 0.05) * hull


def test_a_digit_that_is_turned_into_none_is_never_one_that_stays_a_digit():
    ways = {(digit, turns % 4, mirrored) for digit, turns, mirrored in things.TURNS}
    assert all(turns or mirrored for _, turns, mirrored in ways)
    assert not {0, 1, 8} & {digit for digit, _, _ in ways}
    # Half around, a six is a nine; mirrored, a two is a five of another hand.
    assert not {(d, 2, False) for d in (2, 5, 6, 9)} & ways
    assert not {(d, 0, True) for d in (2, 5)} & ways
    seven = np.zeros((1, 28, 28), np.float32)
    seven[0, 4:7, 8:20] = seven[0, 4:24, 17:20] = 1
    digits = np.repeat(seven, 10, axis=0)
    made = np.array(things.turned(digits, np.arange(10), 40, np.random.default_rng(0)))
    upright = things.seen((255 * seven[0]).astype(np.uint8))
    assert min(np.abs(made - upright).max(axis=(1, 2))) > 0.5


def test_a_ring_is_a_nought_and_a_letter_with_a_hole_is_none():
    ring = cv2.resize(_ring(9), (112, 112), interpolation=cv2.INTER_CUBIC)
    assert glyphs.is_nought(ring)
    assert glyphs.is_nought(cv2.resize(ring, (70, 112)))
    for spoilt in (ring[:, 56:], np.hstack([ring, np.full((112, 20), 255, np.uint8)])):
        assert not glyphs.is_nought(spoilt)
    box = np.zeros((112, 112), np.uint8)
    cv2.rectangle(box, (20, 20), (88, 88), 255, 10)
    assert not glyphs.is_nought(box)


def test_what_is_held_out_is_in_no_training():
    """The kinds are others, and so are the fonts; also those by which choices were made."""
    fonts = (
        glyphs.TEXT, glyphs.FANCIFUL, glyphs.DISPLAYS, glyphs.PEOPLES, glyphs.ICONS, glyphs.SYMBOLS,
        glyphs.BOUNDARY,
    )  # fmt: skip
    learnt = {name for group in fonts for name in group}
    v = validation
    chosen = (v.TEXT | v.BY_HAND | v.YI | v.SYLLABLES | v.HANGUL | v.ICONS | v.OFFICE).keys()
    kept = (held_out.TEXT | held_out.BY_HAND | held_out.KANA | held_out.ICONS).keys()
    assert not chosen & (learnt | kept)
    assert not kept & learnt
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
