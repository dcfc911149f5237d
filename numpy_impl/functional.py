"""Networks whose layers branch and meet again: several inputs and outputs, and shared layers.

Every tensor has a name: the inputs their own, and the output of a layer that of its call. So a
residual block is

>>> layers = [Dense(8, "relu"), Dense(4), Add(), Dense(2)]
>>> first, second, add, last = layers
>>> Functional(
...     {"x": 4},
...     [
...         Call("first", first, ("x",)),
...         Call("second", second, ("first",)),
...         Call("sum", add, ("x", "second")),
...         Call("last", last, ("sum",)),
...     ],
...     ["last"],
... )

Backpropagation runs through the calls in reverse. Where a tensor goes into several calls, the
gradients that come back from them are added: that is the chain rule for a sum of paths. Where a
layer is called several times, the gradients of its weights are added likewise.
"""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import numpy as np

from numpy_impl import validation
from numpy_impl.layers import Layer
from numpy_impl.losses import Loss
from numpy_impl.network import (
    Call,
    Network,
    Sequential,
    check_new,
    fused_layer,
    loss_gradient,
)
from numpy_impl.step_masks import StepMasks
from numpy_impl.types import Array, DTypeLike, Shape

# One array, or one for each input or output where there are several.
Arrays = Any


class Functional(Network):
    """Layers in a directed acyclic graph.

    Args:
        inputs: The shape of one sample of each input, by the input's name; an int n means (n,).
        calls: What is computed, sources first. A layer in several calls is shared by them.
        outputs: The names of the outputs.
        rng: Source of the initial weights and of dropout masks; None starts all weights at 0.
        dtype: "float32" or "float64", of weights and computation.
        name: What to call the network in reports and files.
        layer_names: What to call the layers in the names of weights, in the order of their first
            calls; None: as those calls.

    Raises:
        ValueError: A name that is used twice or is not known, a layer that belongs to a network or
            whose calls would need weights of different shapes, or that is stateful and called
            twice, a call that leads to no output.
    """

    def __init__(
        self,
        inputs: Mapping[str, int | Shape],
        calls: Sequence[Call],
        outputs: Sequence[str],
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = "float32",
        name: str = "functional",
        layer_names: Sequence[str] | None = None,
    ) -> None:
        self.input_names, self.output_names = list(inputs), list(outputs)
        _check_names(self.input_names, calls, self.output_names)
        first = {id(call.layer): call for call in reversed(calls)}
        order = [call for call in calls if first[id(call.layer)] is call]
        self.layers = [call.layer for call in order]
        self.layer_names = list(layer_names or [call.name for call in order])
        if len(set(self.layer_names)) != len(self.layers):
            raise ValueError(
                f"Expected {len(self.layers)} names of layers, each another. "
                f"Received: {', '.join(self.layer_names)}"
            )
        self.shapes = {n: (s,) if isinstance(s, int) else tuple(s) for n, s in inputs.items()}
        for layer in self.layers:
            check_new(layer)
        # A layer that is called again is copied before: what each call keeps is its own.
        self.calls = [
            Call(c.name, c.layer if first[id(c.layer)] is c else copy.copy(c.layer), c.sources)
            for c in calls
        ]
        for call in self.calls:
            built = _built(call, [self.shapes[s] for s in call.sources])
            self.shapes |= zip(call.outputs, [built, *call.layer.further_shapes()], strict=True)
        self._allocate(dtype, name)
        names = {id(layer): n for n, layer in zip(self.layer_names, self.layers, strict=True)}
        self.owners = [names[id(call.layer)] for call in calls]
        # The calls of each layer that is shared.
        self.shared: list[list[Layer]] = []
        for own, layer in zip(self.layer_names, self.layers, strict=True):
            layer.built = True
            again = [
                c.layer for c, owner in zip(self.calls, self.owners, strict=True) if owner == own
            ]
            if len(again) > 1:
                if layer.carried_names:
                    raise ValueError(
                        f"Expected one call of {own}, which is stateful. Received: {len(again)}"
                    )
                _share(again)
                self.shared.append(again)
        self._initialize(rng)

    def _of_layers(self, layers: list[Layer], dtype: DTypeLike) -> Self:
        new = dict(zip(self.layer_names, layers, strict=True))
        calls = [
            Call(call.name, new[owner], call.sources)
            for call, owner in zip(self.calls, self.owners, strict=True)
        ]
        inputs = {name: self.shapes[name] for name in self.input_names}
        return type(self)(
            inputs, calls, self.output_names, None, dtype, self.name, self.layer_names
        )

    @property
    def input_shape(self) -> Shape:
        """The shape of one sample, of a network with one input."""
        if len(self.input_names) != 1:
            raise ValueError(f"Expected a network with one input. Received: {self._ends()}")
        return self.shapes[self.input_names[0]]

    @property
    def output_shape(self) -> Shape:
        """The shape of one sample's output, of a network with one output."""
        if len(self.output_names) != 1:
            raise ValueError(f"Expected a network with one output. Received: {self._ends()}")
        return self.shapes[self.output_names[0]]

    def _ends(self) -> str:
        return f"inputs {', '.join(self.input_names)} and outputs {', '.join(self.output_names)}"

    def forward(
        self,
        x: Arrays,
        training: bool = False,
        masks: Sequence[Array] | None = None,
    ) -> Arrays:
        """Return the outputs for a batch; a list of them where there are several.

        Args:
            x: The batch, (N, *input_shape); a list of arrays where there are several inputs. It is
                not checked here, see :meth:`predict`.
            training: As in ``Sequential.forward``.
            masks: Boolean masks (True: kept) as ``draw_masks`` has them; None: new ones.
        """
        tensors = self._tensors(x, training, masks)
        return one_or_list([tensors[name] for name in self.output_names])

    def layer_outputs(
        self,
        x: Arrays,
        training: bool = False,
        masks: Sequence[Array] | None = None,
    ) -> list[Array]:
        """Return what all ``tensor_names`` are; arguments as in :meth:`forward`."""
        tensors = self._tensors(x, training, masks)
        return [tensors[name] for name in self.tensor_names]

    def _tensors(
        self, x: Arrays, training: bool, masks: Sequence[Array] | None
    ) -> dict[str, Array]:
        arrays = [np.asarray(array, self.dtype) for array in as_list(x)]
        tensors = dict(zip(self.input_names, arrays, strict=True))
        steps = StepMasks(self.input_names)
        for call, named in zip(self.calls, self.masks_of_layers(masks), strict=True):
            layer, sources = call.layer, call.sources
            arrays = [tensors[source] for source in sources]
            taken: Any = arrays if layer.merges else arrays[0]
            if self.masks_steps and layer.uses_mask:
                named["mask"] = steps.of(layer, sources)
            if self.masks_steps:
                steps.hand_on(layer, sources, taken, call.outputs)
            returned = layer.forward(taken, training, **named)
            tensors |= zip(call.outputs, as_list(returned), strict=True)
        return tensors

    def predict(self, x: Arrays, batch_size: int = 1000) -> Arrays:
        """Return the outputs for any number of samples, computed in batches, dropout inactive.

        Raises:
            ValueError: Another number of inputs, or one that is not (N, *its shape) or not finite.
        """
        arrays = self.check_inputs(x)
        n = len(arrays[0])
        outputs = [np.empty((n, *self.shapes[s]), self.dtype) for s in self.output_names]
        for i in range(0, n, batch_size):
            batch = as_list(self.forward([array[i : i + batch_size] for array in arrays]))
            for whole, part in zip(outputs, batch, strict=True):
                whole[i : i + batch_size] = part
        return one_or_list(outputs)

    def check_inputs(self, x: Arrays) -> list[Array]:
        """Return the inputs as arrays of the network's dtype, or raise what is wrong with them."""
        arrays = as_list(x)
        if len(arrays) != len(self.input_names):
            raise ValueError(
                f"Expected {len(self.input_names)} inputs, {', '.join(self.input_names)}. "
                f"Received: {len(arrays)}"
            )
        checked = [
            validation.inputs(array, self.shapes[name], self.dtype, f"inputs {name}")
            for name, array in zip(self.input_names, arrays, strict=True)
        ]
        if len({len(array) for array in checked}) > 1:
            lengths = ", ".join(str(len(array)) for array in checked)
            raise ValueError(f"Expected as many samples of each input. Received: {lengths}")
        return checked

    def loss_and_gradients(
        self,
        x: Arrays,
        y: Arrays,
        loss: Loss,
        masks: Sequence[Array] | None = None,
        sample_weight: Arrays | None = None,
    ) -> tuple[float, list[Array]]:
        """Run forward and backward in training mode on one batch.

        Args:
            x: The inputs; a list where there are several.
            y: The targets; likewise.
            loss: Of several outputs a :class:`numpy_impl.losses.WeightedSum`.
            masks: As in :meth:`forward`.
            sample_weight: As in ``Sequential.loss_and_gradients``; a list where there are several
                outputs.

        Returns:
            The cost, and the gradient of each trained weight in the order of ``trained_names``.
            These are views that the next call overwrites.
        """
        outputs = self.forward(x, True, masks)
        self.backward(outputs, y, loss, sample_weight)
        cost = loss.value(self.loss_input(outputs, loss), y, sample_weight) + self.penalty()
        return cost, self.weight_gradients

    def loss_input(self, outputs: Arrays, loss: Loss) -> Arrays:
        """Return what ``loss`` is evaluated at: outputs, or for a fused loss the logits."""
        by_name = {name: call.layer for call in self.calls for name in call.outputs}
        rows = zip(self.output_names, as_list(outputs), loss.terms(), strict=True)
        return one_or_list(
            [fused_layer(by_name[n]).z if term.fused else output for n, output, (term, _) in rows]
        )

    def backward(
        self, outputs: Arrays, y: Arrays, loss: Loss, sample_weight: Arrays | None = None
    ) -> None:
        """Backpropagate the cost of the last forward pass, whose ``outputs`` are given."""
        by_name = {name: call.layer for call in self.calls for name in call.outputs}
        taken = {source for call in self.calls for source in call.sources}
        deltas: dict[str, Array] = {}
        given = [None] * len(self.output_names)
        given = given if sample_weight is None else as_list(sample_weight)
        ends = zip(self.output_names, as_list(outputs), as_list(y), given, strict=True)
        for (name, output, targets, own), (term, weight) in zip(ends, loss.terms(), strict=True):
            if term.fused and name in taken:
                raise ValueError(
                    "A fused loss expects an output that no other layer takes. "
                    f"Received: {name}, which one does"
                )
            deltas[name] = weight * loss_gradient(by_name[name], output, targets, term, own)
        for call in reversed(self.calls):
            name, layer, sources = call
            if name not in self.trained:
                continue
            further = bool(self.trained & set(sources))
            back: Any = layer.backward(gradients_of(call, deltas), input_gradient=further)
            for source, delta in zip(sources, back if layer.merges else [back], strict=True):
                if source in self.trained:
                    # A new array: what a layer returned may be its workspace.
                    deltas[source] = deltas[source] + delta if source in deltas else delta
        for first, *others in self.shared:
            for weight in first.weight_names:
                for again in others:
                    getattr(first, f"{weight}_gradient")[...] += getattr(
                        again, f"{weight}_gradient"
                    )
        if self.regularized:
            self.add_penalty_gradients()


