"""``scripts.export``: every layer as a program, beside the network that it is made of."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import parity
from numpy_impl import layers
from numpy_impl.files import npz
from numpy_impl.functional import Functional, one_or_list
from numpy_impl.layers import LAYERS
from numpy_impl.network import Call
from parity.bounds import analyse_outputs
from parity.comparing.rows import Verdict, compare_tensors
from scripts.export.proof import random_inputs
from scripts.export.source import export
from scripts.export.symbolic import NotSpecializable
from tests.scripts.exported_networks import networks

NETWORKS = networks()


def run(source: str, weights: dict[str, np.ndarray], folder: Path) -> dict:
    """Return the names that a program defines."""
    np.savez(folder / "program.npz", **weights)  # pyright: ignore[reportArgumentType]
    defined: dict = {"__file__": str(folder / "program.py")}
    exec(compile(source, "program.py", "exec"), defined)
    return defined


def test_every_layer_is_among_the_networks() -> None:
    found = {type(layer).__name__ for network in NETWORKS.values() for layer in network.layers}
    assert found == set(LAYERS)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.census(keep=24)
def test_a_program_gives_what_every_layer_gives(tmp_path: Path, name: str, dtype) -> None:
    network = NETWORKS[name].clone(dtype)
    inputs = random_inputs(network, 5, np.random.default_rng(1))
    exported = export(network, "program")
    program = run(exported.source, exported.weights, tmp_path)
    found = program["forward"](*inputs)
    expected = network.layer_outputs(one_or_list(inputs))
    bounds = analyse_outputs(network, inputs)
    for key, k, bound in zip(exported.outputs, expected, bounds, strict=True):
        assert found[key].dtype == k.dtype
        row = compare_tensors("forward", key, k, found[key], bound)
        assert row.verdict is not Verdict.DIFFERENT, row
    last = program["predict"](*inputs)
    ends = [found[exported.outputs[[c.name for c in network.calls].index(end)]]
            for end in network.output_names]  # fmt: skip
    for own, end in zip(last if isinstance(last, tuple) else [last], ends, strict=True):
        np.testing.assert_array_equal(own, end)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.census(keep=24)
def test_a_program_is_readable_and_needs_numpy_alone(name: str) -> None:
    network = NETWORKS[name]
    source = export(network, "program").source
    tree = ast.parse(source)
    modules = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    modules |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {m.partition(".")[0] for m in modules} <= {*sys.stdlib_module_names, "numpy"}
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    assert all(ast.get_docstring(f) for f in functions)
    # One for each layer, but layers of the same text share it; and forward and predict.
    titles = {(ast.get_docstring(f) or "").partition(":")[0] for f in functions}
    assert titles >= {type(layer).__name__ for layer in network.layers}
    assert max(map(len, source.split("\n"))) <= 100
    # No name is defined twice, and none of those that the functions use from elsewhere.
    names = [f.name for f in functions]
    assert len(set(names)) == len(names)
    imported = {a.asname or a.name for n in ast.walk(tree) for a in getattr(n, "names", [])}
    assert not {*imported, *dir(__builtins__)} & set(names)


def test_a_recurrent_layer_reads_as_in_the_book() -> None:
    source = export(NETWORKS["recurrent, masked False, backwards False, bias True"], "p").source
    loop = source.partition("def lstm(")[2].partition("for t in range(6):\n")[2]
    lines = [line.strip() for line in loop.split("\n")]
    assert lines[0] == "z_2 = z[t] + h @ recurrent_kernel + bias"
    start = lines.index("g = np.tanh(z_g)")
    assert lines[start : start + 6] == [
        "g = np.tanh(z_g)",
        "c = f * c + i * g",
        "a = np.tanh(c)",
        "h = o * a",
        "outputs.append(h)",
        "return np.stack(outputs, axis=1)",
    ]


def test_samples_are_taken_in_batches(tmp_path: Path) -> None:
    exported = export(NETWORKS["a shared layer"], "program")
    program = run(exported.source, exported.weights, tmp_path)
    a, b = random_inputs(NETWORKS["a shared layer"], 7, np.random.default_rng(0))
    for own, whole in zip(program["predict"](a, b, 3), program["predict"](a, b), strict=True):
        np.testing.assert_allclose(own, whole, rtol=1e-12)
    assert [len(part) for part in program["predict"](a[:0], b[:0])] == [0, 0]
    with pytest.raises(
        ValueError, match=r"Expected b of shape \(N, 3, 4\). Received: shape \(7, 4"
    ):
        program["predict"](a, a)


def test_a_network_of_a_file_gives_the_same_program(tmp_path: Path) -> None:
    network = NETWORKS["a shared layer"]
    npz.save(network, tmp_path / "model.npz")
    again = export(npz.load(tmp_path / "model.npz"), "program")
    assert again.source == export(network, "program").source


def test_states_that_are_handed_on_are_refused_in_a_line() -> None:
    from keras_impl import keras

    x = keras.Input((3, 2))
    output, h, c = keras.layers.LSTM(2, return_state=True, name="reads")(x)
    after = keras.layers.LSTM(2)(x, initial_state=[h, c])
    network = parity.numpy_twin(keras.Model(x, [output, after]))
    with pytest.raises(NotSpecializable, match="Received: reads with one of them"):
        export(network, "states")


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (layers.MultiHeadAttention(2, 3), "MultiHeadAttention"),
        (layers.Multiply(), "Multiply"),
        (layers.Concatenate(), "Concatenate"),
    ],
)
def test_masks_of_several_inputs_are_refused_in_a_line(layer: layers.Layer, named: str) -> None:
    network = Functional(
        {"x": 4},
        [
            Call("words", layers.Embedding(5, 4, mask_zero=True), ("x",)),
            Call("merged", layer, ("words", "words")),
            Call("mean", layers.GlobalAveragePooling1D(), ("merged",)),
        ],
        ["mean"],
    )
    with pytest.raises(NotSpecializable, match=rf"of one input\. Received: merged \({named}\)"):
        export(network, "program")
