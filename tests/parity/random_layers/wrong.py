"""One mistake in a random program, and whether it changes its numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.parity.random_layers.program import Program
from tests.parity.random_layers.rules import State

# What is off by less than this share of the right number need not be seen.
SEEN = 1e-6


def planted(seed: int) -> tuple[str, Callable[[], Program]] | None:
    """Return a mistake's name and what makes the program with it.

    None if it does not change the program's numbers.
    """
    rng = np.random.default_rng([18, seed])
    names = ["factor", "sign", "input gradient", "transposed", "wrong state"]
    name = str(rng.choice(names))
    places = rng.random(2)

    def make() -> Program:
        program = Program(seed, exact=True, declared=name == "wrong state")
        _SPOILERS[name](program, places)
        return program

    changes = _steps_change if name == "wrong state" else _gradients_change
    wrong = make()
    return (f"{name} in {wrong}", make) if changes(seed, wrong) else None


def _chosen(population: list[Any], place: float) -> Any:
    return population[int(place * len(population))]


def _factor(program: Program, places: Any) -> None:
    """A 2 or a 1/n too many in one gradient."""
    factor = _chosen([2.0, 0.5, 1 / program.samples], places[1])

    def spoil(found: list[Any]) -> None:
        k = int(places[0] * len(found))
        found[k] = factor * found[k]

    program.spoil = spoil


def _sign(program: Program, places: Any) -> None:
    def spoil(found: list[Any]) -> None:
        k = int(places[0] * len(found))
        found[k] = -found[k]

    program.spoil = spoil


def _input_gradient(program: Program, places: Any) -> None:
    """What one block hands on is turned over along its last axis, or halved."""
    below = [k for k in range(1, len(program.blocks)) if _has_weights(program, k)]
    if not below:
        return
    at, halved = _chosen(below, places[0]), places[1] < 0.5
    program.spoil_flow = lambda k, d: d if k != at else 0.5 * d if halved else d[..., ::-1]


def _has_weights(program: Program, k: int) -> bool:
    return any(block.weights for block in program.blocks[:k])


def _transposed(program: Program, places: Any) -> None:
    """A kernel's gradient is the product the other way round."""

    def spoil(found: list[Any]) -> None:
        square = [k for k, g in enumerate(found) if g.ndim > 1 and g.shape[-1] == g.shape[-2]]
        if square:
            k = _chosen(square, places[0])
            found[k] = np.swapaxes(found[k], -1, -2).copy()

    program.spoil = spoil


def _wrong_state(program: Program, places: Any) -> None:
    """The state is forgotten after each step, or an update is taken one step late."""
    rule, late = program.rule, dict[int, Any]()

    def forgetful(s: State, g: Any, w: Any, lr: float) -> Any:
        return rule(State(np.zeros_like(g), np.zeros_like(g), s.t), g, w, lr)

    def belated(s: State, g: Any, w: Any, lr: float) -> Any:
        before = late.get(id(s), 0 * g)
        late[id(s)] = rule(s, g, w, lr)
        return before

    program.rule = forgetful if places[1] < 0.5 else belated


_SPOILERS: dict[str, Callable[[Program, Any], None]] = {
    "factor": _factor,
    "sign": _sign,
    "input gradient": _input_gradient,
    "transposed": _transposed,
    "wrong state": _wrong_state,
}


def _differ(one: list[Any], other: list[Any]) -> bool:
    """Return whether an array is off by a share that has to be seen, of what is no rounding."""
    most = max(float(np.max(np.abs(a))) for a in one)
    return any(
        np.max(np.abs(a - b)) > SEEN * np.max(np.abs(a)) and np.max(np.abs(a)) > 1e-9 * most
        for a, b in zip(one, other, strict=True)
    )


def _gradients_change(seed: int, wrong: Program) -> bool:
    right = Program(seed, exact=True)
    x, y = right.data(np.random.default_rng(seed))
    return _differ(right.stored_gradients(x, y), wrong.stored_gradients(x, y))


def _steps_change(seed: int, wrong: Program) -> bool:
    right = Program(seed, exact=True, declared=True)
    x, y = right.data(np.random.default_rng(seed))
    before = [w.copy() for w in right.arrays]
    for _ in range(3):
        right.step(x, y, 0.1)
        wrong.step(x, y, 0.1)
    moved = [[a - b for a, b in zip(p.arrays, before, strict=True)] for p in (right, wrong)]
    return _differ(*moved)
