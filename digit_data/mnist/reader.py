"""One door to all formats of MNIST: a path in, checked arrays out."""

from collections.abc import Callable
from pathlib import Path

from digits.mnist_arff import read_arff
from digits.mnist_checks import DatasetError, Digits, damage_named
from digits.mnist_idx import find_idx, read_idx_folder
from digits.mnist_npz import read_npz
from digits.mnist_pickle import read_pickle
from digits.mnist_streams import recognise

__all__ = ["read_mnist"]

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
