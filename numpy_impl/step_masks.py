"""Which steps of a network's tensors count, where short sequences are filled up.

``Masking`` and ``Embedding(mask_zero=True)`` mark the steps that only fill up, and layers hand the
mark on with what they return. It reaches a layer in one of two ways, as in Keras (3.15.1):

- A *live* mask goes with its tensor when the network runs. Attention and sums look at these. An
  attention layer of several heads takes them off the tensors that it is called on, so that in
  ``Add()([x, attended])`` behind it ``x`` has none: the sum has none, and no second attention has.
- A *noted* mask is given to a layer for good when the model is made, where nothing is taken off.
  Layers that take one array and have an argument ``mask`` have these: recurrent ones, poolings.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from numpy_impl.layers import Layer
from numpy_impl.types import Array


class StepMasks:
    """The masks of a network's tensors, in a pass through its calls.

    Attributes:
        live: The live mask of each tensor by name, shape (batch, time); None: all steps count.
        noted: The noted one.
        parted: Whether a live mask was taken off, so that it is not the noted one any more.
    """

    def __init__(self, inputs: Iterable[str]) -> None:
        self.live: dict[str, Array | None] = dict.fromkeys(inputs)
        self.noted = dict(self.live)
        self.parted = False

    def of(self, layer: Layer, sources: Sequence[str]) -> Any:
        """Return the mask of what a layer takes; a list of them if it ``merges``."""
        return self._among(self.noted if layer.notes_mask else self.live, layer, sources)

    def hand_on(
        self, layer: Layer, sources: Sequence[str], taken: Any, outputs: Sequence[str]
    ) -> None:
        """Enter the masks of what a call returns.

        Args:
            layer: What is called.
            sources: The names of what it takes.
            taken: The arrays of these; a list if it ``merges``.
            outputs: The names of what it returns. No mask is about a state, so that only the first
                of them may have one.

        Raises:
            ValueError: The layer cannot take a mask.
        """
        mask, noted = self.of(layer, sources), self._among(self.noted, layer, sources)
        for masks, own in ((self.live, mask), (self.noted, noted)):
            masks.update(dict.fromkeys(outputs))
            masks[outputs[0]] = layer.compute_mask(taken, own)
        if layer.removes_masks:
            self.parted |= any(self.live[source] is not None for source in sources)
            self.live.update(dict.fromkeys(sources))

    def _among(self, masks: dict[str, Any], layer: Layer, sources: Sequence[str]) -> Any:
        given = [masks[source] for source in sources]
        return given if layer.merges else given[0]
