"""Networks written and read back exactly; every damaged or hostile file refused in one line."""

import io
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from numpy_impl import Sequential, activations, models, serialization
from numpy_impl.layers import Activation, Dense, Dropout, Flatten, Rescaling
from numpy_impl.types import Precision
from tests import census

NAMES = [*models.ARCHITECTURES, "sigmoid:2-2-1-3"]


def _small(dtype: Precision = "float32") -> Sequential:
    return models.build("sigmoid:3-2-2", np.random.default_rng(1), dtype=dtype)


def _assert_same(one: Sequential, other: Sequential) -> None:
    assert (one.name, one.dtype, one.input_shape) == (other.name, other.dtype, other.input_shape)
    assert [type(layer) for layer in one.layers] == [type(layer) for layer in other.layers]
    assert [layer.config() for layer in one.layers] == [layer.config() for layer in other.layers]
    assert one.weight_names == other.weight_names
    assert one.parameters.tobytes() == other.parameters.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name: str, dtype: Precision, tmp_path: Path) -> None:
    network = models.build(name, np.random.default_rng(1), dtype=dtype)
    serialization.save(network, tmp_path / "network.npz")
    _assert_same(serialization.load(tmp_path / "network.npz"), network)
    assert os.listdir(tmp_path) == ["network.npz"]


def test_round_trip_of_every_layer(tmp_path: Path) -> None:
    layers = [
        Flatten(), Rescaling(1 / 3, -0.1), Dense(4, "gelu", use_bias=False), Dropout(0.3),
        Activation("mish"), Dense(2),
    ]  # fmt: skip
    network = Sequential(layers, (2, 3), np.random.default_rng(1), "float64", "Zürich №1")
    network.parameters[:5] = [np.inf, -np.inf, np.nan, -0.0, 5e-324]
    path = str(tmp_path / "no suffix")
    serialization.save(network, path)
    _assert_same(serialization.load(path), network)


class Own(Dense):
    """A layer that load would not know, or take for another."""


def test_what_could_not_be_read_again_is_not_saved(tmp_path: Path) -> None:
    strange = activations.ActivationFunction("cube", lambda z: z**3, lambda z, a: 3 * z**2)
    for layer, name in ((Own(2), "Own"), (Dense(2, strange), "'cube'")):
        with pytest.raises(ValueError, match=f"^[^\n]*Received: {name}$"):
            serialization.save(Sequential([layer], 2), tmp_path / "network.npz")
    assert not os.listdir(tmp_path)


