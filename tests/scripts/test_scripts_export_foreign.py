"""``scripts.export --from``: files of PyTorch and scikit-learn, none of which is run."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from numpy_impl import layers, serialization
from numpy_impl.functional import AnyNetwork
from numpy_impl.layers import Layer
from numpy_impl.network import Sequential
from parity.bounds import analyse_outputs
from parity.comparing.rows import Verdict, compare_tensors
from scripts.export import __main__ as command
from scripts.export import incoming, onnx_files, pickles, torch_files

# Written by PyTorch 2.13: a perceptron and a small network of convolution, and what they compute.
FOREIGN = Path(__file__).parent / "foreign"
OUTPUTS = np.load(FOREIGN / "outputs.npz")


def network_of(path: Path) -> Sequential:
    return serialization.load(path)


def assert_rounding(network: AnyNetwork, x: np.ndarray, expected: np.ndarray) -> None:
    """Assert that a network gives what another library does, up to that one's rounding.

    That added the products of each sum in an order of its own, in the network's precision; the
    network itself is run in double precision, so that hardly any rounding is allowed to it. That
    such bounds would not hide an error of a hundred-thousandth is seen by planting one.
    """
    assert expected.dtype == network.dtype
    double = network.clone("float64")
    theirs, own = (analyse_outputs(one, [x.astype(one.dtype)])[-1] for one in (network, double))
    found = double.predict(x.astype(np.float64))
    row = compare_tensors("forward", "output", expected, found, theirs, own=own)
    assert row.verdict in (Verdict.IDENTICAL, Verdict.ROUNDING), row
    wrong = compare_tensors("forward", "output", expected, found * (1 + 1e-5), theirs, own=own)
    assert wrong.verdict is Verdict.DIFFERENT, wrong


def with_pictures(folder: Path) -> Path:
    stack: list[Layer] = [
        layers.Conv2D(3, 2), layers.BatchNormalization(epsilon=1e-5), layers.Activation("relu"),
        layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2),
    ]  # fmt: skip
    serialization.save(Sequential(stack, (5, 5, 2)), folder / "like.npz")
    return folder / "like.npz"


def test_a_perceptron_of_torch_computes_what_torch_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mlp.npz"
    given = [str(FOREIGN / "mlp.pt"), "--from", "torch", "--to", "npz", "--out", str(out)]
    assert command.main([*given, "--activation", "tanh"]) == 0
    assert "PyTorch's layout   float32" in capsys.readouterr().out
    x = (np.arange(12, dtype=np.float32) / 7 - 1).reshape(3, 4)
    assert_rounding(network_of(out), x, OUTPUTS["mlp"])
    assert command.main([*given, "--force"]) == 2
    assert "--activation relu says it" in capsys.readouterr().err


def test_pictures_of_torch_go_through_the_layers_of_a_model(tmp_path: Path) -> None:
    out = tmp_path / "cnn.npz"
    given = [str(FOREIGN / "cnn.pt"), "--from", "torch", "--like", str(with_pictures(tmp_path))]
    assert command.main([*given, "--to", "npz", "--out", str(out)]) == 0
    x = np.moveaxis(OUTPUTS["sines"], 1, -1)
    assert_rounding(network_of(out), x, OUTPUTS["cnn"])


def test_a_kernel_that_is_turned_wrongly_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from parity.comparing import foreign

    monkeypatch.setattr(foreign, "_flattened", lambda network, own: None)
    given = [str(FOREIGN / "cnn.pt"), "--from", "torch", "--like", str(with_pictures(tmp_path))]
    out = tmp_path / "cnn.py"
    assert command.main([*given, "--to", "numpy", "--out", str(out)]) == 1
    assert "in PyTorch's layout" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    "dump",
    [
        joblib.dump, lambda e, path: path.write_bytes(pickle.dumps(e)),
        lambda e, path: path.write_bytes(pickle.dumps(e, 2)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_an_estimator_is_read_without_its_pickle_being_run(
    dump: Any, kind: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).standard_normal((40, 5))
    y = np.argmax(x[:, :3], axis=1) if kind is MLPClassifier else x[:, :2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator = kind(hidden_layer_sizes=(6, 4), max_iter=3, random_state=0).fit(x, y)
    dump(estimator, tmp_path / "mlp.joblib")
    given = [str(tmp_path / "mlp.joblib"), "--from", "sklearn", "--to", "numpy"]
    assert command.main(given) == 0
    assert "scikit-learn       float64" in capsys.readouterr().out
    arguments: Any = [str(tmp_path / "mlp.joblib"), "--from", "sklearn", "--to", "numpy"]
    network, _, opinion = incoming.read(command._options(arguments))
    own: Any = estimator.predict_proba(x) if kind is MLPClassifier else estimator.predict(x)
    assert_rounding(network, x, own)
    np.testing.assert_array_equal(opinion(x), own)


class Evil:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('hacked')",)


def test_a_pickle_that_would_run_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Evil()))
    assert command.main([str(path), "--from", "sklearn", "--to", "numpy"]) == 2
    printed = capsys.readouterr().err
    assert printed.endswith("builtins.exec instead of a fitted MLPClassifier or MLPRegressor\n")
    assert printed.count("\n") == 1
    # A tuple of tuples of tuples, which takes for ever to hash.
    nested: Any = ()
    for _ in range(60):
        nested = (nested, nested)
    tree = pickle.dumps(nested, protocol=2)[2:-1]
    with pytest.raises(pickles.PickleError, match="a tuple as its key"):
        pickles.read(b"\x80\x02}" + tree + b"K\x01s.")


def test_damaged_files_are_refused() -> None:
    rng = np.random.default_rng(0)
    pickled = pickle.dumps([np.arange(5.0), {"a": (1, None)}, "text"])
    read = 0
    for _ in range(300):
        damaged = bytearray(pickled)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            pickles.read(bytes(damaged))
        except pickles.PickleError:
            continue
        read += 1
    assert 0 < read < 300


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (3, 5), (5, 1)), (-1, (2,), (1,)), (9, (4,), (1,))]
)
def test_a_tensor_outside_its_storage_is_refused(offset: int, shape: Any, strides: Any) -> None:
    kept = pickles.MadeByCall(
        "", ("storage", pickles.Name("torch.FloatStorage"), "0", "cpu", 12), 0, {}
    )
    value = pickles.MadeByCall(
        "torch._utils._rebuild_tensor_v2", (kept, offset, shape, strides, False, None), 0, {}
    )
    with pytest.raises(pickles.PickleError, match="a tensor of shape"):
        torch_files._tensor(value, lambda key: bytes(48))


def test_safetensors(tmp_path: Path) -> None:
    head = b'{"a.weight":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes([0x80, 0x3F, 0, 0xC0]))
    (array,) = torch_files.read(path).values()
    np.testing.assert_array_equal(array, [[1, -2]])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="in 75 bytes"):
        torch_files.read(path)


def damaged(path: Path, source: str, change: Any, *options: str) -> list[str]:
    path.write_bytes(change((FOREIGN / "mlp.pt").read_bytes()))
    return [str(path), "--from", source, "--to", "npz", *options]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # A byte of the weights: zipfile's checksum is no longer right.
        (lambda b: b.replace(b"cpu", b"gpu", 1), "BadZipFile: Bad CRC-32 for file 'mlp/data.pkl'"),
        (lambda b: b.replace(b"PK\x03\x04", b"PK\x03\x05", 1), "BadZipFile: Bad magic number"),
        (lambda b: b.replace(b"PK\x01\x02\x00\x00\x00\x00", b"PK\x01\x02\x00\x00n\x00"),
         "NotImplementedError: zip file version 11.0"),
        (lambda b: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2),
         "a file in the form before PyTorch 1.6; torch.save writes an archive since"),
    ],
)  # fmt: skip
def test_a_damaged_archive_is_one_line(
    change: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(damaged(tmp_path / "m.pt", "torch", change, "--activation", "tanh")) == 2
    printed = capsys.readouterr().err
    assert f"expected a file of torch to read. Received: {message}" in printed
    assert printed.count("\n") == 1


def test_an_opinion_that_cannot_be_had_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*given: Any) -> Any:
        raise IndexError("tuple index\nout of range")

    monkeypatch.setattr(incoming, "as_torch", gone)
    given = damaged(tmp_path / "m.pt", "torch", lambda b: b, "--activation", "tanh")
    assert command.main(given) == 2
    printed = capsys.readouterr().err
    assert printed.endswith(
        "m.pt: expected a network that PyTorch's layout can run. "
        "Received: IndexError: tuple index out of range\n"
    )


# ONNX


def onnx_file(path: Path, **changed: Any) -> dict[str, np.ndarray]:
    """Write a small convolutional network, and return its weights."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no files of it to read")
    helper, rng = onnx.helper, np.random.default_rng(0)
    shapes = {"k": (3, 2, 2, 2), "c": (3,), "w": (2, 12), "b": (2,)}
    arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["x", "k", "c"], ["1"], pads=[1, 0, 0, 0]),
        helper.make_node(changed.get("function", "Relu"), ["1"], ["2"]),
        helper.make_node("MaxPool", ["2"], ["3"], kernel_shape=[2, 2], strides=[2, 2],
                         **changed.get("pool", {})),
        helper.make_node("Flatten", ["3"], ["4"]),
        helper.make_node("Gemm", ["4", "w", "b"], ["y"], transB=1),
    ]  # fmt: skip
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("x", float32, ["n", 2, 5, 5])],
        [helper.make_tensor_value_info("y", float32, ["n", 2])],
        [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return arrays


def test_an_onnx_file_computes_what_its_evaluator_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w = onnx_file(tmp_path / "cnn.onnx")
    given = [str(tmp_path / "cnn.onnx"), "--from", "onnx", "--to", "npz"]
    assert command.main(given) == 0
    assert "ONNX's evaluator   float32" in capsys.readouterr().out
    x = np.random.default_rng(1).standard_normal((2, 2, 5, 5)).astype(np.float32)
    # Its formula, written out: a row of zeros above, and the channels first.
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), (2, 3))
    z = np.einsum("nchwij,fcij->nfhw", windows, w["k"]) + w["c"][:, None, None]
    a = np.maximum(z, 0)[:, :, :4].reshape(2, 3, 2, 2, 2, 2).max((3, 5))
    expected = a.reshape(2, 12) @ w["w"].T + w["b"]
    assert_rounding(network_of(tmp_path / "cnn.npz"), np.moveaxis(x, 1, -1), expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"function": "Erf"}, "the operator Erf in samples of shape"),
        ({"pool": {"ceil_mode": 1}}, "MaxPool with ceil_mode=1, not 0"),
    ],
)
def test_what_is_not_read_of_onnx_is_named(
    changed: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx_file(tmp_path / "cnn.onnx", **changed)
    given = [str(tmp_path / "cnn.onnx"), "--from", "onnx", "--to", "npz"]
    assert command.main(given) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_rows_of_a_flattened_picture_in_the_wrong_order_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx_file(tmp_path / "cnn.onnx")
    right = onnx_files._Chain._flatten

    def wrong(chain: Any, *given: Any) -> None:
        right(chain, *given)
        chain.rows = None

    monkeypatch.setattr(onnx_files._Chain, "_flatten", wrong)
    given = [str(tmp_path / "cnn.onnx"), "--from", "onnx", "--to", "npz"]
    assert command.main(given) == 1
    assert "in ONNX's evaluator" in capsys.readouterr().err
    assert not (tmp_path / "cnn.npz").exists()
