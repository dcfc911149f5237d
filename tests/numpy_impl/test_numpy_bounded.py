"""Model files made to fill the memory or to never end: refused in one line, soon and small."""

import io
import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from numpy_impl import models, serialization
from numpy_impl.files import bounded
from numpy_impl.files.keras_files import documented_architecture, load_keras

MIB = 2**20
LOADERS = (serialization.load, documented_architecture, load_keras)


def refused(load: Callable[[Path], object], path: Path, *words: str, most: int = 8 * MIB) -> None:
    """Load a file; see that it is refused in one line, having taken at most so much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"^Expected .*Received: ") as caught:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert peak < most


def saved(folder: Path) -> Path:
    """Return the file of a small network."""
    path = folder / "network.npz"
    serialization.save(models.build("sigmoid:3-2-2", np.random.default_rng(1)), path)
    return path


def zeros(name: str, count: int, archive: zipfile.ZipFile) -> None:
    """Write an array of zeros into an archive."""
    head = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(head, described)
    with archive.open(name, "w", force_zip64=True) as member:
        member.write(head.getvalue())
        for _ in range(count * 4 // MIB):
            member.write(bytes(MIB))


def test_a_bomb_that_no_layer_asks_for_is_not_unpacked(tmp_path: Path):
    path = saved(tmp_path)
    expected = serialization.load(path).parameters
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        zeros("bomb.npy", 64 * MIB, archive)
        archive.writestr("../../outside.npy", b"")
    tracemalloc.start()
    assert np.array_equal(serialization.load(path).parameters, expected)
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()
    assert os.listdir(tmp_path) == ["network.npz"]


def test_a_bomb_in_the_place_of_a_weight(tmp_path: Path):
    path = saved(tmp_path)
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.npy")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.npy", config)
        zeros("0/kernel.npy", bounded.MOST_UNPACKED // 4 + MIB, archive)
    refused(serialization.load, path, f"bytes of 0/kernel.npy. Received: {2**27 + 4 * MIB + 128}")


def test_members_that_share_their_bytes(tmp_path: Path):
    # Python's own zipfile tells this only in its newer versions.
    path = tmp_path / "shared.npz"
    layer = {"class": "Dense", "units": 512, "activation": "relu", "use_bias": False}
    config = {
        "format": serialization.FORMAT, "version": serialization.VERSION, "name": "x",
        "dtype": "float32", "input_shape": [512], "layers": [layer] * 40,
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in (
            ("config", np.array(json.dumps(config))),
            ("0/kernel", np.zeros((512, 512), "f4")),
        ):
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())
        for i in range(1, 40):
            info = archive.getinfo("0/kernel.npy")
            again = zipfile.ZipInfo(f"{i}/kernel.npy")
            for field in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(again, field, getattr(info, field))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    refused(serialization.load, path, "1/kernel.npy", most=100 * MIB)


def test_numbers_that_only_the_config_asks_for(tmp_path: Path):
    path = saved(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(str(np.load(io.BytesIO(members["config.npy"]))))
    config["layers"][0]["units"] = 10**8
    content = io.BytesIO()
    np.save(content, np.array(json.dumps(config)))
    members["config.npy"] = content.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    # They count as memory here; of it no page is written to.
    refused(serialization.load, path, "0/kernel", most=2**34)


def test_a_very_long_list_of_contents(tmp_path: Path):
    path = saved(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(25_000):
            archive.writestr(f"{i}", b"")
    refused(serialization.load, path, "list of contents")
    refused(load_keras, path.rename(tmp_path / "m.keras"), "list of contents")


def test_very_many_groups(tmp_path: Path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        for i in range(1001):
            file.create_group(f"layers/dropout_{i}")
    refused(documented_architecture, path, "at most 1000 names in /layers")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("make", [os.mkfifo, device])
def test_pipes_and_devices(
    make: Callable[[Path], None], load: Callable[[Path], object], tmp_path: Path
):
    path = tmp_path / "model"
    make(path)
    refused(load, path, "a pipe or a device")
