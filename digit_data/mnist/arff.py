"""MNIST as OpenML publishes it: ``mnist_784``, a table in an ARFF file."""

import warnings
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from digit_data.mnist.checks import (
    IMAGE_SHAPE,
    LONGEST_TEXT,
    DatasetError,
    Digits,
    checked_digits,
    opened,
)

__all__ = ["read_arff"]

PIXELS = IMAGE_SHAPE[0] * IMAGE_SHAPE[1]
# A row of 784 pixels of at most three digits and a comma is 3.2 kB.
LONGEST_LINE = 2**14
# 785 numbers of one digit, with a comma or the end of the line after each.
SHORTEST_ROW = 2 * (PIXELS + 1)


def read_arff(path: Path) -> Digits:
    """Read OpenML's copy of MNIST, a row a picture: 784 whole numbers and the class.

    OpenML keeps all 70,000 rows in one table, training set first; the first 6/7 of the rows (60,000
    of 70,000) become the training set. NumPy's own reader is used because scikit-learn's needs
    pandas or a minute of pure Python.

    Args:
        path: the ARFF file, gzip-ed or not.

    Returns:
        The four arrays as uint8.

    Raises:
        DatasetError: other columns, text that is no number in 0..255, no rows, truncated or
            damaged.
    """
    with opened(path) as stream:
        lines = _bounded_lines(stream, path)
        columns = _read_attributes(lines)
        if len(columns) != PIXELS + 1 or not columns[-1].startswith("class"):
            last = columns[-1] if columns else "none"
            raise DatasetError(
                f"{path}: expected {PIXELS} pixel columns and then the class, "
                f"received {len(columns)} columns, the last: {last[:40]}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # loadtxt warns of a table without rows; refused below
            table = np.loadtxt(lines, np.uint8, comments="%", delimiter=",", quotechar="'", ndmin=2)
    if len(table) < 2 or table.shape[1] != PIXELS + 1:
        raise DatasetError(
            f"{path}: expected at least 2 rows of {PIXELS + 1} numbers, "
            f"received shape {table.shape}"
        )
    images, labels = table[:, :PIXELS].reshape(-1, *IMAGE_SHAPE), table[:, PIXELS]
    split = len(table) * 6 // 7
    return checked_digits(images[:split], labels[:split], images[split:], labels[split:], path)


def _bounded_lines(stream: BufferedIOBase, path: Path) -> Iterator[str]:
    """Yield the lines of a text, refusing a line or a whole that is too long to be MNIST.

    Comments, attributes and rows that are too short count as much as a row: memory and time go
    with the number of lines too.
    """
    total = 0
    while line := stream.readline(LONGEST_LINE):
        total += max(len(line), SHORTEST_ROW)
        if len(line) == LONGEST_LINE or total > LONGEST_TEXT:
            raise DatasetError(
                f"{path}: refused: expected lines under {LONGEST_LINE} and a text under "
                f"{LONGEST_TEXT} bytes, lines of under {SHORTEST_ROW} counted as that long, "
                f"received more"
            )
        yield line.decode("latin-1")


def _read_attributes(lines: Iterator[str]) -> list[str]:
    """Return the columns' descriptions in lower case, leaving the lines after ``@data`` unread."""
    columns = []
    for line in lines:
        text = line.strip().lower()
        if text.startswith("@data"):
            return columns
        if text.startswith("@attribute"):
            columns.append(text.removeprefix("@attribute").strip(" \t'\""))
    raise EOFError  # a header without @data is a truncated file
