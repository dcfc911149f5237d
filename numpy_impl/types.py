"""The array types used throughout the package."""

from typing import Any, Literal, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

# Float arrays of the network's dtype; the dtype is a run-time choice, so it is not in the type.
Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Precision = Literal["float32", "float64"]
DTypeLike = Precision | type[np.floating[Any]] | np.dtype[Any]


class Rows(Protocol):
    """Samples that are read a batch at a time, as they are too many to be in memory.

    Attributes:
        shape: As an array of all of them would have it, (N, ...).
        dtype: Of what is read.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Array, /) -> Array: ...


def is_read_by_batch(x: object) -> TypeGuard[Rows]:
    """Return whether samples are :class:`Rows`: they have a shape and cannot become an array."""
    return hasattr(x, "shape") and not hasattr(x, "__array__")
