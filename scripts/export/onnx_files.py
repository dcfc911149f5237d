"""Networks in ONNX files: a chain of operators, brought to Keras's layers and to channels last.

ONNX has the channels first. The network that is read takes pictures with their channels last, so
what Flatten lays in a row comes in another order, and the next kernel's rows with it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl import layers
from numpy_impl.files.bounded import opened
from numpy_impl.network import Sequential
from numpy_impl.types import Array, Shape

# Operators with no option, and how Keras calls the function.
_FUNCTIONS = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Mish": "mish",
    "HardSwish": "hard_silu",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
}
_OF_CHANNELS = (
    "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization",
)  # fmt: skip
_POOLINGS: dict[tuple[str, int], type[layers.Layer]] = {
    ("MaxPool", 1): layers.MaxPooling1D,
    ("MaxPool", 2): layers.MaxPooling2D,
    ("AveragePool", 1): layers.AveragePooling1D,
    ("AveragePool", 2): layers.AveragePooling2D,
}
_GLOBAL: dict[tuple[str, int], type[layers.Layer]] = {
    ("GlobalMaxPool", 1): layers.GlobalMaxPooling1D,
    ("GlobalMaxPool", 2): layers.GlobalMaxPooling2D,
    ("GlobalAveragePool", 1): layers.GlobalAveragePooling1D,
    ("GlobalAveragePool", 2): layers.GlobalAveragePooling2D,
}


def read(path: Path) -> tuple[Sequential, Callable[[Array], Array]]:
    """Return the network in a file, and what ONNX's reference evaluator computes for a batch.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, or has an operator, an option or a branch that is not read here.
    """
    try:
        import onnx  # pyright: ignore[reportMissingImports]
        from onnx.reference import ReferenceEvaluator  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("no package onnx to read it with; pip install onnx") from error
    with opened(path) as file:
        content = file.read()
    try:
        model: Any = onnx.load_from_string(content)
        onnx.checker.check_model(model)
        chain = _Chain(onnx, model.graph)
        network = chain.network()
        evaluator: Any = ReferenceEvaluator(model)
    except Exception as error:  # whatever protobuf, onnx and the layers raise on damage
        raise ValueError(f"{error}") from error

    def opinion(x: Array) -> Array:
        given = np.moveaxis(x, -1, 1) if chain.channels_first else x
        (y,) = evaluator.run(None, {chain.input_name: np.ascontiguousarray(given)})
        return np.moveaxis(y, 1, -1) if chain.channels_first and y.ndim > 2 else y

    return network, opinion


class _Chain:
    """The operators of a graph, one after another, as layers and their weights."""

    def __init__(self, onnx: Any, graph: Any) -> None:
        constants = [
            a.t for node in graph.node for a in node.attribute if node.op_type == "Constant"
        ]
        for tensor in (*graph.initializer, *constants):
            if onnx.external_data_helper.uses_external_data(tensor):
                raise ValueError("weights in another file; onnx.save writes one with all in it")
        self.arrays: dict[str, Array] = {
            t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer
        }
        inputs = [entry for entry in graph.input if entry.name not in self.arrays]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(f"{len(inputs)} inputs and {len(graph.output)} outputs, not one each")
        self.input_name = inputs[0].name
        kind = inputs[0].type.tensor_type
        self.dtype: Any = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
        shape = tuple(int(d.dim_value) for d in kind.shape.dim[1:])
        if not shape or min(shape) < 1:
            raise ValueError(f"an input of shape {shape}, which is not known")
        known = [n.op_type for n in graph.node if n.op_type in (*_OF_CHANNELS, "MatMul", "Gemm",
                                                                "Flatten", "Reshape")]  # fmt: skip
        self.channels_first = len(shape) > 1 and bool(known) and known[0] in _OF_CHANNELS
        self.input_shape: Shape = (*shape[1:], *shape[:1]) if self.channels_first else shape
        self.shape = self.input_shape  # of the network's tensor, channels last
        self.layers: list[layers.Layer] = []
        self.weights: list[list[Array]] = []
        self.rows: Array | None = None  # which place of ONNX's row each of ours has in a Flatten
        self.options: dict[str, Any] = {}
        at = self.input_name
        for node in graph.node:
            name = node.op_type
            self.options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if name == "Constant":
                self.arrays[node.output[0]] = onnx.numpy_helper.to_array(self.options["value"])
                continue
            operands = [i for i in node.input if i]
            if name == "Add" and operands[0] in self.arrays:
                operands.reverse()
            rest = operands[1:]
            if operands[:1] != [at] or not all(i in self.arrays for i in rest):
                raise ValueError(f"{name} of {', '.join(operands)}, where a chain goes on at {at}")
            self._take(name, [self.arrays[i] for i in rest])
            at = node.output[0]
        if at != graph.output[0].name or self.rows is not None:
            raise ValueError(f"an output {graph.output[0].name} that no layer ends in")

    def network(self) -> Sequential:
        """Return the network with its weights."""
        network = Sequential(self.layers, self.input_shape, None, self.dtype, "onnx")
        network.set_weights([array for own in self.weights for array in own])
        return network

    def _add(self, layer: layers.Layer, *weights: Array) -> None:
        self.layers.append(layer)
        self.weights.append(list(weights))
        kind = type(layer)
        probe = kind(**layer.config()) if hasattr(layer, "config") else layer
        self.shape = tuple(probe.build(self.shape))

    def _expect(self, name: str, **wanted: Any) -> None:
        """Raise unless options have these values or are not there."""
        for option, value in wanted.items():
            if self.options.get(option, value) != value:
                raise ValueError(f"{name} with {option}={self.options[option]}, not {value}")

    def _take(self, name: str, given: list[Array]) -> None:
        if name in ("Identity", "Dropout"):
            return
        if name in _FUNCTIONS:
            if "max" in name.lower():
                axis = self.options.get("axis", -1)
                if self.rows is not None or len(self.shape) > 1 or axis not in (-1, 1):
                    raise ValueError(f"{name} of axis {axis} in samples of shape {self.shape}")
            self._add(layers.Activation(_FUNCTIONS[name]))
        elif name in ("Gemm", "MatMul"):
            self._dense(name, given)
        elif name == "Add":
            self._bias(given[0])
        elif name in ("Flatten", "Reshape"):
            self._flatten(name, given)
        elif self.rows is None and (
            (name in _OF_CHANNELS and self.channels_first)
            or (name == "BatchNormalization" and len(self.shape) == 1)
        ):
            self._of_channels(name, given)
        else:
            raise ValueError(f"the operator {name} in samples of shape {self.shape}")

    def _dense(self, name: str, given: list[Array]) -> None:
        self._expect(name, alpha=1.0, beta=1.0, transA=0)
        kernel = given[0].T if self.options.get("transB") else given[0]
        if len(self.shape) != 1 or kernel.shape[:1] != self.shape:
            raise ValueError(f"{name} of {kernel.shape} on samples of shape {self.shape}")
        if self.rows is not None:
            placed = np.empty_like(kernel)
            placed[self.rows] = kernel
            kernel, self.rows = placed, None
        biases = [np.broadcast_to(b.reshape(-1), (kernel.shape[1],)) for b in given[1:]]
        self._add(layers.Dense(kernel.shape[1], use_bias=bool(biases)), kernel, *biases)

    def _bias(self, bias: Array) -> None:
        """Give the last layer what is added to its outputs."""
        last = self.layers[-1] if self.layers else None
        rank = len(self.shape)
        # Behind a convolution (channels, 1, 1), as ONNX has the channels first.
        channels = list(self.shape)[-1]
        wanted = (channels, *(1,) * (rank - 1))
        fits = bias.ndim >= rank and bias.shape[-rank:] == wanted and bias.size == channels
        if not isinstance(last, layers.Dense | layers.Conv1D | layers.Conv2D) or last.use_bias:
            raise ValueError("Add of a constant behind what has no place for a bias")
        if not fits:
            raise ValueError(f"Add of an array of shape {bias.shape} to samples of {self.shape}")
        self.layers[-1] = type(last)(**{**last.config(), "use_bias": True})
        self.weights[-1].append(bias.reshape(-1))

    def _flatten(self, name: str, given: list[Array]) -> None:
        self._expect(name, axis=1)
        size = int(np.prod(self.shape))
        if name == "Reshape" and (given[0].size != 2 or given[0][1] not in (-1, size)):
            raise ValueError(f"Reshape to {given[0].tolist()} of samples of shape {self.shape}")
        if self.rows is not None or len(self.shape) == 1:
            return
        if self.channels_first:
            self.rows = np.moveaxis(np.arange(size).reshape(self.shape), -1, 0).reshape(-1)
        self._add(layers.Flatten())

    def _of_channels(self, name: str, given: list[Array]) -> None:
        rank = len(self.shape) - 1
        if name == "BatchNormalization":
            self._expect(name, training_mode=0)
            epsilon = float(self.options.get("epsilon", 1e-5))
            self._add(layers.BatchNormalization(epsilon=epsilon), *given)
            return
        if (name, rank) in _GLOBAL:
            # Each class of the table takes it, which their common one does not.
            self._add(_GLOBAL[name, rank](keepdims=True))  # type: ignore[call-arg]
            return
        self._expect(name, auto_pad=b"NOTSET", ceil_mode=0, storage_order=0)
        strides = tuple(self.options.get("strides", (1,) * rank))
        dilation = tuple(self.options.get("dilations", (1,) * rank))
        pads = list(self.options.get("pads", (0,) * 2 * rank))
        if any(pads):
            if name == "MaxPool":
                raise ValueError(f"MaxPool with pads={pads}")
            if name == "AveragePool":
                self._expect(name, count_include_pad=1)
                if not self.options.get("count_include_pad"):
                    raise ValueError(f"AveragePool with pads={pads} that do not count")
            pairs = list(zip(pads[:rank], pads[rank:], strict=True))
            padding = layers.ZeroPadding1D if rank == 1 else layers.ZeroPadding2D
            self._add(padding(pairs[0] if rank == 1 else pairs))
        if name != "Conv":
            if any(n != 1 for n in dilation):
                raise ValueError(f"{name} with dilations={dilation}")
            kind: Any = _POOLINGS[name, rank]
            self._add(kind(tuple(self.options["kernel_shape"]), strides))
            return
        if rank not in (1, 2):
            raise ValueError(f"Conv over {rank} axes")
        kernel = np.moveaxis(given[0], (0, 1), (-1, -2))
        kind = layers.Conv1D if rank == 1 else layers.Conv2D
        layer = kind(
            kernel.shape[-1], kernel.shape[:-2], strides, dilation_rate=dilation,
            groups=int(self.options.get("group", 1)), use_bias=len(given) > 1,
        )  # fmt: skip
        self._add(layer, kernel, *given[1:])
