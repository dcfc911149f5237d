"""Every fault a file of MNIST can have, planted and seen caught."""

import contextlib
import gzip
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digit_data.datasets import DatasetError, load_mnist
from tests import census
from tests.digit_data.mnist_writers import (
    IDX_NAMES,
    idx_bytes,
    pairs_of,
    python2_pickle,
    tiny,
    write_arff,
    write_idx,
    write_npz,
    write_pickle,
)


def fails(path: Path, *words: str) -> None:
    with pytest.raises(DatasetError) as caught:
        load_mnist(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.parent) in message
    for word in words:
        assert word in message


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    fails(tmp_path / "none", "does not exist")
    fails(tmp_path, "received none of them")
    for content, word in ((b"", "empty"), (b"GIF89a", "0x47494638"), (b"(lp0\n.", "protocol 0")):
        (tmp_path / "file").write_bytes(content)
        fails(tmp_path / "file", word)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x_train": np.zeros((6, 28, 27), np.uint8)}, ("x_train", "(6, 28, 27)")),
        ({"x_train": np.zeros((6, 28, 28))}, ("x_train", "float64")),
        ({"x_test": np.full((1, 28, 28), 256)}, ("x_test", "256")),
        ({"x_test": np.full((1, 28, 28), -1)}, ("x_test", "-1")),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, ("x_test", "at least one")),
        ({"y_train": np.zeros(5, np.uint8)}, ("y_train", "6 labels", "(5,)")),
        ({"y_train": np.full(6, 10)}, ("y_train", "0..9", "10")),
        ({"y_test": np.array([None])}, ("y_test", "Python objects")),
        ({"y_test": np.array(["7"])}, ("y_test", "dtype")),
    ],
)
def test_npz_with_wrong_content(
    changed: dict[str, Any], words: tuple[str, ...], tmp_path: Path
) -> None:
    fails(write_npz(tmp_path, tiny(), **changed), *words)


def test_npz_with_keys_missing(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=tiny().x_train, y_train=tiny().y_train)
    fails(tmp_path / "a.npz", "expected x_test, y_test too")


def test_npz_cut_or_with_bytes_behind(tmp_path: Path) -> None:
    path = write_npz(tmp_path, tiny())
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    fails(path, "truncated")
    path.write_bytes(content + b"more")
    fails(path, "trailing")


@pytest.mark.parametrize(
    ("shape", "word"), [("(1099511627776, 28, 28)", "refused"), ("(7, 28, 28)", "truncated"),
                        ("(5, 28, 28)", "trailing"), ("(-6, 28, 28)", "refused")],
)  # fmt: skip
def test_npz_whose_header_lies(shape: str, word: str, tmp_path: Path) -> None:

    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", member + tiny().x_train.tobytes())
        for key in ("y_train", "x_test", "y_test"):
            archive.writestr(f"{key}.npy", b"")
    fails(tmp_path / "a.npz", "x_train", word)


def test_idx_files_missing_are_named(tmp_path: Path) -> None:
    write_idx(tmp_path, tiny())
    (tmp_path / IDX_NAMES["y_train"]).unlink()
    (tmp_path / IDX_NAMES["x_test"]).unlink()
    fails(tmp_path, "train-labels-idx1-ubyte, t10k-images-idx3-ubyte too")
    (tmp_path / IDX_NAMES["x_train"]).rename(tmp_path / "pictures")
    fails(tmp_path / "pictures", "expected one of the names")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (idx_bytes(tiny().y_train), ("magic number 0x00000803", "0x00000801")),
        (idx_bytes(tiny().x_train)[:-1], ("truncated", "4704", "4703")),
        (idx_bytes(tiny().x_train)[:9], ("truncated", "header of 16", "9")),
        (idx_bytes(tiny().x_train) + b"x", ("trailing",)),
        (idx_bytes(tiny().x_train[:, 1:]), ("(27, 28)",)),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 28, 28), ("refused", "2147483648")),
        (gzip.compress(idx_bytes(tiny().x_train))[:-20], ("truncated",)),
        (gzip.compress(idx_bytes(tiny().x_train)) + b"more", ("damaged",)),
        (gzip.compress(idx_bytes(tiny().x_train)[:-1]), ("truncated",)),
    ],
)
def test_idx_with_wrong_content(content: bytes, words: tuple[str, ...], tmp_path: Path) -> None:
    write_idx(tmp_path, tiny())
    (tmp_path / IDX_NAMES["x_train"]).write_bytes(content)
    fails(tmp_path / IDX_NAMES["x_train"], *words)