def test_a_second_save_replaces_the_first(tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    serialization.save(models.build("64-40-10"), path)
    serialization.save(_small(), path)
    _assert_same(serialization.load(path), _small())


@pytest.mark.parametrize("moment", ["writing", "renaming"])
def test_an_interrupted_save_leaves_the_old_file(moment: str, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "network.npz"
    serialization.save(_small(), path)

    def half(file: Any, **arrays: Any) -> None:
        file.write(b"PK half a file")
        raise KeyboardInterrupt

    def never(*paths: Any) -> None:
        raise KeyboardInterrupt

    if moment == "writing":
        monkeypatch.setattr(np, "savez", half)
    else:
        monkeypatch.setattr(os, "replace", never)
    with pytest.raises(KeyboardInterrupt):
        serialization.save(models.build("64-40-10"), path)
    _assert_same(serialization.load(path), _small())
    assert os.listdir(tmp_path) == ["network.npz"]


def _refused(path: Path) -> str:
    """Load a bad file; return what the one-line error says was received."""
    with pytest.raises(ValueError, match="Expected a network in ") as caught:
        serialization.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert f"({serialization.FORMAT}, version {serialization.VERSION}). Received: " in message
    return message.partition("Received: ")[2]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.npz"):
        serialization.load(tmp_path / "missing.npz")


def test_a_folder(tmp_path: Path) -> None:
    assert "Is a directory" in _refused(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not a zip at all" * 50, pickle.dumps({"a": 1}), b"\x93NUMPY\x01\x00"]
)
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    assert _refused(path)


def test_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", np.zeros(3))
    assert _refused(tmp_path / "bad.npy")


def _edited(path: Path, change: Any) -> Path:
    """Save the small network with its config and arrays changed by ``change(config, arrays)``."""
    network = _small()
    serialization.save(network, path)
    with np.load(path) as file:
        arrays: dict[str, Any] = {name: file[name] for name in file.files}
    config = json.loads(str(arrays.pop("config")))
    changed = change(config, arrays)
    arrays["config"] = np.array(changed if isinstance(changed, str) else json.dumps(config))
    np.savez(path, **arrays)
    return path


def _nothing(config: dict[str, Any], arrays: dict[str, Any]) -> None:
    pass


def test_an_unchanged_edit_loads(tmp_path: Path) -> None:
    # The other edits are refused for what they change.
    _assert_same(serialization.load(_edited(tmp_path / "good.npz", _nothing)), _small())


def _layer(*index: int, **changes: Any):
    return lambda config, arrays: config["layers"][sum(index)].update(changes)


def _top(**changes: Any):
    return lambda config, arrays: config.update(changes)


def _weight(name: str, value: Any):
    return lambda config, arrays: arrays.update({name: value})


EDITS = {
    "version": (_top(version=2), "format 'numpy_impl.Sequential' version 2"),
    "format": (_top(format="Other"), "format 'Other' version 1"),
    "dtype": (_top(dtype="float16"), "Expected dtype float32 or float64. Received: 'float16'"),
    "dtype unknown": (_top(dtype="nonsense"), "Received: 'nonsense'"),
    "dtype null": (_top(dtype=None), "Received: None"),
    "dtype of the other precision": (_top(dtype="float64"), "float32 in a float64 network"),
    "no layers": (_top(layers=[]), "expects at least one layer"),
    "layers of strings": (_top(layers=["Dense"]), "AttributeError"),
    "layers null": (_top(layers=None), "TypeError"),
    "input shape": (_top(input_shape=[4]), "Expected shape (4, 2) for 0/kernel"),
    "input shape of text": (_top(input_shape=["3"]), ""),
    "input shape of fractions": (_top(input_shape=[3.5]), ""),
    "negative input shape": (_top(input_shape=[-3]), ""),
    "unknown class": (_layer(**{"class": "os.system"}), "KeyError: 'os.system'"),
    "class of a list": (_layer(**{"class": []}), "TypeError"),
    "unknown activation": (_layer(activation="rellu"), "Unknown activation"),
    "unknown option": (_layer(colour="red"), "colour"),
    "units text": (_layer(units="2"), "TypeError"),
    "units fraction": (_layer(units=2.5), ""),
    "no units": (_layer(units=0), "Dense expects at least one unit"),
    "other units": (_layer(1, units=3), "Expected shape (2, 3) for 1/kernel"),
    "10^8 units": (_layer(1, units=10**8), ""),
    "10^15 units": (_layer(1, units=10**15), ""),
    "10^30 units": (_layer(1, units=10**30), ""),
    "missing weight": (
        lambda c, a: a.pop("1/bias"),
        "Expected a member 1/bias.npy. Received: members ",
    ),
    "other shape": (_weight("0/bias", np.zeros(3, "float32")), "Expected shape (2,) for 0/bias"),
    "other dtype": (_weight("0/bias", np.zeros(2, "int32")), "weights of dtype int32"),
    "text as weights": (_weight("0/bias", np.array(["1", "2"])), "weights of dtype str"),
    "complex weights": (_weight("0/bias", np.zeros(2, complex)), "weights of dtype complex128"),
    "object array": (
        _weight("0/bias", np.array([{}, {}], object)),
        "Object arrays cannot be loaded when allow_pickle=False",
    ),
    "config not JSON": (lambda c, a: "{", "Expecting property name"),
    "config a number": (lambda c, a: "7", "TypeError"),
    "config a list": (lambda c, a: "[]", "TypeError"),
    "config empty": (lambda c, a: "{}", "KeyError: 'format'"),
    "config nested 10^5 deep": (lambda c, a: "[" * 10**5, "RecursionError"),
}


@pytest.mark.parametrize("what", EDITS)
def test_hostile_content(what: str, tmp_path: Path) -> None:
    change, said = EDITS[what]
    received = _refused(_edited(tmp_path / "bad.npz", change))
    assert said in received


def test_no_config(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", weights=np.zeros(3))
    assert "config" in _refused(tmp_path / "bad.npz")


class _Bomb:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    assert pickle.loads(pickle.dumps(_Bomb(trace))) is None
    assert trace.exists()  # the bomb works
    trace.unlink()
    bomb = np.array([_Bomb(trace), 0], object)
    path = _edited(tmp_path / "bad.npz", _weight("0/bias", bomb))
    assert "allow_pickle=False" in _refused(path)
    # What does not belong to the network is not even looked at.
    serialization.load(_edited(tmp_path / "bad.npz", _weight("extra", bomb)))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(_Bomb(trace)))
    _refused(tmp_path / "plain.npz")
    assert not trace.exists()


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return the small network's file as it is saved, and the same compressed."""
    folder = tmp_path_factory.mktemp("saved")
    serialization.save(_small(), folder / "plain.npz")
    with np.load(folder / "plain.npz") as file:
        np.savez_compressed(folder / "packed.npz", **dict(file))
    return [(folder / name).read_bytes() for name in ("plain.npz", "packed.npz")]


def test_every_truncation_is_refused(contents: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    for content in contents:
        path.write_bytes(content)
        _assert_same(serialization.load(path), _small())
        for end in range(0, len(content), 41):
            path.write_bytes(content[:end])
            assert _refused(path)


@settings(
    max_examples=census.count(300, 25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_mutated_bytes_raise_nothing_else(
    data: st.DataObject, contents: list[bytes], tmp_path: Path
) -> None:
    content = bytearray(data.draw(st.sampled_from(contents)))
    places = st.integers(0, len(content) - 1)
    for place, byte in data.draw(
        st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)
    ):
        content[place] = byte
    path = tmp_path / "mutated.npz"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about headers of Python 2
        try:
            loaded = serialization.load(path)
        except ValueError:
            _refused(path)
        else:
            # What loads is a network: damage to a date in the archive, say, harms nothing.
            assert loaded.predict(np.zeros((1, *loaded.input_shape))).shape[0] == 1


@pytest.mark.parametrize("flag", ["encrypted", "patched", "unknown method", "bad deflate"])
def test_what_zipfile_raises(flag: str, contents: list[bytes], tmp_path: Path) -> None:
    # RuntimeError, NotImplementedError and zlib.error, found by mutating bytes.
    content = bytearray(contents[1])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        first = archive.infolist()[0]
    directory = content.index(b"PK\x01\x02")
    for header, flags, method in ((first.header_offset, 6, 8), (directory, 8, 10)):
        if flag in ("encrypted", "patched"):
            content[header + flags] |= 0x01 if flag == "encrypted" else 0x20
        if flag == "unknown method":
            content[header + method] = 77
    if flag == "bad deflate":
        name_and_extra = int.from_bytes(content[26:28], "little") + int.from_bytes(
            content[28:30], "little"
        )
        content[30 + name_and_extra] = 0xFF
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    said = {
        "encrypted": "RuntimeError",
        "patched": "NotImplementedError",
        "unknown method": "compression method 77",
        "bad deflate": "error: Error -3 while decompressing",
    }
    assert said[flag] in _refused(path)
