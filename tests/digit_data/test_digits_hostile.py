"""Files of MNIST made to fill the memory or to never end: refused in one line, soon and small."""

import gzip
import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from digit_data.datasets import DatasetError, load_mnist
from digit_data.mnist import checks
from tests.digit_data.mnist_writers import IDX_NAMES, tiny, write_idx, write_npz, write_pickle

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
MIB = 2**20
# So much may be taken where a file is refused from its header or from its first pieces.
SMALL = 32 * MIB


def refused(path: Path, *words: str, most: int = SMALL) -> None:
    """Load a file; see that it is refused in one line, having taken at most so much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError) as caught:
            load_mnist(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.parent) in message
    for word in words:
        assert word in message
    assert peak < most


def packed(folder: Path, *pieces: tuple[bytes, int]) -> Path:
    """Write pieces, each repeated so many times, as gzip: a member each, so that it is quick."""
    path = folder / "bomb.gz"
    path.write_bytes(b"".join(gzip.compress(piece) * times for piece, times in pieces))
    return path


# ---- gzip: 4 GiB from 4 MB and less ----


@pytest.mark.parametrize(
    ("line", "most"),
    [(b"% x\n", SMALL), (b"\n", SMALL), (b"@attributeab\n", 2 * SMALL)],
)
def test_arff_with_endless_lines_before_its_data(line: bytes, most: int, tmp_path: Path):
    lines = line * (MIB // len(line))
    path = packed(tmp_path, (b"@relation x\n", 1), (lines, 4096))
    refused(path, "refused", "received more", most=most)


@pytest.mark.parametrize("line", [b"0\n", b"%\n", b"\n"])
def test_arff_with_endless_lines_in_its_data(line: bytes, tmp_path: Path):
    head = "".join(f"@attribute p{i} real\n" for i in range(784)) + "@attribute class {0}\n@data\n"
    path = packed(tmp_path, (b"@relation x\n" + head.encode(), 1), (line * MIB, 2048))
    refused(path, "refused", "received more")


def test_an_archive_packed_by_gzip_is_not_unpacked_to_its_end(tmp_path: Path):
    refused(packed(tmp_path, (b"PK\x03\x04", 1), (bytes(MIB), 4096)), "packed by gzip")


def test_a_pickle_that_unpacks_to_more_than_is_held(tmp_path: Path):
    text = b"\x80\x04X" + struct.pack("<I", 2**30)
    path = packed(tmp_path, (text, 1), (b"a" * MIB, 1024))
    refused(path, "unpacks to more", most=2 * checks.LONGEST_TEXT)


# ---- Pickles ----


def text_of(count: int) -> bytes:
    """A text of as many letters; the program that follows finds it as memo 0."""
    return b"\x80\x04X" + struct.pack("<I", count) + b"a" * count + b"\x94"


def array_of(raw: bytes, *shape: int) -> bytes:
    """NumPy's program for an array of bytes, ``raw`` being the program for its content."""
    sizes = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in shape) + b"t"
    dtype = b"cnumpy\ndtype\n\x8c\x02u1\x85R"
    return b"cnumpy.core.numeric\n_frombuffer\n(" + raw + dtype + sizes + b"\x8c\x01CtR"


def test_a_pickle_that_copies_a_text_many_times(tmp_path: Path):
    encode = b"c_codecs\nencode\n\x94"
    copies = b"h\x01h\x00\x8c\x06latin1\x86R" * 1000
    refused(write_pickle(tmp_path, text_of(MIB) + encode + copies + b"."), "2 or 3 pairs")
    arrays = array_of(b"h\x00", MIB) * 500
    refused(write_pickle(tmp_path, text_of(MIB) + b"0" + arrays + b"."), "2 or 3 pairs")


def test_a_pickle_whose_arrays_share_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Each fits into the limit; the six together do not.
    monkeypatch.setattr("digit_data.mnist.pickle.LONGEST_TEXT", 4 * 784_000)
    pair = array_of(b"h\x00", 1000, 28, 28) + array_of(b"h\x00", 784_000) + b"\x86"
    program = text_of(784_000) + b"0" + pair * 3 + b"\x87."
    refused(write_pickle(tmp_path, program), "refused", "at most 0 bytes")


@pytest.mark.parametrize("raw", [b"J\x10'\x00\x00", b"N", b"\x88", b"]", b")"])
def test_a_pickle_with_something_else_for_the_bytes(raw: bytes, tmp_path: Path):
    # bytes(10_000) would be ten thousand black pixels, from five bytes.
    pair = array_of(raw, 10, 28, 28) + array_of(raw, 10) + b"\x86"
    program = b"\x80\x04" + pair + pair + b"\x86."
    refused(write_pickle(tmp_path, program), "expected an array of bytes")


# ---- Archives and IDX: limits for all arrays of the result together ----


def member(shape: tuple[int, ...], content: bytes = b"") -> bytes:
    """The head of an array, and what follows it."""
    head = io.BytesIO()
    described = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, described)
    return head.getvalue() + content


def test_an_archive_whose_arrays_are_too_large_together(tmp_path: Path):
    path = write_npz(tmp_path, tiny())
    x_test = (checks.MAX_BYTES // 784 - 1, 28, 28)
    assert np.prod(x_test) < checks.MAX_BYTES
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["x_test.npy"] = member(x_test)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    refused(path, "x_test", "refused", f"at most {checks.MAX_BYTES - 6 * 784 - 6} bytes")


def test_idx_files_that_are_too_large_together(tmp_path: Path):
    write_idx(tmp_path, tiny())
    count = checks.MAX_BYTES // 784
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", count, 28, 28)
    (tmp_path / IDX_NAMES["x_test"]).write_bytes(head)
    refused(tmp_path, IDX_NAMES["x_test"], "refused")
    # Alone it would be within the limit, and is found to hold nothing.
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", count - 100, 28, 28)
    (tmp_path / IDX_NAMES["x_test"]).write_bytes(head)
    # The array counts as memory here; of it no page is written to.
    refused(tmp_path / IDX_NAMES["x_test"], "truncated", "received 0", most=2 * checks.MAX_BYTES)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_packed_as_numpy_packs_none(method: int, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        for key in ARRAYS:
            archive.writestr(f"{key}.npy", member((1,), b"\0"))
    refused(tmp_path / "a.npz", f"compression method {method}")


def test_an_archive_with_a_list_of_very_many_members(tmp_path: Path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3000):
            archive.writestr(f"{i}", b"")
    refused(path, "list of contents", most=2 * MIB)


def test_names_in_an_archive_lead_nowhere(tmp_path: Path):
    path = write_npz(tmp_path, tiny())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../outside.npy", member((1,), b"\0"))
    assert load_mnist(path).x_train.shape == (6, 28, 28)
    assert sorted(tmp_path.iterdir()) == [path]


# ---- What is no file ----


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
@pytest.mark.parametrize("make", [os.mkfifo, device, loop])
def test_pipes_devices_and_loops(make: Callable[[Path], None], tmp_path: Path):
    make(tmp_path / "mnist.npz")
    refused(tmp_path / "mnist.npz", "expected")
    refused(tmp_path, "received none of them")  # a folder with nothing else in it
