"""The same network, loss or optimizer in the other engine.

One table for each kind says what corresponds to what; a thing that is in no table is refused by
name. Keras's ``get_config`` is the source of every value, so defaults cannot drift apart.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from inspect import signature
from typing import Any, cast

import numpy as np

from keras_impl import keras
from keras_impl.autodiff import to_numpy
from keras_impl.graph import Graph, graph
from keras_impl.losses import AnyLoss, WeightedSum
from numpy_impl import (
    activations,
    constraints,
    layers,
    losses,
    optimizers,
    regularizers,
    schedules,
)
from numpy_impl.activations import ActivationFunction
from numpy_impl.files.keras_config import (
    KNOWN,
    check_parameters,
    inner_layers,
    layer_of,
    registered_name,
)
from numpy_impl.functional import AnyNetwork, Functional, as_list
from numpy_impl.layers import LAYERS
from numpy_impl.layers.base import weights_of
from numpy_impl.layers.recurrent import Recurrent
from numpy_impl.network import FUSABLE, Call, Sequential
from numpy_impl.optimizers import Optimizer
from numpy_impl.types import Array
from parity.bounds.formats import FORMATS
from parity.bounds.optimizers import name_of
from parity.bounds.updates import RULES
from parity.comparing import foreign
from parity.comparing.weights import copy_weights

LOW = tuple(name for name, kind in FORMATS.items() if kind.is_low)


def numpy_twin(model: Any) -> Any:
    """Return the NumPy network with the layers, weights and dtype of a Keras model.

    Of one that computes in float16 or bfloat16 the twin computes in float32.

    Args:
        model: A Sequential or Functional model; models inside it are laid flat. Or a fitted
            ``MLPClassifier`` or ``MLPRegressor`` of scikit-learn, see
            :func:`parity.comparing.foreign.of_scikit_learn`.

    Returns:
        A ``numpy_impl.Sequential`` if the layers follow one another, else a
        ``numpy_impl.Functional``, with the names of Keras's layers. Stateful ones begin anew.

    Raises:
        ValueError: A layer, an activation or a way of calling a layer has no counterpart; it is
            named.
    """
    if foreign.is_multilayer_perceptron(model):
        return foreign.of_scikit_learn(model)
    found = graph(model)
    dtype: Any = model.compute_dtype
    if dtype in LOW:  # which the NumPy engine computes more exactly
        dtype = "float32"
    built = _numpy_layers(found, dtype)
    network: AnyNetwork
    if found.is_chain:
        layers_in_order = list(built.values())
        network = Sequential(layers_in_order, model.input_shape[1:], dtype=dtype, name=model.name)
    else:
        calls = [Call(c.name, built[c.owner], tuple(n for _, n in c.sources)) for c in found.calls]
        entries: list[Any] = model.inputs
        inputs = {n: tuple(t.shape[1:]) for n, t in zip(found.inputs, entries, strict=True)}
        network = Functional(
            inputs, calls, found.outputs, dtype=dtype, name=model.name, layer_names=list(built)
        )
    if network.masks_part and any("/" in call.owner for call in found.calls):
        raise ValueError(
            "Expected no model inside the model where MultiHeadAttention takes masked sequences: "
            f"Keras looks for masks anew in each. Received: {model.name!r} with one"
        )
    weights = [array for layer in found.layers.values() for array in layer.get_weights()]
    network.set_weights(weights)
    return network


def _numpy_layers(found: Graph, dtype: str) -> dict[str, layers.Layer]:
    """Return the NumPy layer of each of Keras's, by name; refuse what it is called with besides."""
    built: dict[str, layers.Layer] = {}
    options: dict[str, dict[str, Any]] = {}
    for call in found.calls:
        if options.setdefault(call.owner, call.options) != call.options:
            raise ValueError(
                f"Expected calls of {call.owner!r} with the same options. "
                f"Received: {options[call.owner]} and {call.options}"
            )
        if call.owner not in built:
            built[call.owner] = numpy_layer(call.layer, dtype, call.options)
        check_parameters(built[call.owner], call.owner, [name for name, _ in call.sources])
    return built