# What can be trained.
AnyNetwork = Sequential | Functional


def gradients_of(call: Call, deltas: dict[str, Array]) -> Any:
    """Take from ``deltas`` the gradient of what a call returns: a list if it is several arrays.

    What nobody uses has None.
    """
    found: list[Any] = [deltas.pop(name, None) for name in call.outputs]
    return one_or_list(found)


def as_list(arrays: Arrays) -> list[Any]:
    """Return the arrays of several inputs or outputs, or the only one, as a list."""
    several = isinstance(arrays, list | tuple)
    return list(cast(Sequence[Any], arrays)) if several else [arrays]


def one_or_list(arrays: list[Array]) -> Arrays:
    """Return the only array as it is, several as a list."""
    return arrays[0] if len(arrays) == 1 else arrays


def _check_names(inputs: list[str], calls: Sequence[Call], outputs: list[str]) -> None:
    names = [*inputs, *(name for call in calls for name in call.outputs)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not inputs or not outputs or len(set(outputs)) != len(outputs):
        raise ValueError(
            "Expected inputs, calls and outputs with names, each another. "
            f"Received: inputs {inputs}, calls {names[len(inputs) :]}, outputs {outputs}"
        )
    known = set(inputs)
    for call in calls:
        if not call.sources or not known.issuperset(call.sources):
            raise ValueError(
                f"Expected {call.name} to take inputs or outputs of earlier calls. "
                f"Received: {', '.join(call.sources) or 'nothing'}"
            )
        known.update(call.outputs)
    leading = set(outputs)
    for call in reversed(calls):
        if leading.isdisjoint(call.outputs):
            raise ValueError(f"Expected calls that lead to an output. Received: {call.name}")
        leading |= set(call.sources)
    if not known.difference(inputs).issuperset(outputs):
        raise ValueError(f"Expected outputs of calls as outputs. Received: {', '.join(outputs)}")


def _built(call: Call, shapes: list[Shape]) -> Shape:
    try:
        return call.layer.build_many(shapes)
    except ValueError as error:
        raise ValueError(f"{call.name}: {error}") from error


def _share(calls: list[Layer]) -> None:
    """Give the copies that further calls of a layer use its weights, and gradients of their own."""
    first = calls[0]
    for again in calls[1:]:
        if again.weight_shapes() != first.weight_shapes():
            raise ValueError(
                f"Expected calls of one {type(first).__name__} for which its weights fit, shapes "
                f"{first.weight_shapes()}. Received: one that needs {again.weight_shapes()}"
            )
        for name in (*first.weight_names, *first.state_names):
            setattr(again, name, getattr(first, name))
        for name in first.weight_names:
            setattr(again, f"{name}_gradient", np.zeros_like(getattr(first, name)))
