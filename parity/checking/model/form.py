"""How ``x`` and ``y`` have to lie for a user's code: the forms tried, and what comes back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from numpy_impl.types import Array
from parity.candidate import Candidate, Labels, Samples


@dataclass(frozen=True)
class Form:
    """One way to pass samples and labels.

    Attributes:
        samples: "rows", "columns" or "single", as in ``Candidate.samples``.
        shape: Of one sample where samples go one a call: "vector", "column" or "row".
        labels: "one-hot" or "integer".
        flat: Labels in one dimension less than usual (one output), or class numbers in so many
            more.
    """

    samples: Samples
    shape: Literal["", "vector", "column", "row"] = ""
    labels: Labels = "one-hot"
    flat: int = 0

    def x(self, x: Array) -> Array:
        """Return a batch (N, inputs) as the user's code wants it."""
        return self._laid(x)

    def y(self, y: Array) -> Array | int | float:
        """Return one-hot targets (N, outputs) as the user's code wants them."""
        if self.labels == "integer":
            classes = np.argmax(y, axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
            if self.samples == "single":
                return classes[:1].reshape((1,) * self.flat) if self.flat else int(classes[0])
            laid = classes[:, None] if self.samples == "rows" else classes[None]
            return laid if self.flat else classes
        if self.flat:
            return float(y[0, 0]) if self.samples == "single" else y.reshape(-1)
        return self._laid(y)

    def outputs(self, answer: Array, batch: int, units: int) -> Array | None:
        """Return what came back as (N, units); None if it has another shape."""
        if self.samples == "single":
            return answer.reshape(1, units) if answer.size == units else None
        expected = (batch, units) if self.samples == "rows" else (units, batch)
        if answer.shape == expected:
            return answer if self.samples == "rows" else answer.T
        if units == 1 and answer.size == batch and batch in answer.shape:
            return answer.reshape(batch, 1)
        return None

    @property
    def label_text(self) -> str:
        """The labels' form in words."""
        if self.labels == "integer":
            return "integer class numbers" + (
                f", in {self.flat} more dimensions" if self.flat else ""
            )
        return "one number a sample, in one dimension" if self.flat else "one-hot"

    @property
    def sample_text(self) -> str:
        """The samples' form in words."""
        single = {"vector": "(inputs,)", "column": "(inputs, 1)", "row": "(1, inputs)"}
        texts = {"rows": "in rows (batch, inputs)", "columns": "in columns (inputs, batch)"}
        return texts.get(self.samples) or f"one a call, shape {single[self.shape]}"

    def _laid(self, values: Array) -> Array:
        if self.samples == "rows":
            return values.copy()
        if self.samples == "columns":
            return values.T.copy()
        shapes = {"vector": (-1,), "column": (-1, 1), "row": (1, -1)}
        return values[0].reshape(shapes[self.shape]).copy()


def sample_forms(candidate: Candidate) -> list[Form]:
    """Return the ways to pass samples, those that show most first."""
    every = [Form("rows"), Form("columns")]
    every += [Form("single", shape) for shape in ("vector", "column", "row")]
    return [form for form in every if candidate.samples in (None, form.samples)]


def label_forms(form: Form, candidate: Candidate, outputs: int) -> Iterator[Form]:
    """Yield the ways to pass labels with samples passed in ``form``."""
    for labels in get_args(Labels):
        if candidate.labels not in (None, labels):
            continue
        for flat in (0, 1, 2) if form.samples == "single" and labels == "integer" else (0, 1):
            # One-hot vectors are flat for one output only.
            if labels == "integer" or not flat or outputs == 1:
                yield Form(form.samples, form.shape, labels, flat)


def batch_size(candidate: Candidate, form: Form, sizes: tuple[int, ...], avoid: int = 0) -> int:
    """Return a batch size unlike every size, so that nothing can be taken for it.

    Its reciprocal is also unlike the factors that other reductions have.
    """
    if form.samples == "single":
        return 1
    if candidate.batch_size is not None:
        return candidate.batch_size
    outputs = sizes[-1]
    taken = {*sizes, *(n + 1 for n in sizes), *(n - 1 for n in sizes)}
    taken |= {2 * outputs, outputs // 2, outputs * outputs, avoid}
    return next(n for n in (7, 5, 11, 13, 6, 9, 15, 17, 19, 23) if n not in taken)
