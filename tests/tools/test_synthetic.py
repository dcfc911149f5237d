"""Made-up sets of any size."""

from pathlib import Path

import numpy as np
import pytest

from digit_data import on_disk
from tools import synthetic


def test_a_set_is_read_and_can_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(synthetic, "PIECE", 64)  # so that there are several, the last one shorter
    assert synthetic.main(["--samples", "1000", "--out", str(tmp_path / "set")]) == 0
    train, test = on_disk.load(tmp_path / "set", 784, "float64")
    assert (len(train.x), len(train.y), test.x.shape) == (1000, 1000, (10, 784))
    x, y = train.x[np.arange(1000)], train.y[np.arange(1000)]
    assert x.min() >= 0
    assert x.max() <= 254 / 255
    # A picture is nearer to the mean of its own digit than to any other's.
    means = (y.T @ x) / y.sum(axis=0)[:, None]
    nearest = np.square(x[:, None] - means[None]).sum(axis=2).argmin(axis=1)
    assert np.array_equal(nearest, y.argmax(axis=1))


def test_what_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "y_test.npy").touch()
    assert synthetic.main(["--samples", "10", "--out", str(tmp_path)]) == 2
    assert "--out: expected a new folder" in capsys.readouterr().err
    assert synthetic.main(["--samples", "0", "--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err == "synthetic: --samples: expected 1 or more. Received: 0\n"
