"""The architecture in a ``.keras`` file: Keras's JSON read into NumPy layers, without Keras.

What only training uses (optimizer, loss, regularizers, constraints, initializers, frozen layers)
is passed over. Everything else that would change an output is either represented or refused by
name. The constants are those of the file: where Keras on TensorFlow rounds some of them to float32
in float64 networks (``leaky_relu``, ``gelu``, ``Rescaling``; 1e-8 relative, see
``docs/keras-semantics.md``), the network here does not. ``keras_files`` adds the weights.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from numpy_impl import activations
from numpy_impl.activations import ActivationFunction
from numpy_impl.files.bounded import Refusal
from numpy_impl.layers import LAYERS, Activation, Layer
from numpy_impl.types import Precision, Shape

Config = dict[str, Any]
T = TypeVar("T")


class OtherModel(Refusal):
    """A model that Keras may have, and ``numpy_impl`` has not."""


@dataclass
class Architecture:
    """A chain of layers without weights.

    Attributes:
        layers: The NumPy layers, from the input on, built.
        groups: For each layer, the HDF5 group that holds its weights: "layers/dense_1".
        input_shape: Shape of one sample.
        dtype: "float32" or "float64".
        name: The model's name.
    """

    layers: list[Layer]
    groups: list[str]
    input_shape: Shape
    dtype: Precision
    name: str


def parse(model: Config) -> Architecture:
    """Return the architecture that ``config.json`` describes.

    Args:
        model: The JSON of a Sequential or Functional model; models inside it are laid flat.

    Raises:
        OtherModel: A layer, option, dtype policy or connection that NumPy layers do not have.
        Refusal: A layer that is not Keras's own.
        Exception: Any other, if the JSON is not what Keras writes.
    """
    flat = list(_flatten(model, ""))
    chain = [(entry, group) for entry, group in flat if entry["class_name"] != "InputLayer"]
    if not chain or flat[0] == chain[0]:
        raise OtherModel("an input layer and at least one layer after it", describe(model))
    dtype = _common_dtype([entry for entry, _ in chain])
    for i, (entry, _) in enumerate(flat):
        if entry["class_name"] == "InputLayer":
            _check_input_dtype(entry, dtype, first=i == 0)
    input_shape = shape = _input_shape(flat[0][0])
    layers: list[Layer] = []
    for entry, _ in chain:
        layer, shape = _built_layer(entry, shape)
        layers.append(layer)
    groups = [group for _, group in chain]
    return Architecture(layers, groups, input_shape, dtype, str(model["config"]["name"]))


def snake_case(name: str) -> str:
    """Return the name that Keras gives to a class in its files: "leaky_re_lu" for "LeakyReLU".

    Reference: ``keras.src.utils.naming.to_snake_case``.
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def describe(entry: Config) -> str:
    """Return "layer 'dense_1' of class Dense" for the JSON of a layer."""
    return f"layer {entry['config'].get('name')!r} of class {entry['class_name']}"


def _flatten(model: Config, prefix: str) -> Iterator[tuple[Config, str]]:
    """Yield the layers of a model and of the models in it, each with its HDF5 group.

    Keras numbers the layers of a model class by class, whatever their names: dense, dense_1...

    Reference: ``keras.src.saving.saving_lib._save_container_state`` (3.10 to 3.15).
    """
    _check_class(model, _MODELS, "a Sequential or Functional model")
    if model["class_name"] == "Functional":
        _check_links(model["config"])
    seen: Counter[str] = Counter()
    for entry in model["config"]["layers"]:
        _check_class(entry, _CLASSES, "layers that numpy_impl has")
        name = snake_case(entry["class_name"])
        group = f"{prefix}layers/{name}" + (f"_{seen[name]}" if seen[name] else "")
        seen[name] += 1
        if entry["class_name"] in _MODELS:
            yield from _flatten(entry, f"{group}/")
        else:
            yield entry, group


def _check_class(entry: Config, classes: tuple[str, ...], expected: str) -> None:
    name, module = entry["class_name"], str(entry.get("module"))
    if name not in classes:
        raise OtherModel(expected, describe(entry))
    registered = entry.get("registered_name")
    if not f"{module}.".startswith("keras.") or registered not in (None, name):
        origin = f"from module {module}, registered as {registered!r}"
        raise Refusal(f"{expected}, Keras's own", f"{describe(entry)} {origin}")


