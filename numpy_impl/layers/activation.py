"""An activation function as a layer of its own."""

from numpy_impl import activations
from numpy_impl.layers.base import Layer
from numpy_impl.types import Array


class Activation(Layer):
    """An activation function as a layer of its own."""

    def __init__(self, activation: str | activations.ActivationFunction) -> None:
        self.activation = activations.get(activation)

    def forward(self, x: Array, training: bool = False, mask: Array | None = None) -> Array:
        out = self.workspace("a", x.shape, x.dtype) if training else None
        a = self.activation(x, out)
        self.z, self.a = x, a
        return a

    def backward(self, delta: Array, input_gradient: bool = True) -> Array:
        if self.given_logits_gradient:
            return delta
        out = self.workspace("delta", delta.shape, delta.dtype)
        return self.activation.backward(self.z, self.a, delta, out)

    def compute_mask(self, x: Array, mask: Array | None) -> Array | None:
        # Keras's layer Softmax, one of those that become this one, leaves masked numbers out.
        return mask if self.activation.elementwise else super().compute_mask(x, mask)

    def config(self) -> dict[str, object]:
        return {"activation": self.activation.name}
