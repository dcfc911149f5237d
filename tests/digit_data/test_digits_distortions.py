"""Distorted pictures, compared with SciPy's filters and with hand-made cases."""

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import ndimage

from digit_data.distortions import CHUNK, Distortions
from digit_data.drawn import drawn_digits

NONE = Distortions(**{field.name: 0.0 for field in fields(Distortions)} | {"sigma": 4.0})


def _pictures(count: int = 4) -> np.ndarray:
    return drawn_digits(count, np.random.default_rng(0))[0]


def test_no_amount_changes_nothing() -> None:
    x = _pictures()
    np.testing.assert_allclose(NONE(x, np.random.default_rng(1)), x, atol=1e-6)
    np.testing.assert_allclose(Distortions()(x, np.random.default_rng(1), 0.0), x, atol=1e-6)


@pytest.mark.parametrize("name", [f.name for f in fields(Distortions) if f.name != "sigma"])
def test_each_amount_changes_something(name: str) -> None:
    x = _pictures()
    alone = replace(NONE, **{name: getattr(Distortions(), name)})
    changed = alone(x, np.random.default_rng(1))
    assert np.abs(changed - x).max() > 0.05
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_the_same_generator_gives_the_same_in_either_shape() -> None:
    x = _pictures()
    one = Distortions()(x, np.random.default_rng(1))
    flat = Distortions()(x.reshape(-1, 784), np.random.default_rng(1))
    np.testing.assert_array_equal(one.reshape(-1, 784), flat)
    assert (one != Distortions()(x, np.random.default_rng(2))).any()
    assert Distortions()(x.astype(np.float64), np.random.default_rng(1)).dtype == np.float64


def test_neighbours_in_a_chunk_do_not_mix() -> None:
    x = np.zeros((CHUNK + 3, 28, 28), np.float32)
    x[::2] = 1  # full pictures beside empty ones
    strong = replace(Distortions(), shift=6.0, thin=0.0, contrast=0.0)
    changed = strong(x, np.random.default_rng(0))
    assert changed[1::2].max() == 0
    assert changed[::2].reshape(-1, 784).max(axis=1).min() > 0.99


def test_the_field_is_smoothed_noise_as_scipy_smooths_it() -> None:
    distort = Distortions()
    field = distort._elastic(3, np.random.default_rng(5), 1.0)
    noise = np.random.default_rng(5).random((6, 28, 28), np.float32) * 2 - 1
    smoothed = [
        ndimage.gaussian_filter(n.astype(np.float64), 4.0, mode="constant", truncate=8)
        for n in noise
    ]
    expected = 34.0 * np.reshape(smoothed, (3, 2, 28, 28))
    np.testing.assert_allclose(field, expected, atol=2e-4)


def test_the_field_has_the_documented_spread() -> None:
    distort = Distortions()
    field = distort._elastic(2000, np.random.default_rng(0), 1.0)
    middle = field[:, :, 13:15, 13:15]
    expected = distort.elastic / (distort.sigma * np.sqrt(12 * np.pi))
    assert np.std(middle) == pytest.approx(expected, rel=0.05)


def test_pictures_are_moved_as_scipy_moves_them() -> None:
    distort, x = Distortions(), _pictures(3)
    where = distort._coordinates(3, np.random.default_rng(2), 1.0)
    moved = distort._moved(x, where)
    for picture, points, found in zip(x, where, moved, strict=True):
        expected = ndimage.map_coordinates(picture.astype(np.float64), points, order=1)
        # OpenCV interpolates in steps of a 32nd of a pixel.
        np.testing.assert_allclose(found, expected, atol=1 / 16)
        assert np.abs(found - picture).max() > 0.3


def test_a_quarter_turn_by_hand() -> None:
    distort = replace(NONE, rotation=90.0)
    rng = np.random.default_rng(0)
    turn = distort._affine(1000, rng, 1.0)
    # Rotations keep lengths; the greatest angle is 90 degrees.
    np.testing.assert_allclose(
        turn @ turn.transpose(0, 2, 1), np.eye(2)[None].repeat(1000, 0), atol=1e-6
    )
    angles = np.rad2deg(np.arctan2(turn[:, 1, 0], turn[:, 0, 0]))
    assert -90 <= angles.min() < -85
    assert 85 < angles.max() <= 90


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, 28, 28\) or \(N, 784\)\. Received: \(2, 64\)"):
        Distortions()(np.zeros((2, 64), np.float32), np.random.default_rng(0))


def test_drawn_digits_have_mnists_form() -> None:
    x, y = drawn_digits(40, np.random.default_rng(0))
    assert x.shape == (40, 28, 28)
    assert set(y.tolist()) == {1, 7}
    assert x.min() >= 0
    for picture in x:
        assert picture.max() == 1
        rows, columns = (np.flatnonzero(picture.any(axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    again = drawn_digits(40, np.random.default_rng(0))[0]
    np.testing.assert_array_equal(x, again)
