"""The calls of layers that make up a Keras model, with the models inside it laid flat.

Every tensor has a name: an input that of its layer, and an output that of the call. The first call
of a layer is named as the layer, in models inside the model as "model/layer"; later ones have a
number. A chain of layers is the graph in which each takes what the one before gives.
"""

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import keras
import numpy as np


@dataclass(frozen=True)
class Tensor:
    """The place of a tensor among the arguments of a call, by its name."""

    name: str


@dataclass(frozen=True)
class LayerCall:
    """A layer applied to tensors.

    Attributes:
        name: What its output is called.
        outputs: The names of all that it returns: "lstm", and "lstm:1", "lstm:2" for states.
        layer: The Keras layer.
        owner: The layer's own name, the same in all its calls.
        arguments: What it was called with, by parameter; a :class:`Tensor` stands for each tensor.
        noted: Whether Keras gave it for good, when the model was made, the mask of what it takes.
    """

    name: str
    outputs: tuple[str, ...]
    layer: keras.Layer
    owner: str
    arguments: dict[str, Any]
    noted: bool = False

    @property
    def sources(self) -> list[tuple[str, str]]:
        """The parameter and the name of each tensor that it takes, in the order of parameters."""
        return [(k, tensor.name) for k, value in self.arguments.items() for tensor in _in(value)]

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that are no tensors."""
        return {k: value for k, value in self.arguments.items() if not _in(value)}

    def run(
        self, tensors: dict[str, Any], training: bool, noted: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the layer's outputs by name, for tensors by name.

        Args:
            tensors: What it takes, with the masks that Keras puts on tensors.
            training: Whether it is trained.
            noted: The masks of these that Keras knows when a model is made, by their names; those
                of the outputs are entered. Attention takes masks off tensors, and not from here.
        """

        def filled(leaf: Any) -> Any:
            return tensors[leaf.name] if isinstance(leaf, Tensor) else leaf

        def mask_of(leaf: Any) -> Any:
            return masks.get(leaf.name) if isinstance(leaf, Tensor) else None

        tree: Any = keras.tree
        masks = {} if noted is None else noted
        first, *others = [tree.map_structure(filled, value) for value in self.arguments.values()]
        mask = tree.map_structure(mask_of, next(iter(self.arguments.values())))
        named = dict(zip(list(self.arguments)[1:], others, strict=True))
        named |= {"mask": mask} if self.noted and any(m is not None for m in _flat(mask)) else {}
        returned = self.layer(first, **({"training": training} | named))
        if self.layer.supports_masking:
            kept = _flat(self.layer.compute_mask(first, mask))
            masks |= {n: m for n, m in zip(self.outputs, kept, strict=False) if m is not None}
        return dict(zip(self.outputs, tree.flatten(returned), strict=True))


@dataclass
class Graph:
    """A model's calls, sources first.

    Attributes:
        inputs: The names of the inputs.
        outputs: The names of the outputs.
        calls: The calls.
    """

    inputs: list[str]
    outputs: list[str] = field(default_factory=list[str])
    calls: list[LayerCall] = field(default_factory=list[LayerCall])

    @property
    def layers(self) -> dict[str, keras.Layer]:
        """The layers by name, in the order of their first calls, which is Keras's own."""
        return {call.owner: call.layer for call in self.calls}

    @property
    def tensor_names(self) -> list[str]:
        """The names of all that is computed, in this order."""
        return [name for call in self.calls for name in call.outputs]

    @property
    def is_chain(self) -> bool:
        """Whether each layer is called once, on all that the one before gives and nothing else."""
        names = [*self.inputs, *(call.name for call in self.calls)]
        taken = [[name for _, name in call.sources] for call in self.calls]
        once = len(self.layers) == len(self.calls) and len(self.inputs) == 1
        once = once and all(len(call.outputs) == 1 for call in self.calls)
        return once and taken == [[n] for n in names[:-1]] and self.outputs == names[-1:]

    def last_call(self, name: str) -> LayerCall:
        """Return the call whose output has that name."""
        return next(call for call in self.calls if name in call.outputs)


def graph(model: keras.Model) -> Graph:
    """Return the calls that a Sequential or Functional model consists of.

    Raises:
        ValueError: Another model; or one with an operation such as ``x * 2``, which is no layer.
    """
    inputs = ["input"]
    if _is_functional(model):
        entries: list[Any] = model.inputs
        inputs = [str(tensor._keras_history.operation.name) for tensor in entries]
    made = _Making(Graph(inputs))
    made.graph.outputs = made.apply(model, inputs, "")
    return made.graph


def _is_functional(model: Any) -> bool:
    # keras.Function is the calls, and keras.Model what can be trained.
    return isinstance(model, keras.Function)


def _refused(model: keras.Model, reason: str = "") -> ValueError:
    return ValueError(
        "Expected a Sequential or Functional model that consists of layers. "
        f"Received: {type(model).__name__} {model.name!r}{reason}"
    )


def _flat(value: Any) -> list[Any]:
    tree: Any = keras.tree
    return tree.flatten(value)


def _in(value: Any) -> list[Tensor]:
    """Return the tensors in an argument."""
    tree: Any = keras.tree
    return [leaf for leaf in tree.flatten(value) if isinstance(leaf, Tensor)]


