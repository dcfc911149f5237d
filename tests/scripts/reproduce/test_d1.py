"""D1: gates that add, the document's own program, trainings of ours, and what is drawn of them."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

import parity
from numpy_impl import models
from scripts import recipes, run_files
from scripts.reproduce.documents.d1 import gates, pictures, reproduction, training
from scripts.reproduce.documents.d1.columns import ColumnNetwork, difference
from scripts.reproduce.documents.d1.training import CURED, LARGE, SMALL, D1Run
from scripts.reproduce.results import Context
from scripts.train import __main__ as train_command
from tools import accuracy


def _quietly(line: str) -> None:
    del line


def _context(out: Path, data: Path, seeds: int = 1) -> Context:
    return Context(seeds, out, data, quick=True, status=_quietly, line=_quietly)


def test_nand_is_what_the_truth_table_says():
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert gates.nand(a, b).tolist() == [1, 1, 1, 0]


def test_all_pairs_of_four_bit_numbers_are_added():
    a, b = np.meshgrid(np.arange(16), np.arange(16))
    np.testing.assert_array_equal(gates.add(a, b, 4), a + b)


@pytest.mark.parametrize("bits", [1, 32, gates.MOST_BITS])
def test_long_numbers_are_added(bits: int):
    rng = np.random.default_rng(bits)
    a, b = rng.integers(0, 2**bits, (2, 200))
    expected = [x + y for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert gates.add(a, b, bits).tolist() == expected
    most = 2**bits - 1
    assert int(gates.add(most, most, bits)) == 2 * most


def test_a_gate_that_is_wrong_for_one_input_spoils_the_adder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gates.NAND, "bias", 4.5)  # says 1 to 1, 1 as well
    a, b = np.meshgrid(np.arange(16), np.arange(16))
    assert (gates.add(a, b, 4) != a + b).any()


@pytest.mark.parametrize("bits", [1, 2, 7])
def test_the_gates_of_an_adder_are_counted(bits: int, monkeypatch: pytest.MonkeyPatch):
    used, nand = [], gates.nand
    monkeypatch.setattr(gates, "nand", lambda a, b: used.append(1) or nand(a, b))
    gates.add(0, 1, bits)
    assert len(used) == gates.gates(bits)


@pytest.mark.parametrize(
    ("a", "b", "bits"), [(16, 0, 4), (0, -1, 4), (0.5, 0, 4), (0, 0, 0), (0, 0, 63)]
)
def test_numbers_that_do_not_fit_are_refused(a: int, b: int, bits: int):
    with pytest.raises(ValueError, match=r"Expected .* Received: "):
        gates.add(a, b, bits)


def _checked(network: ColumnNetwork, keras: bool) -> parity.CheckReport:
    def gradients(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        of_biases, of_weights = network.backprop(x, y)
        return [*of_weights, *of_biases]

    return parity.check(
        parity.Candidate(
            get_weights=lambda: [*network.weights, *network.biases],
            forward=lambda x: network.activations(x)[-1],
            gradients=gradients,
            samples="single",
            loss="quadratic",
        ),
        reference="sigmoid:6-5-4-3",
        keras=keras,
    )


class _WithoutDerivative(ColumnNetwork):
    """Forgets the sigmoid's derivative at the output."""

    def backprop(self, x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        a = self.activations(x)[-1]
        return super().backprop(x, a + (y - a) / (a * (1 - a)))


def test_the_documents_program_is_right_and_a_bug_in_it_is_found():
    sizes, rng = [6, 5, 4, 3], np.random.default_rng(0)
    assert _checked(ColumnNetwork(sizes, rng), keras=True).outcome is parity.Outcome.RIGHT
    assert _checked(_WithoutDerivative(sizes, rng), keras=False).outcome is parity.Outcome.WRONG


def test_the_documents_program_and_ours_take_the_same_steps(
    tmp_path: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch
):
    samples = training.load(_context(tmp_path, tiny_mnist))
    assert difference(samples, 0, 5) < 1e-13
    update = ColumnNetwork.update
    monkeypatch.setattr(
        ColumnNetwork, "update", lambda self, x, y, eta: update(self, x, y, eta * 1.0001)
    )
    assert difference(samples, 0, 5) > 1e-9


def test_a_seed_trains_as_everywhere_else(
    tmp_path: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch
):
    context = _context(tmp_path, tiny_mnist)
    run = training.train(SMALL, 4, training.load(context), context, epochs=30)
    recipe = recipes.get(SMALL.recipe)
    monkeypatch.setitem(recipes.RECIPES, recipe.name, recipes.replace(recipe, epochs=2))
    elsewhere = accuracy.measure(SMALL.recipe, "numpy", 4, "float32", tiny_mnist)
    assert elsewhere["accuracy"] == pytest.approx(run.last / 100)


def test_scaled_weights_are_the_same_draws_by_the_root_of_the_inputs():
    plain = models.build(LARGE.recipe, np.random.default_rng(1)).weights
    same = training.build(LARGE, np.random.default_rng(1)).weights
    scaled = training.build(CURED, np.random.default_rng(1)).weights
    for a, b, c, root in zip(plain, same, scaled, (28, 1, 10, 1), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a / root, c, rtol=1e-6)


def test_what_a_run_says_by_hand():
    # The validation set is best in epochs 1 and 3; the first of them counts.
    largest = np.ones((4, 10))
    largest[1:, 9], largest[3, 1], largest[3, 2] = 0.01, 0.49, 0.5
    run = D1Run(SMALL, 0, [90, 92, 95, 94], [91, 93, 92, 93], np.eye(10), largest)
    assert (run.best, run.chosen, run.last) == (95, 92, 94)
    assert [run.dead_after(epochs) for epochs in (1, 2)] == [[], [9]]
    assert run.dead == [1, 9]


def test_a_trace_is_the_training_itself(tmp_path: Path, tiny_mnist: Path):
    context = _context(tmp_path, tiny_mnist)
    samples = training.load(context)
    trace = training.trace(LARGE, 3, samples, context)
    assert trace.steps[0] == 0
    assert trace.steps[-1] == 5  # 50 pictures, ten a step
    network = training.build(LARGE, context.generators(3)[0])
    hidden = 1 / (1 + np.exp(-(samples.x_valid @ network.weights[0] + network.weights[1])))
    z = hidden @ network.weights[2] + network.weights[3]
    of_fours = z[samples.y_valid[:, 4] == 1, 4]
    assert trace.z[0, 4] == pytest.approx(of_fours.mean(), rel=1e-5)


def test_labels_keep_their_distance():
    assert pictures._apart(np.array([5.0, 1.0, 1.5]), 1.0).tolist() == [5.0, 1.0, 2.0]


def test_everything_runs_and_is_drawn(tmp_path: Path, tiny_mnist: Path):
    lines: list[str] = []
    context = Context(1, tmp_path, tiny_mnist, quick=True, status=_quietly, line=lines.append)
    results = reproduction.reproduce(context)
    assert lines[1].startswith("Epoch 0: ")
    assert lines[1].endswith(" / 20")
    assert set(results.tables) == {"truth", "accuracy", "trainings", "survey", "layers"}
    assert all(
        len(row) == len(table.columns) for table in results.tables.values() for row in table.rows
    )
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "perceptron.png", "curves.png", "outputs.png", "dying.png",
    }  # fmt: skip
    assert [target.author for target in results.targets] == [95.42, 96.59]


def test_the_documents_pickle_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_files, "save_keras", lambda network, path: path.touch())
    rng = np.random.default_rng(0)
    pairs = tuple(
        ((rng.integers(0, 256, (n, 784)) / 256).astype(np.float32), np.arange(n) % 10)
        for n in (50, 10, 10)
    )
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps(pairs, 2)))
    out = tmp_path / "out"
    options = ["--engine", "numpy", "--epochs", "1", "--data", str(path), "--out", str(out)]
    assert train_command.main(["784-30-10", *options]) == 0
    assert (out / "model.npz").is_file()
