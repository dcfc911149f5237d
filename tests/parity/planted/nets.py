"""The documents' networks, and small ones of the same structure on which most bugs are planted."""

from dataclasses import dataclass
from typing import Any

from numpy_impl import Sequential
from numpy_impl.layers import Dense, Dropout


@dataclass(frozen=True)
class Net:
    """What a style is asked to build.

    Attributes:
        name: What to call it; the documented ones are references by this name.
        sizes: Inputs, then the units of each layer.
        hidden: Activation of the hidden layers.
        output: Activation of the output.
        loss: "squared" (half the squared error) or "cross-entropy", averaged over the batch.
        bias: Whether there are biases.
        keep: Share of hidden units that dropout keeps.
        decay: Coefficient of the kernels in their gradients.
        optimizer: "sgd", "momentum", "rmsprop" or "adam".
        styles: In which it is built.
    """

    name: str
    sizes: tuple[int, ...]
    hidden: str
    output: str
    loss: str
    bias: bool = True
    keep: float = 1.0
    decay: float = 0.0
    optimizer: str = "sgd"
    styles: str = "ABC"

    @property
    def reference(self) -> Any:
        """What to give to :func:`parity.check`."""
        if self.name[0].isdigit():
            return self.name
        layers = []
        for units in self.sizes[1:-1]:
            layers.append(Dense(units, self.hidden, use_bias=self.bias))
            if self.keep < 1:
                layers.append(Dropout(1 - self.keep))
        layers.append(Dense(self.sizes[-1], self.output, use_bias=self.bias))
        return Sequential(layers, self.sizes[0], None, "float64", self.name)


SMALL = 6, 5, 4, 3
SIGMOID = Net("sigmoid", SMALL, "sigmoid", "sigmoid", "squared", styles="ABCD")
TANH = Net("tanh", SMALL, "tanh", "tanh", "squared")
SOFTMAX = Net("softmax", SMALL, "sigmoid", "softmax", "cross-entropy")
RELU = Net("relu", SMALL, "relu", "softmax", "cross-entropy")
PLAIN = Net("no biases", SMALL, "tanh", "softmax", "squared", bias=False)
DROPOUT = Net("dropout", (6, 8, 3), "tanh", "softmax", "squared", bias=False, keep=0.8)
SQUARE = Net("square", (5, 4, 4, 4, 3), "sigmoid", "softmax", "cross-entropy")
EQUAL = Net("equal", (5, 5, 5), "sigmoid", "sigmoid", "squared", styles="ABCD")
DECAY = Net("decay", SMALL, "sigmoid", "softmax", "cross-entropy", decay=0.03)
MOMENTUM = Net("momentum", SMALL, "sigmoid", "softmax", "cross-entropy", optimizer="momentum")
RMSPROP = Net("rmsprop", SMALL, "relu", "softmax", "cross-entropy", optimizer="rmsprop")
ADAM = Net("adam", SMALL, "tanh", "softmax", "cross-entropy", optimizer="adam")

D0 = Net("64-40-10", (64, 40, 10), "sigmoid", "sigmoid", "squared", styles="AD")
D2 = Net("64-200-10", (64, 200, 10), "tanh", "softmax", "squared", False, 0.5, styles="AB")
D2_WHOLE = Net("64-200-10", (64, 200, 10), "tanh", "softmax", "squared", False, styles="BC")
D3 = Net("784-64-10", (784, 64, 10), "sigmoid", "softmax", "cross-entropy", styles="BC")
D4 = Net("784-500-300-10", (784, 500, 300, 10), "relu", "softmax", "cross-entropy", styles="A")

NETS = [SIGMOID, TANH, SOFTMAX, RELU, PLAIN, DROPOUT, SQUARE, EQUAL, DECAY]
NETS += [MOMENTUM, RMSPROP, ADAM, D0, D2, D2_WHOLE, D3, D4]
