"""What the user's code holds is found where it is, however much stands around it."""

from pathlib import Path
from typing import Any

import numpy as np

from parity.checking.asking.held import Held

PROGRAM = """
class State:
    def __init__(self, array):
        self.kept = {"averages": [array]}


def making(array):
    state = State(array)
    return lambda: state


crowd = [[[number]] for number in range(5000)]
"""


def made(folder: Path) -> dict[str, Any]:
    """Return the names of a program of the user's, among which there are many lists."""
    names: dict[str, Any] = {"__name__": "theirs"}
    exec(compile(PROGRAM, str(folder / "theirs.py"), "exec"), names)
    return names


def test_what_a_function_holds_comes_before_a_crowd_of_names(tmp_path: Path):
    array = np.zeros(3)
    step = made(tmp_path)["making"](array)
    held = Held([step])
    array[:] = 1
    assert held.differs(Held([step]))
    held.put_back()
    assert not np.any(array)


def test_names_of_a_module_are_found_too(tmp_path: Path):
    names = made(tmp_path)
    names["crowd"], names["state"] = [], names["State"](np.zeros(3))
    held = Held([names["making"]])
    names["state"].kept["averages"][0][:] = 1
    held.put_back()
    assert not np.any(names["state"].kept["averages"][0])