def with_pixel(value: float) -> bytes:
    pairs = pairs_of(tiny())
    pairs[1][0][0, 0] = value
    return pickle.dumps(pairs, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x02cos\nsystem\n(U\x04truetR.", ("asks for os.system", "only NumPy arrays")),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", ("asks for builtins.eval",)),
        (b"\x80\x02cnumpy\nload\n.", ("asks for numpy.load",)),
        (b"\x80\x02cnumpy\nndarray\n(J\x00\x00\x00\x7ftR.", ("damaged",)),
        (pickle.dumps({"x": 1}, 2), ("refused", "EMPTY_DICT")),
        (b"\x80\x02Nr\x00\x00\x00\x7f.", ("refused", "steps")),
        (b"\x80\x02" + b"N0" * 6000 + b"N.", ("refused", "steps")),
        (pickle.dumps([1, 2, 3, 4], 2), ("2 or 3 pairs", "4")),
        (pickle.dumps(((1, 2), (3, 4)), 2), ("pair of arrays",)),
        (pickle.dumps(pairs_of(tiny()), 2)[:-2000], ("truncated",)),
        (pickle.dumps(pairs_of(tiny()), 2) + b"more", ("trailing",)),
        (with_pixel(float("nan")), ("0..1", "nan")),
        (with_pixel(1.5), ("0..1", "1.5")),
        (with_pixel(0.3), ("byte/256",)),
        (pickle.dumps(((np.zeros((1, 783)), np.zeros(1)),) * 2, 2), ("(1, 783)",)),
        (pickle.dumps(((np.array([None]), np.zeros(1)),) * 2, 2), ("refused",)),
        (pickle.dumps(((np.zeros((1, 784)), np.zeros(1)),) * 2, 2), ("y_train", "float64")),
    ],
)
def test_pickles_that_are_refused(content: bytes, words: tuple[str, ...], tmp_path: Path) -> None:
    fails(write_pickle(tmp_path, content), *words)


def test_a_gzip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digit_data.mnist.checks.read_at_most.__defaults__", (2**21,))
    fails(write_pickle(tmp_path, b"\x80" + bytes(2**23)), "unpacks to more")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("@ATTRIBUTE pixel7 real\n", "", ("784 columns",)),
        ("@ATTRIBUTE class {0", "@ATTRIBUTE kind {0", ("kind",)),
        ("@DATA", "", ("truncated",)),
        ("@DATA\n", "@DATA\n300,", ("300",)),
        ("@DATA\n", "@DATA\nseven,", ("seven",)),
        ("@DATA\n", "@DATA\n" + "1," * 9000, ("refused",)),
    ],
)
def test_arff_with_wrong_content(
    old: str, new: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    path = write_arff(tmp_path, tiny())
    path.write_text(path.read_text().replace(old, new))
    fails(path, *words)


def test_arff_without_rows_or_cut(tmp_path: Path) -> None:
    path = write_arff(tmp_path, tiny())
    text = path.read_text()
    path.write_text(text[: text.index("@DATA") + 6])
    fails(path, "at least 2 rows")
    path.write_text(text[:-100])
    fails(path, "damaged", "columns")
    path.write_bytes(gzip.compress(text.encode())[:-100])
    fails(path, "truncated")


SAMPLES = {
    "npz": lambda f: write_npz(f, tiny(2)),
    "idx": lambda f: write_idx(f, tiny(2)) / IDX_NAMES["x_train"],
    "idx.gz": lambda f: write_idx(f, tiny(2), packed=True) / (IDX_NAMES["y_train"] + ".gz"),
    "pickle": lambda f: write_pickle(f, python2_pickle(pairs_of(tiny(2)))),
    "pickle 5": lambda f: write_pickle(f, pickle.dumps(pairs_of(tiny(2)), 5)),
    "arff": lambda f: write_arff(f, tiny(2)),
}


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=census.count(60, 20), deadline=None)
@given(draw=st.data())
def test_damaged_bytes_raise_nothing_else(name: str, draw: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = SAMPLES[name](Path(folder))
        content = path.read_bytes()
        # Damage under the gzip layer reaches the parser; damage above it would stop at the CRC.
        inner = draw.draw(st.booleans()) and path.suffix == ".gz"
        damaged = bytearray(gzip.decompress(content) if inner else content)
        ends = st.integers(0, min(400, len(damaged) - 1))
        for place in draw.draw(st.lists(ends | ends.map(lambda n: -1 - n), max_size=8)):
            damaged[place] = draw.draw(st.integers(0, 255))
        cut = draw.draw(st.none() | st.integers(0, len(damaged)))
        path.write_bytes(gzip.compress(damaged[:cut]) if inner else damaged[:cut])
        with contextlib.suppress(DatasetError):
            load_mnist(path)
