"""The architecture in a ``.keras`` file: which layers call which, models inside models laid flat.

``keras_config`` reads the single layers. Every tensor gets a name: an input that of its layer, an
output that of its call, which is the layer's name (inside another model "model/layer") and from the
second call on has a number. What a call returns besides is "lstm:1", "lstm:2".
"""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from numpy_impl.files.keras_config import (
    Config,
    OtherModel,
    check_class,
    check_input_dtype,
    check_parameters,
    common_dtype,
    describe,
    layer_of,
    snake_case,
)
from numpy_impl.files.keras_masks import Leaf, tensors, without_masks
from numpy_impl.functional import AnyNetwork, Functional
from numpy_impl.layers import LAYERS, Layer
from numpy_impl.network import Call, Sequential, output_names
from numpy_impl.types import Precision, Shape

MODELS = ("Sequential", "Functional")


@dataclass
class Architecture:
    """A model's layers without weights, and their calls.

    Attributes:
        inputs: The shape of one sample of each input, by name.
        outputs: The names of the outputs.
        layers: The NumPy layers by name, in the order of their first calls.
        groups: For each layer, the HDF5 group that holds its weights: "layers/dense_1".
        calls: What is computed.
        dtype: "float32" or "float64".
        name: The model's name.
    """

    inputs: dict[str, Shape]
    outputs: list[str]
    layers: dict[str, Layer]
    groups: list[str]
    calls: list[Call]
    dtype: Precision
    name: str

    def network(self) -> AnyNetwork:
        """Return the network: a Sequential if the layers follow one another.

        Raises:
            ValueError: Layers that do not fit together.
        """
        names = [*self.inputs, *(call.name for call in self.calls)]
        taken = [list(call.sources) for call in self.calls]
        once = len(self.layers) == len(self.calls) and len(self.inputs) == 1
        once = once and all(len(call.outputs) == 1 for call in self.calls)
        if once and taken == [[n] for n in names[:-1]] and self.outputs == names[-1:]:
            (shape,) = self.inputs.values()
            return Sequential(list(self.layers.values()), shape, dtype=self.dtype, name=self.name)
        network = Functional(
            self.inputs,
            self.calls,
            self.outputs,
            dtype=self.dtype,
            name=self.name,
            layer_names=list(self.layers),
        )
        if network.masks_part and any("/" in name for name in self.layers):
            # Keras looks for masks anew in each model, and may find others.
            raise OtherModel(
                "no model inside the model where MultiHeadAttention takes masked sequences",
                f"{self.name!r} with one",
            )
        return network


def parse(model: Config) -> Architecture:
    """Return the architecture that ``config.json`` describes.

    Args:
        model: The JSON of a Sequential or Functional model; models inside it are laid flat.

    Raises:
        OtherModel: A layer, option, dtype policy or way of calling that NumPy layers do not have.
        Refusal: A layer that is not Keras's own.
        Exception: Any other, if the JSON is not what Keras writes.
    """
    reading = _Reading()
    check_class(model, MODELS, "a Sequential or Functional model")
    entries: list[Config] = model["config"]["layers"]
    own = [entry for entry in entries if entry["class_name"] == "InputLayer"]
    if model["class_name"] == "Functional":
        names = [name for name, *_ in _leaves(model["config"]["input_layers"])]
        own = [next(e for e in own if e["config"]["name"] == name) for name in names]
    if not own or len(entries) == len(own) or entries[0]["class_name"] != "InputLayer":
        raise OtherModel("an input layer and at least one layer after it", describe(model))
    inputs = [str(entry["config"]["name"]) for entry in own]
    outputs = reading.apply(model, inputs, "", "")
    if not reading.calls:
        raise OtherModel("an input layer and at least one layer after it", describe(model))
    dtype = common_dtype([call.entry for call in reading.calls])
    for entry in reading.entries:
        check_input_dtype(entry, dtype, first=any(entry is one for one in own))
    shapes = {n: _input_shape(entry) for n, entry in zip(inputs, own, strict=True)}
    layers: dict[str, Layer] = {}
    groups: dict[str, str] = {}
    options: dict[str, Config] = {}
    for call in reading.calls:
        if options.setdefault(call.owner, call.options) != call.options:
            raise OtherModel("calls of a layer with the same options", describe(call.entry))
        try:
            if call.owner not in layers:
                config = call.entry["config"] | call.options
                layers[call.owner] = layer_of(call.entry["class_name"], config)
                groups[call.owner] = call.group
            check_parameters(layers[call.owner], call.owner, [k for k, _ in call.sources])
        except ValueError as error:
            expected = f"{describe(call.entry)} as numpy_impl has it"
            raise OtherModel(expected, str(error)) from error
    calls = [Call(c.name, layers[c.owner], tuple(n for _, n in c.sources)) for c in reading.calls]
    _build(reading.calls, calls, shapes)
    name = str(model["config"]["name"])
    return Architecture(shapes, outputs, layers, list(groups.values()), calls, dtype, name)


