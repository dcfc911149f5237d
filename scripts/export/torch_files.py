"""Files of PyTorch's weights, read without PyTorch: torch.save's, .safetensors and .npz."""

import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl.files.bounded import Archive, opened
from numpy_impl.types import Array

from . import pickles
from .pickles import MadeByCall, Name, PickleError

SUFFIXES = (".pt", ".pth", ".bin", ".safetensors", ".npz")
# bfloat16 is the upper half of a float32; NumPy has no such type.
_BFLOAT16 = "bfloat16"
_STORAGES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": _BFLOAT16,
    "torch.LongStorage": "<i8",
}
_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": _BFLOAT16, "I64": "<i8"}
# Bytes of the head of a .safetensors file: some 100,000 tensors.
_LONGEST_HEAD = 1 << 24
# With this number, a pickle of its own, files of torch.save began before they were archives.
_BEFORE = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
# Under these keys training programs keep the state_dict among other things.
_INSIDE = ("state_dict", "model_state_dict", "model")


def read(path: Path) -> dict[str, Array]:
    """Return the arrays of a state_dict by name, in its order.

    Args:
        path: What ``torch.save(module.state_dict(), path)`` wrote, a ``.safetensors`` file, or an
            ``.npz`` of the arrays under their names.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is none of these, or damaged.
    """
    with opened(path) as file:
        if path.suffix == ".safetensors":
            return _safetensors(file.read())
        if file.read(len(_BEFORE)) == _BEFORE:
            raise ValueError(
                "a file in the form before PyTorch 1.6; torch.save writes an archive since"
            )
        with Archive(file, compressed=path.suffix == ".npz") as archive:
            if path.suffix == ".npz":
                names = [name.removesuffix(".npy") for name in archive.names()]
                return {name: archive.array(name) for name in names}
            return _saved(archive)


def _saved(archive: Archive) -> dict[str, Array]:
    """Return the tensors of what ``torch.save`` wrote: a pickle, and a member for each storage."""
    found = [name for name in archive.names() if name.endswith("/data.pkl")]
    if len(found) != 1:
        raise PickleError("an archive without data.pkl; torch.save writes one since PyTorch 1.6")
    folder = found[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.names() and archive.read(f"{folder}byteorder") != b"little":
        raise PickleError("numbers that are not little-endian")
    tree = _entries(pickles.read(archive.read(found[0])))
    for key in _INSIDE:
        tree = _entries(tree[key]) if isinstance(tree.get(key), dict | MadeByCall) else tree
    content: dict[str, bytes] = {}

    def storage(key: str) -> bytes:
        if key not in content:  # several tensors may share one
            content[key] = archive.read(f"{folder}data/{key}")
        return content[key]

    try:
        return {str(name): _tensor(value, storage) for name, value in tree.items()}
    except (TypeError, AttributeError, IndexError, OverflowError) as error:
        raise PickleError(f"a damaged tensor: {type(error).__name__}: {error}") from error


def _entries(tree: Any) -> Mapping[Any, Any]:
    if isinstance(tree, MadeByCall) and tree.path == "collections.OrderedDict":
        return tree.items
    if isinstance(tree, dict):
        return tree
    what = tree.path if isinstance(tree, MadeByCall) else type(tree).__name__
    raise PickleError(
        f"{what} instead of a state_dict; torch.save(module.state_dict(), FILE) writes one"
    )


def _tensor(value: Any, storage: Any) -> Array:
    path = value.path if isinstance(value, MadeByCall) else type(value).__name__
    if path == "torch._utils._rebuild_parameter":
        return _tensor(value.arguments[0], storage)
    if path != "torch._utils._rebuild_tensor_v2":
        raise PickleError(f"{path} instead of a tensor")
    kept, offset, shape, strides = value.arguments[:4]
    word, kind, key, _, count = kept.arguments
    known = _STORAGES.get(kind.path) if isinstance(kind, Name) else None
    if word != "storage" or known is None:
        raise PickleError(f"a tensor kept as {getattr(kind, 'path', kind)!r:.40}")
    numbers = _numbers(storage(str(key)), known)
    size = math.prod(shape)
    reach = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if size else 0
    if min(offset, *shape, *strides, 0) < 0 or max(reach + 1, size, count) > len(numbers):
        raise PickleError(f"a tensor of shape {tuple(shape)} in {len(numbers)} numbers")
    steps = [s * numbers.itemsize for s in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps).copy()


def _numbers(raw: bytes, code: str) -> Array:
    if code == _BFLOAT16:
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(raw, code)


def _safetensors(content: bytes) -> dict[str, Array]:
    """Return the tensors of a .safetensors file: a length, a JSON head, and the numbers."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _LONGEST_HEAD):
        raise ValueError("a file that does not begin as .safetensors do")
    try:
        head: dict[str, Any] = json.loads(content[8 : 8 + length])
        head.pop("__metadata__", None)
        arrays: dict[str, Array] = {}
        for name, entry in head.items():
            start, end = (8 + length + int(n) for n in entry["data_offsets"])
            if not 8 + length <= start <= end <= len(content):
                raise ValueError(f"{name!r} from {start} to {end} in {len(content)} bytes")
            numbers = _numbers(content[start:end], _SAFETENSORS[entry["dtype"]])
            arrays[name] = numbers.reshape([int(n) for n in entry["shape"]])
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"a damaged head: {type(error).__name__}: {error}") from error
    return arrays
