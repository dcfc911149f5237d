"""Hostile HDF5 files: no link is followed, nothing but plain arrays in the file itself is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_impl import keras
from numpy_impl import models
from numpy_impl.files.keras_files import documented_architecture, load_keras, load_keras_weights
from tests.numpy_impl.keras_samples import edit_members, sequential

L: Any = keras.layers
KERNEL, BIAS = "layers/dense/vars/0", "layers/dense/vars/1"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one model's good files, model.keras and model.weights.h5."""
    folder = tmp_path_factory.mktemp("good")
    model = sequential(L.Dense(3, "sigmoid"), L.Dense(2, "sigmoid"))
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    return folder


def _replace(name: str, make: Callable[[Any, Path], Any]) -> Callable[[Any, Path], None]:
    """Return a change that puts what ``make(file, folder)`` returns in the place of ``name``."""

    def change(h5: Any, folder: Path) -> None:
        made = make(h5, folder)
        del h5[name]
        if made is not None:
            h5[name] = made

    return change


def _create(name: str, *shape: int, **options: Any) -> Callable[[Any, Path], None]:
    def change(h5: Any, folder: Path) -> None:
        del h5[name]
        h5.create_dataset(name, shape, **{"dtype": "f4", **options})

    return change


def _virtual(h5: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource(folder / "model.weights.h5", BIAS, (3,))
    del h5[BIAS]
    h5.create_virtual_dataset(BIAS, layout)


def _references(h5: Any, folder: Path) -> None:
    reference = h5[KERNEL].ref
    del h5[BIAS]
    h5.create_dataset(BIAS, (3,), h5py.ref_dtype)[:] = [reference] * 3


def _cycle(h5: Any, folder: Path) -> None:
    del h5["layers/dense"]
    h5["layers/dense"] = h5["layers"]


HOSTILE: dict[str, tuple[Callable[[Any, Path], None], str]] = {
    "external link": (
        _replace(KERNEL, lambda h5, d: h5py.ExternalLink(d / "model.weights.h5", KERNEL)),
        "a soft or external link",
    ),
    "external link to a group": (
        _replace("layers", lambda h5, d: h5py.ExternalLink(d / "model.weights.h5", "layers")),
        "a soft or external link",
    ),
    "soft link": (
        _replace(KERNEL, lambda h5, d: h5py.SoftLink("/layers/dense_1/vars/0")),
        "a soft or external link",
    ),
    "dangling link": (
        _replace(KERNEL, lambda h5, d: h5py.ExternalLink("/no/such/file", "x")),
        "a soft or external link",
    ),
    "external data": (
        _create(BIAS, 3, external=[("/etc/hostname", 0, 12)]), "external, virtual or chunked",
    ),
    "virtual data": (_virtual, "external, virtual or chunked"),
    "chunked bomb": (
        _create(KERNEL, 1 << 20, 1 << 20, chunks=(1024, 1024), compression="gzip"),
        "external, virtual or chunked",
    ),
    "data that is not there": (_create(KERNEL, 1 << 20, 1 << 20), "0 bytes for it"),
    "object references": (_references, "object"),
    "text": (_create(BIAS, 3, dtype=h5py.string_dtype()), "object"),
    "integers": (_create(BIAS, 3, dtype="i4"), "int32"),
    "half precision": (_create(BIAS, 3, dtype="f2"), "float16"),
    "complex": (_create(BIAS, 3, dtype="c8"), "complex64"),
    "compound": (_create(BIAS, 3, dtype=[("a", "f4")]), "[('a', '<f4')]"),
    "nothing at all": (_replace(BIAS, lambda h5, d: h5py.Empty("f4")), "Dataset without numbers"),
    "group for an array": (_replace(BIAS, lambda h5, d: h5["layers"]), "Group"),
    "type for an array": (_replace(BIAS, lambda h5, d: np.dtype("f4")), "Datatype"),
    "array for a group": (_replace("layers/dense", lambda h5, d: h5[BIAS]), "Dataset dense"),
    "another shape": (_replace(BIAS, lambda h5, d: np.zeros(4, "f4")), "(4,)"),
    "a scalar": (_replace(BIAS, lambda h5, d: np.float32(1)), "()"),
    "no bias": (_replace(BIAS, lambda h5, d: None), "(4, 3)"),
    "another name": (lambda h5, d: h5.move(BIAS, BIAS + "1"), "0, 11"),
    "one more array": (lambda h5, d: h5.create_dataset("layers/dense/vars/2", data=[1.0]), "(1,)"),
    "no layer": (_replace("layers/dense_1", lambda h5, d: None), ""),
    "no layers": (_replace("layers", lambda h5, d: None), ""),
    "groups in a circle": (_cycle, "no vars in /layers"),
}  # fmt: skip


def _refused(load: Callable[[], Any], path: Path) -> str:
    with pytest.raises(ValueError, match=r"^Expected .* in .*Received: ") as caught:
        load()
    message = str(caught.value)
    assert f" in {path}. Received: " in message
    assert "\n" not in message
    return message.partition("Received: ")[2]


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_arrays(what: str, good: Path, tmp_path: Path) -> None:
    change, said = HOSTILE[what]
    path = tmp_path / "bad.weights.h5"
    path.write_bytes((good / "model.weights.h5").read_bytes())
    with h5py.File(path, "r+") as h5:
        change(h5, good)
    network = models.build([4, 3, 2], np.random.default_rng(0))
    before = network.parameters.copy()
    assert said in _refused(lambda: load_keras_weights(path, network), path)
    assert np.array_equal(network.parameters, before)
    archive = tmp_path / "bad.keras"
    archive.write_bytes((good / "model.keras").read_bytes())
    edit_members(archive, lambda m: m.update({"model.weights.h5": path.read_bytes()}))
    assert said in _refused(lambda: load_keras(archive), archive)


def test_arrays_that_share_their_bytes(good: Path, tmp_path: Path) -> None:
    # A few bytes cannot be taken for many weights.
    path = tmp_path / "shared.weights.h5"
    path.write_bytes((good / "model.weights.h5").read_bytes())
    with h5py.File(path, "r+") as h5:
        del h5[KERNEL]
        h5[KERNEL] = np.ones((100, 100), "f4")
        for i in range(2, 200):
            h5[f"layers/dense_{i}"] = h5["layers/dense"]
    assert "the same in two" in _refused(lambda: documented_architecture(path), path)
    with h5py.File(path, "r+") as h5:
        for i in range(2, 200):
            del h5[f"layers/dense_{i}"]
            h5.create_group(f"layers/dense_{i}/vars")["0"] = h5[KERNEL]
    network = models.build([100] * 200)
    assert "bytes for it" in _refused(lambda: load_keras_weights(path, network), path)


def test_big_endian_weights(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "big.weights.h5"
    path.write_bytes((good / "model.weights.h5").read_bytes())
    kernel = np.arange(12, dtype="<f4").reshape(4, 3)
    with h5py.File(path, "r+") as h5:
        del h5[KERNEL]
        h5[KERNEL] = kernel.astype(">f4")
    network = models.build([4, 3, 2])
    load_keras_weights(path, network)
    assert np.array_equal(network.weights[0], kernel)


def test_a_weight_too_large_for_the_network(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.weights.h5"
    path.write_bytes((good / "model.weights.h5").read_bytes())
    with h5py.File(path, "r+") as h5:
        del h5[BIAS]
        h5[BIAS] = np.array([0.1, 1e300, 0])
    network = models.build([4, 3, 2])
    assert "overflow" in _refused(lambda: load_keras_weights(path, network), path)
    assert not network.parameters.any()
    network = network.clone("float64")
    load_keras_weights(path, network)
    assert network.weights[1].tolist() == [0.1, 1e300, 0]
