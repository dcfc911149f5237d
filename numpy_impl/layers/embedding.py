"""A learned vector for each word, character or other thing of a numbered list."""

from typing import Any

import numpy as np

from numpy_impl.layers.formula import FormulaLayer, Number, Weights, whole
from numpy_impl.types import Array, Shape


class Embedding(FormulaLayer):
    """``y = embeddings[x]``: each whole number in 0..input_dim-1 becomes its row of the table.

    Backward, a row's gradient is the *sum* of ``dC/dy`` over all places where its number stands,
    and zero if it stands nowhere. The numbers have no gradient.

    Shapes: inputs (batch, ...), outputs (batch, ..., output_dim), embeddings (input_dim,
    output_dim). The inputs are floats, as all arrays of a network are; float32 has every whole
    number up to 2^24.

    Args:
        input_dim: How many numbers there are.
        output_dim: Length of each vector.
        mask_zero: Whether 0 is no thing but fills up short sequences: later layers are told to
            leave these steps out.

    Reference: Bengio et al. (2003), "A neural probabilistic language model", Journal of Machine
    Learning Research 3, 1137-1155, section 2.
    """

    weight_names = ("embeddings",)

    def __init__(self, input_dim: int, output_dim: int, mask_zero: bool = False) -> None:
        if input_dim < 1 or output_dim < 1:
            raise ValueError(
                "Embedding expects at least one number and one output. "
                f"Received: input_dim={input_dim}, output_dim={output_dim}"
            )
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.mask_zero = mask_zero

    def build(self, input_shape: Shape) -> Shape:
        return (*super().build(input_shape), self.output_dim)

    def weight_shapes(self) -> list[Shape]:
        return [(self.input_dim, self.output_dim)]

    def initialize(self, rng: np.random.Generator) -> None:
        embeddings = self.arrays["embeddings"]
        embeddings[...] = rng.uniform(-0.05, 0.05, embeddings.shape)

    def compute_mask(self, x: Array, mask: Array | None) -> Array | None:
        return x != 0 if self.mask_zero else None

    def compute(self, x: Number, w: Weights, training: bool) -> tuple[Number, Any]:
        numbers = whole(x)
        wrong = numbers[(numbers < 0) | (numbers >= self.input_dim)]
        if wrong.size:
            raise ValueError(
                f"Embedding expects whole numbers in 0..{self.input_dim - 1}. Received: {wrong[0]}"
            )
        return np.take(w["embeddings"], numbers, axis=0), (x, numbers)

    def differentiate(
        self, delta: Number, kept: Any, w: Weights
    ) -> tuple[dict[str, Number], Number]:
        x, numbers = kept
        total = np.zeros_like(w["embeddings"])
        np.add.at(total, numbers, delta)
        return {"embeddings": total}, np.zeros_like(x)

    def config(self) -> dict[str, object]:
        return {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "mask_zero": self.mask_zero,
        }