class _Making:
    """A graph on the way."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.called: Counter[int] = Counter()

    def apply(self, model: Any, sources: list[str], prefix: str) -> list[str]:
        """Add the calls of a model that takes ``sources``; return the names of its outputs."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                first = next(iter(inspect.signature(layer.call).parameters))
                given = {first: Tensor(sources[0])}
                sources = self._call(layer, given, prefix, 1, _takes_mask(layer))
            return sources
        if not _is_functional(model):
            raise _refused(model)
        known = dict(zip(map(id, model.inputs), sources, strict=True))
        for node in _nodes(model):
            operation: Any = node.operation
            if not isinstance(operation, keras.Layer):
                raise _refused(model, f", which computes {operation.name!r} besides")
            count = len(node.output_tensors)
            given, noted = _by_parameter(node, known), _given(node)[1]
            outputs = self._call(operation, given, prefix, count, noted)
            known |= dict(zip(map(id, node.output_tensors), outputs, strict=True))
        return [known[id(tensor)] for tensor in model.outputs]

    def _call(
        self, layer: Any, arguments: dict[str, Any], prefix: str, count: int, noted: bool
    ) -> list[str]:
        """Add a call that returns ``count`` tensors; return their names."""
        owner = prefix + str(layer.name)
        if isinstance(layer, keras.Model):
            taken = [tensor.name for value in arguments.values() for tensor in _in(value)]
            return self.apply(layer, taken, f"{owner}/")
        self.called[id(layer)] += 1
        number = self.called[id(layer)]
        if number > 1:  # perhaps inside another model, where the prefix is another
            owner = next(call.owner for call in self.graph.calls if call.layer is layer)
        name = owner if number == 1 else f"{owner} ({number})"
        names = name, *(f"{name}:{i}" for i in range(1, count))
        self.graph.calls.append(LayerCall(name, names, layer, owner, arguments, noted))
        return list(names)


def _nodes(model: Any) -> list[Any]:
    """Return the calls of a Functional model's operations in Keras's order, but for its inputs."""
    place = {id(operation): i for i, operation in enumerate(model.operations)}
    ordered = [
        (-depth, place[id(node.operation)], node.operation._inbound_nodes.index(node), node)
        for depth, nodes in model._nodes_by_depth.items()
        for node in nodes
        if not node.is_input
    ]
    nodes = [node for *_, node in sorted(ordered, key=lambda entry: entry[:3])]
    # What leads to an output, but for the operations of which Keras makes masks by itself.
    needed: list[Any] = []
    leading = set(map(id, model.outputs))
    for node in reversed(nodes):
        if not leading.isdisjoint(map(id, node.output_tensors)):
            needed.append(node)
            leading |= set(map(id, _tensors(list(_given(node)[0].values()))))
    return needed[::-1]


def _tensors(value: Any) -> list[Any]:
    tree: Any = keras.tree
    return [leaf for leaf in tree.flatten(value) if isinstance(leaf, keras.KerasTensor)]


def _takes_mask(layer: Any) -> bool:
    return "mask" in inspect.signature(layer.call).parameters


def _given(node: Any) -> tuple[dict[str, Any], bool]:
    """Return the arguments of a call by parameter, but for what Keras adds where nothing is said.

    That is ``training=False``, and to a layer of one argument the mask that its tensor comes with;
    a list of masks, if that is a list of tensors. Behind them stands whether there was a mask.
    """
    signature = inspect.signature(node.operation.call)
    given = signature.bind(*node.arguments.args, **node.arguments.kwargs).arguments
    found = {k: v for k, v in given.items() if not (k == "training" and v is False)}
    taken = [tensors for k, v in found.items() if k != "mask" and (tensors := _tensors(v))]
    noted, given = False, _several(found.get("mask"))
    own = [getattr(tensor, "_keras_mask", None) for tensor in taken[0]] if len(taken) == 1 else []
    if len(own) == len(given) and any(mask is not None for mask in own):
        known: dict[tuple[int, int], bool] = {}
        noted = all(_computed_alike(a, b, known) for a, b in zip(given, own, strict=True))
    if noted:
        del found["mask"]
    return {k: v for k, v in found.items() if v is not None}, noted


def _several(value: Any) -> list[Any]:
    return list(cast(Sequence[Any], value)) if isinstance(value, list | tuple) else [value]


def _computed_alike(one: Any, other: Any, known: dict[tuple[int, int], bool]) -> bool:
    """Return whether two tensors are one, or come by the same operations from the same ones.

    ``known`` is what is known of pairs of them: sums take a mask twice, which take it twice again.
    """
    pair = id(one), id(other)
    if pair not in known:
        known[pair] = _computed_alike_first(one, other, known)
    return known[pair]


def _computed_alike_first(one: Any, other: Any, known: dict[tuple[int, int], bool]) -> bool:
    if one is other or not all(isinstance(t, keras.KerasTensor) for t in (one, other)):
        return one is other or bool(np.all(one == other))
    ways: list[Any] = [t._keras_history for t in (one, other)]
    if isinstance(ways[0].operation, keras.Layer):
        return False
    options = [{**way.operation.get_config(), "name": ""} for way in ways]
    nodes = [way.operation._inbound_nodes[way.node_index] for way in ways]
    taken = [[*node.arguments.args, *node.arguments.kwargs.values()] for node in nodes]
    return (
        type(ways[0].operation) is type(ways[1].operation)
        and options[0] == options[1]
        and len(taken[0]) == len(taken[1])
        and all(_computed_alike(a, b, known) for a, b in zip(*taken, strict=True))
    )


def _by_parameter(node: Any, known: dict[int, str]) -> dict[str, Any]:
    """Return the arguments of a call by parameter, with our names of tensors."""

    def named(leaf: Any) -> Any:
        return Tensor(known[id(leaf)]) if isinstance(leaf, keras.KerasTensor) else leaf

    tree: Any = keras.tree
    return {k: tree.map_structure(named, value) for k, value in _given(node)[0].items()}
