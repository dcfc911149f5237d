"""One door to all formats of MNIST: a path in, its format recognised, checked arrays out."""

from collections.abc import Callable
from pathlib import Path

from digit_data.mnist.arff import read_arff
from digit_data.mnist.checks import DatasetError, Digits, damage_named, opened
from digit_data.mnist.idx import find_idx, read_idx_folder
from digit_data.mnist.npz import read_npz
from digit_data.mnist.pickle import read_pickle

__all__ = ["read_mnist", "recognise"]

READERS: dict[str, Callable[[Path], Digits]] = {
    "npz": read_npz,
    "idx": lambda path: read_idx_folder(path.parent, given=path),
    "pickle": read_pickle,
    "arff": read_arff,
}

# Looked for in a folder without IDX files, in this order. 52667 is OpenML's number of the file; the
# last two are where scikit-learn keeps it in its data_home, in newer and older versions.
FOLDER_PATTERNS = (
    "mnist.npz",
    "mnist.pkl.gz",
    "mnist.pkl",
    "mnist_784.arff*",
    "*52667*.gz",
    "openml/openml.org/data/v1/download/52667/*.gz",
    "openml/openml.org/data/v1/download/52667*.gz",
)


def read_mnist(path: Path) -> Digits:
    """Read MNIST from a file or folder, whatever its format.

    Args:
        path: Keras's ``mnist.npz``, one of the four IDX files, ``mnist.pkl.gz``, OpenML's ARFF
            file, or a folder that holds one of these (also scikit-learn's data_home). A file's
            format is told from its content.

    Returns:
        Training and test set as uint8.

    Raises:
        DatasetError: nothing there, or not usable; the message names the file and the fault.
    """
    with damage_named(path):
        if not path.is_dir():
            return READERS[recognise(path)](path)
        if any(find_idx(path)):
            return read_idx_folder(path)
        for pattern in FOLDER_PATTERNS:
            for candidate in sorted(path.glob(pattern)):
                if candidate.is_file():
                    return READERS[recognise(candidate)](candidate)
    raise DatasetError(
        f"{path}: expected the four IDX files, mnist.npz, mnist.pkl.gz or mnist_784.arff in "
        f"this folder, "
        "received none of them"
    )


def recognise(path: Path) -> str:
    """Tell the format of a file from its content.

    Args:
        path: the file, gzip-ed or not.

    Returns:
        "npz", "idx", "pickle" or "arff".

    Raises:
        DatasetError: none of them, or unreadable.
    """
    with opened(path) as stream:
        head = stream.read(64)
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if head.startswith(b"\x00\x00"):
        return "idx"
    if head.startswith(b"\x80"):
        return "pickle"
    if head.lstrip().startswith((b"%", b"@")):
        return "arff"
    if head.startswith(b"("):
        raise DatasetError(
            f"{path}: expected a pickle of protocol 2 or newer, received protocol 0 or 1"
        )
    raise DatasetError(
        f"{path}: expected Keras's mnist.npz, an IDX file, mnist.pkl.gz or OpenML's ARFF file, "
        f"received first bytes 0x{head[:4].hex()}"
    )
