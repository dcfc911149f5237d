"""scikit-learn's digits, their two splits, and one-hot targets."""

from typing import Any

import numpy as np
import pytest

from digit_data.datasets import DatasetError, load_digits, load_digits_split, one_hot


def test_scikit_learns_digits() -> None:
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.float64
    assert labels.dtype == np.int64
    assert (images.min(), images.max()) == (0, 16)
    assert labels[:10].tolist() == list(range(10))


def test_split_of_d0() -> None:
    images, labels = load_digits()
    split = load_digits_split("last359")
    assert np.array_equal(split.x_train, images[:1438])
    assert np.array_equal(split.x_test, images[1438:])
    assert np.array_equal(split.y_test, labels[-359:])


def test_split_of_d2() -> None:
    split = load_digits_split("random", seed=1)
    assert (len(split.y_train), len(split.y_test)) == (1347, 450)
    assert np.array_equal(
        split.x_test, load_digits_split("random", np.random.default_rng(1)).x_test
    )
    assert not np.array_equal(split.y_test, load_digits_split("random", 2).y_test)
    images, _ = load_digits()
    rows = np.concatenate([split.x_train, split.x_test]).reshape(-1, 64)
    assert sorted(map(tuple, rows)) == sorted(map(tuple, images.reshape(-1, 64)))


@pytest.mark.parametrize(
    ("kind", "seed", "word"),
    [("half", None, "'half'"), ("random", None, "a seed"), ("last359", 1, "no seed")],
)
def test_splits_that_are_refused(kind: Any, seed: int | None, word: str) -> None:
    with pytest.raises(DatasetError, match=word):
        load_digits_split(kind, seed)


def test_one_hot() -> None:
    # 2 -> third of three places, 0 -> first
    expected = [[0, 0, 1], [1, 0, 0]]
    assert one_hot([2, 0], classes=3).tolist() == expected
    assert one_hot(np.array([2, 0], np.uint8), 3, np.float32).dtype == np.float32
    assert one_hot([]).shape == (0, 10)


@pytest.mark.parametrize(
    ("labels", "word"),
    [([10], "0..9"), ([-1], "-1"), ([1.0], "float64"), ([[1]], r"\(1, 1\)"), ([True], "bool")],
)
def test_one_hot_refuses(labels: Any, word: str) -> None:
    with pytest.raises(DatasetError, match=word):
        one_hot(labels)
