"""What all of Python shares, as it was before the user's code ran."""

import os
import random
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress

import numpy as np

# Python's own. The user's code may have lowered it to less than a check needs.
_LEAST_RECURSION = 1000


@contextmanager
def global_state() -> Generator[None]:
    """Put back the working folder, sys.path, NumPy's error state, the global random generators, and
    the recursion limit. In the block that state is NumPy's own, and this limit not below Python's.
    """
    limit, path = sys.getrecursionlimit(), list(sys.path)
    theirs, own = np.random.get_state(), random.getstate()  # noqa: NPY002 (the user's code draws)
    folder = None
    with suppress(OSError):  # it was deleted
        folder = os.getcwd()
    sys.setrecursionlimit(max(limit, _LEAST_RECURSION))
    try:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            yield
    finally:
        sys.setrecursionlimit(limit)
        sys.path[:] = path
        np.random.set_state(theirs)  # noqa: NPY002 (as above)
        random.setstate(own)
        with suppress(OSError):
            if folder is not None:
                os.chdir(folder)
