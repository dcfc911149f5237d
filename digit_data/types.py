"""The type of arrays, for all modules here."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
