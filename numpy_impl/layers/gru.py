"""The gated recurrent unit: a recurrent layer whose gates mix the old state and a new one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_impl import activations
from numpy_impl.activations import ActivationFunction
from numpy_impl.layers.formula import Number, Weights, activate, through
from numpy_impl.layers.recurrent import Recurrent, Seen, State, Summands
from numpy_impl.types import Shape


class GRU(Recurrent):
    """``h_t = z * h_(t-1) + (1 - z) * g``, with ``h_0 = 0``.

    The update gate ``z`` and the reset gate ``r`` are ``s(v_z)`` and ``s(v_r)``, with
    ``v = x_t @ kernel + h_(t-1) @ recurrent_kernel + bias``; the kernels' columns are those of
    ``z``, ``r`` and ``g``, in this order. The reset gate decides what the candidate ``g`` sees of
    the state, either after the product, as cuDNN has it and Keras by default (``reset_after``), or
    before it, as in the paper, with ``U_g`` the recurrent kernel's last part:

    - after: ``g = tanh(x_t @ kernel_g + b_g + r * (h_(t-1) @ U_g + b'_g))``, and the recurrent
      product has a bias ``b'`` of its own;
    - before: ``g = tanh(x_t @ kernel_g + b_g + (r * h_(t-1)) @ U_g)``.

    ``tanh`` stands for ``activation``, the sigmoid ``s`` for ``recurrent_activation``. What
    ``z`` keeps of the old state here, ``1 - z`` keeps in some books.

    Shapes: kernel (features, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or
    (3 units,) if reset before.

    Backward through one step, with ``d = dC/dh_t``: the candidate gets ``d * (1 - z) * tanh'``,
    the update gate ``(d * h_(t-1) - d * g) * s'``, and ``h_(t-1)`` gets ``d * z`` beside what comes
    through the products.

    The arguments that are not named here are those of ``Recurrent``.

    Args:
        recurrent_activation: Name of the gates' function.
        reset_after: Where the reset gate stands.

    Reference: Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation", arXiv:1406.1078v3, eq. 5 to 8 (before); v1 (after).
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: str | ActivationFunction | None = "tanh",
        recurrent_activation: str | ActivationFunction | None = "sigmoid",
        use_bias: bool = True,
        reset_after: bool = True,
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
        self.reset_after = reset_after

    def weight_shapes(self) -> list[Shape]:
        *kernels, last = super().weight_shapes()
        return [*kernels, (2, *last) if self.use_bias and self.reset_after else last]

    def step(self, z: Number, state: State, seen: Seen, w: Weights) -> tuple[State, Any]:
        (h,) = state
        n = self.units
        recurrent = w["recurrent_kernel"]
        if self.use_bias:
            z = z + (w["bias"][0] if self.reset_after else w["bias"])
        if self.reset_after:
            u = self.product(seen, recurrent)
            u = u + w["bias"][1] if self.use_bias else u
        else:
            u = self.product(seen[:2], recurrent[:, : 2 * n])
        v_z, v_r = (z[:, part] + u[:, part] for part in (slice(n), slice(n, 2 * n)))
        update, reset = (activate(v, self.recurrent_activation) for v in (v_z, v_r))
        # What the reset gate is multiplied with: the product, or the state itself.
        reached = u[:, 2 * n :] if self.reset_after else seen[-1]
        product = reset * reached
        v_g = z[:, 2 * n :] + (product if self.reset_after else product @ recurrent[:, 2 * n :])
        g = activate(v_g, self.activation)
        rest = 1 - update
        gates = (v_z, v_r, v_g), (update, reset, g)
        return (update * h + rest * g,), (gates, h, rest, reached, len(seen), product)

    def step_back(
        self, deltas: State, kept: Any, w: Weights
    ) -> tuple[Number, Number, Seen, Summands]:
        ((v_z, v_r, v_g), (update, reset, g)), h, rest, reached, count, _ = kept
        (d,) = deltas
        n, s, recurrent = self.units, self.recurrent_activation, w["recurrent_kernel"]
        d_g = through(d * rest, self.activation, v_g, g)
        d_z = through(d * h - d * g, s, v_z, update)
        if self.reset_after:
            d_r = through(d_g * reached, s, v_r, reset)
            dz = np.concatenate([d_z, d_r, d_g], axis=1)
            du = np.concatenate([d_z, d_r, d_g * reset], axis=1)
            return dz, du, self.product_back(du, recurrent, count), ((d * update,),)
        d_product = d_g @ recurrent[:, 2 * n :].T
        d_r = through(d_product * reached, s, v_r, reset)
        dz = np.concatenate([d_z, d_r, d_g], axis=1)
        of_seen = self.product_back(dz[:, : 2 * n], recurrent[:, : 2 * n], min(count, 2))
        if count == 1:  # the product takes the state itself
            return dz, dz, of_seen, ((d * update, d_product * reset),)
        return dz, dz, [*of_seen, d_product * reset], ((d * update,),)

    def gradient_of_recurrent_kernel(
        self, seen: Seen, delta: Number, kept: Sequence[Any]
    ) -> Number:
        if self.reset_after:
            return super().gradient_of_recurrent_kernel(seen, delta, kept)
        n = self.units
        product = np.concatenate([cache[-1] for cache in kept], axis=0)
        of_gates = self.gradient_of_kernel(seen[:2], delta[:, : 2 * n])
        return np.concatenate([of_gates, product.T @ delta[:, 2 * n :]], axis=1)

    def gradient_of_bias(self, dz: Number, du: Number) -> Number:
        if not self.reset_after:
            return super().gradient_of_bias(dz, du)
        return np.stack([np.sum(dz, axis=0), np.sum(du, axis=0)], axis=0)

    def config(self) -> dict[str, object]:
        return super().config() | {
            "recurrent_activation": self.recurrent_activation.name,
            "reset_after": self.reset_after,
        }
