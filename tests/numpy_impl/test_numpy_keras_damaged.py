"""Damaged and hostile Keras files: one line of ``ValueError``, and nothing outside them is read."""

import pickle
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_impl import keras
from numpy_impl import Sequential, models, serialization
from numpy_impl.files.keras_files import load_keras, load_keras_weights
from tests import census
from tests.numpy_impl.keras_samples import edit_config, edit_members, sequential

L: Any = keras.layers
KINDS = (".keras", ".weights.h5")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of one trained model, of both kinds."""
    folder = tmp_path_factory.mktemp("saved")
    model = sequential(L.Dense(3, "relu"), L.Dropout(0.5, seed=1), L.Dense(2, "softmax"))
    model.compile("adam", "mse", run_eagerly=True)
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")
    return {kind: (folder / f"m{kind}").read_bytes() for kind in KINDS}


def _network() -> Sequential:
    return models.build([4, 3, 2])


def _load(path: Path) -> Sequential:
    if path.name.endswith(".keras"):
        return load_keras(path)
    network = _network()
    load_keras_weights(path, network)
    return network


def _refused(path: Path) -> str:
    """Load a bad file; return what the one-line error says was received."""
    with pytest.raises(ValueError, match=r"^Expected .* in .*Received: ") as caught:
        _load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert f" in {path}. Received: " in message
    assert len(message) < 2000
    return message.partition("Received: ")[2]


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path, contents: dict[str, bytes]) -> Path:
    """Return the path of a good file of either kind."""
    path = tmp_path / f"file{request.param}"
    path.write_bytes(contents[request.param])
    assert _load(path).parameters.any()
    return path


@pytest.fixture
def keras_path(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    """Return the path of a good ``.keras`` file."""
    path = tmp_path / "model.keras"
    path.write_bytes(contents[".keras"])
    return path


def test_missing_and_other_files(path: Path, tmp_path: Path) -> None:
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        _load(path)
    path.mkdir()
    assert "Is a directory" in _refused(path)
    path.rmdir()
    serialization.save(_network(), tmp_path / "network.npz")
    others = [b"", b"PK", b"no model" * 99, pickle.dumps([]), b"\x89HDF\r\n\x1a\n" + bytes(99)]
    for content in [*others, (tmp_path / "network.npz").read_bytes()]:
        path.write_bytes(content)
        assert _refused(path)


def test_each_kind_taken_for_the_other(contents: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "a.keras").write_bytes(contents[".weights.h5"])
    assert "HDF5 file: weights alone (.weights.h5), or a legacy" in _refused(tmp_path / "a.keras")
    (tmp_path / "a.weights.h5").write_bytes(contents[".keras"])
    assert "a zip archive; load_keras reads .keras files" in _refused(tmp_path / "a.weights.h5")


def test_legacy_files_are_refused_by_name(tmp_path: Path) -> None:
    model = sequential(L.Dense(3), L.Dense(2))
    model.save(tmp_path / "model.h5")
    for name in ("model.h5", "model.keras"):
        (tmp_path / "model.h5").rename(tmp_path / name)
        assert "a legacy HDF5 file of Keras 2 (.h5), which is not" in _refused(tmp_path / name)
        (tmp_path / name).rename(tmp_path / "model.h5")


def test_without_h5py(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="h5py"):
        _load(path)


def test_every_truncation_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for end in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:end])
        assert _refused(path)


@settings(
    max_examples=census.count(200, 50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_mutated_bytes_raise_nothing_else(
    data: st.DataObject, contents: dict[str, bytes], tmp_path: Path
) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    content = bytearray(contents[kind])
    # Zeros fill much of these files; damage is done to what matters.
    places = st.sampled_from([i for i, byte in enumerate(content) if byte])
    for place, byte in data.draw(
        st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=200)
    ):
        content[place] = byte
    path = tmp_path / f"mutated{kind}"
    path.write_bytes(content)
    try:
        loaded = _load(path)
    except ValueError:
        _refused(path)
    else:
        with np.errstate(all="ignore"):
            assert loaded.predict(np.zeros((1, 4))).shape == (1, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) for everything inside a JSON value."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    deeper = [v for _, v in pairs if isinstance(v, dict | list)]
    keys = list(node) if isinstance(node, dict) else range(len(node))
    return [(node, key) for key in keys] + [place for v in deeper for place in _places(v)]


@settings(
    max_examples=census.count(200, 50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_mutated_configs_raise_nothing_else(data: st.DataObject, keras_path: Path) -> None:
    original = keras_path.read_bytes()

    def change(config: Any) -> None:
        places = [p for p in _places(config) if p[1] != "compile_config"]
        node, key = data.draw(st.sampled_from(range(len(places))).map(places.__getitem__))
        node[key] = data.draw(JSON)

    edit_config(keras_path, change)
    try:
        load_keras(keras_path)
    except ValueError:
        _refused(keras_path)
    keras_path.write_bytes(original)


CONFIGS = {
    "a number": (lambda c: 7, "TypeError"),
    "a list": (lambda c: [], "TypeError"),
    "empty": (lambda c: {}, "KeyError: 'class_name'"),
    "no layers": (lambda c: c["config"].update(layers=[]), "class Sequential"),
    "other units": (lambda c: _dense(c).update(units=4), "float32 (4, 3), float32 (3,)"),
    "10^15 units": (lambda c: _dense(c).update(units=10**15), "float32 (4, 3), float32 (3,)"),
    "units text": (lambda c: _dense(c).update(units="3"), "TypeError"),
    "no bias": (lambda c: _dense(c).update(use_bias=False), "float32 (4, 3), float32 (3,)"),
    "10^15 inputs": (
        lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**15]),
        "float32 (4, 3), float32 (3,)",
    ),
    "an absent layer": (
        lambda c: c["config"]["layers"].append(c["config"]["layers"][-1]), "no dense_2 in /layers",
    ),
    "the other dtype": (
        lambda c: [
            layer["config"]["dtype"]["config"].update(name="float64")
            if isinstance(layer["config"]["dtype"], dict)
            else layer["config"].update(dtype="float64")
            for layer in c["config"]["layers"]
        ] and None,
        "float32 (4, 3), float32 (3,)",
    ),
}  # fmt: skip


def _dense(config: Any) -> Any:
    return config["config"]["layers"][1]["config"]


@pytest.mark.parametrize("what", CONFIGS)
def test_configs_that_do_not_fit(what: str, keras_path: Path) -> None:
    change, said = CONFIGS[what]
    assert said in _refused(edit_config(keras_path, change))


MEMBERS: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "no weights": (lambda m: m.pop("model.weights.h5"), "metadata.json, config.json"),
    "no config": (lambda m: m.pop("config.json"), "metadata.json, model.weights.h5"),
    "Keras 2": (
        lambda m: m.update({"metadata.json": b'{"keras_version": "2.15.0"}'}),
        "a file of Keras 2.15.0",
    ),
    "no version": (lambda m: m.update({"metadata.json": b"{}"}), "KeyError: 'keras_version'"),
    "no JSON": (lambda m: m.update({"config.json": b"{"}), "Expecting property name"),
    "no text": (lambda m: m.update({"config.json": b"\xff" * 99}), "codec can't decode"),
    "nested 10^5 deep": (lambda m: m.update({"config.json": b"[" * 10**5}), "RecursionError"),
    "17 MB": (lambda m: m.update({"config.json": b" " * (17 << 20)}), "17825792 bytes"),
    "no HDF5": (lambda m: m.update({"model.weights.h5": b"no weights" * 99}), "OSError"),
}  # fmt: skip


@pytest.mark.parametrize("what", MEMBERS)
def test_members(what: str, keras_path: Path) -> None:
    change, said = MEMBERS[what]
    assert said in _refused(edit_members(keras_path, change))


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_bombs(method: int, member: str, keras_path: Path) -> None:
    with zipfile.ZipFile(keras_path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(keras_path, "w") as archive:
        for name in contents:
            if name == member:
                archive.writestr(name, bytes(1 << 26), method)
            else:
                archive.writestr(name, contents[name])
    tracemalloc.start()
    assert _refused(keras_path) == f"compression method {method}"
    assert tracemalloc.get_traced_memory()[1] < 1 << 21
    tracemalloc.stop()
