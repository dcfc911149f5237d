"""``scripts.export``: what is written down of a formula, and what is refused."""

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from scripts.export.printing import text_of
from scripts.export.recording import Recorder
from scripts.export.symbolic import NotSpecializable, Symbolic, lift
from scripts.export.tidying import tidy

X = np.random.default_rng(0).normal(0, 1, (4, 3))


def written(function: Callable[..., Any], *known: Any) -> tuple[str, Callable[..., Any]]:
    """Return what is written down of a function of ``x``, shape (N, 3), and run as Python."""

    def refuse(function: Any, name: str, arguments: Mapping[str, Any]) -> str:
        raise AssertionError(name)

    own = Recorder(refuse)
    result = lift(own.run(function, Symbolic(own, ast.Name("x"), (None, 3)), *known))
    body = tidy(own.statements, result, ["x"], own.bases, own.names, own.temporary, [])
    text = "\n".join(text_of(statement, 4) for statement in body)
    defined: dict[str, Any] = {"np": np, "math": math}
    exec(f"def f(x):\n{text}", defined)
    return text.replace("\n    ", "\n").strip(), defined["f"]


# Formulas


def settings(x: Any, bias: bool = False, scale: float | None = 2.0) -> Any:
    y = x * scale if scale else x
    if bias:
        y += 1
    elif not scale:
        y = y - 1
    return y


def state_of_two_parts(x: Any) -> Any:
    state = (x[:, 0], x[:, 1])
    outputs: list[Any] = []
    for t in range(3):
        h, c = state
        new = np.tanh(c + x[:, t])
        state = (h * new, new)
        outputs.append(state[0])
    return np.stack(outputs, axis=1)


def term_by_term(x: Any) -> Any:
    total = x
    for factor, name in zip((2, 3), "ab", strict=True):
        total = total + factor * x if name == "a" else total
    return total


def written_into(x: Any) -> Any:
    out = np.empty_like(x)
    same = out
    np.negative(x, out=out)
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    return out + same


def added_in_place(x: Any) -> Any:
    total = np.zeros_like(x)
    for k in range(2):
        total[k : k + 2] += x[k : k + 2]
    return total


def unknown_length(x: Any) -> Any:
    shape = np.transpose(x[:, None], (1, 0, 2)).shape
    return np.reshape(x, (-1, *shape[:1])) + len(x) + math.prod((len(x), 2)) + x.shape[1]


def axes_that_stay(x: Any) -> Any:
    whole = np.moveaxis(np.reshape(np.moveaxis(x, -1, 1), (*x.shape[::-1][:1], -1)), -1, -1)
    return np.moveaxis(whole, 0, 1)


def inner_functions(x: Any) -> Any:
    def both(a: Any, *, b: Any = 1.0) -> Any:
        return a - b

    twice: Any = lambda v: v + v  # noqa: E731
    return both(twice(x[:, :1]), b=x[:, 1:]) + sum(both(k) for k in range(2))


def state_that_is_needed_again(x: Any) -> Any:
    h = x[:, 0]
    outputs: list[Any] = []
    for t in range(3):
        new = h + x[:, t]
        outputs.append(h * new)
        h = new
    return np.stack(outputs) * h


def read_before_it_is_written(x: Any) -> Any:
    total = np.ones_like(x)

    def then(v: Any) -> Any:
        total[:2] += x[:2]
        return v

    return then(total * 2) + total


def one_name_for_two(x: Any) -> Any:
    kept: list[Any] = []
    for factor in (2, 3):
        y = np.exp(x * factor)
        kept.append(y)
    first, second = kept
    return (first - second) * (first + second)


def named_by_who_calls(x: Any) -> Any:
    def inner(v: Any) -> Any:
        y = np.exp(v)
        y = y + np.sum(y)
        return y, v

    scores, _ = inner(x)
    return scores * scores


def for_each_row(x: Any) -> Any:
    def plus(a: Any) -> Any:
        return np.stack([row + a for row in x])

    return plus(np.sum(x))


def an_error(x: Any) -> Any:
    wrong = x[x > 3]
    if wrong.size:
        place = tuple(float(v) for v in wrong[:2])
        raise ValueError(f"Expected 3 at most. Received: {place} in 'x'")
    return x


FORMULAS = [
    settings, state_of_two_parts, term_by_term, written_into, added_in_place, unknown_length,
    axes_that_stay, inner_functions, state_that_is_needed_again, read_before_it_is_written,
    one_name_for_two, named_by_who_calls, for_each_row, an_error,
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda f: f.__name__)
def test_what_is_written_computes_the_same(formula: Callable[..., Any]) -> None:
    text, own = written(formula)
    np.testing.assert_array_equal(own(X), formula(X), err_msg=text)


def test_settings_leave_one_branch() -> None:
    assert written(settings)[0] == "return x * 2.0"
    assert written(settings, True)[0] == "return x * 2.0 + 1"
    assert written(settings, True, None)[0] == "return x + 1"
    assert written(settings, False, None)[0] == "return x - 1"


