"""The pictures: written, of the right kind, and refusing what does not fit."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import plots


def _colours(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).reshape(-1, 3)


def test_curves_draws_what_is_there(tmp_path: Path):
    full, empty = tmp_path / "full.png", tmp_path / "empty.png"
    plots.curves({"loss": [3.0, 2.0], "accuracy": [0.1, 0.2], "val_loss": [4.0, 3.0]}, full)
    plots.curves({}, empty)
    assert len(np.unique(_colours(full), axis=0)) > len(np.unique(_colours(empty), axis=0)) > 1


def test_confusion_takes_rows_without_samples(tmp_path: Path):
    path = tmp_path / "partial.name"  # PNG whatever the name
    matrix = np.diag([5, 0, 7])
    matrix[0, 1] = 2
    plots.confusion(matrix, path, "a title")
    assert len(_colours(path)) > 10_000
    plots.confusion(np.zeros((10, 10), int), path)


def test_samples_frames_right_and_wrong(tmp_path: Path):
    red, green = (214, 39, 40), (44, 160, 44)  # matplotlib's tab:red and tab:green

    def has(scores: np.ndarray, colour: tuple[int, int, int]) -> bool:
        path = tmp_path / "samples.png"
        plots.samples(np.zeros((3, 64)), np.array([0, 1, 2]), scores, path)
        return bool((_colours(path) == colour).all(axis=1).any())

    right, wrong = np.eye(10)[[0, 1, 2]], np.eye(10)[[0, 1, 9]]
    assert has(right, green)
    assert not has(right, red)
    assert has(wrong, red)


def test_samples_refuses_what_does_not_fit(tmp_path: Path):
    with pytest.raises(ValueError, match="2 images, 3 labels, 2 scores"):
        plots.samples(np.zeros((2, 64)), np.zeros(3), np.zeros((2, 10)), tmp_path / "x.png")
    with pytest.raises(ValueError, match="at least one"):
        plots.samples(np.zeros((0, 64)), np.zeros(0), np.zeros((0, 10)), tmp_path / "x.png")
