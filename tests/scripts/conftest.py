"""What the tests of the commands share."""

import os
from pathlib import Path

import numpy as np
import pytest

from numpy_impl import models, serialization


@pytest.fixture
def model_784(tmp_path: Path) -> Path:
    """A network with 784 inputs whose scores differ from digit to digit."""
    path = tmp_path / "model784.npz"
    serialization.save(models.build("784-500-300-10", np.random.default_rng(3)), path)
    return path


@pytest.fixture
def tiny_mnist(tmp_path: Path) -> Path:
    """A data set in MNIST's form: 60 training and 20 test pictures of noise."""
    return _noise(tmp_path / "tiny.npz", 60)


@pytest.fixture
def small_mnist(tmp_path: Path) -> Path:
    """The like, with 300 training pictures: epochs of many steps."""
    return _noise(tmp_path / "small.npz", 300)


def _noise(path: Path, pictures: int) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", pictures), ("test", 20)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"y_{part}"] = (np.arange(count) % 10).astype(np.uint8)
    np.savez(path, allow_pickle=False, **arrays)
    return path


@pytest.fixture
def real_mnist() -> Path:
    """The whole of MNIST, where MNIST_PATH says it is."""
    if "MNIST_PATH" not in os.environ:
        pytest.skip("MNIST_PATH is not set: no MNIST to read")
    return Path(os.environ["MNIST_PATH"])
