"""The plainest recurrent layer: its output is fed back into it."""

from typing import Any

from numpy_impl.activations import ActivationFunction
from numpy_impl.layers.formula import Number, Weights, activate, added, through
from numpy_impl.layers.recurrent import Recurrent, Seen, State, Summands


class SimpleRNN(Recurrent):
    """``h_t = f(x_t @ kernel + h_(t-1) @ recurrent_kernel + bias)``, with ``h_0 = 0``.

    Shapes: kernel (features, units), recurrent_kernel (units, units), bias (units,).

    Backward through one step, with ``d = dC/dh_t * f'``: ``dC/dh_(t-1) = d @ recurrent_kernel.T``,
    to which the gradient that ``h_(t-1)`` has as an output is added.

    Reference: Elman (1990), "Finding structure in time", Cognitive Science 14(2), 179-211.
    """

    def __init__(
        self,
        units: int,
        activation: str | ActivationFunction | None = "tanh",
        use_bias: bool = True,
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

    def step(self, z: Number, state: State, seen: Seen, w: Weights) -> tuple[State, Any]:
        bias = (w["bias"],) if self.use_bias else ()
        z = added(z, self.product(seen, w["recurrent_kernel"]), *bias)
        a = activate(z, self.activation)
        return (a,), (z, a)

    def step_back(
        self, deltas: State, kept: Any, w: Weights
    ) -> tuple[Number, Number, Seen, Summands]:
        z, a = kept
        d = through(deltas[0], self.activation, z, a)
        return d, d, self.product_back(d, w["recurrent_kernel"], 1), ((),)