def _build(called: list["_Called"], calls: list[Call], inputs: dict[str, Shape]) -> None:
    """Fix the shapes of all layers, so that weights can be checked before anything is allocated."""
    shapes, built = dict(inputs), set[str]()
    for call, (name, layer, sources) in zip(called, calls, strict=True):
        own = copy.copy(layer) if call.owner in built else layer
        built.add(call.owner)
        try:
            shapes[name] = own.build_many([shapes[source] for source in sources])
        except ValueError as error:
            raise OtherModel(f"{describe(call.entry)} as numpy_impl has it", str(error)) from error
        shapes |= zip(Call(name, own, sources).outputs[1:], own.further_shapes(), strict=True)


@dataclass
class _Called:
    """A call as the JSON has it: the layer's entry, what it takes by which argument, the rest."""

    name: str
    owner: str
    group: str
    entry: Config
    sources: list[tuple[str, str]]
    options: Config


@dataclass
class _Reading:
    """The calls of a model so far, and the entries of input layers that were met."""

    calls: list[_Called] = field(default_factory=list[_Called])
    entries: list[Config] = field(default_factory=list[Config])
    owners: dict[str, str] = field(default_factory=dict[str, str])
    called: Counter[str] = field(default_factory=Counter[str])

    def apply(self, model: Config, sources: list[str], prefix: str, group: str) -> list[str]:
        """Add the calls of a model that takes ``sources``; return the names of its outputs."""
        check_class(model, MODELS, "a Sequential or Functional model")
        entries: list[Config] = model["config"]["layers"]
        groups = [f"{group}layers/{name}" for name in _numbered(entries)]
        self.entries += [entry for entry in entries if entry["class_name"] == "InputLayer"]
        if model["class_name"] == "Sequential":
            for entry, own in zip(entries, groups, strict=True):
                if entry["class_name"] != "InputLayer":
                    sources = self._call(entry, [("", sources[0])], {}, prefix, own)
            return sources
        known: dict[tuple[str, int], list[str]] = {}
        config = model["config"]
        ends = [name for name, *_ in _leaves(config["output_layers"])]
        written = without_masks(list(zip(entries, groups, strict=True)), ends)
        for (name, *_), source in zip(_leaves(config["input_layers"]), sources, strict=True):
            known[name, 0] = [source]
        waiting = [
            (entry, own, number, node)
            for entry, own in written
            if entry["class_name"] != "InputLayer"
            for number, node in enumerate(entry["inbound_nodes"])
        ]
        while waiting:
            # The first of the layers whose sources are all known: so they come in Keras's order.
            k = next((k for k, (*_, node) in enumerate(waiting) if _ready(node, known)), None)
            if k is None:
                raise OtherModel("layers without a circle", describe(waiting[0][0]))
            entry, own, number, node = waiting.pop(k)
            taken, options = _arguments(entry, node, known)
            known[entry["name"], number] = self._call(entry, taken, options, prefix, own)
        return [known[name, node][place] for name, node, place in _leaves(config["output_layers"])]

    def _call(
        self,
        entry: Config,
        sources: list[tuple[str, str]],
        options: Config,
        prefix: str,
        group: str,
    ) -> list[str]:
        own = prefix + str(entry["config"]["name"])
        if entry["class_name"] in MODELS:
            return self.apply(entry, [name for _, name in sources], f"{own}/", f"{group}/")
        check_class(entry, None, "layers that numpy_impl has")
        # A layer is known by its group; Keras gives no name twice, but a file may.
        own = self.owners.setdefault(group, f"{own} in {group}" if own in self.called else own)
        self.called[own] += 1
        count = self.called[own]
        name = own if count == 1 else f"{own} ({count})"
        self.calls.append(_Called(name, own, group, entry, sources, options))
        return list(output_names(name, 1 + _returned_besides(entry)))