def keras_twin(network: AnyNetwork, batch_size: int | None = None) -> Any:
    """Return the Keras model, not compiled, with the layers and weights of a NumPy network.

    It computes in the precision that Keras is set to, see ``keras_impl.precision``.

    Args:
        network: The network.
        batch_size: The number of samples of every batch, which Keras's stateful layers have to
            know; None: any.

    Raises:
        ValueError: A layer or an activation has no counterpart; it is named.
    """
    if batch_size is None and any(layer.carried_names for layer in network.layers):
        raise ValueError("Expected batch_size, as a layer is stateful. Received: None")
    for layer in network.layers:
        if LAYERS.get(type(layer).__name__) is not type(layer):
            raise ValueError(
                "Expected layers of numpy_impl, which have a Keras counterpart. "
                f"Received: {type(layer).__name__}"
            )
    name = network.name.replace(":", "_")  # not allowed in names of Keras's graphs
    if isinstance(network, Sequential):
        built = [_keras_layer(layer) for layer in network.layers]
        entry = keras.Input(batch_shape=(batch_size, *network.input_shape))
        model: Any = keras.Sequential([entry, *built], name=name)
        copy_weights(network, model)
        return model
    built = {
        own: _keras_layer(layer, name=own.replace("/", "_"))
        for own, layer in zip(network.layer_names, network.layers, strict=True)
    }
    tensors: dict[str, Any] = {
        own: keras.Input(batch_shape=(batch_size, *network.shapes[own]), name=own)
        for own in network.input_names
    }
    for call, owner in zip(network.calls, network.owners, strict=True):
        layer, taken = call.layer, [tensors[source] for source in call.sources]
        given = [taken] if layer.merges and not layer.call_inputs else taken
        if isinstance(layer, Recurrent) and layer.merges:
            given = [taken[0], taken[1:]]
        options = {k: v for k, v in layer.config().items() if k in layer.call_options and v}
        flags = layer.call_flags
        options |= {k: given.pop() for k, flag in flags.items() if getattr(layer, flag)}
        returned: Any = built[owner](*given, **options)
        tensors |= zip(call.outputs, as_list(returned), strict=True)
    inputs, outputs = (
        [tensors[n] for n in names] for names in (network.input_names, network.output_names)
    )
    single = len(outputs) == 1
    model = keras.Model(
        inputs if len(inputs) > 1 else inputs[0], outputs[0] if single else outputs, name=name
    )
    for own, layer in zip(network.layer_names, network.layers, strict=True):
        names = (*layer.weight_names, *layer.state_names)
        built[own].set_weights([getattr(layer, weight) for weight in names])
    return model


def _keras_layer(layer: layers.Layer, **further: Any) -> keras.Layer:
    apart = (*layer.call_options, *layer.cast_constants, *layer.call_flags.values())
    options = {k: v for k, v in layer.config().items() if k not in apart}
    for option, value in options.items():
        if option.endswith("activation"):
            options[option] = keras_activation(getattr(layer, option))
        elif isinstance(value, layers.Layer):
            options[option] = _keras_layer(value)
    kind = getattr(keras.layers, type(layer).__name__)
    for option in signature(kind).parameters:
        if not option.endswith(("_regularizer", "_constraint")):
            continue
        for name in weights_of(option, layer.weight_names):
            penalty, constraint = layer.regularizers.get(name), layer.constraints.get(name)
            if option.endswith("_regularizer") and penalty is not None:
                options[option] = keras.regularizers.L1L2(penalty.l1, penalty.l2)
            if option.endswith("_constraint") and constraint is not None:
                own = getattr(keras.constraints, type(constraint).__name__)
                options[option] = own(**vars(constraint))
    return kind(**options, **further)


def keras_activation(function: ActivationFunction) -> Any:
    """Return the name of a function in Keras; where it has none, one made of its operations."""
    known = hasattr(keras.activations, function.name)
    return function.name if known else _formula_in_keras(function)


