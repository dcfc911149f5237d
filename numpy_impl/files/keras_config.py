"""The layers in a ``.keras`` file: Keras's JSON read into NumPy layers, without Keras.

What only training uses (optimizer, loss, initializers, frozen layers, regularizers but for L1 and
L2 of weights, constraints of others) is passed over. Everything else that would change an output is
either represented or refused by name. The constants are those of the file: where Keras on
TensorFlow rounds some of them to float32 in float64 networks (``leaky_relu``, ``gelu``,
``Rescaling``; 1e-8 relative, see ``docs/keras-semantics.md``), the network here does not.
``keras_graph`` reads which calls which, and ``keras_files`` adds the weights.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from numpy_impl import activations
from numpy_impl.activations import ActivationFunction
from numpy_impl.files.bounded import Refusal
from numpy_impl.layers import LAYERS, Activation, Layer
from numpy_impl.types import Precision

Config = dict[str, Any]
T = TypeVar("T")


class OtherModel(Refusal):
    """A model that Keras may have, and ``numpy_impl`` has not."""


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


def check_class(entry: Config, classes: tuple[str, ...] | None, expected: str) -> None:
    """Check that an entry is of one of Keras's own ``classes``; None: a layer that is known."""
    name, module = entry["class_name"], str(entry.get("module"))
    if name not in (KNOWN if classes is None else classes):
        raise OtherModel(expected, describe(entry))
    registered = entry.get("registered_name")
    places = ("keras.layers.", "keras.src.layers.") if classes is None else ("keras.",)
    if not f"{module}.".startswith(places) or registered not in (None, name):
        origin = f"from module {module}, registered as {registered!r}"
        raise Refusal(f"{expected}, Keras's own", f"{describe(entry)} {origin}")


def _object(value: Any) -> Config | None:
    """Return a value of the JSON if it is an object; None for any other."""
    return cast(Config, value) if isinstance(value, dict) else None


def _policy(policy: Any) -> str:
    """Return the name of a dtype policy: "float32", "mixed_float16", "QuantizedDTypePolicy"..."""
    entry = _object(policy)
    if entry is not None:
        name = str(entry["class_name"])
        return str(entry["config"]["name"]) if name == "DTypePolicy" else name
    return str(policy)


def common_dtype(chain: list[Config]) -> Precision:
    """Return the dtype of all layers; refuse others than float32 and float64."""
    policies = [_policy(entry["config"].get("dtype")) for entry in chain]
    for entry, policy in zip(chain, policies, strict=True):
        if policy not in ("float32", "float64") or policy != policies[0]:
            raise OtherModel(
                "one dtype policy, float32 or float64, in all layers",
                f"{describe(entry)} with dtype policy {policy}; the first layer's is {policies[0]}",
            )
    return "float64" if policies[0] == "float64" else "float32"


def check_input_dtype(entry: Config, dtype: Precision, first: bool) -> None:
    """Check that the input layer does not round what the network is given.

    One of integers is allowed at the network's input: its inputs are then whole numbers.
    """
    found = str(entry["config"].get("dtype", dtype))
    whole = first and found.startswith(("int", "uint", "bool"))
    if not whole and found not in (dtype, "float64"):
        raise OtherModel(f"inputs of dtype {dtype}", f"{describe(entry)} with dtype {found}")


def check_parameters(layer: Layer, name: str, parameters: Sequence[str]) -> None:
    """Check by which arguments of Keras's method ``call`` a layer takes its inputs; "": the first.

    Those that may be missing are noted on the layer (``call_flags``).

    Raises:
        ValueError: One is not known here, such as a mask or the state to begin with.
    """
    known = layer.call_inputs or tuple(parameters[:1])
    for parameter in parameters:
        if parameter and parameter not in known:
            raise ValueError(f"{name!r} called with a tensor as {parameter}")
    given = tuple(p for p in layer.call_flags if p in parameters)
    if layer.flagged not in (None, given):
        raise ValueError(f"{name!r} called with {', '.join(layer.call_flags)}, and without")
    layer.flagged = given
    for parameter, flag in layer.call_flags.items():
        setattr(layer, flag, parameter in given)


def layer_of(class_name: str, config: Config) -> Layer:
    """Return the NumPy layer, without weights, of a Keras layer's class and options.

    Raises:
        ValueError: The class or one of its options is not known here; the message names it.
    """
    if class_name in _ACTIVATIONS and config.get("axis", -1) in (-1, [-1]):
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
    check_class(entry, None, "layers that numpy_impl has")
    return layer_of(entry["class_name"], entry["config"])


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
    check_class(entry, tuple(_ACTIVATIONS), "activation layers")
    return _ACTIVATIONS[entry["class_name"]](entry["config"])


def registered_name(activation: Any) -> Any:
    """Return the name of a function that Keras lacks and ``keras_twin`` made; all else as it is."""
    entry = _object(activation)
    if entry is not None and entry.get("class_name") == "function":
        package, _, name = str(entry.get("config")).partition(">")
        return name if package == "numpy_impl" else activation
    return activation


def _relu(config: Config) -> ActivationFunction:
    options = {name: _number(config, name) for name in ("negative_slope", "threshold")}
    if config["max_value"] is not None:
        options["max_value"] = _number(config, "max_value")
    return activations.relu(**options)


def _leaky_relu(config: Config) -> ActivationFunction:
    return activations.leaky_relu(_number(config, "negative_slope"))


def _elu(config: Config) -> ActivationFunction:
    # Keras up to 3.10 does not save alpha, and reads a file without it as 1.
    return activations.elu(_number({"alpha": 1.0} | config, "alpha"))


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
