"""How every form of the report says the same things: numbers, places, verdicts, columns."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from parity.checking.bugs.findings import TensorResult
from parity.reports.report import Outcome

KINDS = {"forward": "forward pass", "gradient": "gradients", "step": "one step"}
OUTCOMES = {outcome: outcome.value.upper() for outcome in Outcome}
WITNESSES = {True: "agrees", False: "DISAGREES", None: "not asked"}
_NAME = 24  # characters; a user's dictionary may have keys as long as sentences


def clean(text: object) -> str:
    """Return a foreign string without what a terminal or a page must not get.

    Control characters (which could move the cursor) and lone surrogates (which no file can hold)
    are written as escapes; line ends and tabs stay.
    """
    kept = str(text).encode("utf-8", "backslashreplace").decode().replace("\r\n", "\n")
    return "".join(c if c in "\n\t" or _harmless(c) else f"\\x{ord(c):02x}" for c in kept)


def _harmless(character: str) -> bool:
    return not (ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0)


def one_line(text: object) -> str:
    """Return a foreign string clean and on one line."""
    return " ".join(clean(text).split())


def shorten(name: str) -> str:
    """Return a name with its middle left out where it is too long for a table."""
    if len(name) <= _NAME:
        return name
    head = (_NAME - 1) // 2
    return f"{name[:head]}…{name[len(name) - (_NAME - 1 - head) :]}"


# What stands in a cell for a value that there is not.
NOTHING = "-"


def number(value: float | None, digits: int = 6) -> str:
    """Return a number with so many significant digits; "-" for none, "nan" and "inf" as words."""
    return NOTHING if value is None else f"{float(value):.{digits}g}"


def indices(values: tuple[int, ...], brackets: Literal["[]", "()"] = "[]") -> str:
    """Return an index or a shape as people write it; "-" for an index that there is not."""
    inside = ", ".join(str(int(v)) for v in values)
    if not inside and brackets == "[]":
        return NOTHING
    comma = "," if len(values) == 1 and brackets == "()" else ""
    return f"{brackets[0]}{inside}{comma}{brackets[1]}"


def verdict(tensor: TensorResult) -> str:
    """Return the verdict on a tensor in one word."""
    return "ok" if tensor.right else "DIFFERENT"


def groups(tensors: list[TensorResult]) -> dict[str, list[TensorResult]]:
    """Return the tensors by kind, both in the order in which they come."""
    found: dict[str, list[TensorResult]] = {}
    for tensor in tensors:
        found.setdefault(tensor.kind, []).append(tensor)
    return found


def kind_title(kind: str) -> str:
    """Return the heading of a group of tensors."""
    return KINDS.get(kind, one_line(kind))


def precision(tensor: TensorResult) -> int:
    """Return how many digits show that the values differ: 6, or more for a small error."""
    error = float(tensor.error)
    largest = max(abs(float(tensor.value)), abs(float(tensor.expected)))
    if tensor.right or not error or not 0 < largest / error < math.inf:
        return 6
    return min(17, max(6, math.ceil(math.log10(largest / error)) + 2))


def count_beyond(tensor: TensorResult) -> int | None:
    """Return how many elements are beyond their bounds; None where the bounds are not known."""
    if tensor.bounds is None:
        return None
    errors, bounds = np.asarray(tensor.errors), np.asarray(tensor.bounds)
    # A NaN as bound knows nothing and so excludes nothing; a NaN as error is never within.
    within = (errors <= bounds) | (np.isnan(bounds) & np.isfinite(errors))
    return int(np.count_nonzero(~within))


@dataclass(frozen=True)
class Column:
    """One column of the table of tensors: its heading, its cells, whether it holds numbers."""

    heading: str
    cell: Callable[[TensorResult], str]
    numeric: bool = False


TENSOR = Column("tensor", lambda t: one_line(t.name))
OWN_NAME = Column("your array", lambda t: shorten(one_line(t.own_name)))
SHAPE = Column("shape", lambda t: indices(t.shape, "()"))
WORST_AT = Column("worst at", lambda t: indices(t.index))
YOURS = Column("yours", lambda t: number(t.value, precision(t)), numeric=True)
EXPECTED = Column("expected", lambda t: number(t.expected, precision(t)), numeric=True)
KERAS = Column("Keras", lambda t: number(t.keras, precision(t)), numeric=True)
RATIO = Column("error/bound", lambda t: number(t.ratio, 3), numeric=True)
SCALE = Column("scale", lambda t: number(t.scale, 4), numeric=True)
COSINE = Column("cosine", lambda t: number(t.cosine, 4), numeric=True)
VERDICT = Column("verdict", verdict)


def says_something(column: Column, tensors: list[TensorResult]) -> bool:
    """Return whether a column has a cell that is more than "-"."""
    return any(column.cell(tensor) != NOTHING for tensor in tensors)