@cache
def _formula_in_keras(function: ActivationFunction) -> Any:
    """Return a function that Keras lacks, made of its operations; files say "numpy_impl>NAME"."""
    formula, name = function.keras, function.name
    try:
        activations.get(name)
    except ValueError:
        return name  # for Keras to refuse
    if formula is None:
        return name

    @keras.saving.register_keras_serializable("numpy_impl", name)
    def computed(z: Any) -> Any:
        return formula(keras.ops, z)

    return computed


def numpy_optimizer(optimizer: keras.optimizers.Optimizer) -> optimizers.Optimizer:
    """Return the NumPy optimizer with the settings of a Keras one, its state at zero.

    Raises:
        ValueError: The optimizer, its schedule, or one of its options (loss
            scaling, gradient accumulation, weights without decay), has no counterpart.
    """
    config = optimizer.get_config()
    for attribute in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
        if config.get("weight_decay") and getattr(optimizer, attribute, None):
            raise ValueError(
                f"Expected {type(optimizer).__name__} with weight_decay for every weight. "
                "Received: exclude_from_weight_decay, which the NumPy engine does not have"
            )
    for option in _UNSUPPORTED_OPTIONS:
        if config.get(option):
            raise ValueError(
                f"Expected {type(optimizer).__name__} without {option}, which the NumPy engine "
                f"does not have. Received: {option}={config[option]!r}"
            )
    config["learning_rate"] = _learning_rate(optimizer, config["learning_rate"])
    # There 1 - beta is of Python's numbers; elsewhere Keras has made tensors of them before.
    config["rounds_betas"] = keras.backend.backend() != "torch"
    if keras.backend.backend() == "tensorflow" and keras.config.floatx() == "float64":
        config |= _rounded_options(_convert(optimizer, _OPTIMIZERS, config), config)
    return _convert(optimizer, _OPTIMIZERS, config)


