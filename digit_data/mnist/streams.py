"""Open a file of MNIST, gzip-ed or not, and tell its format from its first bytes."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from digits.mnist_checks import MAX_BYTES, DatasetError, damage_named

__all__ = ["opened", "read_at_most", "recognise"]

GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file for reading, through gzip when its first bytes say so; faults name the file.

    Args:
        path: the file.

    Yields:
        The stream of unpacked bytes.

    Raises:
        DatasetError: missing, empty, not a regular file, unreadable, truncated or damaged.
    """
    if not path.exists():
        raise DatasetError(
            f"{path}: expected a file or folder with MNIST, received a path that does not exist"
        )
    if not path.is_file():
        raise DatasetError(f"{path}: expected a regular file, received something else")
    with damage_named(path), path.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if not magic:
            raise DatasetError(f"{path}: expected MNIST, received an empty file")
        if magic == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
        else:
            yield file


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


def read_at_most(stream: BufferedIOBase, limit: int = MAX_BYTES) -> bytes:
    """Read a whole stream, refusing one that unpacks to more than the limit.

    Args:
        stream: the unpacked bytes.
        limit: the largest number of bytes admitted.

    Returns:
        All bytes.

    Raises:
        DatasetError: there are more.
    """
    data = bytearray()
    # In pieces, so that a small packed file that unpacks to terabytes is stopped at the limit.
    while piece := stream.read(2**20):
        data += piece
        if len(data) > limit:
            raise DatasetError(
                f"refused: expected at most {limit} bytes, received a file that unpacks to more"
            )
    return bytes(data)