def _returned_besides(entry: Config) -> int:
    """Return how many arrays a layer returns beside its output; recurrent ones alone return any."""
    config: Config = entry["config"]
    if "layer" in config:  # of Bidirectional, which runs two of them
        apart = entry["class_name"] == "Bidirectional" and config.get("merge_mode") is None
        return 2 * _returned_besides(config["layer"]) + apart
    parts = getattr(LAYERS.get(entry["class_name"]), "parts", ())
    return len(parts) if config.get("return_state") else 0


def _numbered(entries: list[Config]) -> Iterator[str]:
    """Yield the groups of layers: Keras numbers them class by class, whatever their names.

    Reference: ``keras.src.saving.saving_lib._save_container_state`` (3.10 to 3.15).
    """
    seen: Counter[str] = Counter()
    for entry in entries:
        name = snake_case(entry["class_name"])
        yield name + (f"_{seen[name]}" if seen[name] else "")
        seen[name] += 1


def _leaves(ends: Any) -> list[Leaf]:
    """Return the layer, call and output of each of ``["input", 0, 0]``, a list or dict of such."""
    if isinstance(ends, dict):
        ends = list(cast(Config, ends).values())
    if isinstance(ends[0], str):
        ends = [ends]
    return [(str(name), int(node), int(place)) for name, node, place in ends]


def _ready(node: Config, known: dict[tuple[str, int], list[str]]) -> bool:
    leaves = tensors([node["args"], node["kwargs"]])
    return all((name, call) in known for name, call, _ in leaves)


def _arguments(
    entry: Config, node: Config, known: dict[tuple[str, int], list[str]]
) -> tuple[list[tuple[str, str]], Config]:
    """Return the argument and the name of each tensor that a call takes, and its other options."""
    kind = LAYERS.get(entry["class_name"])
    names: Sequence[str] = kind.call_inputs if kind else ()
    given: list[tuple[str, Any]] = [
        (names[i] if i < len(names) else f"argument {i}", value)
        for i, value in enumerate(node["args"])
    ]
    given += list(node["kwargs"].items())
    # By the order of the arguments of Keras's method, whatever that of the call.
    given.sort(key=lambda pair: names.index(pair[0]) if pair[0] in names else len(names))
    sources = [
        (argument, known[name, call][place])
        for argument, value in given
        for name, call, place in tensors(value)
    ]
    # Keras notes training=False wherever nothing was said.
    options = {
        argument: value
        for argument, value in given
        if not (tensors(value) or value is None or (argument == "training" and value is False))
    }
    return sources, options


def _input_shape(entry: Config) -> Shape:
    shape = tuple(entry["config"]["batch_shape"][1:])
    if not all(type(n) is int and n > 0 for n in shape):
        raise OtherModel("an input of fixed shape", f"{describe(entry)} with shape {shape}")
    return shape
