"""``tools.mutation``: what it changes, that the change lives, and that it goes again."""

import ast

import numpy as np
import pytest

from numpy_impl import losses
from tools import mutation

PROGRAM = """
LIMIT = 1 + 1
def f(x, y=3):
    'Add 1.'
    if x < 0:
        raise ValueError(f"Expected {1 + 1}")
    x += 1
    return x * 2 or not y
"""


def test_what_is_changed():
    found = [(line, said) for line, said, _ in mutation.changes(ast.parse(PROGRAM))]
    assert sorted(found) == [
        (5, "0 -> 1"), (5, "Lt -> GtE"), (5, "Lt -> LtE"), (5, "the condition turned round"),
        (7, "1 -> 2"), (7, "Add -> Sub"), (7, "the statement left out"),
        (8, "2 -> 3"), (8, "Mult -> Div"), (8, "Or -> And"), (8, "without Not"),
    ]  # fmt: skip


def results(number: int) -> list[object]:
    tree = ast.parse(PROGRAM)
    list(mutation.changes(tree))[number][2]()
    names: dict[str, object] = {}
    exec(compile(ast.fix_missing_locations(tree), "program", "exec"), names)
    f = names["f"]
    assert callable(f)
    found: list[object] = []
    for arguments in [(-1,), (0,), (3,), (-1, 0), (0, 0)]:
        try:
            found.append(f(*arguments))
        except ValueError:
            found.append("refused")
    return found


def test_each_change_changes_something():
    before = ["refused", 2, 8, "refused", 2]
    said = [said for _, said, _ in mutation.changes(ast.parse(PROGRAM))]
    unchanged = [said[number] for number in range(len(said)) if results(number) == before]
    assert unchanged == ["without Not"]  # as x * 2 is never 0 here


def test_a_change_lives_and_goes():
    path = "numpy_impl/losses.py"
    loss, one = losses.MeanAbsoluteError(), np.array([[1.0]])
    lines = (mutation.ROOT / path).read_text(encoding="utf-8").splitlines()
    (mutant,) = [
        m for m in mutation.mutants(path)
        if m.what == "Sub -> Add" and "np.mean(np.abs(y_pred - y_true)" in lines[m.line - 1]
    ]  # fmt: skip
    assert loss.values(one, one) == 0
    with mutation.living(mutant) as count:
        assert count == 1
        assert loss.values(one, one) == 2
    assert loss.values(one, one) == 0


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_it_goes_too_when_the_tests_end_badly(error: type[BaseException]):
    before = losses.Quadratic.values.__code__
    with pytest.raises(error), mutation.living(mutation.mutants("numpy_impl/losses.py")[0]):
        raise error
    assert losses.Quadratic.values.__code__ is before


def test_every_file_has_tests_that_are_there():
    for start, tests in mutation.TESTS:
        assert list(mutation.ROOT.glob(f"{start}*"))
        assert all((mutation.ROOT / test).exists() for test in tests)
