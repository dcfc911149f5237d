"""How a user's list of arrays is to be read as the kernels and biases of a network.

A reading (:class:`Layout`) says which array is which, which way round the kernels are, and whether
the biases are folded into them. :func:`readings` lists all that fit the shapes; which one is meant
is found by calling ``forward``.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal, NamedTuple

import numpy as np

from numpy_impl.types import Array, Shape
from parity.candidate import Bias, Kernel

Part = Literal["kernel", "bias"]
PARTS: tuple[Part, ...] = ("kernel", "bias")
Fold = Literal["", "first", "last"]
_ORIENTATIONS: tuple[Kernel, ...] = ("in-out", "out-in")
# More arrays of one row or column than this are taken as biases only: 2^n readings otherwise.
_MOST_AMBIGUOUS = 10
_MOST_READINGS = 500


class Key(NamedTuple):
    """Which tensor: a layer, counted from 0, and its "kernel" or "bias"."""

    layer: int
    part: Part


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
    orientation: Kernel
    fold: Fold
    sizes: tuple[int, ...]

    @property
    def plausible(self) -> bool:
        """Whether layers follow in the order of the list, and all or none have a bias."""
        own = [b for b in self.biases if b is not None]
        in_order = list(self.kernels) == sorted(self.kernels) and own == sorted(own)
        return in_order and len(own) in (0, len(self.biases))

    @property
    def bias(self) -> Bias:
        """The convention's name, as in ``Candidate.bias``."""
        if self.fold:
            return "folded-first" if self.fold == "first" else "folded-last"
        return "separate" if any(b is not None for b in self.biases) else "none"

    @property
    def has_bias(self) -> tuple[bool, ...]:
        """Whether each layer has a bias, in whatever form."""
        return tuple(bool(self.fold) or b is not None for b in self.biases)

    @property
    def keys(self) -> list[Key]:
        """The tensors that there are, layer by layer, the kernel first."""
        layers = enumerate(self.has_bias)
        return [Key(n, p) for n, biased in layers for p in PARTS if biased or p == "kernel"]

    def unpack(self, arrays: Sequence[Array | None]) -> dict[Key, Array]:
        """Return the kernels as (inputs, units) and the biases as (units,), in the order of keys.

        They are views of the arrays; None has no entry.
        """
        given = ((key, arrays[self.place(key)]) for key in self.keys)
        return {key: self._upright(array, key) for key, array in given if array is not None}

    def pack(self, tensors: Mapping[Key, Array]) -> list[Array]:
        """Return kernels and biases as new arrays in the user's shapes and order."""
        arrays: list[Array] = []
        for index, shape in enumerate(self.shapes):
            inside = [tensors[key].dtype for key in self.keys if self.place(key) == index]
            arrays.append(np.empty(shape, np.result_type(*inside)))
        for key, view in self.unpack(arrays).items():
            view[...] = tensors[key]
        return arrays

    def place(self, key: Key) -> int:
        """Return which of the user's arrays holds a tensor."""
        bias = self.biases[key.layer]
        return self.kernels[key.layer] if key.part == "kernel" or bias is None else bias

    def as_given(self, tensor: Array, key: Key) -> Array:
        """Return a kernel or bias in the user's shape; a folded one without the other part."""
        turned = tensor.T if key.part == "kernel" and self.orientation == "out-in" else tensor
        return turned if self.fold else turned.reshape(self.shapes[self.place(key)])

    def _upright(self, array: Array, key: Key) -> Array:
        if key.part == "bias" and not self.fold:
            return array.reshape(-1)
        rows, units = self.sizes[key.layer] + bool(self.fold), self.sizes[key.layer + 1]
        out_in = self.orientation == "out-in"
        full = array.reshape(units, rows).T if out_in else array.reshape(rows, units)
        if not self.fold:
            return full
        if key.part == "bias":
            return full[0 if self.fold == "first" else -1]
        return full[1:] if self.fold == "first" else full[:-1]


def readings(shapes: Sequence[Shape]) -> list[Layout]:
    """Return every reading of the arrays as a chain of layers; the likeliest first.

    Where they could be read in very many ways, as twelve square kernels and half as many biases
    could, it is no chain that is told by its shapes: then there is none.
    """
    shapes = tuple(shapes)
    if any(len(shape) > 2 for shape in shapes):
        return []
    found: dict[Layout, None] = {}
    for kernels in _kernel_choices(shapes):
        rest = [i for i in range(len(shapes)) if i not in kernels]
        for order in (kernels, kernels[::-1]):
            folds: tuple[Fold, ...] = ("",) if rest else ("", "last", "first")
            for orientation, fold in product(_ORIENTATIONS, folds):
                for sizes in _chains([shapes[k] for k in order], orientation, bool(fold)):
                    for biases in _bias_choices(shapes, rest, sizes[1:]):
                        found[Layout(shapes, order, biases, orientation, fold, sizes)] = None
                        if len(found) > _MOST_READINGS:
                            return []
    return sorted(found, key=lambda layout: not layout.plausible)


def _kernel_choices(shapes: tuple[Shape, ...]) -> Iterator[tuple[int, ...]]:
    certain = [i for i, s in enumerate(shapes) if len(s) == 2 and min(s) > 1]
    either = [i for i in range(len(shapes)) if i not in certain]
    if len(either) > _MOST_AMBIGUOUS:
        either = []
    for count in range(len(either) + 1):
        for chosen in combinations(either, count):
            kernels = tuple(sorted([*certain, *chosen]))
            if kernels:
                yield kernels


def _chains(
    shapes: Sequence[Shape], orientation: Kernel, folded: bool
) -> Iterator[tuple[int, ...]]:
    """Return the sizes if the kernels follow one another.

    A vector is a kernel of one unit, a single number one of one input and one unit.
    """
    sizes: list[int] = []
    for shape in shapes:
        ones = (1,) * (2 - len(shape))
        two = (*shape, *ones) if orientation == "in-out" else (*ones, *shape)
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
        for layers in _places(sizes, units, 0):
            where = dict(zip(layers, order, strict=True))
            yield tuple(where.get(layer) for layer in range(len(units)))


def _places(
    lengths: Sequence[int], units: tuple[int, ...], first: int
) -> Iterator[tuple[int, ...]]:
    """Yield the layers, from a first one on, that have these numbers of units in this order."""
    if not lengths:
        yield ()
        return
    if Counter(lengths) - Counter(units[first:]):
        return
    for layer in range(first, len(units) - len(lengths) + 1):
        if units[layer] == lengths[0]:
            for more in _places(lengths[1:], units, layer + 1):
                yield (layer, *more)
