"""Ways in which a layer's weights are read wrongly, each as the Keras layer with others."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from numpy_impl.types import Array
from parity.bounds.formats import BFLOAT16, FLOAT16, TENSORFLOAT32, Format
from parity.checking.bugs.change import LayerChange, LayerScene
from parity.checking.bugs.forward import TRANSPOSED
from parity.checking.bugs.forward_alone import IN_LOW_PRECISION
from parity.checking.bugs.table import Bug

WEIGHT_UNUSED = Bug(
    "weight-unused",
    "{weight} is left out, as if it were {constant} throughout",
    "z = x @ W  # where the layer has a bias",
    "use it as the layer does",
)
WEIGHT_ORDER = Bug(
    "weight-order",
    "{weight} is read in another order of its numbers: {how}",
    "W = W.ravel().reshape(W.shape, order='F')  # numbers that lie in C order",
    "reshape in C order, and transpose where axes are meant",
)
CLASS_NUMBER = Bug(
    "class-number",
    "class numbers are off by one: row {which} is taken for class n",
    "E[x - 1]  # where classes are counted from 0",
    "take row n for class n",
)
EMBEDDING_SCALED = Bug(
    "embedding-scaled",
    "the embedding is multiplied by sqrt({size})",
    "e = E[x] * np.sqrt(d)",
    "leave the factor out, or add a Rescaling layer to the reference",
)


def changes(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield the wrong ways to read the weights of a layer without layers inside, or of a cell."""
    if getattr(scene.layer, "_layers", None) and scene.attribute("cell") is None:
        return
    for variable, value in scene.weights:
        name = variable.path.rpartition("/")[2]
        if value.ndim > 1:
            yield from _reordered(scene, variable, value, name)
        else:
            for constant in (0.0, 1.0):
                weights = {id(variable): np.full_like(value, constant)}
                yield LayerChange(
                    WEIGHT_UNUSED,
                    scene.layer,
                    {"weight": name, "constant": f"{constant:g}"},
                    weights=weights,
                )
    if scene.attribute("input_dim") is not None and scene.attribute("output_dim") is not None:
        yield from _table(scene)


def _reordered(scene: LayerScene, variable: Any, value: Array, name: str) -> Iterator[LayerChange]:
    def change(how: str, new: Array) -> LayerChange:
        values: dict[str, object] = {"weight": name, "how": how}
        bug = TRANSPOSED if value.ndim == 2 and how == "transposed" else WEIGHT_ORDER
        return LayerChange(bug, scene.layer, values, weights={id(variable): new})

    axes = range(value.ndim)
    for order in _orders(value.ndim):
        turned = np.transpose(value, order)
        whole = order == tuple(axes)[::-1]
        if turned.shape == value.shape:
            how = "transposed" if value.ndim == 2 else f"transposed {order}"
            yield change(how, turned)
        else:
            words = "as if it lay in Fortran order" if whole else f"as if transposed {order}"
            yield change(words, turned.reshape(value.shape))
            back = value.reshape(turned.shape).transpose(np.argsort(order))
            yield change(f"{words}, the other way", back)


def _orders(rank: int) -> Iterator[tuple[int, ...]]:
    """Yield other orders of axes: for a few axes all, for four those that people write."""
    axes = tuple(range(rank))
    for order in permutations(axes):
        swapped = sum(a != b for a, b in zip(order, axes, strict=True)) == 2
        of_others = order in (axes[::-1], (3, 2, 0, 1), (2, 3, 1, 0))
        if order != axes and (rank < 4 or swapped or of_others):
            yield order


def _table(scene: LayerScene) -> Iterator[LayerChange]:
    variable, value = scene.weights[0]
    for shift, which in ((1, "n - 1"), (-1, "n + 1")):
        rolled = {id(variable): np.roll(value, shift, axis=0)}
        yield LayerChange(CLASS_NUMBER, scene.layer, {"which": which}, weights=rolled)
    size = value.shape[-1]
    scaled = {id(variable): value * np.sqrt(size)}
    yield LayerChange(EMBEDDING_SCALED, scene.layer, {"size": size}, weights=scaled)


# Number formats of fewer digits than float32. Of the first, it is the digits that show.
LOW: dict[str, Format] = {
    "10 bits (TensorFloat-32 or float16)": TENSORFLOAT32,
    "the range of float16": FLOAT16,
    "7 bits (bfloat16)": BFLOAT16,
}


def low_precision(scene: LayerScene) -> Iterator[LayerChange]:
    """Yield a layer with a kernel, inputs and kernel rounded to fewer digits, for each format."""
    kernels = [(v, value) for v, value in scene.weights if value.ndim > 1]
    if not kernels or getattr(scene.layer, "_layers", None):
        return
    ops = scene.keras.ops
    for kind, low in LOW.items():

        def call(own: Any, args: Any, kwargs: Any, low: Format = low) -> Any:
            first = ops.convert_to_numpy(args[0])
            if first.dtype.kind == "f":
                first = low.rounded(first)
            return own(ops.convert_to_tensor(first), *args[1:], **kwargs)

        values = {"what": "the operands of its products have", "kind": kind}
        weights = {id(v): low.rounded(value) for v, value in kernels}
        yield LayerChange(IN_LOW_PRECISION, scene.layer, values, weights=weights, call=call)
