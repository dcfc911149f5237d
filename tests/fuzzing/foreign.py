"""Files of other libraries that ``scripts.export --from`` reads: PyTorch, scikit-learn, ONNX.

Of each file all is done that the command does before it writes: it is read, and the network is
compared with what the other library, or its formulas, make of a batch.
"""

import importlib.util
import io
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from numpy_impl import layers, serialization
from numpy_impl.network import Sequential
from scripts.export import __main__ as command
from scripts.export import incoming
from terminal_io import CliError
from tests.fuzzing import mutations
from tests.fuzzing.reader import Reader

# Written by PyTorch 2.13; see ``tests/scripts/test_scripts_export_foreign.py``.
WRITTEN = Path(__file__).parents[1] / "scripts/foreign"


def _compared(source: str, *options: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        given = [str(path), "--from", source, "--to", "npz", *options]
        incoming.compared(command._options(given))

    return read


def _perceptrons(folder: Path) -> Sequence[bytes]:
    return [(WRITTEN / "mlp.pt").read_bytes()]


def _convolutions(folder: Path) -> Sequence[bytes]:
    return [(WRITTEN / "cnn.pt").read_bytes()]


def _like(path: Path) -> None:
    like = path.with_name("like.npz")
    if not like.exists():
        stack: list[layers.Layer] = [
            layers.Conv2D(3, 2), layers.BatchNormalization(epsilon=1e-5),
            layers.Activation("relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2),
        ]  # fmt: skip
        serialization.save(Sequential(stack, (5, 5, 2)), like)
    _compared("torch", "--like", str(like))(path)


def _state() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"0.weight": (5, 4), "0.bias": (5,), "2.weight": (3, 5), "2.bias": (3,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _safetensors(folder: Path) -> Sequence[bytes]:
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, array in _state().items():
        places = [len(content), len(content) + array.nbytes]
        head[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": places}
        content += array.tobytes()
    text = json.dumps(head).encode()
    return [len(text).to_bytes(8, "little") + text + content]


def _arrays(folder: Path) -> Sequence[bytes]:
    packed: list[bytes] = []
    for save in (np.savez, np.savez_compressed):
        content = io.BytesIO()
        save(content, **_state())  # type: ignore[arg-type]
        packed.append(content.getvalue())
    return packed


def _estimators() -> list[Any]:
    """Return fitted estimators; their weights are set, as training takes seconds."""
    rng = np.random.default_rng(0)
    made: list[Any] = []
    for kind, outputs in ((MLPClassifier, 3), (MLPRegressor, 2)):
        estimator: Any = kind(hidden_layer_sizes=(6, 4), activation="tanh")
        shapes = [(5, 6), (6, 4), (4, outputs)]
        estimator.coefs_ = [rng.normal(size=shape) for shape in shapes]
        estimator.intercepts_ = [rng.normal(size=shape[1]) for shape in shapes]
        estimator.out_activation_ = "softmax" if kind is MLPClassifier else "identity"
        made.append(estimator)
    return made


def _pickled(folder: Path) -> Sequence[bytes]:
    return [pickle.dumps(one, protocol) for one in _estimators() for protocol in (2, 4, 5)]


def _dumped(folder: Path) -> Sequence[bytes]:
    found: list[bytes] = []
    for estimator in _estimators():
        joblib.dump(estimator, folder / "estimator")
        found.append((folder / "estimator").read_bytes())
    return found


def _onnx(folder: Path) -> Sequence[bytes]:
    import onnx  # pyright: ignore[reportMissingImports]

    helper, rng = onnx.helper, np.random.default_rng(0)
    shapes = {"k": (3, 2, 2, 2), "c": (3,), "w": (2, 12), "b": (2,)}
    arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    convolved = [
        helper.make_node("Conv", ["x", "k", "c"], ["1"], pads=[1, 0, 0, 0]),
        helper.make_node("Relu", ["1"], ["2"]),
        helper.make_node("MaxPool", ["2"], ["3"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["3"], ["4"]),
        helper.make_node("Gemm", ["4", "w", "b"], ["y"], transB=1),
    ]
    flat = [
        helper.make_node("Gemm", ["x", "w", "b"], ["1"], transB=1),
        helper.make_node("Softmax", ["1"], ["y"]),
    ]
    made: list[bytes] = []
    for nodes, shape in ((convolved, [2, 5, 5]), (flat, [12])):
        values = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *sizes])
            for name, sizes in (("x", shape), ("y", [2]))
        ]
        used = {name for node in nodes for name in node.input}
        held = [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items() if n in used]
        graph = helper.make_graph(nodes, "small", values[:1], values[1:], held)
        opset = [helper.make_opsetid("", 17)]
        made.append(helper.make_model(graph, opset_imports=opset).SerializeToString())
    return made


_BYTES = (mutations.changed,)
_MEMBERS = (mutations.in_a_member,)
_PERCEPTRON = _compared("torch", "--activation", "relu")
_SKLEARN = _compared("sklearn")

READERS = [
    Reader("torch perceptron", _perceptrons, _MEMBERS, _PERCEPTRON, CliError, "m.pt"),
    Reader("torch pictures", _convolutions, _MEMBERS, _like, CliError, "m.pt"),
    Reader("safetensors", _safetensors, _BYTES, _PERCEPTRON, CliError, "m.safetensors"),
    Reader("torch npz", _arrays, _MEMBERS, _PERCEPTRON, CliError, "m.npz"),
    Reader("sklearn pickle", _pickled, _BYTES, _SKLEARN, CliError, "m.pkl"),
    Reader("sklearn joblib", _dumped, _BYTES, _SKLEARN, CliError, "m.joblib"),
]
if importlib.util.find_spec("onnx") is not None:
    READERS.append(Reader("ONNX", _onnx, _BYTES, _compared("onnx"), CliError, "m.onnx"))
