"""Changes that cannot help are told by what their expression gives where it stands."""

import ast
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from parity.checking.repairing.functions import Editable, editable, seen
from parity.checking.repairing.glance import Glance
from parity.checking.repairing.moments import Moment, UnknownError
from parity.checking.repairing.slots import Change, Statement, expression, statements


class Layer:
    def __init__(self) -> None:
        self.out = np.array([[0.2, 0.7], [0.5, 0.1]])

    def __call__(self, x: Any) -> Any:
        return x * self.out

    def slope(self) -> Any:
        return 1 - self.out


def helper(d: Any) -> Any:
    return 2 * d


def backward(d: Any, layer: Layer) -> Any:
    mask = np.array([[1.0, 0.0], [0.0, 1.0]])
    for step in range(2):
        d = d * layer.out + step
    other = helper(d)
    first, second = 1.0, mask.sum()
    return (d * mask, other, first, second, layer.slope())


def looked_at() -> tuple[Glance, Editable, list[Statement]]:
    what = seen(lambda: backward(np.array([[1.0, 2.0], [3.0, 4.0]]), Layer()))
    function = next(one for one in editable(what) if one.code.co_name == "backward")
    return Glance(what.moments), function, list(statements(function.node))


def statement_of(every: list[Statement], text: str) -> Statement:
    return next(one for one in every if ast.unparse(one.node).startswith(text))


def change(statement: Statement, text: str) -> Change:
    return Change(1.0, ((statement.heads[0], expression(text)),))


@pytest.mark.parametrize(
    ("start", "text", "vain"),
    [
        ("d = d *", "d * mask + step", False),
        ("d = d *", "d @ np.ones(3)", True),  # it fails
        ("d = d *", "d * unheard_of", False),  # not known here, and so run
        ("d = d *", "step + layer.out * d", True),  # the same, added up in another order
        ("d = d *", "d * layer.out + step * step", True),  # 0 and 1 are their own squares
        ("d = d *", "d * layer.slope()", False),  # the user's code is not run
        ("d = d *", "helper(d)", False),
        ("d = d *", "d * np.random.rand()", False),  # no number is drawn
        ("d = d *", "[n for n in d]", False),
        ("other =", "helper(d) * np.ones(7)", False),  # not known without the change either
        ("mask =", "np.eye(2)", True),
        ("mask =", "np.ones((2, 2))", False),
        ("for step", "range(1)", False),  # what a loop does is more than a value
    ],
)
def test_what_cannot_help_is_told(start: str, text: str, vain: bool) -> None:
    glance, function, every = looked_at()
    statement = statement_of(every, start)
    before = ast.unparse(function.node)
    assert glance.in_vain(function, statement, change(statement, text)) is vain
    assert ast.unparse(function.node) == before


def test_what_an_object_that_can_be_called_holds_is_known() -> None:
    _, function, _ = looked_at()
    assert function.kinds["layer.out"] == ("array", (2, 2), "f")
    assert not any(name.startswith("helper.") for name in function.kinds)


def test_what_an_earlier_change_gave_is_not_run_again() -> None:
    glance, function, every = looked_at()
    statement = statement_of(every, "d = d *")
    found = [
        glance.in_vain(function, statement, change(statement, text))
        for text in ("d * mask", "mask * d", "d + mask")
    ]
    assert found == [False, True, False]


def test_a_moment_keeps_arrays_as_they_were_and_knows_no_more() -> None:
    array, layer = np.ones(2), Layer()
    names: dict[str, Any] = {"array": array, "held": {"a": [array]}, "layer": layer, "f": helper}
    cache: list[int] = []
    names |= {"randn": np.random.RandomState(0).randn, "append": cache.append, "sqrt": math.sqrt}
    moment = Moment(names, {"np": np, "scale": 3.0, "helper": helper})
    array += 1
    layer.out += 1
    assert moment["array"].tolist() == moment["held"]["a"][0].tolist() == [1, 1]
    assert moment["layer"].out[0, 0] == 0.2
    assert moment["scale"] == 3.0
    assert moment["sqrt"](4.0) == 2.0
    assert moment["len"]([1, 2]) == 2
    unknown: list[Callable[[], Any]] = [
        lambda: moment["open"],
        lambda: moment["f"](1.0),
        lambda: moment["randn"](2),
        lambda: moment["append"](2),
        lambda: moment["helper"](1.0),
        lambda: moment["layer"].slope(),
        lambda: moment["layer"] * 2.0,
        lambda: moment["array"] * moment["layer"],
    ]
    for each in unknown:
        with pytest.raises(UnknownError):
            each()
    assert not cache
