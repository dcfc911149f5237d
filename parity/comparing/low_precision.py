"""What a Keras model computes in fewer digits than float32, and the numbers that it computes with.

Under "mixed_bfloat16" and its kin a layer rounds its inputs and most of its weights to the compute
dtype; the gradients come back in that of the variables. Both roundings are known exactly, so the
NumPy network is given the rounded numbers, and what remains to be bounded is what the layers do.

Reference: P. Micikevicius et al. (2018), "Mixed precision training", ICLR; Keras's
``keras/src/layers/layer.py``, ``__call__``.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

from keras_impl import keras
from keras_impl.graph import Graph
from numpy_impl.functional import AnyNetwork
from numpy_impl.types import Array
from parity.bounds.analysis import Precisions
from parity.bounds.formats import FORMATS, TENSORFLOAT32, Format
from parity.bounds.rounding import Products

MatmulPrecision = Literal["tensorfloat32"]
Dtype = Literal["float64", "float32", "float16", "bfloat16"]


class LowPrecision:
    """The precisions of a model's layers.

    Args:
        model: The model.
        found: Its calls.
        layers: Its layers in the order of the NumPy network's.
        matmul_precision: How products of float32 are computed; None: in float32.

    Attributes:
        format: The format of fewer digits that is in it; None: there is none.
        precisions: What bounds are derived for, layer by layer; None where ``format`` is None.

    Raises:
        ValueError: Two such formats, or one that is not known here; or layers that this cannot
            compare in them.
    """

    def __init__(
        self,
        model: keras.Model,
        found: Graph,
        layers: Sequence[Any],
        matmul_precision: MatmulPrecision | None = None,
    ) -> None:
        self.format: Format | None = None
        self.precisions: Precisions | None = None
        self.model, self.found, self.layers = model, found, layers
        dtypes: list[Dtype] = [_compute_dtype(layer) for layer in layers]
        low: list[Dtype] = sorted({dtype for dtype in dtypes if FORMATS[dtype].is_low})
        if matmul_precision is not None:
            if low or set(dtypes) != {"float32"}:
                raise ValueError(
                    f"Expected layers of float32, whose products are in {matmul_precision}. "
                    f"Received: {', '.join(sorted(set(dtypes)))}"
                )
            self.format = TENSORFLOAT32
            self.precisions = [(dtype, matmul_precision) for dtype in dtypes]
        elif low:
            if len(low) > 1:
                raise ValueError(
                    f"Expected one dtype of less than float32 in a model. Received: {low}"
                )
            _refuse_penalties(layers)
            self.format = FORMATS[low[0]]
            of_layer: list[Products] = [
                _products(*pair) for pair in zip(layers, dtypes, strict=True)
            ]
            self.precisions = list(zip(dtypes, of_layer, strict=True))

    def inputs(self, x: Sequence[Array]) -> list[Array]:
        """Return inputs as the layers that take them get them."""
        return [self._input(name, array) for name, array in zip(self.found.inputs, x, strict=True)]

    def _input(self, name: str, x: Array) -> Array:
        takers = [c.layer for c in self.found.calls if name in [source for _, source in c.sources]]
        dtype = str(self.model.compute_dtype)
        if not FORMATS[dtype].is_low:
            known = {_compute_dtype(layer) if layer.autocast else dtype for layer in takers}
            dtype = known.pop() if len(known) == 1 else dtype
        if not FORMATS[dtype].is_low:
            return x
        rounded = FORMATS[dtype].rounded(x)
        counting = [layer.name for layer in takers if hasattr(layer, "input_dim")]
        if counting and (rounded != x).any():
            raise ValueError(
                f"Expected class numbers that {dtype} holds, for {counting[0]!r}. "
                f"Received: {x[rounded != x][0]:g}"
            )
        return rounded

    @contextmanager
    def weights(self, network: AnyNetwork) -> Generator[None, None, None]:
        """Within a ``with`` block, let a network have the weights that the layers compute with."""
        if self.precisions is None:
            yield
            return
        before = network.get_weights()
        variables = [(v, layer) for layer in self.layers for v in layer.weights]
        network.set_weights(
            [
                FORMATS[_compute_dtype(layer)].rounded(own) if variable._autocast else own
                for own, (variable, layer) in zip(before, variables, strict=True)
            ]
        )
        try:
            yield
        finally:
            network.set_weights(before)


def _compute_dtype(layer: Any) -> Dtype:
    """Return the dtype that a layer computes in; refuse one with layers in others inside it."""
    inside: list[Any] = [own for own in layer._flatten_layers() if own.weights or own is layer]
    dtypes = sorted({str(own.compute_dtype) for own in inside})
    unknown = [dtype for dtype in dtypes if dtype not in FORMATS]
    if unknown or len(dtypes) > 1:
        raise ValueError(
            f"Expected {layer.name!r} to compute in one of {', '.join(FORMATS)}. "
            f"Received: {', '.join(dtypes)}"
        )
    return cast(Dtype, dtypes[0])


_MATRICES: tuple[Any, ...] = (keras.layers.Dense,)
_IN_FLOAT32: dict[str, tuple[Any, ...]] = {
    "float16": _MATRICES,
    "bfloat16": (
        *_MATRICES, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv1DTranspose,
        keras.layers.Conv2DTranspose, keras.layers.RNN,
    ),
}  # fmt: skip


def _products(layer: Any, dtype: str) -> Products:
    """Return in what products are summed.

    Measured on TensorFlow's processor kernels, with instructions for bfloat16 and without them:
    products of matrices are summed in float32, and convolutions of bfloat16; others, as by
    ``einsum`` or depthwise, are summed in the format itself, at least without such instructions.
    """
    known = _IN_FLOAT32.get(dtype, ())
    return "float32" if isinstance(layer, known) else "own"


def _refuse_penalties(layers: Sequence[Any]) -> None:
    for layer in layers:
        for variable in layer.weights:
            if variable.regularizer is not None:
                raise ValueError(
                    "Expected layers without regularizers, whose penalties are of the weights that "
                    f"are not rounded. Received: {variable.path} with a regularizer"
                )
