"""What an update is by its name, where its numbers say otherwise: momentum without a velocity.

The check finds out which optimizer a step is, and a velocity that is lost leaves plain descent,
which is one too. The name of what runs tells what was meant.
"""

import sys
from types import CodeType, FrameType
from typing import Any

import numpy as np

from parity.drafting import roles
from parity.drafting.attempts import Way
from parity.drafting.finding import Finder, put
from parity.drafting.nodes import Nodes
from parity.drafting.world import variables


def claimed(finder: Finder, step: Way) -> str:
    """Return the optimizer to be declared for an update; "" where its numbers need none.

    Two steps from the same weights, on the same samples, tell plain descent (the same twice) and
    classical momentum (1 + momentum times the first) from all else.
    """
    names, momenta = set[str](), set[float]()

    def see(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code.co_filename == file:
            names.add(frame.f_code.co_name.lower())
            if "momentum" in frame.f_code.co_name.lower() or "nesterov" in frame.f_code.co_name:
                momenta.update(_momenta(frame))

    world = finder.new()
    file = getattr(world.names[world.alias], "__file__", "")
    values: dict[str, Any] = {"x": step.data.x(), "y": step.data.y(), "learning_rate": 0.125}
    lines = [*step.known.lines, step.last]
    try:
        if not _keeps_all(finder, step):
            return ""
        sys.setprofile(see)
        try:
            world.run(lines, **values)
        finally:
            sys.setprofile(None)
        if not any("momentum" in name or "nesterov" in name for name in names):
            return ""
        if len(momenta) != 1:
            return ""
        one = [a - b for a, b in zip(finder.values(world), finder.saved, strict=True)]
        for leaf, array in zip(finder.weights, finder.saved, strict=True):
            if isinstance(leaf.value, Nodes):
                return ""
            put(world.run([], leaf.path), array)
        world.run(lines, **values)
        two = [a - b for a, b in zip(finder.values(world), finder.saved, strict=True)]
    except BaseException:
        return ""
    (momentum,) = momenta

    def are(factor: float) -> bool:
        pairs = zip(one, two, strict=True)
        return all(np.allclose(b, factor * a, rtol=1e-7, atol=1e-12) for a, b in pairs)

    nesterov = any("nesterov" in name for name in names)
    if are(1.0) or (nesterov and are(1.0 + momentum)):
        return f"torch.SGD(momentum={momentum:g}{', nesterov=True' * nesterov})"
    return ""


def _keeps_all(finder: Finder, step: Way) -> bool:
    """Whether nothing that the update gives is dropped, as a velocity would be."""
    kept = finder.kept.get(step.uses)
    if " = " in step.last:
        return kept is not None and "_" not in kept.target.split(", ")
    world = finder.new()
    values: dict[str, Any] = {"x": step.data.x(), "y": step.data.y(), "learning_rate": 0.125}
    world.run(step.known.lines, **values)
    return np.size(world.run([], step.last)) <= 1 if step.last else False


def _momenta(frame: FrameType) -> set[float]:
    """Return the numbers that the variables of an update which are called momentum hold."""
    inner_codes = [c for c in frame.f_code.co_consts if isinstance(c, CodeType)]
    names = {n for code in [frame.f_code, *inner_codes] for n in code.co_names}
    there: dict[str, Any] = {n: frame.f_globals[n] for n in names if n in frame.f_globals}
    there |= frame.f_locals
    for value in list(there.values()):
        inner: Any = value if value.__class__ is dict else variables(value)
        there |= {str(n): v for n, v in inner.items() if str(n) not in there}
    return {
        float(value)
        for name, value in there.items()
        if isinstance(value, float) and 0 < value < 1 and roles.number(name) == "0.9"
    }
