"""Networks of other libraries, read from their files without running what is in them.

Each comes with a second opinion: what its own library, or its formulas in that library's layout,
make of a batch. The command compares the network with that before it writes anything.
"""

import math
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numpy_impl import activations, layers
from numpy_impl.files.bounded import opened
from numpy_impl.functional import AnyNetwork
from numpy_impl.layers.convolution import Convolution
from numpy_impl.network import Sequential
from numpy_impl.types import Array
from terminal_io import CliError, one_line, os_reason

from .. import model_files
from . import onnx_files, pickles, torch_files
from .pickles import MadeByCall, PickleError
from .proof import Check, prove_read, random_inputs

# A batch of the network's inputs to what the other library makes of it.
Opinion = Callable[[Array], Array]
_ESTIMATORS = ("MLPClassifier", "MLPRegressor")


def read(options: Namespace) -> tuple[AnyNetwork, str, Opinion]:
    """Return the network in a file of another library, whose opinion follows, and the opinion.

    Raises:
        CliError: The file cannot be read, or holds what has no counterpart.
    """
    kind, path = options.source, options.model
    try:
        return SOURCES[kind](path, options)
    except OSError as error:
        raise CliError(f"expected a file of {kind}. Received: {os_reason(error)}") from error
    except MemoryError as error:
        raise CliError(f"{path}: expected a file of {kind}. Received: one too large") from error
    except CliError:
        raise
    except Exception as error:  # whatever zipfile, zlib, NumPy and the layers raise on damage
        named = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = one_line(f"{named}{error}")
        raise CliError(f"{path}: expected a file of {kind} to read. Received: {reason}") from error


def compared(options: Namespace) -> tuple[AnyNetwork, list[Array], Check]:
    """Return the network in a file, random inputs, and how it compares there with the opinion.

    Raises:
        CliError: As for :func:`read`; or the opinion is another one, or there is none to be had.
    """
    network, name, opinion = read(options)
    inputs = random_inputs(network, options.samples, np.random.default_rng(options.seed))
    try:
        expected = np.asarray(opinion(inputs[0]))
    except CliError:
        raise
    except Exception as error:  # whatever the other library raises on what the file says
        raise CliError(
            f"{options.model}: expected a network that {name} can run. "
            f"Received: {type(error).__name__}: {one_line(str(error))}"
        ) from error
    return network, inputs, prove_read(options.model, network, inputs, name, [expected])


# scikit-learn


def _of_sklearn(path: Path, options: Namespace) -> tuple[AnyNetwork, str, Opinion]:
    """Read a fitted ``MLPClassifier`` or ``MLPRegressor`` that pickle or joblib has written."""
    from parity.comparing import foreign

    with opened(path) as file:
        found = pickles.read(file.read())
    path_of_class = found.path if isinstance(found, MadeByCall) else type(found).__name__
    if isinstance(found, MadeByCall) and path_of_class.startswith("copyreg"):
        path_of_class = found.arguments[0].path
    name = path_of_class.rpartition(".")[2]
    state = cast(dict[str, Any], found.state if isinstance(found, MadeByCall) else None)
    if name not in _ESTIMATORS or not isinstance(state, dict) or "coefs_" not in state:
        raise PickleError(f"{path_of_class} instead of a fitted {' or '.join(_ESTIMATORS)}")
    parts = {
        "coefs_": [pickles.array(one) for one in state["coefs_"]],
        "intercepts_": [pickles.array(one) for one in state["intercepts_"]],
        "activation": state["activation"],
        "out_activation_": state["out_activation_"],
    }
    if not all(isinstance(parts[n], str) for n in ("activation", "out_activation_")):
        raise PickleError("activations that are no names")
    # The estimator is put together anew: what the file would have made of itself is not run.
    from sklearn import neural_network

    estimator: Any = getattr(neural_network, name)(activation=parts["activation"])
    for part, value in parts.items():
        setattr(estimator, part, value)
    network = foreign.of_scikit_learn(estimator)
    estimator.n_layers_ = len(parts["coefs_"]) + 1
    (outputs,) = network.output_shape
    estimator.n_outputs_, estimator.n_features_in_ = outputs, network.input_shape[0]

    def opinion(x: Array) -> Array:
        if name == "MLPRegressor":
            return estimator.predict(x).reshape(len(x), outputs)
        # A classifier of two classes has one output, and says what is left too.
        return estimator._forward_pass_fast(x, check_input=False)

    return network, "scikit-learn", opinion


# PyTorch


def _of_torch(path: Path, options: Namespace) -> tuple[AnyNetwork, str, Opinion]:
    """Read a state_dict; which functions are between its arrays, the options say."""
    from parity.comparing.foreign import load_state_dict

    state = torch_files.read(path)
    floats = {name: array for name, array in state.items() if array.dtype.kind == "f"}
    if not floats:
        raise ValueError("no arrays of numbers")
    dtype = "float64" if all(a.dtype == np.float64 for a in floats.values()) else "float32"
    if options.like is not None:
        network = model_files.read(options.like).clone(dtype)
    else:
        network = _perceptron(floats, options, dtype)
    load_state_dict(network, floats)
    if not isinstance(network, Sequential):
        raise ValueError("a network that branches; parity.load_state_dict reads it")
    return network, "PyTorch's layout", lambda x: as_torch(network, floats, x)


