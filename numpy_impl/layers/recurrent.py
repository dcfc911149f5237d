"""What SimpleRNN, LSTM and GRU have in common: the way through time, forward and back.

A recurrent layer reads a sequence step by step and carries a state from each to the next. What one
step computes is the business of the layer itself (:meth:`Recurrent.step`, and
:meth:`Recurrent.step_back` below it); here are the loop over the steps and the gradients of the
weights, which all steps share, so that each is a sum over samples and steps.

The way back is backpropagation through time (Werbos, 1990, "Backpropagation through time: what it
does and how to do it", Proceedings of the IEEE 78(10), 1550-1560).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from numpy_impl import activations, initializers
from numpy_impl.layers.formula import FormulaLayer, Number, Weights, added, dropped, followed
from numpy_impl.types import Array, Shape

State = tuple[Number, ...]
# What products have of an array: itself, or what each gate has of it.
Seen = list[Number]
# The summands of the gradient at each part of a state.
Summands = tuple[tuple[Number, ...], ...]


class Recurrent(FormulaLayer):
    """A layer that reads (batch, time, features) step by step; not used by itself.

    Args:
        units: Length of the state ``h``, which is also the output of a step.
        activation: Name of the function at the step's end.
        use_bias: Whether there is a bias.
        return_sequences: Whether to return every step's ``h``, shape (batch, time, units), in the
            order in which they are computed, or the last one's, shape (batch, units).
        return_state: Whether to return, behind that, the parts of the last state, ``h`` first,
            each of shape (batch, units).
        go_backwards: Whether to read the sequence from its end.
        zero_output_for_mask: Whether a step that a mask leaves out gives zeros; otherwise it gives
            what the step before it gave.
        stateful: Whether a call begins with the state that the call before ended with, sample by
            sample, until ``reset_state``. No gradient goes back into the call before.
        dropout: Rate, in [0, 1), at which numbers of the inputs are dropped in training.
        recurrent_dropout: Likewise of the state before each step, in its products.

    What is dropped is the same at all steps of a sequence. With ``recurrent_dropout`` each gate has
    masks of its own, as in Keras. (Gal and Ghahramani, 2016, "A theoretically grounded application
    of dropout in recurrent neural networks", arXiv:1512.05287, section 4.)

    Called on several inputs, it takes the parts of the state to begin with behind the sequence. No
    step is left out then, whatever the mask: Keras does not hand it over (3.15.1).
    """

    weight_names = ("kernel", "recurrent_kernel", "bias")
    groups = ("cell",)
    uses_mask = True
    notes_mask = True
    call_inputs = ("sequences", "initial_state")
    # How many times ``units`` the kernels are wide, and the parts of the state.
    gates: ClassVar[int] = 1
    parts: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        units: int,
        activation: str | activations.ActivationFunction | None,
        use_bias: bool,
        return_sequences: bool,
        return_state: bool,
        go_backwards: bool,
        zero_output_for_mask: bool,
        stateful: bool,
        dropout: float,
        recurrent_dropout: float,
    ) -> None:
        name = type(self).__name__
        if units < 1:
            raise ValueError(f"{name} expects at least one unit. Received: units={units}")
        if not (0 <= dropout < 1 and 0 <= recurrent_dropout < 1):
            raise ValueError(
                f"{name} expects rates of dropout in [0, 1). Received: dropout={dropout}, "
                f"recurrent_dropout={recurrent_dropout}"
            )
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.zero_output_for_mask = zero_output_for_mask
        self.stateful = stateful
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.rng = np.random.default_rng()
        self.carried_names = self.parts if stateful else ()
        self.weight_names = type(self).weight_names[: 2 + use_bias]

    @classmethod
    def from_keras(cls, config: Mapping[str, Any]) -> Self:
        # Unrolled or not, Keras computes the same.
        return super().from_keras({k: v for k, v in config.items() if k != "unroll"})

    def build(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2 or not input_shape[0]:
            raise ValueError(
                f"{type(self).__name__} expects inputs of shape (batch, time, features). "
                f"Received: input_shape={input_shape}"
            )
        super().build(input_shape)
        return (*input_shape[: self.return_sequences], self.units)

    def build_many(self, input_shapes: Sequence[Shape]) -> Shape:
        self.merges = len(input_shapes) > 1
        self.notes_mask = not self.merges
        expected = [(self.units,)] * len(self.parts)
        if self.merges and list(input_shapes[1:]) != expected:
            raise ValueError(
                f"{type(self).__name__} expects, as the state to begin with, shapes {expected}. "
                f"Received: {list(input_shapes[1:])}"
            )
        return self.build(input_shapes[0])

    def further_shapes(self) -> list[Shape]:
        return [(self.units,)] * len(self.parts) if self.return_state else []

    def weight_shapes(self) -> list[Shape]:
        wide = self.gates * self.units
        shapes: list[Shape] = [(self.input_shape[1], wide), (self.units, wide), (wide,)]
        return shapes[: len(self.weight_names)]

    def initialize(self, rng: np.random.Generator) -> None:
        arrays = self.arrays
        arrays["kernel"][...] = initializers.glorot_uniform(arrays["kernel"].shape, rng)
        arrays["recurrent_kernel"][...] = initializers.orthogonal(
            arrays["recurrent_kernel"].shape, rng
        )

    def compute_mask(self, x: Any, mask: Any) -> Array | None:
        first = mask[0] if self.merges else mask
        return first if self.return_sequences else None

    def drops(self) -> list[tuple[float, Shape]]:
        gates = self.gates if self.recurrent_dropout else 1
        rates, lengths = (self.dropout, self.recurrent_dropout), (self.input_shape[1], self.units)
        return [(rate, (gates, n)) for rate, n in zip(rates, lengths, strict=True) if rate]

    def step(self, z: Number, state: State, seen: Seen, w: Weights) -> tuple[State, Any]:
        """Return the state after a step, ``h`` first, and what :meth:`step_back` needs.

        Args:
            z: ``x_t @ kernel``, shape (batch, gates * units).
            state: The state before the step; each part has the shape (batch, units).
            seen: What the gates' products have of ``h``: :meth:`product` takes it.
            w: The weights by name.
        """
        raise TypeError(f"{type(self).__name__} defines no step")

    def step_back(
        self, deltas: State, kept: Any, w: Weights
    ) -> tuple[Number, Number, Seen, Summands]:
        """Return the gradients at ``z``, at the recurrent product, at what it has of ``h``, and at
        the state before, beside that.

        Args:
            deltas: The gradient at each part of the state after the step.
            kept: What :meth:`step` returned beside the state.
            w: The weights by name.
        """
        raise TypeError(f"{type(self).__name__} defines no step_back")

    def product(self, seen: Seen, kernel: Number) -> Number:
        """Return ``seen @ kernel``; of several, one for each gate, each with its part of it."""
        if len(seen) == 1:
            return seen[0] @ kernel
        return np.concatenate(
            [part @ of_gate for part, of_gate in zip(seen, self._parted(kernel), strict=True)],
            axis=1,
        )

    def product_back(self, delta: Number, kernel: Number, count: int) -> Seen:
        """Return the gradient at each of the ``count`` arrays that :meth:`product` took."""
        if count == 1:
            return [delta @ kernel.T]
        parts = zip(self._parted(delta), self._parted(kernel), strict=True)
        return [d @ of_gate.T for d, of_gate in parts]

    def gradient_of_kernel(self, seen: Seen, delta: Number) -> Number:
        """Return the gradient of the kernel in :meth:`product`, summed over all rows."""
        if len(seen) == 1:
            return seen[0].T @ delta
        parts = zip(seen, self._parted(delta), strict=True)
        return np.concatenate([part.T @ d for part, d in parts], axis=1)

    def _parted(self, x: Number) -> Seen:
        n = self.units
        return [x[:, k : k + n] for k in range(0, x.shape[1], n)]

    def gradient_of_recurrent_kernel(
        self, seen: Seen, delta: Number, kept: Sequence[Any]
    ) -> Number:
        """Return ``dC/drecurrent_kernel`` from what all steps' products had of ``h``.

        Args:
            seen: Each of shape (time * batch, units).
            delta: The gradient at the recurrent product, shape (time * batch, gates * units).
            kept: What each :meth:`step` returned beside the state.
        """
        return self.gradient_of_kernel(seen, delta)

    def compute(
        self,
        x: Any,
        w: Weights,
        training: bool,
        mask: Any = None,
        dropout_masks: Sequence[Array] | None = None,
    ) -> tuple[Any, Any]:
        x, *start = x if self.merges else [x]
        mask = None if self.merges else mask
        if self.stateful and not start:
            start = [w[part] for part in self.parts if part in w]
        steps = self._in_order(np.swapaxes(x, 0, 1))
        times, batch, features = steps.shape
        of_input, of_state = self._masks(dropout_masks)
        inputs = [
            np.reshape(part, (times * batch, features))
            for part in _apart(steps, of_input, self.dropout)
        ]
        wide = self.gates * self.units
        z = np.reshape(self.product(inputs, w["kernel"]), (times, batch, wide))
        # Which samples take part in a step, shape (time, batch, 1).
        taken = None if mask is None else self._in_order(mask.T[:, :, None])
        shown = self._shown_steps(taken)
        state: State = tuple(followed(part) for part in start)
        state = state or (np.zeros_like(z[0][:, : self.units]),) * len(self.parts)
        befores: list[Seen] = []
        caches: list[Any] = []
        outputs: list[Number] = []
        for t in range(times):
            h = state[0]
            seen = _apart(h, of_state, self.recurrent_dropout)
            befores.append(seen)
            new, kept = self.step(z[t], state, seen, w)
            if taken is not None:
                new = tuple(_chosen(taken[t], n, o) for n, o in zip(new, state, strict=True))
            state = tuple(followed(part) for part in new)
            caches.append(kept)
            if self.return_sequences:
                outputs.append(_shown(state[0], shown, t))
        last = _shown(state[0], shown, times - 1)
        output = np.stack(outputs, axis=1) if self.return_sequences else last
        kept = inputs, befores, caches, taken, shown, (of_input, of_state), state
        return [output, *state] if self.return_state else output, kept

    def differentiate(self, delta: Any, kept: Any, w: Weights) -> tuple[dict[str, Number], Any]:
        inputs, befores, caches, taken, shown, (of_input, of_state), _ = kept
        times, batch = len(befores), len(befores[0][0])
        delta, *of_end = delta if self.return_state else [delta]
        wide = self.gates * self.units
        dz = np.zeros_like(inputs[0], shape=(times, batch, wide))
        du = np.zeros_like(inputs[0], shape=(times, batch, wide))
        summands: Summands = tuple(() if d is None else (d,) for d in of_end)
        summands = summands or ((),) * len(self.parts)
        for t in reversed(range(times)):
            if delta is not None and (self.return_sequences or t == times - 1):
                given = _shown(delta[:, t] if self.return_sequences else delta, shown, t)
                summands = ((given, *summands[0]), *summands[1:])
            deltas = tuple(followed(_sum(terms, befores[t][0])) for terms in summands)
            past: Summands = ((),) * len(self.parts)
            if taken is not None:
                # The gradient of a sample that is left out goes past the step.
                past = tuple((_chosen(taken[t], 0.0, d),) for d in deltas)
                deltas = tuple(_chosen(taken[t], d, 0.0) for d in deltas)
            dz[t], du[t], of_seen, summands = self.step_back(deltas, caches[t], w)
            before = tuple(_together(of_seen, of_state, self.recurrent_dropout))
            summands = ((*before, *summands[0]), *summands[1:])
            summands = tuple((*p, *s) for p, s in zip(past, summands, strict=True))
        flat = np.reshape(dz, (times * batch, wide))
        recurrent = np.reshape(du, (times * batch, wide))
        seen = [np.concatenate(parts, axis=0) for parts in zip(*befores, strict=True)]
        gradients: dict[str, Number] = {
            "kernel": self.gradient_of_kernel(inputs, flat),
            "recurrent_kernel": self.gradient_of_recurrent_kernel(seen, recurrent, caches),
        }
        if self.use_bias:
            gradients["bias"] = self.gradient_of_bias(flat, recurrent)
        of_inputs = [
            np.reshape(d, (times, batch, -1))
            for d in self.product_back(flat, w["kernel"], len(inputs))
        ]
        dx = added(*_together(of_inputs, of_input, self.dropout))
        dx = np.swapaxes(self._in_order(dx), 0, 1)
        of_start = [_sum(terms, befores[0][0]) for terms in summands]
        return gradients, [dx, *of_start] if self.merges else dx

    def left_behind(self, kept: Any) -> dict[str, Number]:
        return dict(zip(self.parts, kept[-1], strict=True)) if self.stateful else {}

    def gradient_of_bias(self, dz: Number, du: Number) -> Number:
        """Return ``dC/dbias`` from the gradients at ``z`` and at the recurrent product."""
        return np.sum(dz, axis=0)

    def _masks(self, dropout_masks: Sequence[Array] | None) -> list[Array | None]:
        """Return the masks of the inputs and of the state, each None where nothing is dropped."""
        given = iter(dropout_masks or ())
        rates = (self.dropout, self.recurrent_dropout)
        return [next(given) if rate and dropout_masks else None for rate in rates]

    def _in_order(self, steps: Number) -> Number:
        """Return the steps as they are read; the same again puts them back."""
        return np.flip(steps, 0) if self.go_backwards else steps

    def _shown_steps(self, taken: Array | None) -> Array | None:
        """Return at which steps the state is the output, which is 0 at others; None: at all."""
        if taken is None or self.zero_output_for_mask:
            return taken
        # A step that is left out repeats the output before it. In front of the first one that is 0,
        # in Keras, also where the state is not.
        return np.maximum.accumulate(taken, axis=0) if self.stateful else None

    def config(self) -> dict[str, object]:
        return {
            "units": self.units,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "zero_output_for_mask": self.zero_output_for_mask,
            "stateful": self.stateful,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }


def _apart(x: Number, mask: Array | None, rate: float) -> Seen:
    """Return what dropout lets through of ``x``, once for each gate with a mask of its own.

    Args:
        x: Shape (batch, n) or (time, batch, n).
        mask: Shape (batch, gates or 1, n); None: nothing is dropped.
        rate: The rate.
    """
    if mask is None:
        return [x]
    return [dropped(x, mask[:, k], rate) for k in range(mask.shape[1])]


def _together(gradients: Seen, mask: Array | None, rate: float) -> Seen:
    """Return the terms of the gradient at ``x``, from those at what :func:`_apart` returned."""
    if mask is None:
        return gradients
    return [dropped(gradients[k], mask[:, k], rate) for k in range(mask.shape[1])]


def _shown(h: Number, shown: Array | None, t: int) -> Number:
    """Return what a step gives for the state ``h``; the gradient passes likewise."""
    return h if shown is None else _chosen(shown[t], h, 0.0)


def _sum(terms: tuple[Number, ...], like: Number) -> Number:
    return added(*terms) if terms else np.zeros_like(like)


def _chosen(condition: Array, a: Number, b: Number) -> Number:
    where: Any = np.where
    return where(condition, a, b)
