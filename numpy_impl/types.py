"""The array types used throughout the package."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# Float arrays of the network's dtype; the dtype is a run-time choice, so it is not in the type.
Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Precision = Literal["float32", "float64"]
DTypeLike = Precision | type[np.floating[Any]] | np.dtype[Any]
