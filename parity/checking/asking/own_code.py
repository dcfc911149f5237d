"""Which files hold the user's own code: none of ours, of Python, or of an installed package."""

import importlib.util
import os
import sysconfig
from functools import cache


@cache
def foreign(filename: str) -> bool:
    """Whether a file is ours, Python's, or of an installed package.

    Asked for every call that is followed, and so remembered.
    """
    if filename.startswith("<"):  # <frozen importlib._bootstrap>, <string>
        return True
    path = os.path.realpath(filename)
    return any(path.startswith(folder + os.sep) for folder in _installed())


@cache
def _installed() -> frozenset[str]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    for package in ("parity", "numpy_impl", "keras_impl"):
        spec = importlib.util.find_spec(package)
        folders.update(spec.submodule_search_locations or () if spec else ())
    return frozenset(os.path.realpath(folder) for folder in folders)


def shown(filename: str) -> str:
    """Return a file's name as short as it leads there from the current folder."""
    path = os.path.normpath(filename)
    try:
        return path.removeprefix(os.getcwd() + os.sep)
    except OSError:  # the user's code has deleted that folder
        return path
