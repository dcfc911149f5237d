"""Several attentions beside each other, each on projections of its own."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from numpy_impl import initializers
from numpy_impl.layers.attention import attended, through_attended
from numpy_impl.layers.formula import FormulaLayer, Number, Weights, differs
from numpy_impl.types import Array, Shape


class MultiHeadAttention(FormulaLayer):
    """``y = sum_h softmax(scale q_h k_h^T) v_h W_h + b``, the sum being over the heads h.

    ``q_h = query Wq_h + bq_h``, and likewise ``k_h`` from the keys and ``v_h`` from the values. The
    kernels of q and k have shape (dim, num_heads, key_dim), that of v (dim, num_heads, value_dim),
    and the output's (num_heads, value_dim, outputs); ``scale = 1 / sqrt(key_dim)``. Queries are
    (batch, T, dim), keys and values (batch, S, dim'), outputs (batch, T, outputs).

    A query sees the places that all of these leave: the causal mask, the attention mask, and the
    masks of steps that the inputs come with. A query that is masked itself sees nothing: with a
    ``dropout`` the heads then give 0, without one the mean of all values, in Keras (3.15.1).

    The keys' bias adds the same number to all scores of a query, which changes no softmax: its
    gradient is 0, and what is computed of it is rounding alone.

    Args:
        num_heads: Number of heads.
        key_dim: Length of each head's queries and keys.
        value_dim: Length of each head's values; None: ``key_dim``.
        use_bias: Whether the four projections have biases.
        output_shape: How many outputs; None: as many as the queries are long.
        attention_axes: The axis of the places, 1; the only one here.
        use_causal_mask: Whether query t sees the places 0 to t alone.
        use_attention_mask: Whether the last input says, by numbers other than 0, which places
            (batch, T, S) each query sees. These have no gradient.
        dropout: Rate, in [0, 1), at which weights (the softmax's results) are dropped in training.
        scale: The factor of the scores; None: as above. It is an argument as Keras on TensorFlow
            rounds it to float32.

    Reference: Vaswani et al. (2017), "Attention is all you need", sections 3.2.1 and 3.2.2.
    """

    merges = True
    uses_mask = True
    passes_mask = True  # that of the queries
    removes_masks = True
    call_inputs: ClassVar[tuple[str, ...]] = ("query", "value", "key", "attention_mask")
    call_flags: ClassVar[Mapping[str, str]] = {"attention_mask": "use_attention_mask"}
    call_options: ClassVar[tuple[str, ...]] = ("use_causal_mask",)
    cast_constants: ClassVar[tuple[str, ...]] = ("scale",)
    fixed: ClassVar[Mapping[str, Any]] = {"use_gate": False}
    vanishing: ClassVar[tuple[str, ...]] = ("key_bias",)
    groups: tuple[str, ...] = ("query_dense", "key_dense", "value_dense", "output_dense")

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        use_causal_mask: bool = False,
        use_attention_mask: bool = False,
        dropout: float = 0.0,
        scale: float | None = None,
    ) -> None:
        axes = [attention_axes] if isinstance(attention_axes, int) else attention_axes
        outputs = [output_shape] if isinstance(output_shape, int) else output_shape
        if list(axes or [1]) != [1] or len(outputs or [1]) != 1 or num_heads < 1 or key_dim < 1:
            raise ValueError(
                "MultiHeadAttention expects num_heads and key_dim of at least 1, one output axis, "
                f"and attention_axes=1. Received: num_heads={num_heads}, key_dim={key_dim}, "
                f"output_shape={output_shape}, attention_axes={attention_axes}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(
                f"MultiHeadAttention expects a rate of dropout in [0, 1). Received: {dropout}"
            )
        self.num_heads, self.key_dim = num_heads, key_dim
        self.dropout = dropout
        self.rng = np.random.default_rng()
        self.value_dim = value_dim or key_dim
        self.use_bias = use_bias
        self.outputs = next(iter(outputs)) if outputs else None
        self.use_causal_mask = use_causal_mask
        self.use_attention_mask = use_attention_mask
        self.scale = 1 / math.sqrt(key_dim) if scale is None else scale
        kinds = ("kernel", "bias") if use_bias else ("kernel",)
        parts = ("query", "key", "value", "output")
        self.weight_names = tuple(f"{part}_{kind}" for part in parts for kind in kinds)

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        shapes = list(input_shapes)
        mask = shapes.pop() if self.use_attention_mask else None
        fits = len(shapes) in (2, 3) and all(len(shape) == 2 for shape in shapes)
        fits = fits and mask in (None, (shapes[0][0], shapes[1][0]))
        if not fits or shapes[1][0] != shapes[-1][0]:
            more = ", and a mask (T, S)" if self.use_attention_mask else ""
            raise ValueError(
                f"MultiHeadAttention expects queries (T, dim), values and keys (S, dim){more}. "
                f"Received: shapes {', '.join(map(str, input_shapes))}"
            )
        super().build(shapes[0])
        self.places = (shapes[0][0], shapes[1][0])
        self.dims = (shapes[0][1], shapes[-1][1], shapes[1][1])
        return (shapes[0][0], self.outputs or shapes[0][1])

    def weight_shapes(self) -> list[Shape]:
        n, last = self.num_heads, self.outputs or self.dims[0]
        lengths = (self.key_dim, self.key_dim, self.value_dim)
        shapes: list[Shape] = []
        for dim, length in zip(self.dims, lengths, strict=True):
            shapes += [(dim, n, length), (n, length)]
        shapes += [(n, self.value_dim, last), (last,)]
        return shapes if self.use_bias else shapes[::2]

    def initialize(self, rng: np.random.Generator) -> None:
        draw = initializers.get("glorot_uniform")
        for name, array in self.arrays.items():
            if name.endswith("kernel"):
                inputs = math.prod(array.shape[:2]) if name == "output_kernel" else len(array)
                array[...] = draw((inputs, array.size // inputs), rng).reshape(array.shape)

    def drops(self) -> list[tuple[float, Shape]]:
        return [(self.dropout, (self.num_heads, *self.places))] if self.dropout else []

    def compute(
        self,
        x: Number,
        w: Weights,
        training: bool,
        mask: Any = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> tuple[Number, Any]:
        seen, attention_mask = self._seen(mask), None
        if self.use_attention_mask:
            *x, attention_mask = x
            asked = differs(attention_mask, 0.0)
            seen = asked if seen is None else asked & seen
        if seen is not None:
            seen = np.expand_dims(seen, 1)  # the same in each head
        given = (x[0], x[-1], x[1])  # for queries, keys and values
        q, k, v = (
            self._heads(array, w, part)
            for array, part in zip(given, ("query", "key", "value"), strict=True)
        )
        # Keras takes the scale in first where there may be dropout.
        q = q * self.scale if self.dropout else q
        scores = np.matmul(q, np.swapaxes(k, 2, 3))
        scores = scores if self.dropout else scores * self.scale
        drop = (self.dropout, dropout_masks[0] if dropout_masks else None)
        y, kept = attended(scores, v, self.use_causal_mask, seen, drop if self.dropout else None)
        joined = np.transpose(y, (0, 2, 1, 3)).reshape(len(y), -1, self.num_heads * self.value_dim)
        output = np.matmul(joined, _as_matrix(w["output_kernel"], 2))
        if self.use_bias:
            output = output + w["output_bias"]
        return output, (given, len(x), attention_mask, q, k, v, kept, joined)

    def _seen(self, masks: Any) -> Array | None:
        """Return what the masks of steps leave of the places, (batch, T or 1, S or 1); None: all.

        Args:
            masks: That of each input, shape (batch, steps) or None.
        """
        if masks is None:
            return None
        seen: Any = None
        inputs = len(masks) - self.use_attention_mask
        # That of the query hides its row, those of values and keys hide columns.
        for mask, axis in zip(masks[:inputs], (2, 1, 1), strict=False):
            if mask is not None:
                own: Any = np.expand_dims(np.asarray(mask), axis)
                seen = own if seen is None else seen & own
        return seen

    def _heads(self, x: Number, w: Weights, part: str) -> Number:
        """Return the projections of x, one matrix for each head: (batch, heads, places, length)."""
        kernel = w[f"{part}_kernel"]
        projected = np.matmul(x, _as_matrix(kernel, 1))
        heads = projected.reshape(len(x), -1, *kernel.shape[1:])
        return np.transpose(heads + w[f"{part}_bias"] if self.use_bias else heads, (0, 2, 1, 3))

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[Mapping[str, Number], Any]:
        given, inputs, attention_mask, q, k, v, kept, joined = kept
        gradients: dict[str, Number] = {}
        matrix = _as_matrix(w["output_kernel"], 2)
        gradients["output_kernel"] = _summed_product(joined, delta, w["output_kernel"].shape)
        if self.use_bias:
            gradients["output_bias"] = np.sum(delta, axis=(0, 1))
        d_joined = np.matmul(delta, np.swapaxes(matrix, 0, 1))
        d_heads = d_joined.reshape(len(delta), -1, self.num_heads, self.value_dim)
        d, d_v = through_attended(np.transpose(d_heads, (0, 2, 1, 3)), kept, v)
        d = d if self.dropout else d * self.scale
        d_q, d_k = np.matmul(d, k), np.matmul(np.swapaxes(d, 2, 3), q)
        d_q = d_q * self.scale if self.dropout else d_q
        back: dict[str, Number] = {}
        parts = zip(("query", "key", "value"), given, (d_q, d_k, d_v), strict=True)
        for part, x, d_part in parts:
            kernel = w[f"{part}_kernel"]
            heads = np.transpose(d_part, (0, 2, 1, 3))
            rows = heads.reshape(len(x), -1, kernel.shape[1] * kernel.shape[2])
            gradients[f"{part}_kernel"] = _summed_product(x, rows, kernel.shape)
            if self.use_bias:
                gradients[f"{part}_bias"] = np.sum(heads, axis=(0, 1))
            back[part] = np.matmul(rows, np.swapaxes(_as_matrix(kernel, 1), 0, 1))
        of_mask = [np.zeros_like(attention_mask)] if self.use_attention_mask else []
        if inputs == 2:
            return gradients, [back["query"], back["value"] + back["key"], *of_mask]
        return gradients, [back["query"], back["value"], back["key"], *of_mask]

    def config(self) -> dict[str, object]:
        scale = {} if self.scale == 1 / math.sqrt(self.key_dim) else {"scale": self.scale}
        return {
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "use_bias": self.use_bias,
            "output_shape": self.outputs,
            "use_causal_mask": self.use_causal_mask,
            "use_attention_mask": self.use_attention_mask,
            "dropout": self.dropout,
            **scale,
        }


def _as_matrix(kernel: Number, first: int) -> Number:
    """Return a kernel with its first ``first`` axes laid together, and the others."""
    return kernel.reshape(math.prod(kernel.shape[:first]), math.prod(kernel.shape[first:]))


def _summed_product(x: Number, delta: Number, shape: Shape) -> Number:
    """Return the gradient of a kernel: ``x^T delta``, summed over the batch and all places."""
    rows, deltas = x.reshape(-1, x.shape[-1]), delta.reshape(-1, delta.shape[-1])
    return np.matmul(np.swapaxes(rows, 0, 1), deltas).reshape(*shape)
