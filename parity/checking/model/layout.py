"""How a user's list of arrays is to be read as the kernels and biases of a network.

A reading (:class:`Layout`) says which array is which, which way round the kernels are, and whether
the biases are folded into them. :func:`readings` lists all that fit the shapes; which one is meant
is found by calling ``forward``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from numpy_impl.types import Array

Shape = tuple[int, ...]
# More arrays of one row or column than this are taken as biases only: 2^n readings otherwise.
_MOST_AMBIGUOUS = 10


@dataclass(frozen=True)
class Layout:
    """One reading of the arrays.

    Attributes:
        shapes: The arrays' shapes.
        kernels: Index of each layer's kernel in the list of arrays.
        biases: Index of each layer's bias; None where it has none of its own.
        orientation: "in-out" for kernels of shape (inputs, units), or "out-in".
        fold: "first" or "last" where the bias is that row (or column) of the kernel, else "".
        sizes: Inputs, then the units of each layer.
    """

    shapes: tuple[Shape, ...]
    kernels: tuple[int, ...]
    biases: tuple[int | None, ...]
    orientation: str
    fold: str
    sizes: tuple[int, ...]

    @property
    def plausible(self) -> bool:
        """Whether layers follow in the order of the list, and all or none have a bias."""
        own = [b for b in self.biases if b is not None]
        in_order = list(self.kernels) == sorted(self.kernels) and own == sorted(own)
        return in_order and len(own) in (0, len(self.biases))

    @property
    def bias(self) -> str:
        """The convention's name, as in ``Candidate.bias``."""
        if self.fold:
            return f"folded-{self.fold}"
        return "separate" if any(b is not None for b in self.biases) else "none"

    @property
    def has_bias(self) -> tuple[bool, ...]:
        """Whether each layer has a bias, in whatever form."""
        return tuple(bool(self.fold) or b is not None for b in self.biases)

    def unpack(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """Return the kernels as (inputs, units), and the biases as (units,) or None."""
        kernels, biases = [], []
        for layer, (k, b) in enumerate(zip(self.kernels, self.biases, strict=True)):
            full = self._upright(arrays[k], layer)
            start = 1 if self.fold == "first" else 0
            kernels.append(full[start : start + self.sizes[layer]])
            if self.fold:
                biases.append(full[0 if self.fold == "first" else -1])
            else:
                biases.append(None if b is None else arrays[b].reshape(-1))
        return kernels, biases

    def pack(self, kernels: Sequence[Array], biases: Sequence[Array | None]) -> list[Array]:
        """Return kernels and biases as arrays in the user's shapes and order."""
        arrays: list[Array] = [np.empty(0)] * len(self.shapes)
        for layer, (k, b) in enumerate(zip(self.kernels, self.biases, strict=True)):
            full, bias = kernels[layer], biases[layer]
            if self.fold and bias is not None:
                parts = [bias[None], full] if self.fold == "first" else [full, bias[None]]
                full = np.concatenate(parts)
            turned = full.T if self.orientation == "out-in" else full
            arrays[k] = turned.reshape(self.shapes[k])
            if b is not None and bias is not None:
                arrays[b] = bias.reshape(self.shapes[b])
        return arrays

    def place(self, layer: int, part: str) -> int:
        """Return which of the user's arrays holds a layer's "kernel" or "bias"."""
        bias = self.biases[layer]
        return self.kernels[layer] if part == "kernel" or bias is None else bias

    def _upright(self, array: Array, layer: int) -> Array:
        rows = self.sizes[layer] + bool(self.fold)
        if self.orientation == "out-in":
            return array.reshape(self.sizes[layer + 1], rows).T
        return array.reshape(rows, self.sizes[layer + 1])


def readings(shapes: Sequence[Shape]) -> list[Layout]:
    """Return every reading of the arrays as a chain of layers; the likeliest first."""
    shapes = tuple(shapes)
    if any(len(shape) > 2 for shape in shapes):
        return []
    found: list[Layout] = []
    for kernels in _kernel_choices(shapes):
        rest = [i for i in range(len(shapes)) if i not in kernels]
        for order in (kernels, kernels[::-1]):
            folds = ("",) if rest else ("", "last", "first")
            for orientation, fold in product(("in-out", "out-in"), folds):
                for sizes in _chains([shapes[k] for k in order], orientation, bool(fold)):
                    for biases in _bias_choices(shapes, rest, sizes[1:]):
                        layout = Layout(shapes, order, biases, orientation, fold, sizes)
                        if layout not in found:
                            found.append(layout)
    return sorted(found, key=lambda layout: not layout.plausible)


def _kernel_choices(shapes: tuple[Shape, ...]) -> Iterator[tuple[int, ...]]:
    certain = [i for i, s in enumerate(shapes) if len(s) == 2 and min(s) > 1]
    either = [i for i, s in enumerate(shapes) if i not in certain and len(s) > 0]
    if len(either) > _MOST_AMBIGUOUS:
        either = []
    for count in range(len(either) + 1):
        for chosen in combinations(either, count):
            kernels = tuple(sorted([*certain, *chosen]))
            if kernels:
                yield kernels


def _chains(shapes: Sequence[Shape], orientation: str, folded: bool) -> Iterator[tuple[int, ...]]:
    """Return the sizes if the kernels follow one another (a vector is a kernel of one unit)."""
    sizes: list[int] = []
    for shape in shapes:
        two = (
            shape
            if len(shape) == 2
            else ((shape[0], 1) if orientation == "in-out" else (1, *shape))
        )
        rows, units = two if orientation == "in-out" else two[::-1]
        inputs = rows - folded
        if inputs < 1 or (sizes and sizes[-1] != inputs):
            return
        sizes += [units] if sizes else [inputs, units]
    yield tuple(sizes)


def _bias_choices(
    shapes: tuple[Shape, ...], rest: list[int], units: tuple[int, ...]
) -> Iterator[tuple[int | None, ...]]:
    """Assign the remaining arrays, in order, to layers with as many units."""
    if len(rest) > len(units):
        return
    lengths = [int(np.prod(shapes[i])) for i in rest]
    if any(len(s) == 2 and min(s) > 1 for s in (shapes[i] for i in rest)):
        return
    for order in (rest, rest[::-1]):
        sizes = lengths if order is rest else lengths[::-1]
        for layers in combinations(range(len(units)), len(rest)):
            if all(units[layer] == n for layer, n in zip(layers, sizes, strict=True)):
                where = dict(zip(layers, order, strict=True))
                yield tuple(where.get(layer) for layer in range(len(units)))
