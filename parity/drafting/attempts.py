"""What is tried a network with, and what has worked: a forward pass, a way to gradients."""

from dataclasses import dataclass, field

import numpy as np

from parity.drafting.callees import Available
from parity.drafting.world import KeptNumbers

SAMPLES = 4
LAYOUTS = ("rows", "columns", "single", "crosswise", "column", "row")


@dataclass(frozen=True)
class Data:
    """Samples of one layout: ``x`` and ``y`` as they would be handed over.

    Attributes:
        layout: One of ``LAYOUTS``.
        inputs: Of a sample.
        outputs: Of a sample.
        classes: Whether labels are class numbers.
        many: Whether several samples in rows go to code whose forward pass takes one a call.
        flat: Whether the labels of one output lie in one dimension.
        first: The number of the first class.
        bare: Whether the one output of one sample is a number without axes, and so is its label.
    """

    layout: str
    inputs: int
    outputs: int
    classes: bool = False
    many: bool = False
    flat: bool = False
    first: int = 0
    bare: bool = False

    def x(self, seed: int = 0) -> np.ndarray:
        """Return inputs."""
        values = np.random.default_rng(seed).normal(size=(SAMPLES, self.inputs)) / 4
        return self._laid(values)

    def y(self) -> np.ndarray:
        """Return labels, one-hot or as class numbers."""
        # The greatest class is there, as code counts the classes by it.
        number = (self.outputs - 1 - 2 * np.arange(SAMPLES)) % max(self.outputs, 1)
        if self.classes:
            return number + self.first
        # Softmax with cross-entropy has its usual slope only where labels sum to 1.
        classes = max(self.outputs, 2)
        hot = (0.8 * np.eye(classes)[number] + 0.2 / classes)[:, : self.outputs]
        if self.bare:
            return hot[0, 0]
        if self.flat:
            return hot[:, 0]
        return hot.T.copy() if self.layout == "crosswise" else self._laid(hot)

    @property
    def asked(self) -> str:
        """What a call must mention that has to do with labels."""
        return "y"

    def _laid(self, values: np.ndarray) -> np.ndarray:
        if self.layout in ("rows", "crosswise") or self.many:
            return values
        if self.layout == "columns":
            return values.T.copy()
        first = values[0]
        return {"single": first, "column": first[:, None], "row": first[None]}[self.layout].copy()

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array may be an output for these samples."""
        if array.dtype.kind != "f" or not array.size or not np.isfinite(array).all():
            return False
        if self.layout == "rows":
            return array.shape[:1] == (SAMPLES,) and array.ndim <= 2
        if self.layout in ("columns", "crosswise"):
            return array.ndim == 2 and array.shape[1] == SAMPLES
        return array.ndim < 2 or (array.ndim == 2 and 1 in array.shape)

    def width(self, array: np.ndarray) -> int:
        """Return how many outputs there are a sample."""
        return array.size // (SAMPLES if self.layout in ("rows", "columns", "crosswise") else 1)


@dataclass
class TriedForward:
    """A forward pass that was tried.

    Attributes:
        known: Its statements, and what they leave.
        output: The expression of the output.
        uses: What is called.
        data: What it was tried with.
        weights: The numbers that the output depends on.
        given: What its parameters are given whose names say nothing.
    """

    known: Available
    output: str
    uses: str
    data: Data
    weights: list[KeptNumbers]
    given: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class Way:
    """A way to gradients or to an update that was tried: statements, and the last expression.

    Attributes:
        known: The statements, and what they leave.
        last: The last expression.
        uses: What is called.
        whole: Whether it trains by its own plan.
        data: What it was tried with.
        remarks: What a person should look at.
        loss: The statements that give the loss that is differentiated, where that is known.
        cleared: Whether the draft sets gradients back before it, as they add up.
    """

    known: Available
    last: str
    uses: str
    whole: bool
    data: Data
    remarks: list[str] = field(default_factory=list[str])
    loss: list[str] = field(default_factory=list[str])
    cleared: bool = False