TEXTS: dict[Callable[..., Any], str] = {
    state_of_two_parts: """
outputs = []
h = x[:, 0]
c = x[:, 1]
for t in range(3):
    c = np.tanh(c + x[:, t])
    h = h * c
    outputs.append(h)
return np.stack(outputs, axis=1)
""",
    state_that_is_needed_again: """
outputs = []
h = x[:, 0]
for t in range(3):
    new = h + x[:, t]
    outputs.append(h * new)
    h = new
return np.stack(outputs) * h
""",
    axes_that_stay: """
whole = np.reshape(x, (3, -1))
return np.moveaxis(whole, 0, 1)
""",
    inner_functions: """
v = x[:, :1]
return v + v - x[:, 1:] + -1.0
""",
    one_name_for_two: """
y = np.exp(x * 2)
y_2 = np.exp(x * 3)
return (y - y_2) * (y + y_2)
""",
    named_by_who_calls: """
y = np.exp(x)
scores = y + np.sum(y)
return scores * scores
""",
    for_each_row: """
a = np.sum(x)
return np.stack([row + a for row in x])
""",
    an_error: """
wrong = x[x > 3]
if wrong.size:
    place = tuple(float(v) for v in wrong[:2])
    raise ValueError(f"Expected 3 at most. Received: {place} in 'x'")
return x
""",
}


@pytest.mark.parametrize("formula", TEXTS, ids=lambda f: f.__name__)
def test_what_is_written_reads_well(formula: Callable[..., Any]) -> None:
    assert f"\n{written(formula)[0]}\n" == TEXTS[formula]


def test_an_error_is_raised_by_what_is_written() -> None:
    text, own = written(an_error)
    assert text.count("\n") >= 2
    for f in (own, an_error):
        with pytest.raises(ValueError, match=r"3 at most. Received: \(4.0, 5.0\) in 'x'"):
            f(np.array([[1.0, 4.0, 5.0]]))


# What is refused


def either(x: Any) -> Any:
    if x.size:
        x, _ = x + 1, x
    else:
        x, _ = x - 1, x
    return x


def no_error(x: Any) -> Any:
    if x.size:
        x = x + 1
    return x


def returns_early(x: Any) -> Any:
    if x.size:
        return x
    return x + 1


def returns_in_a_loop(x: Any) -> Any:
    for t in range(3):
        return x[:, t]
    return x


def breaks(x: Any) -> Any:
    for _ in range(3):
        break
    return x


def goes_round(x: Any) -> Any:
    while True:
        return x


def other_state(x: Any) -> Any:
    state: tuple[Any, ...] = (x,)
    for _ in range(3):
        state = (*state, x)
    return state


def over_samples(x: Any) -> Any:
    return {i: row for i, row in enumerate(x)}  # noqa: C416


def statements_for_each(x: Any) -> Any:
    return np.stack([np.exp(out := v, out=out) for v in x])


def writes(x: Any) -> Any:
    x[0] = 1
    return x


def copies(x: Any) -> Any:
    x[0] = x[1]
    return x


def chooses(x: Any) -> Any:
    return x if x.size else -x


def between(x: Any) -> Any:
    return 0 < x < 1


def formatted(x: Any) -> Any:
    if x.size:
        raise ValueError(f"{x:.3f}")
    return x


def weights_of_a_layer(x: Any) -> Any:
    return x + X


def of_another_library(x: Any) -> Any:
    return ast.dump(x)


REFUSED: dict[Callable[..., Any], str] = {
    either: "Expected what is known before. Received: x.size",
    no_error: "Expected an error at the end. Received: if x.size",
    returns_early: "Expected an error at the end. Received: if x.size",
    returns_in_a_loop: "Expected no return in a loop. Received: one",
    breaks: "Expected a known statement. Received: break",
    goes_round: "Expected a known statement. Received: while True",
    other_state: "Expected a state of the same parts. Received: another",
    over_samples: "Expected a known length. Received: enumerate(x)",
    statements_for_each: "Expected one expression for each item. Received: ",
    writes: "Expected += alone in an array. Received: x[0] = ...",
    copies: "Expected += alone in an array. Received: x[0] = ...",
    chooses: "Expected what is known before. Received: x.size",
    between: "Expected what is known before. Received: x > 0",
    formatted: "Expected {...} in a text. Received: {...:.3f}",
    weights_of_a_layer: "Expected a value that can be written. Received: array",
    of_another_library: "Expected a value that can be written. Received: <function dump",
}


@pytest.mark.parametrize("formula", REFUSED, ids=lambda f: f.__name__)
def test_what_is_not_understood_is_refused_by_name(formula: Callable[..., Any]) -> None:
    with pytest.raises(NotSpecializable) as error:
        written(formula)
    assert str(error.value).startswith(REFUSED[formula])
