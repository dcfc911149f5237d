"""Every format of MNIST written and read back exactly; the cache, the download, light imports."""

import io
import os
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from digit_data.datasets import DatasetError, Digits, load_mnist
from digit_data.mnist import cache as mnist_cache
from tests.digit_data.mnist_writers import (
    WRITERS,
    pairs_of,
    same,
    tiny,
    write_arff,
    write_npz,
    write_pickle,
)

MNIST_PATH = os.environ.get("MNIST_PATH")
needs_mnist = pytest.mark.skipif(not MNIST_PATH, reason="MNIST_PATH names no copy of MNIST")


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_is_read_back_exactly(name: str, tmp_path: Path) -> None:
    assert same(load_mnist(WRITERS[name](tmp_path, tiny())), tiny())
    assert same(load_mnist(tmp_path), tiny())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol(protocol: int, tmp_path: Path) -> None:
    assert same(
        load_mnist(write_pickle(tmp_path, pickle.dumps(pairs_of(tiny()), protocol))), tiny()
    )


@needs_mnist
@pytest.mark.parametrize("name", WRITERS)
def test_a_part_of_mnist_survives_each_format(name: str, tmp_path: Path) -> None:
    whole = load_mnist(MNIST_PATH)
    part = Digits(whole.x_train[:120], whole.y_train[:120], whole.x_test[:20], whole.y_test[:20])
    assert same(load_mnist(WRITERS[name](tmp_path, part)), part)


@needs_mnist
def test_whole_mnist_has_its_known_counts() -> None:
    data = load_mnist()
    assert data.x_train.shape == (60000, 28, 28)
    assert data.x_test.shape == (10000, 28, 28)
    assert np.bincount(data.y_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    # The mean and deviation in every tutorial: 0.1307 and 0.3081.
    assert data.x_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert data.x_train.std() / 255 == pytest.approx(0.3081, abs=5e-5)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = write_npz(tmp_path, tiny()).rename(tmp_path / "digits.pkl.gz")
    assert same(load_mnist(path), tiny())


def test_scikit_learns_data_home(tmp_path: Path) -> None:
    folder = tmp_path / "openml/openml.org/data/v1/download/52667"
    folder.mkdir(parents=True)
    write_arff(folder, tiny(), packed=True)
    assert same(load_mnist(tmp_path), tiny())


def test_environment_then_keras_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "datasets").mkdir()
    path = write_npz(tmp_path / "datasets", tiny())
    monkeypatch.setenv("MNIST_PATH", str(path))
    monkeypatch.setenv("KERAS_HOME", "/nowhere")
    assert same(load_mnist(), tiny())
    monkeypatch.delenv("MNIST_PATH")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert same(load_mnist(), tiny())


def plant_download(monkeypatch: pytest.MonkeyPatch, home: Path, content: bytes | Exception) -> None:
    def answer(_url: str, timeout: float) -> io.BytesIO:
        assert timeout == 30
        if isinstance(content, Exception):
            raise content
        return io.BytesIO(content)

    monkeypatch.delenv("MNIST_PATH", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.setattr(urllib.request, "urlopen", answer)


def test_download_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write_npz(tmp_path, tiny()).read_bytes()
    plant_download(monkeypatch, tmp_path, content)
    with pytest.raises(DatasetError, match="expected SHA-256 731c5ac6"):
        load_mnist()
    assert list((tmp_path / "datasets").iterdir()) == []
    monkeypatch.setattr(mnist_cache, "SHA256", mnist_cache.hashlib.sha256(content).hexdigest())
    notices: list[str] = []
    assert same(load_mnist(notice=notices.append), tiny())
    assert len(notices) == 1
    assert [file.name for file in (tmp_path / "datasets").iterdir()] == ["mnist.npz"]


def test_without_network_the_options_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_download(monkeypatch, tmp_path, urllib.error.URLError("no route"))
    with pytest.raises(DatasetError, match=r"no route.*--data PATH.*MNIST_PATH"):
        load_mnist()
    plant_download(monkeypatch, tmp_path, bytes(mnist_cache.LARGEST_DOWNLOAD + 1))
    with pytest.raises(DatasetError, match="at most"):
        load_mnist()


def test_import_is_light() -> None:
    code = (
        "import sys, digit_data.datasets, digit_data.pictures.examine; "
        "print([m for m in ('keras', 'tensorflow', 'sklearn', 'scipy') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert run.stdout.strip() == "[]"
