"""Rounding bounds of one whole forward and backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from numpy_impl import layers, losses
from numpy_impl.functional import as_list, one_or_list
from numpy_impl.layers import formula
from numpy_impl.network import Network
from numpy_impl.step_masks import StepMasks
from numpy_impl.types import Array, DTypeLike
from parity.bounds.layers import backward, exact_arrays, forward
from parity.bounds.losses import cost
from parity.bounds.rounding import Approx, LowDtype, Products, Rounding

# For each of a network's layers the dtype that it computes in, and how it forms products.
Precisions = Sequence[tuple[DTypeLike | LowDtype, Products]]


@dataclass(frozen=True)
class Analysis:
    """Bounded values of one batch's tensors; the lists are in the order of the network's own.

    Attributes:
        outputs: Output of every layer.
        loss: The cost, a scalar.
        gradients: Gradient of every trained weight.
        states: The states after the forward pass by name, those of training in training only, and
            what stateful layers leave for the next pass.
        deltas: The gradient of the cost by each tensor that a weight acts on, by name.
    """

    outputs: list[Approx]
    loss: Approx
    gradients: list[Approx]
    states: dict[str, Approx]
    deltas: dict[str, Approx]


class Seen(NamedTuple):
    """What an engine computed on the way, by the names of a network's tensors.

    Attributes:
        tensors: The layers' outputs.
        deltas: The gradients of the cost by these; empty of a forward pass.
    """

    tensors: dict[str, Array]
    deltas: dict[str, Array]


@np.errstate(invalid="ignore", over="ignore")  # infinite bounds
def analyse(
    network: Network,
    x: Any,
    y: Any,
    loss: losses.Loss,
    masks: Sequence[Array] | None = None,
    sample_weight: Any = None,
    precisions: Precisions | None = None,
    seen: Seen | None = None,
) -> Analysis:
    """Bound the rounding errors of a forward and backward pass.

    Args:
        network: Gives the layers, their weights and the precision; it is not changed.
        x: One batch of inputs, as both engines get it; a list where there are several inputs.
        y: Its targets; likewise.
        loss: The NumPy loss.
        masks: One boolean mask for each call of a dropout layer; None: the network is not in
            training.
        sample_weight: How much each place of the outputs counts; a list where there are several.
        precisions: In which precision each layer computes, with weights and inputs that it holds;
            the loss is then computed in float32. None: all in the network's own.
        seen: What one engine computed; each layer is then bounded for the very numbers that it took
            there, forward and backward. None: errors go from layer to layer.
    """
    targets = as_list(y)
    computed, tensors, caches, states, r = _forward(network, x, masks, precisions, seen)
    of_layer = _roundings(network, precisions, r)
    costs: list[Approx] = []
    deltas: dict[str, list[Approx]] = {name: [] for name in tensors}
    counts = [None] * len(targets) if sample_weight is None else as_list(sample_weight)
    rows = zip(network.output_names, targets, counts, loss.terms(), strict=True)
    fused: set[str] = set()
    for name, target, count, (term, weight) in rows:
        entry = caches[name][1] if term.fused else tensors[name]
        value, delta = cost(term, entry.cast(r), target, count)
        costs.append(value if weight == 1 else value * weight)
        deltas[name].append(delta if weight == 1 else delta * weight)
        fused |= {name} if term.fused else set()
    totals: dict[str, Approx] = {}
    found: dict[str, list[list[Approx]]] = {name: [] for name in network.layer_names}
    for call, owner in reversed(list(zip(network.calls, network.owners, strict=True))):
        name, layer, sources = call
        if name not in network.trained:
            continue
        given_back: list[Any] = []
        for own in call.outputs:
            total = None
            if deltas[own]:
                total = formula.added(*(delta.cast(of_layer[owner]) for delta in deltas[own]))
                if own not in fused:  # where it is the gradient by the logits
                    totals[own] = total
                    if seen is not None and own in seen.deltas:
                        total = of_layer[owner].exact(seen.deltas[own])
            given_back.append(total)
        own, back = backward(layer, caches[name], one_or_list(given_back), name in fused)
        found[owner].append(own)
        backs: Any = back if layer.merges else [back]
        for source, part in zip(sources, backs, strict=True):
            deltas[source].append(part)
    gradients: list[Approx] = []
    for own, layer in zip(found.values(), network.layers, strict=True):
        for name, calls in zip(layer.weight_names, zip(*own, strict=True), strict=True):
            penalty = layer.regularizers.get(name)
            # Where the weight is 0 the gradient of |w| is, too, on both sides.
            weight = r.exact(getattr(layer, name))
            further = [] if penalty is None else [penalty.gradient(weight)]
            costs += [] if penalty is None else [penalty.penalty(weight)]
            gradients.append(formula.added(*calls, *further))
    outputs = [computed[name] for name in network.tensor_names]
    return Analysis(outputs, formula.added(*costs), gradients, states, totals)


@np.errstate(invalid="ignore", over="ignore")  # infinite bounds
def analyse_outputs(
    network: Network, x: Any, precisions: Precisions | None = None, seen: Seen | None = None
) -> list[Approx]:
    """Return the bounded tensors of a forward pass, in the order of ``network.tensor_names``.

    Behind them stands what stateful layers leave for the next pass, in the order of
    ``network.carried``.

    Args:
        network: As in :func:`analyse`; it is not in training.
        x: Likewise.
        precisions: Likewise.
        seen: Likewise.
    """
    computed, _, _, states, _ = _forward(network, x, None, precisions, seen)
    return [*(computed[name] for name in network.tensor_names), *states.values()]


def _forward(
    network: Network,
    x: Any,
    masks: Sequence[Array] | None,
    precisions: Precisions | None,
    seen: Seen | None,
) -> tuple[dict[str, Approx], dict[str, Approx], dict[str, Any], dict[str, Approx], Rounding]:
    """Return every tensor, twice, what each call keeps for the way back, and the states.

    The first are the tensors as they come out, the second those that the next layers take.
    """
    training, inputs = masks is not None, as_list(x)
    own = network.dtype if precisions is None else "float32"
    r = Rounding(own, _count(network, len(inputs[0])))
    of_layer = _roundings(network, precisions, r)
    tensors = {n: r.exact(v) for n, v in zip(network.input_names, inputs, strict=True)}
    computed = dict(tensors)
    caches: dict[str, Any] = {}
    states: dict[str, Approx] = {}
    steps = StepMasks(network.input_names)
    calls = zip(network.calls, network.owners, network.masks_of_layers(masks), strict=True)
    for call, owner, dropped in calls:
        name, layer, sources = call
        taken: Any = [tensors[source].cast(of_layer[owner]) for source in sources]
        values = [tensor.value for tensor in taken]
        mask = steps.of(layer, sources) if layer.uses_mask else None
        steps.hand_on(layer, sources, values if layer.merges else values[0], call.outputs)
        given = taken if layer.merges else taken[0]
        signal, cache = forward(layer, given, mask, training, **dropped)
        computed |= zip(call.outputs, as_list(signal), strict=True)
        for output in call.outputs:
            tensors[output] = computed[output]
            if seen is not None:
                tensors[output] = of_layer[owner].exact(seen.tensors[output])
        caches[name] = cache
        if isinstance(layer, layers.FormulaLayer):
            states |= {f"{owner}/{k}": state for k, state in layer.left_behind(cache).items()}
        if training and isinstance(layer, layers.FormulaLayer):
            # Of a layer that is called again, what the call before left.
            arrays = exact_arrays(layer, of_layer[owner])
            arrays |= {k: states[f"{owner}/{k}"] for k in arrays if f"{owner}/{k}" in states}
            updated = layer.updated_states(cache, arrays)
            states |= {f"{owner}/{name}": state for name, state in updated.items()}
    return computed, tensors, caches, states, r


def _roundings(
    network: Network, precisions: Precisions | None, own: Rounding
) -> dict[str, Rounding]:
    """Return the rounding of each layer by its name."""
    if precisions is None:
        return dict.fromkeys(network.layer_names, own)
    return {
        name: replace(own, dtype=dtype, products=products)
        for name, (dtype, products) in zip(network.layer_names, precisions, strict=True)
    }


def _count(network: Network, batch: int) -> int:
    numbers = sum(weight.size for weight in network.weights)
    return 2 * (numbers + batch * sum(int(np.prod(shape)) for shape in network.shapes.values()))
