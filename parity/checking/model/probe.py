"""Weights and samples on which nothing can hide, and how samples have to lie for a user's code."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any, Literal, cast, get_args

import numpy as np

from numpy_impl.types import Array, Shape
from parity.bounds.rounding import Rounding
from parity.candidate import Candidate, Labels, Samples
from parity.checking.model.layout import Key, Layout
from parity.checking.model.network import Pass, Plan, rounding_for


@dataclass(frozen=True)
class Form:
    """One way to pass samples and labels.

    Attributes:
        samples: "rows", "columns" or "single", as in ``Candidate.samples``.
        shape: Of one sample where samples go one a call: "vector", "column" or "row".
        labels: "one-hot" or "integer".
        flat: Labels in one dimension less than usual (one output), or class numbers in so many
            more.
        turned_outputs: Whether outputs lie the other way than samples: in columns where samples
            lie in rows, and the reverse.
        turned_labels: Whether labels do.
    """

    samples: Samples
    shape: Literal["", "vector", "column", "row"] = ""
    labels: Labels = "one-hot"
    flat: int = 0
    turned_outputs: bool = False
    turned_labels: bool = False

    def x(self, x: Array) -> Array:
        """Return a batch (N, inputs) as the user's code wants it."""
        return self._laid(x)

    def y(self, y: Array) -> Array | int | float:
        """Return one-hot targets (N, outputs) as the user's code wants them."""
        if self.labels == "integer":
            classes = np.argmax(y, axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
            if self.samples == "single":
                return classes[:1].reshape((1,) * self.flat) if self.flat else int(classes[0])
            in_rows = (self.samples == "rows") != self.turned_labels
            laid = classes[:, None] if in_rows else classes[None]
            return laid if self.flat else classes
        if self.flat:
            return float(y[0, 0]) if self.samples == "single" else y.reshape(-1)
        return self._laid(y).T.copy() if self.turned_labels else self._laid(y)

    def outputs(self, answer: Array, batch: int, units: int) -> Array | None:
        """Return what came back as (N, units); None if it has another shape."""
        if self.samples == "single":
            return answer.reshape(1, units) if answer.size == units else None
        in_rows = (self.samples == "rows") != self.turned_outputs
        if answer.shape == ((batch, units) if in_rows else (units, batch)):
            return answer if in_rows else answer.T
        if units == 1 and answer.size == batch and batch in answer.shape:
            return answer.reshape(batch, 1)
        return None

    def has_labels_of(self, shape: Shape, outputs: int) -> bool:
        """Return whether a batch's labels may have a shape."""
        return any(np.shape(self.y(np.zeros((n, outputs)))) == shape for n in shape)

    @property
    def label_text(self) -> str:
        """The labels' form in words."""
        if self.labels == "integer":
            return "integer class numbers" + (
                f", in {self.flat} more dimensions" if self.flat else ""
            )
        if self.flat:
            return "one number a sample, in one dimension"
        turned = {"rows": ", in columns", "columns": ", in rows"}
        return "one-hot" + turned.get(self.samples, "") * self.turned_labels

    @property
    def sample_text(self) -> str:
        """The samples' form in words."""
        single = {"vector": "(inputs,)", "column": "(inputs, 1)", "row": "(1, inputs)"}
        texts = {"rows": "in rows (batch, inputs)", "columns": "in columns (inputs, batch)"}
        turned = {"rows": "; outputs in columns", "columns": "; outputs in rows"}
        text = texts.get(self.samples) or f"one a call, shape {single[self.shape]}"
        return text + turned.get(self.samples, "") * self.turned_outputs

    def _laid(self, values: Array) -> Array:
        if self.samples == "rows":
            return values.copy()
        if self.samples == "columns":
            return values.T.copy()
        shapes = {"vector": (-1,), "column": (-1, 1), "row": (1, -1)}
        return values[0].reshape(shapes[self.shape]).copy()


def sample_forms(candidate: Candidate) -> list[Form]:
    """Return the ways to pass samples, those that show most first; outputs may lie either way."""
    every = [Form("rows"), Form("columns")]
    every += [Form("single", shape) for shape in ("vector", "column", "row")]
    return [form for form in every if candidate.samples in (None, form.samples)]


def given_labels(candidate: Candidate) -> Shape | None:
    """Return the shape of the targets in the user's data; None where that is not known."""
    data = candidate.data
    if not isinstance(data, tuple):
        return None
    try:
        return np.shape(cast(tuple[Any, Any], data)[1])
    except ValueError:  # lists of several lengths
        return None


def label_forms(form: Form, candidate: Candidate, outputs: int) -> list[Form]:
    """Return the ways to pass labels with samples passed in ``form``; first as the user's lie."""
    every = list(_label_forms(form, candidate, outputs))
    given = given_labels(candidate)
    if form.samples != "single" and given is not None:
        every.sort(key=lambda each: not each.has_labels_of(given, outputs))
    return every


def _label_forms(form: Form, candidate: Candidate, outputs: int) -> Iterator[Form]:
    single = form.samples == "single"
    for labels in get_args(Labels):
        if candidate.labels not in (None, labels):
            continue
        for flat in (0, 1, 2) if single and labels == "integer" else (0, 1):
            # One-hot vectors are flat for one output only.
            if labels == "one-hot" and flat and outputs > 1:
                continue
            # Labels lie as the outputs do, or as the samples.
            either = not single and (labels == "integer") == bool(flat)
            turns = [form.turned_outputs]
            turns += [not turns[0]] if either and (form.turned_outputs or outputs == 1) else []
            for turned in turns if either else [False]:
                yield replace(form, labels=labels, flat=flat, turned_labels=turned)


def batch_size(
    candidate: Candidate, form: Form, sizes: tuple[int, ...], avoid: Iterable[int] = ()
) -> int:
    """Return a batch size unlike every size, so that nothing can be taken for it.

    Its reciprocal is also unlike the factors that other reductions have.
    """
    if form.samples == "single":
        return 1
    if candidate.batch_size is not None:
        return candidate.batch_size
    outputs = sizes[-1]
    taken = {*sizes, *(n + 1 for n in sizes), *(n - 1 for n in sizes)}
    taken |= {2 * outputs, outputs // 2, outputs * outputs, *avoid}
    usual = (7, 5, 11, 13, 6, 9, 15, 17, 19, 23)
    return next(n for n in chain(usual, count(25)) if n not in taken)


# Redraws before a probe with a unit too near its kink is taken as it is; its bound then has the
# kink's whole jump in it.
MOST_REDRAWS = 20
# Pre-activations stay of order one where a squashing function takes something off in each layer.
_GAIN = 1.4


def draw_weights(shapes: Sequence[Shape], rng: np.random.Generator) -> list[Array]:
    """Return weights that keep pre-activations of order one, and no bias near zero.

    All are representable in float32 (and in float64), so that a cast changes nothing.
    """
    drawn: list[Array] = []
    for shape in shapes:
        if len(shape) == 2 and min(shape) > 1:
            values = rng.standard_normal(shape) * _GAIN / np.sqrt(max(shape))
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
        weight_errors: By how much the weights may be off that the user's code has there.
    """

    plan: Plan
    weights: dict[Key, Array]
    x: Array
    y: Array
    dtype: np.dtype
    form: Form
    arrays: list[Array]
    gradients: dict[Key, Array] = field(default_factory=dict[Key, Array])
    noise: dict[Key, Array] = field(default_factory=dict[Key, Array])
    after: dict[Key, Array] = field(default_factory=dict[Key, Array])
    masks: list[Array | None] | None = None
    weight_errors: dict[Key, Array] = field(default_factory=dict[Key, Array])

    def tensors(self) -> Iterator[tuple[Key, Array, Array, Array | float]]:
        """Yield key, weight, gradient and noise of each tensor that has a usable gradient."""
        for key, weight in self.weights.items():
            if key in self.gradients:
                yield key, weight, self.gradients[key], self.noise.get(key, 0.0)

    def forward(self, tracked: bool, plan: Plan | None = None) -> Pass:
        """Return the reference's forward pass, bounded if ``tracked``."""
        plan = plan or self.plan
        rounding = rounding_for(plan, len(self.x), self.dtype, tracked)
        return Pass(plan, self.weights, self.x, rounding, self.masks, self.weight_errors)


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