def _check_links(config: Config) -> None:
    """Check that each layer of a Functional model takes what the one before gives, alone."""
    ends = [_names(config[key]) for key in ("input_layers", "output_layers")]
    names = [layer["name"] for layer in config["layers"]]
    if ends != [names[:1], names[-1:]]:
        raise OtherModel(
            "a model with one input and one output, at its first and last layer",
            f"inputs {', '.join(ends[0])} and outputs {', '.join(ends[1])}",
        )
    for i, layer in enumerate(config["layers"]):
        calls = [_arguments(node) for node in layer["inbound_nodes"]]
        if calls != ([[names[i - 1]]] if i else []):
            shown = "; ".join(", ".join(call) for call in calls) or "nothing"
            raise OtherModel(
                "layers that follow one another, as in keras.Sequential, each called once on the "
                "output of the one before and nothing else",
                f"{describe(layer)} called on {shown}",
            )


def _object(value: Any) -> Config | None:
    """Return a value of the JSON if it is an object; None for any other."""
    return cast(Config, value) if isinstance(value, dict) else None


def _names(ends: Any) -> list[str]:
    """Return the layers in ``["input", 0, 0]`` or in a list or dict of such."""
    named = _object(ends)
    if named is not None:
        ends = list(named.values())
    leaves = [ends] if isinstance(ends[0], str) else ends
    return [str(leaf[0]) for leaf in leaves]


def _arguments(node: Config) -> list[str]:
    """Return the layers whose outputs a call took; other arguments as "training=True"."""
    named = [("", value) for value in node["args"]] + list(node["kwargs"].items())
    # Keras notes training=False wherever nothing was said.
    unsaid = (("training", False), ("training", None), ("mask", None))
    return [_argument(name, value) for name, value in named if (name, value) not in unsaid]


def _argument(name: str, value: Any) -> str:
    entry = _object(value)
    if entry is not None and entry.get("class_name") == "__keras_tensor__":
        layer, _, output = entry["config"]["keras_history"]
        return layer if output == 0 else f"{layer}[{output}]"
    return f"{name}={value!r}"


def _policy(policy: Any) -> str:
    """Return the name of a dtype policy: "float32", "mixed_float16", "QuantizedDTypePolicy"..."""
    entry = _object(policy)
    if entry is not None:
        name = str(entry["class_name"])
        return str(entry["config"]["name"]) if name == "DTypePolicy" else name
    return str(policy)


def _common_dtype(chain: list[Config]) -> Precision:
    policies = [_policy(entry["config"].get("dtype")) for entry in chain]
    for entry, policy in zip(chain, policies, strict=True):
        if policy not in ("float32", "float64") or policy != policies[0]:
            raise OtherModel(
                "one dtype policy, float32 or float64, in all layers",
                f"{describe(entry)} with dtype policy {policy}; the first layer's is {policies[0]}",
            )
    return "float64" if policies[0] == "float64" else "float32"


def _check_input_dtype(entry: Config, dtype: Precision, first: bool) -> None:
    """Check that the input layer does not round what the network is given.

    One of integers is allowed at the network's input: its inputs are then whole numbers.
    """
    found = str(entry["config"].get("dtype", dtype))
    whole = first and found.startswith(("int", "uint", "bool"))
    if not whole and found not in (dtype, "float64"):
        raise OtherModel(f"inputs of dtype {dtype}", f"{describe(entry)} with dtype {found}")


def _input_shape(entry: Config) -> Shape:
    shape = tuple(entry["config"]["batch_shape"][1:])
    if not all(type(n) is int and n > 0 for n in shape):
        raise OtherModel("an input of fixed shape", f"{describe(entry)} with shape {shape}")
    return shape


def _built_layer(entry: Config, input_shape: Shape) -> tuple[Layer, Shape]:
    """Return the NumPy layer of a Keras layer's JSON, without weights, and its output shape."""
    try:
        layer = layer_of(entry["class_name"], entry["config"])
        return layer, layer.build(input_shape)
    except ValueError as error:
        expected = f"{describe(entry)} as numpy_impl has it"
        raise OtherModel(expected, str(error)) from error


