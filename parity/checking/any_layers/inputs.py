"""Inputs for a Keras model: drawn from what it says it takes, or the user's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numpy_impl.types import Array, Shape
from parity.checking.any_layers.opened import Opened, Run
from parity.checking.asking import nested
from parity.checking.bugs.findings import Finding, Unreadable
from parity.checking.bugs.forward_alone import NO_INPUTS

# Sizes that the model leaves open: a batch, and a length that is no size of a usual layer.
_BATCH, _LENGTH = 5, 7


@dataclass(frozen=True)
class Input:
    """What the model says of one of its inputs.

    Attributes:
        name: Its name.
        shape: Its shape, the batch first; None where it is open.
        classes: How many class numbers there are; 0 where it takes other numbers.
    """

    name: str
    shape: tuple[int | None, ...]
    classes: int = 0

    def draw(self, rng: np.random.Generator, scale: float) -> Array:
        """Return an input, representable in float32."""
        first, *rest = self.shape
        shape: Shape = (first or _BATCH, *(n or _LENGTH for n in rest))
        if self.classes:
            return rng.integers(0, self.classes, shape)
        drawn = scale * rng.standard_normal(shape)
        return drawn.astype(np.float32).astype(np.float64)


def inputs_of(
    opened: Opened, given: Any, run: Callable[[Sequence[Array], Mapping[int, Array]], Run]
) -> list[Input]:
    """Return what a model takes.

    Args:
        opened: The model.
        given: Inputs of the user's own, if there are any: they say it where the model does not.
        run: Runs the model, and says so where it does not run.

    Raises:
        Unreadable: Neither says it.
    """
    if given is not None:
        return [Input(f"x{n}", array.shape) for n, array in enumerate(as_list(opened, given))]
    tensors = getattr(opened.model, "_inputs", None)
    if tensors:
        found = [Input(t.name, tuple(t.shape), _whole(t.dtype)) for t in tensors]
    else:
        found = _built_for(opened.model)
    if not found:
        evidence = f"expected a model with Input, or data. Received: {type(opened.model).__name__}"
        raise Unreadable(Finding(NO_INPUTS, "forward", evidence=evidence))
    # A table of vectors takes a number below 1 for class 0, and so shows which input chooses.
    drawn = [i.draw(np.random.default_rng(0), 1.0) for i in found]
    trial = [np.full_like(a, (n + 1) / 64) for n, a in enumerate(drawn)]
    tried = run(trial, opened.values())
    return [
        replace(i, classes=_classes(tried, a) or i.classes)
        for i, a in zip(found, trial, strict=True)
    ]


def as_list(opened: Opened, given: Any) -> list[Array]:
    """Return the user's inputs as arrays, in the model's order.

    Raises:
        Unreadable: They are not as many as the model has.
    """
    if isinstance(given, dict):
        names = [t.name for t in getattr(opened.model, "_inputs", ())]
        given = [given[name] for name in names if name in given]
    parts: list[Any] = [*given] if nested.is_list(given) else [given]
    count = len(getattr(opened.model, "_inputs", parts))
    if count == 1 and len(parts) != 1:
        parts = [given]
    if len(parts) != count:
        evidence = f"expected {count} inputs in data. Received: {len(parts)}"
        raise Unreadable(Finding(NO_INPUTS, "data", evidence=evidence))
    # Numbers that a cast to float32 would change are no inputs of a comparison.
    arrays = [np.asarray(part) for part in parts]
    return [a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]


def _whole(dtype: str) -> int:
    """Return how many class numbers an input of a dtype has at least; 0 for other numbers."""
    return 0 if "float" in dtype else 2


def _built_for(model: Any) -> list[Input]:
    """Return the inputs that a subclassed model was built for."""
    config: dict[str, Any] = (model.get_build_config() if model.built else None) or {}
    shapes: dict[str, Any] = config.get("shapes_dict") or {"x": config.get("input_shape")}
    return [
        Input(name, (None, *shape[1:]))
        for name, shape in shapes.items()
        if shape is not None and all(n is None or isinstance(n, int) for n in shape)
    ]


def _classes(run: Run, trial: Array) -> int:
    """Return how many rows the table has that an input chooses from; 0 if it chooses none."""
    sizes = [
        call.layer.input_dim
        for call in run.calls
        if hasattr(call.layer, "input_dim")
        and hasattr(call.layer, "output_dim")
        and any(np.array_equal(a, trial) for a in call.inputs[:1])
    ]
    return min(sizes, default=0)