def _rounded_options(twin: optimizers.Optimizer, config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of which TensorFlow makes float32 tensors, in float64 too.

    What a rule says is cast, the weight decay, and the betas of Adam's correction.
    """
    options = vars(twin)
    cast = (*RULES[name_of(twin)].cast, "weight_decay")
    rounded = {name: _through_float32(options[name]) for name in cast if options[name]}
    betas = tuple(_through_float32(config.get(name, 0.0)) for name in ("beta_1", "beta_2"))
    exact = {name: options[name] for name in ("product_terms",) if name in options}
    return {**rounded, **exact, "correction_betas": betas}


def _learning_rate(
    optimizer: keras.optimizers.Optimizer, given: Any
) -> float | schedules.LearningRateSchedule:
    """Return the learning rate of a Keras optimizer, or the twin of its schedule."""
    if not isinstance(given, dict):
        return float(to_numpy(optimizer.learning_rate))
    serialized = cast(dict[str, Any], given)
    name, options = str(serialized["class_name"]), dict[str, Any](serialized["config"])
    if name not in schedules.SCHEDULES or serialized.get("registered_name"):
        raise ValueError(
            f"Expected a learning rate that is a number or a schedule of "
            f"{', '.join(schedules.SCHEDULES)}, which have a NumPy counterpart. Received: {name}"
        )
    schedule = schedules.SCHEDULES[name](**{k: v for k, v in options.items() if k != "name"})
    # TensorFlow makes float32 tensors of Python's numbers, and Keras's schedules stay with them.
    float32 = keras.backend.backend() == "tensorflow" or keras.config.floatx() == "float32"
    schedule.dtype = "float32" if float32 else "float64"
    return schedule


def _through_float32(value: Any) -> Any:
    return np.asarray(value).astype(np.float32).astype(np.float64)[()]


def numpy_loss(loss: AnyLoss, model: keras.Model, output: int = 0) -> losses.Loss:
    """Return the NumPy loss that computes what ``loss`` does at an output of ``model``.

    On TensorFlow a cross-entropy silently works on the logits of an output layer with softmax or
    sigmoid (whatever ``from_logits`` says, and whichever of the two activations it is), unless the
    loss computes in another dtype than that layer; its twin is then the fused form.

    Args:
        loss: A Keras loss; or a :class:`keras_impl.losses.WeightedSum`, of all outputs.
        model: The model.
        output: The number of the output, for a single loss.

    Raises:
        ValueError: The loss, its reduction or label smoothing has no counterpart.
    """
    if isinstance(loss, WeightedSum):
        twins = [numpy_loss(term, model, i) for i, term in enumerate(loss.losses)]
        return losses.WeightedSum(twins, loss.weights)
    config = loss.get_config()
    if config.get("reduction") != "sum_over_batch_size" or config.get("label_smoothing"):
        raise ValueError(
            "Expected a loss with reduction sum_over_batch_size and no label smoothing. "
            f"Received: {type(loss).__name__} with {config}"
        )
    name = _LOSSES.get(type(loss).__name__)
    if name is None:
        raise ValueError(
            f"Expected one of the losses {', '.join(_LOSSES)}. Received: {type(loss).__name__}"
        )
    if not name.endswith("crossentropy"):
        return losses.get(name)
    from_logits = bool(config.get("from_logits"))
    return losses.get(name, from_logits=from_logits, fused=_caches_logits(loss, model, output))


def _caches_logits(loss: keras.losses.Loss, model: keras.Model, output: int) -> bool:
    found = graph(model)
    last: Any = found.last_call(found.outputs[output]).layer
    name = getattr(getattr(last, "activation", None), "__name__", None)
    given: Any = last.axis if isinstance(last, keras.layers.Softmax) else []
    axes: list[int] = np.ravel(given).tolist()
    if len(axes) == 1:
        name = "softmax"
    kept = (
        keras.backend.backend() == "tensorflow"
        and name in FUSABLE
        and loss.dtype == last.compute_dtype
    )
    if kept and axes not in ([], [-1]):
        raise ValueError(
            "Expected a cross-entropy behind Softmax(axis=-1): Keras on TensorFlow computes it "
            "from the logits, over the last axis whatever the layer's. "
            f"Received: axis={last.axis}"
        )
    return kept


def numpy_layer(
    layer: keras.Layer, dtype: str, options: Mapping[str, Any] | None = None
) -> layers.Layer:
    """Return the NumPy layer, without weights, of a Keras one that computes in ``dtype``.

    ``options`` are what the layer is called with beside its inputs.
    """
    name = type(layer).__name__
    if name not in KNOWN:
        raise ValueError(f"Expected a layer that the NumPy engine has. Received: {name}")
    config = layer.get_config() | dict(options or {})
    config = _config_as_computed(f"{name} {layer.name!r}", config, dtype)
    try:
        made = layer_of(name, config)
    except ValueError as error:
        raise ValueError(
            f"Expected {name} {layer.name!r} as the NumPy engine has it. Received: {error}"
        ) from error
    fused = name == "MultiHeadAttention" and not config["dropout"]
    if keras.backend.backend() == "jax" and dtype == "float64" and fused:
        raise ValueError(
            f"Expected {name} {layer.name!r} in float32 on JAX, which takes its softmax in float32 "
            "(jax.nn.dot_product_attention); compare it on TensorFlow or PyTorch. Received: float64"
        )
    if keras.backend.backend() == "tensorflow" and dtype == "float64":
        for constant in made.cast_constants:
            setattr(made, constant, float(_through_float32(getattr(made, constant))))
        for option, function in list(vars(made).items()):
            if option.endswith("activation"):
                setattr(made, option, _with_rounded_slope(function))
    return made


def _with_rounded_slope(function: ActivationFunction) -> ActivationFunction:
    """Return a leaky ReLU of another slope than Keras's default as TensorFlow has it in float64."""
    found = re.fullmatch(r"leaky_relu\((.*)\)", function.name)
    if found is None:
        return function
    rounded = activations.leaky_relu(_through_float32(float(found[1])))
    return replace(function, value=rounded.value, derivative=rounded.derivative)


def _config_as_computed(title: str, config: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Return a layer's options with the constants that Keras really computes with.

    Layers that it has inside are treated likewise.
    """
    for option, value in config.items():
        if value is None or not option.endswith(("_regularizer", "_constraint")):
            continue
        config[option] = _limit_as_computed(option, value, dtype)
        if config[option] is None:
            raise ValueError(
                f"Expected {title} without {option}, which the NumPy engine does "
                f"not have. Received: {option}={value!r}"
            )
    if dtype == "float64":
        for option in config:
            if option.endswith("activation"):
                function = registered_name(config[option])
                config[option] = _own_float64().get(str(function), function)
    if keras.backend.backend() == "tensorflow" and dtype == "float64":
        # In Rescaling; elsewhere ``scale`` is a yes or no.
        rounded = [k for k in ("scale", "offset") if not isinstance(config.get(k, True), bool)]
        config |= {k: _through_float32(config[k]) for k in rounded}

    def inside(entry: dict[str, Any]) -> dict[str, Any]:
        return entry | {"config": _config_as_computed(title, entry["config"], dtype)}

    return config | inner_layers(config, inside)


def _limit_as_computed(option: str, entry: Any, dtype: str) -> dict[str, Any] | None:
    """Return the JSON of a regularizer or constraint as Keras computes it; None: it has no twin.

    TensorFlow makes float32 tensors of a regularizer's factors first, in float64 too.
    """
    if option == "activity_regularizer":
        return None
    try:
        if option.endswith("_constraint"):
            return None if constraints.from_keras(entry) is None else entry
        known = regularizers.from_keras(entry)
    except ValueError:
        return None
    if known is None:
        return None
    factors = {"l1": known.l1, "l2": known.l2}
    if keras.backend.backend() == "tensorflow" or dtype == "float32":
        factors = {name: float(_through_float32(factor)) for name, factor in factors.items()}
    return {"class_name": "L1L2", "config": factors}


def _convert(thing: Any, table: dict[str, Callable[[dict[str, Any]], Any]], config: Any) -> Any:
    name = type(thing).__name__
    if name not in table:
        raise ValueError(
            f"Expected one of {', '.join(table)}, which have a NumPy counterpart. Received: {name}"
        )
    return table[name](config)


def _pick(make: Callable[..., Any], *names: str) -> Callable[[dict[str, Any]], Any]:
    """Return a function that calls ``make`` with the named entries of a config."""
    return lambda config: make(**{name: config[name] for name in names if name in config})


@cache
def _own_float64() -> dict[str, ActivationFunction]:
    """Return activations with the constants that the backend keeps in float32 in float64 too.

    On TensorFlow ``tf.nn.leaky_relu``'s attribute alpha, and ``tf.nn.gelu``'s cast of a Python
    float; on PyTorch the 1/6 of the derivative of ``hardsigmoid``, ``1.0f / 6.0f`` in its source.
    They are visible at 1e-8.
    """
    if keras.backend.backend() == "tensorflow":
        rounded = activations.leaky_relu(_through_float32(0.2))
        leaky_relu = replace(
            activations.get("leaky_relu"), value=rounded.value, derivative=rounded.derivative
        )
        return {
            "leaky_relu": leaky_relu,
            "gelu": activations.gelu(_through_float32(math.sqrt(0.5))),
        }
    if keras.backend.backend() == "torch":
        own, off = activations.get("hard_sigmoid"), 6 * float(_through_float32(1 / 6))

        def steeper(z: Array, a: Array) -> Array:
            return own.derivative(z, a) * off

        return {"hard_sigmoid": replace(own, derivative=steeper)}
    return {}


# Keras's classes and options have the names of the NumPy engine's.
_OPTIMIZERS: dict[str, Callable[[dict[str, Any]], optimizers.Optimizer]] = {
    kind.__name__: _pick(kind, *signature(kind).parameters, *signature(Optimizer).parameters)
    for kind in optimizers.OPTIMIZERS.values()
}
_UNSUPPORTED_OPTIONS = ("loss_scale_factor", "gradient_accumulation_steps")
_LOSSES = {"".join(word.capitalize() for word in name.split("_")): name for name in losses.LOSSES}
