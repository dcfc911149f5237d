"""The user's own loss: which function gives it, and whether the gradients are its derivative."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.attempts import Data, Way
from parity.drafting.callees import Available, Callee, arguments
from parity.drafting.finding import STARTS
from parity.drafting.following import Follower
from parity.drafting.world import found

_MOST_CALLS = 12
_MOST_FUNCTIONS = 20
# Of each gradient so many elements are compared, the largest.
_ELEMENTS = 3
# Signs that agree by chance in one of 64 cases.
_SIGNS = 6
_STEP = 1e-5
# Central differences of that step are much closer where they agree, and a bug is farther off.
_CLOSE = 1e-4


def own_loss(
    follower: Follower, data: Data, gradients: Way | None, step: Way | None = None
) -> Way | None:
    """Return the user's own loss, where it is certain which function that is.

    By its name, if one only has such a name; or else it is the function by which some gradient is
    the derivative, or along whose slope an update leads in all weights.

    Args:
        follower: What was found so far.
        data: What gradients or update were tried with.
        gradients: The way to the gradients, if there is one.
        step: The way to an update, if there is one.
    """
    named, others = list[Way](), list[Callee]()
    for callee in follower.finder.callees:
        if roles.named([callee.name], roles.LOSS) and callee.takes("y"):
            named += list(_scalars(follower, callee, data))[:1]
        elif not (
            STARTS.match(callee.name.strip("_"))
            or roles.named([callee.name], (*roles.UPDATE, *roles.WHOLE_TRAININGS))
        ):
            others.append(callee)
    candidates = (w for c in others[:_MOST_FUNCTIONS] for w in _scalars(follower, c, data))
    if gradients is None:
        if len(named) == 1 or step is None:
            return named[0] if named else None
        return next((w for w in (*named, *candidates) if _is_descended(follower, w, step)), None)
    if len(named) == 1:
        if agreeing(follower, named[0], gradients) == 0:
            named[0].remarks.append(f"that {named[0].uses} is the loss: no gradient is its slope")
        return named[0]
    for way in (*named, *candidates):
        if agreeing(follower, way, gradients):
            return way
    return None


def _scalars(follower: Follower, callee: Callee, data: Data) -> Iterator[Way]:
    """Yield the calls of a function that give one number for x and y."""
    known = follower.forward.known.copy()
    if data.many:
        known = next(follower.starts(callee, data)).copy()
    plain = roles.named([callee.name], roles.LOSS)
    if plain and callee.takes("y"):
        known.roles["any"] = known.roles.get("parameters", [])
    for text in list(arguments(callee, known))[:_MOST_CALLS]:
        if "None" in text or not re.search(r"\by\b", " ".join([*known.lines, text])):
            continue
        try:
            value = _value(follower, known, text, data)
            if isinstance(value, tuple):  # often with the gradients
                items: Any = value  # pyright: ignore[reportUnknownVariableType]
                value, text = items[0], f"{text}[0]"
            if np.size(value) != 1 or not np.isfinite(float(np.squeeze(value))):
                continue
        except BaseException:
            continue
        yield Way(known, text, callee.name, False, data)


def _value(follower: Follower, known: Available, text: str, data: Data) -> Any:
    world = follower.finder.new()
    return world.run(known.lines, text, x=data.x(), y=data.y(), learning_rate=0.125)


def agreeing(follower: Follower, loss: Way, gradients: Way, factor: float = 1.0) -> int:
    """Return how many gradients, times a factor, are a loss's slope, by central differences."""
    finder, data = follower.finder, gradients.data
    try:
        values: dict[str, Any] = {"x": data.x(), "y": data.y(), "learning_rate": 0.125}
        result = finder.new().run(gradients.known.lines, gradients.last, **values)
        arrays = [leaf.array for leaf in found({"r": result})]
        if [a.size for a in arrays] != [a.size for a in finder.saved]:
            return 0
        return sum(_is_slope(follower, loss, k, factor * a.ravel()) for k, a in enumerate(arrays))
    except BaseException:
        return 0


def _is_descended(follower: Follower, loss: Way, step: Way) -> bool:
    """Whether an update is plain descent on a loss, in every weight."""
    rate = 0.125
    try:
        change = follower.finder.change([*step.known.lines, step.last], step.data, rate)[1]
    except BaseException:
        return False
    return all(_is_slope(follower, loss, k, c.ravel() / -rate) for k, c in enumerate(change))


def pushed(follower: Follower, loss: Way, step: Way) -> bool:
    """Whether an update moves some weight against the slope of a loss, as far as the signs tell."""
    try:
        change = follower.finder.change([*step.known.lines, step.last], step.data)[1]
        for k, moved in enumerate(c.ravel() for c in change):
            places = np.argsort(-np.abs(moved))[:_SIGNS]
            signs = _slopes(follower, loss, k, places) * moved[places] < 0
            if np.all(signs[moved[places] != 0]) and np.any(moved):
                return True
    except BaseException:
        return False
    return False


def _is_slope(follower: Follower, loss: Way, k: int, gradient: np.ndarray) -> bool:
    largest = np.abs(gradient).max()
    places = np.argsort(-np.abs(gradient))[:_ELEMENTS]
    slopes = _slopes(follower, loss, k, places)
    return bool(largest > 0 and np.all(np.abs(slopes - gradient[places]) < _CLOSE * largest))


def _slopes(follower: Follower, loss: Way, k: int, places: np.ndarray) -> np.ndarray:
    """Return the derivative of a loss by some elements of a weight, by central differences."""
    sides = (
        (_moved(follower, loss, k, place, _STEP), _moved(follower, loss, k, place, -_STEP))
        for place in map(int, places)
    )
    return np.array([(above - below) / (2 * _STEP) for above, below in sides])


def _moved(follower: Follower, loss: Way, k: int, place: int, by: float) -> float:
    """Return the loss with one element of a weight moved."""
    finder, data = follower.finder, loss.data
    saved = finder.saved
    moved = saved[k].copy()
    moved.flat[place] += by
    finder.saved = [*saved[:k], moved, *saved[k + 1 :]]
    try:
        return float(np.squeeze(_value(follower, loss.known, loss.last, data)))
    finally:
        finder.saved = saved
