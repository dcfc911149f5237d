"""Long short-term memory: a recurrent layer with a cell that gates write to, keep and read."""

from typing import Any

import numpy as np

from numpy_impl import activations
from numpy_impl.activations import ActivationFunction
from numpy_impl.layers.formula import Number, Weights, activate, added, through
from numpy_impl.layers.recurrent import Recurrent, Seen, State, Summands


class LSTM(Recurrent):
    """``c_t = f * c_(t-1) + i * g``, ``h_t = o * tanh(c_t)``, with ``h_0 = c_0 = 0``.

    The input gate ``i``, the forget gate ``f``, the candidate ``g`` and the output gate ``o`` are
    ``s(z_i)``, ``s(z_f)``, ``tanh(z_g)`` and ``s(z_o)``: the four parts, in this order, of
    ``z = x_t @ kernel + h_(t-1) @ recurrent_kernel + bias``. ``tanh`` stands for ``activation``,
    the sigmoid ``s`` for ``recurrent_activation``.

    Shapes: kernel (features, 4 units), recurrent_kernel (units, 4 units), bias (4 units,).

    Backward through one step, with ``dc = dC/dc_t + dC/dh_t * o * tanh'(c_t)``: the gates get
    ``dc * g``, ``dc * c_(t-1)``, ``dc * i`` and ``dC/dh_t * tanh(c_t)``, each times its slope;
    ``dC/dc_(t-1) = dc * f``, and ``dC/dh_(t-1)`` comes through ``z``.

    The arguments that are not named here are those of ``Recurrent``.

    Args:
        recurrent_activation: Name of the gates' function.
        unit_forget_bias: Whether the forget gate's bias starts at 1, so that the cell remembers
            before it has learned what to forget.

    Reference: Hochreiter and Schmidhuber (1997), "Long short-term memory", Neural Computation 9(8),
    1735-1780; with the forget gate of Gers, Schmidhuber and Cummins (2000), "Learning to forget",
    Neural Computation 12(10), 2451-2471.
    """

    gates = 4
    parts = ("h", "c")

    def __init__(
        self,
        units: int,
        activation: str | ActivationFunction | None = "tanh",
        recurrent_activation: str | ActivationFunction | None = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        zero_output_for_mask: bool = False,
        stateful: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        options = return_sequences, return_state, go_backwards, zero_output_for_mask, stateful
        super().__init__(units, activation, use_bias, *options, dropout, recurrent_dropout)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def initialize(self, rng: np.random.Generator) -> None:
        super().initialize(rng)
        if self.use_bias and self.unit_forget_bias:
            self.arrays["bias"][self.units : 2 * self.units] = 1

    def step(self, z: Number, state: State, seen: Seen, w: Weights) -> tuple[State, Any]:
        c = state[1]
        bias = (w["bias"],) if self.use_bias else ()
        z = added(z, self.product(seen, w["recurrent_kernel"]), *bias)
        n = self.units
        z_i, z_f, z_g, z_o = (z[:, k * n : (k + 1) * n] for k in range(4))
        i, f, o = (activate(v, self.recurrent_activation) for v in (z_i, z_f, z_o))
        g = activate(z_g, self.activation)
        new = f * c + i * g
        a = activate(new, self.activation)
        return (o * a, new), ((z_i, z_f, z_g, z_o), (i, f, g, o), c, new, a, len(seen))

    def step_back(
        self, deltas: State, kept: Any, w: Weights
    ) -> tuple[Number, Number, Seen, Summands]:
        (z_i, z_f, z_g, z_o), (i, f, g, o), c, new, a, count = kept
        dh, dc = deltas
        s = self.recurrent_activation
        dc = dc + through(dh * o, self.activation, new, a)
        d = np.concatenate(
            [
                through(dc * g, s, z_i, i),
                through(dc * c, s, z_f, f),
                through(dc * i, self.activation, z_g, g),
                through(dh * a, s, z_o, o),
            ],
            axis=1,
        )
        return d, d, self.product_back(d, w["recurrent_kernel"], count), ((), (dc * f,))

    def config(self) -> dict[str, object]:
        return super().config() | {
            "recurrent_activation": self.recurrent_activation.name,
            "unit_forget_bias": self.unit_forget_bias,
        }
