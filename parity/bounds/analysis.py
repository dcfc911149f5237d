"""Rounding bounds of one whole forward and backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpy_impl import layers, losses
from numpy_impl.functional import as_list, one_or_list
from numpy_impl.layers import formula
from numpy_impl.network import Network, mask_of
from numpy_impl.types import Array
from parity.bounds.layers import backward, exact_arrays, forward
from parity.bounds.losses import cost
from parity.bounds.rounding import Approx, Rounding


@dataclass(frozen=True)
class Analysis:
    """Bounded values of one batch's tensors; the lists are in the order of the network's own.

    Attributes:
        outputs: Output of every layer.
        loss: The cost, a scalar.
        gradients: Gradient of every trained weight.
        states: The states after the forward pass by name, those of training in training only, and
            what stateful layers leave for the next pass.
    """

    outputs: list[Approx]
    loss: Approx
    gradients: list[Approx]
    states: dict[str, Approx]


@np.errstate(invalid="ignore", over="ignore")  # infinite bounds
def analyse(
    network: Network,
    x: Any,
    y: Any,
    loss: losses.Loss,
    masks: Sequence[Array] | None = None,
    sample_weight: Any = None,
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
    """
    targets = as_list(y)
    tensors, caches, states, r = _forward(network, x, masks)
    costs: list[Approx] = []
    deltas: dict[str, list[Approx]] = {name: [] for name in tensors}
    counts = [None] * len(targets) if sample_weight is None else as_list(sample_weight)
    rows = zip(network.output_names, targets, counts, loss.terms(), strict=True)
    fused: set[str] = set()
    for name, target, count, (term, weight) in rows:
        entry = caches[name][1] if term.fused else tensors[name]
        value, delta = cost(term, entry, target, count)
        costs.append(value if weight == 1 else value * weight)
        deltas[name].append(delta if weight == 1 else delta * weight)
        fused |= {name} if term.fused else set()
    found: dict[str, list[list[Approx]]] = {name: [] for name in network.layer_names}
    for call, owner in reversed(list(zip(network.calls, network.owners, strict=True))):
        name, layer, sources = call
        if name not in network.trained:
            continue
        given_back: Any = [
            formula.added(*d) if (d := deltas[own]) else None for own in call.outputs
        ]
        own, back = backward(layer, caches[name], one_or_list(given_back), name in fused)
        found[owner].append(own)
        backs: Any = back if layer.merges else [back]
        for source, part in zip(sources, backs, strict=True):
            deltas[source].append(part)
    gradients: list[Approx] = []
    for own, layer in zip(found.values(), network.layers, strict=True):
        for name, calls in zip(layer.weight_names, zip(*own, strict=True), strict=True):
            penalty = layer.regularizers.get(name)
            weight = r.exact(getattr(layer, name))
            # Where the weight is 0 the gradient of |w| is, too, on both sides.
            further = [] if penalty is None else [penalty.gradient(weight)]
            costs += [] if penalty is None else [penalty.penalty(weight)]
            gradients.append(formula.added(*calls, *further))
    outputs = [tensors[name] for name in network.tensor_names]
    return Analysis(outputs, formula.added(*costs), gradients, states)


@np.errstate(invalid="ignore", over="ignore")  # infinite bounds
def analyse_outputs(network: Network, x: Any) -> list[Approx]:
    """Return the bounded tensors of a forward pass, in the order of ``network.tensor_names``.

    Behind them stands what stateful layers leave for the next pass, in the order of
    ``network.carried``.

    Args:
        network: As in :func:`analyse`; it is not in training.
        x: Likewise.
    """
    tensors, _, states, _ = _forward(network, x, None)
    return [*(tensors[name] for name in network.tensor_names), *states.values()]


def _forward(
    network: Network, x: Any, masks: Sequence[Array] | None
) -> tuple[dict[str, Approx], dict[str, Any], dict[str, Approx], Rounding]:
    """Return every tensor, what each call keeps for the way back, and the states."""
    training, inputs = masks is not None, as_list(x)
    r = Rounding(network.dtype, _count(network, len(inputs[0])))
    given = None if masks is None else iter(masks)
    tensors = {n: r.exact(v) for n, v in zip(network.input_names, inputs, strict=True)}
    caches: dict[str, Any] = {}
    states: dict[str, Approx] = {}
    steps: dict[str, Array | None] = dict.fromkeys(network.input_names)
    for call, owner in zip(network.calls, network.owners, strict=True):
        name, layer, sources = call
        mask = next(given) if given and isinstance(layer, layers.Dropout) else None
        mask = steps[sources[0]] if layer.uses_mask else mask
        taken: Any = [tensors[source] for source in sources]
        values = [tensor.value for tensor in taken]
        steps |= dict.fromkeys(call.outputs)
        steps[name] = mask_of(layer, values, [steps[source] for source in sources])
        signal, cache = forward(layer, taken if layer.merges else taken[0], mask, training)
        tensors |= zip(call.outputs, as_list(signal), strict=True)
        caches[name] = cache
        if isinstance(layer, layers.FormulaLayer):
            states |= {f"{owner}/{k}": state for k, state in layer.left_behind(cache).items()}
        if training and isinstance(layer, layers.FormulaLayer):
            # Of a layer that is called again, what the call before left.
            arrays = exact_arrays(layer, r)
            arrays |= {k: states[f"{owner}/{k}"] for k in arrays if f"{owner}/{k}" in states}
            updated = layer.updated_states(cache, arrays)
            states |= {f"{owner}/{name}": state for name, state in updated.items()}
    return tensors, caches, states, r


def _count(network: Network, batch: int) -> int:
    numbers = sum(weight.size for weight in network.weights)
    return 2 * (numbers + batch * sum(int(np.prod(shape)) for shape in network.shapes.values()))
