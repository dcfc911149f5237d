"""A tiny MNIST, written in every format the loader reads."""

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digit_data.datasets import Digits

IDX_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def tiny(train: int = 6, test: int = 1) -> Digits:
    rng = np.random.default_rng(0)
    return Digits(
        rng.integers(0, 256, (train, 28, 28), np.uint8),
        rng.integers(0, 10, train, np.uint8),
        rng.integers(0, 256, (test, 28, 28), np.uint8),
        rng.integers(0, 10, test, np.uint8),
    )


def write_npz(folder: Path, data: Digits, **changed: Any) -> Path:
    np.savez_compressed(folder / "mnist.npz", **{**data._asdict(), **changed})
    return folder / "mnist.npz"


def idx_bytes(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def write_idx(folder: Path, data: Digits, packed: bool = False, dotted: bool = False) -> Path:
    for key, name in IDX_NAMES.items():
        name = name.replace("-idx", ".idx") if dotted else name
        content = idx_bytes(getattr(data, key))
        (folder / (name + ".gz" * packed)).write_bytes(
            gzip.compress(content) if packed else content
        )
    return folder


def pairs_of(data: Digits, scale: int = 256) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    def floats(images: np.ndarray) -> np.ndarray:
        return (images.reshape(-1, 784) / scale).astype(np.float32)

    cut = len(data.x_train) * 5 // 6
    return (
        (floats(data.x_train[:cut]), data.y_train[:cut].astype(np.int64)),
        (floats(data.x_train[cut:]), data.y_train[cut:].astype(np.int64)),
        (floats(data.x_test), data.y_test.astype(np.int64)),
    )


def python2_pickle(pairs: tuple[tuple[np.ndarray, np.ndarray], ...]) -> bytes:
    """Write what Python 2's cPickle writes at protocol 2: bytes as BINSTRING, NumPy's old name."""

    def array(value: np.ndarray) -> bytes:
        raw, order = value.tobytes(), value.dtype.str[:1].encode()
        code = value.dtype.str[1:].encode()
        number = b"".join(b"J" + struct.pack("<i", size) for size in value.shape)
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
            b"(K\x01(" + number + b"tcnumpy\ndtype\n(U\x02" + code + b"K\x00K\x01tR"
            b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
        )  # fmt: skip

    body = b"".join(b"(" + array(images) + array(labels) + b"t" for images, labels in pairs)
    return b"\x80\x02(" + body + b"t."


def write_arff(folder: Path, data: Digits, packed: bool = False) -> Path:
    images = np.concatenate([data.x_train, data.x_test]).reshape(-1, 784)
    labels = np.concatenate([data.y_train, data.y_test])
    lines = ["% a comment", "@RELATION mnist_784", ""]
    lines += [f"@ATTRIBUTE pixel{n} real" for n in range(1, 785)]
    lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "", "@DATA"]
    lines += [
        ",".join(map(str, [*row, label]))
        for row, label in zip(images.tolist(), labels.tolist(), strict=True)
    ]
    content = ("\n".join(lines) + "\n").encode()
    path = folder / ("mnist_784.arff" + ".gz" * packed)
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def write_pickle(folder: Path, content: bytes) -> Path:
    path = folder / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(content, 1))
    return path


def same(a: Digits, b: Digits) -> bool:
    return all(
        x.dtype == y.dtype == np.uint8 and np.array_equal(x, y) for x, y in zip(a, b, strict=True)
    )


WRITERS: dict[str, Callable[[Path, Digits], Path]] = {
    "npz": write_npz,
    "idx": write_idx,
    "idx.gz": lambda f, d: write_idx(f, d, packed=True),
    "idx dotted": lambda f, d: write_idx(f, d, dotted=True),
    "one idx file": lambda f, d: write_idx(f, d, packed=True) / (IDX_NAMES["y_test"] + ".gz"),
    "pickle, Python 2": lambda f, d: write_pickle(f, python2_pickle(pairs_of(d))),
    "pickle, byte/255": lambda f, d: write_pickle(f, pickle.dumps(pairs_of(d, 255), 4)),
    "pickle, two pairs of bytes": lambda f, d: write_pickle(
        f, pickle.dumps(((d.x_train, d.y_train), (d.x_test, d.y_test)), 2)
    ),
    "arff": write_arff,
    "arff.gz": lambda f, d: write_arff(f, d, packed=True),
}
