"""The array types used throughout the package."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Float arrays of the network's dtype; the dtype is a run-time choice, so it is not in the type.
Array = npt.NDArray[Any]
DTypeLike = str | type[np.floating[Any]] | np.dtype[Any]
