"""Random weights and samples on which nothing can hide, and what the user's code makes of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_impl.types import Array
from parity.checking.model.form import Form
from parity.checking.model.layout import Key, Layout, Shape
from parity.checking.model.plan import Plan
from parity.checking.model.propagation import Pass, rounding_for
from parity.tolerances import Rounding

# Redraws before a probe with a unit too near its kink is taken as it is; its bound then has the
# kink's whole jump in it.
MOST_REDRAWS = 20


def draw_weights(
    shapes: Sequence[Shape], rng: np.random.Generator, gain: float = 1.4
) -> list[Array]:
    """Return weights that keep pre-activations of order one, and no bias near zero.

    All are representable in float32 (and in float64), so that a cast changes nothing.
    """
    drawn = []
    for shape in shapes:
        if len(shape) == 2 and min(shape) > 1:
            values = rng.standard_normal(shape) * gain / np.sqrt(max(shape))
        else:
            values = rng.choice([-1.0, 1.0], shape) * rng.uniform(0.2, 1.0, shape)
        drawn.append(np.asarray(values, np.float32).astype(np.float64))
    return drawn


def draw_samples(
    batch: int, inputs: int, outputs: int, rng: np.random.Generator, turn: int
) -> tuple[Array, Array]:
    """Return inputs (N, inputs) of order one and one-hot targets (N, outputs), classes all unlike.

    One output gets the targets 0 and 1. Batches of one sample take the classes in ``turn``.
    """
    x = rng.standard_normal((batch, inputs)).astype(np.float32).astype(np.float64)
    if outputs == 1:
        return x, ((rng.permutation(batch) + turn + 1) % 2).astype(np.float64)[:, None]
    classes = (rng.permutation(max(batch, outputs))[:batch] if batch > 1 else turn) % outputs
    classes = np.broadcast_to(classes, batch)
    return x, np.eye(outputs)[classes]


@dataclass
class Probe:
    """One set of weights and one batch, with what the user's code answered.

    Attributes:
        plan: What is computed.
        weights: Kernels (inputs, units) and biases (units,), layer by layer, the kernel first.
        x: (N, inputs).
        y: One-hot targets (N, outputs).
        dtype: In which the user computes.
        form: How the batch is passed.
        arrays: The weights in the user's own shapes.
        gradients: The user's, those of a usable shape.
        noise: What the difference of two weights loses, where gradients come from a step, to be
            added to every bound.
        after: The weights after the step, where gradients come from a step.
        masks: Dropout masks behind each layer, found out from the answer.
    """

    plan: Plan
    weights: dict[Key, Array]
    x: Array
    y: Array
    dtype: np.dtype
    form: Form
    arrays: list[Array]
    gradients: dict[Key, Array] = field(default_factory=dict)
    noise: dict[Key, Array] = field(default_factory=dict)
    after: dict[Key, Array] = field(default_factory=dict)
    masks: list[Array | None] | None = None

    def tensors(self) -> Iterator[tuple[Key, Array, Array, Array | float]]:
        """Yield key, weight, gradient and noise of each tensor that has a usable gradient."""
        for key, weight in self.weights.items():
            if key in self.gradients:
                yield key, weight, self.gradients[key], self.noise.get(key, 0.0)

    def forward(self, tracked: bool, plan: Plan | None = None) -> Pass:
        """Return the reference's forward pass, bounded if ``tracked``."""
        plan = plan or self.plan
        rounding = rounding_for(plan, len(self.x), self.dtype, tracked)
        return Pass(plan, self.weights, self.x, rounding, self.masks)


def draw_probe(
    plan: Plan,
    layout: Layout,
    form: Form,
    dtype: np.dtype,
    batch: int,
    rng: np.random.Generator,
    turn: int = 0,
) -> tuple[Probe, bool]:
    """Return a probe away from every kink, and whether it was redrawn in vain.

    A unit within its own rounding error of a kink (ReLU's at 0) may be on either side of it in two
    correct programs; a saturated one (derivative 0 everywhere) would hide its layer's errors.
    """
    probe = None
    for _ in range(MOST_REDRAWS):
        arrays = draw_weights(layout.shapes, rng)
        x, y = draw_samples(batch, layout.sizes[0], layout.sizes[-1], rng, turn)
        probe = Probe(plan, layout.unpack(arrays), x, y, dtype, form, arrays)
        fwd = probe.forward(tracked=True)
        if not _near_kink(fwd) and _alive(fwd):
            return probe, False
    assert probe is not None
    return probe, True


def _near_kink(fwd: Pass) -> bool:
    for function, z in zip(fwd.plan.activations, fwd.z, strict=True):
        if any(np.any(np.abs(z.value - kink) <= z.bound) for kink in function.kinks):
            return True
    return False


def _alive(fwd: Pass) -> bool:
    """Return whether every layer has units that pass a gradient on."""
    if not np.all(np.isfinite(fwd.output.value)):
        return False
    for function, z, a in zip(fwd.plan.activations, fwd.z, fwd.a, strict=True):
        if not np.any(np.abs(function.derivative(z.value, a.value)) > 1e-3):
            return False
    return True


def wide(rounding: Rounding) -> float:
    """Return the filter width for a first look: far above any bound, far below any bug."""
    return 1e-3 if rounding.unit > 1e-10 else 1e-6