def layer_of(class_name: str, config: Config) -> Layer:
    """Return the NumPy layer, without weights, of a Keras layer's class and options.

    Raises:
        ValueError: The class or one of its options is not known here; the message names it.
    """
    if class_name in _ACTIVATIONS:
        return Activation(_ACTIVATIONS[class_name](config))
    if class_name not in LAYERS:
        raise ValueError(f"Expected a layer that numpy_impl has. Received: {class_name}")
    functions = {k: _activation(v) for k, v in config.items() if k.endswith("activation")}
    return LAYERS[class_name].from_keras(config | functions | inner_layers(config, _inner_layer))


def inner_layers(config: Config, make: Callable[[Config], T]) -> dict[str, T]:
    """Return what ``make`` makes of the JSON of each layer among a layer's options, by option."""
    found = {option: _object(value) for option, value in config.items() if "layer" in option}
    return {option: make(entry) for option, entry in found.items() if entry is not None}


def _inner_layer(entry: Config) -> Layer:
    _check_class(entry, tuple(LAYERS), "layers that numpy_impl has")
    return layer_of(entry["class_name"], entry["config"])


def _only(config: Config, **allowed: Any) -> None:
    """Check that options, where present, have the value that the NumPy engine implements."""
    for option, value in allowed.items():
        if config.get(option, value) != value:
            raise ValueError(f"{option}={config[option]!r}")


def _number(config: Config, option: str) -> float:
    value = config[option]
    if type(value) not in (int, float):
        raise ValueError(f"{option}={value!r}, which is not one number")
    return float(value)


def _activation(activation: Any) -> ActivationFunction:
    """Return the function for Keras's name, or for the JSON of a layer used as a function."""
    activation = registered_name(activation)
    entry = _object(activation)
    if entry is None:
        return activations.get(activation)
    if entry.get("class_name") not in _ACTIVATIONS:
        name = entry.get("config")
        name = name if isinstance(name, str) else entry.get("class_name", "lambda")
        raise ValueError(f"activation {name}")
    _check_class(entry, tuple(_ACTIVATIONS), "activation layers")
    return _ACTIVATIONS[entry["class_name"]](entry["config"])


def registered_name(activation: Any) -> Any:
    """Return the name of a function that Keras lacks and ``keras_twin`` made; all else as it is."""
    entry = _object(activation)
    if entry is not None and entry.get("class_name") == "function":
        package, _, name = str(entry.get("config")).partition(">")
        return name if package == "numpy_impl" else activation
    return activation


def _relu(config: Config) -> ActivationFunction:
    _only(config, threshold=0)
    if config["max_value"] is None:
        slope = _number(config, "negative_slope")
        return _leaky_relu(config) if slope else activations.get("relu")
    _only(config, max_value=6, negative_slope=0)
    return activations.get("relu6")


def _leaky_relu(config: Config) -> ActivationFunction:
    return activations.leaky_relu(_number(config, "negative_slope"))


def _elu(config: Config) -> ActivationFunction:
    _only(config, alpha=1)
    return activations.get("elu")


def _softmax(config: Config) -> ActivationFunction:
    if config["axis"] not in (-1, [-1]):
        raise ValueError(f"axis={config['axis']!r}, which is not the last")
    return activations.get("softmax")


_ACTIVATIONS: dict[str, Callable[[Config], ActivationFunction]] = {
    "Activation": lambda config: _activation(config["activation"]),
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "Identity": lambda config: activations.get("linear"),
}
# Keras's classes that are understood.
KNOWN = tuple(dict.fromkeys((*LAYERS, *_ACTIVATIONS)))
_MODELS = ("Sequential", "Functional")
_CLASSES = ("InputLayer", *KNOWN, *_MODELS)
# The groups of layers that have no weights, as a file without architecture shows them.
WEIGHTLESS = {
    snake_case(name) for name in ("InputLayer", "Dropout", "Flatten", "Rescaling", *_ACTIVATIONS)
}