def _perceptron(state: Mapping[str, Array], options: Namespace, dtype: Any) -> Sequential:
    """Return a chain of Dense layers for a state_dict that has nothing else."""
    kernels = [(name, a) for name, a in state.items() if name.endswith("weight")]
    other = [name for name, a in kernels if a.ndim != 2]
    if other or not kernels:
        raise ValueError(
            f"{', '.join(other) or 'no weights'} where fully connected layers alone were expected; "
            "--like MODEL names a model with the layers of the module"
        )
    if len(kernels) > 1 and options.activation is None:
        raise ValueError("no word on the hidden layers' activation; --activation relu says it")
    hidden = [options.activation] * (len(kernels) - 1)
    stack: list[layers.Layer] = [
        layers.Dense(len(a), f, use_bias=f"{name.removesuffix('weight')}bias" in state)
        for (name, a), f in zip(kernels, [*hidden, options.output_activation], strict=True)
    ]
    return Sequential(stack, kernels[0][1].shape[1], None, dtype, "torch")


def as_torch(network: Sequential, state: Mapping[str, Array], x: Array) -> Array:
    """Return what a module computes: PyTorch's formulas on its own arrays, channels first.

    Args:
        network: Says the layers, not the weights.
        state: The module's arrays.
        x: A batch as the network takes it, (N, *input_shape).

    Raises:
        CliError: A layer whose formula is not written here.
    """
    given = iter(a.astype(network.dtype) for name, a in state.items())
    formats = {getattr(layer, "data_format", None) for layer in network.layers}
    moved = "channels_first" not in formats and formats != {None}
    x = np.moveaxis(x, -1, 1) if moved and x.ndim > 2 else x
    for layer in network.layers:
        if isinstance(layer, layers.Dense) and x.ndim == 2:
            x = layer.activation.value(_biased(x @ next(given).T, layer, given))
        elif isinstance(layer, layers.Conv1D | layers.Conv2D) and layer.parts == 1:
            x = _convolved(x, layer, given)
        elif isinstance(layer, layers.BatchNormalization) and layer.scale and layer.center:
            column = (-1, *(1,) * (x.ndim - 2))
            gamma, beta, mean, variance = (next(given).reshape(column) for _ in range(4))
            x = (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta
        elif isinstance(layer, layers.Flatten):
            x = x.reshape(len(x), math.prod(x.shape[1:]))
        elif not layer.weight_names:
            own = layer.forward(np.moveaxis(x, 1, -1) if moved and x.ndim > 2 else x)
            x = np.moveaxis(own, -1, 1) if moved and own.ndim > 2 else own
        else:
            raise CliError(
                "expected Dense, Conv1D, Conv2D and BatchNormalization; parity.load_state_dict "
                f"reads others. Received: {type(layer).__name__}"
            )
    return np.moveaxis(x, 1, -1) if moved and x.ndim > 2 else x


def _biased(z: Array, layer: Any, given: Any) -> Array:
    if not layer.use_bias:
        return z
    return z + next(given).reshape(-1, *(1,) * (z.ndim - 2))


def _convolved(x: Array, layer: Convolution, given: Any) -> Array:
    windows, axes = layer.windows, tuple(range(2, x.ndim))
    pads = [(0, 0), (0, 0), *zip(windows.before, windows.after, strict=True)]
    reach = [(k - 1) * d + 1 for k, d in zip(windows.size, windows.dilation, strict=True)]
    taken = sliding_window_view(np.pad(x, pads), reach, axes)
    every = [slice(None, None, s) for s in windows.strides]
    inside = [slice(None, None, d) for d in windows.dilation]
    taken = taken[(slice(None), slice(None), *every, *inside)]
    within = tuple(range(-len(axes), 0))
    kernel = next(given)
    z = np.tensordot(taken, kernel, ((1, *within), (1, *range(2, kernel.ndim))))
    return layer.activation.value(_biased(np.moveaxis(z, -1, 1), layer, given))


def _of_onnx(path: Path, options: Namespace) -> tuple[AnyNetwork, str, Opinion]:
    network, opinion = onnx_files.read(path)
    return network, "ONNX's evaluator", opinion


SOURCES: dict[str, Callable[[Path, Namespace], tuple[AnyNetwork, str, Opinion]]] = {
    "torch": _of_torch,
    "onnx": _of_onnx,
    "sklearn": _of_sklearn,
}


def check_activation(option: str, name: str | None) -> None:
    """Raise CliError unless an option is the name of an activation."""
    if name is not None and name not in activations.ACTIVATIONS:
        listed = ", ".join(activations.ACTIVATIONS)
        raise CliError(f"{option}: expected one of {listed}. Received: {name!r}")
