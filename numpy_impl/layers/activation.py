"""An activation function as a layer of its own."""

from numpy_impl import activations
from numpy_impl.layers.base import Layer
from numpy_impl.program import Do, are_recordable, now, recordable
from numpy_impl.types import Array


@recordable
class Activation(Layer):
    """An activation function as a layer of its own."""

    def __init__(self, activation: str | activations.ActivationFunction) -> None:
        self.activation = activations.get(activation)

    def forward(
        self, x: Array, training: bool = False, mask: Array | None = None, do: Do = now
    ) -> Array:
        out = self.workspace("a", x.shape, x.dtype) if training else None
        a = self.activation(x, out=out, do=do)
        self.z, self.a = x, a
        return a

    def backward(self, delta: Array, input_gradient: bool = True, do: Do = now) -> Array:
        if self.given_logits_gradient:
            return delta
        out = self.workspace("delta", delta.shape, delta.dtype)
        return self.activation.backward(self.z, self.a, delta, out=out, do=do)

    def compute_mask(self, x: Array, mask: Array | None) -> Array | None:
        # Keras's layer Softmax, one of those that become this one, leaves masked numbers out.
        return mask if self.activation.elementwise else super().compute_mask(x, mask)

    def is_recordable(self) -> bool:
        return are_recordable(self, self.activation)

    def config(self) -> dict[str, object]:
        return {"activation": self.activation.name}
