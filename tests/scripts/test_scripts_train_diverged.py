"""A loss that runs away ends the training, and what is said of where it began."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from numpy_impl import losses, models, serialization
from scripts import engines, plots, recipes, run_files
from scripts.train import __main__ as train
from scripts.train import divergence


@pytest.fixture(autouse=True)
def quick_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "save_keras", lambda network, path: path.touch())
    monkeypatch.setattr(plots, "curves", lambda history, path, title: path.touch())
    monkeypatch.setattr(plots, "confusion", lambda matrix, path, title: path.touch())


def _diverges(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Train what diverges; return the one line that says so."""
    assert train.main([str(argument) for argument in arguments]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("train: ") for line in lines[-2:]].count(True) == 1
    assert not any("Warning" in line for line in lines)
    return lines[-1]


@pytest.mark.parametrize("engine", ["numpy", "keras"])
@pytest.mark.parametrize(
    ("options", "step", "layer"),
    [
        # Weights of 1e29: their outputs overflow one layer on, in the step after.
        (("--optimizer", "sgd", "--learning-rate", 1e30), 2, "layer 2 of 3 (500 to 300) was the "
         "first to give outputs that are not finite"),
        (("--learning-rate", 100), None, "grew most: its largest weight from"),
    ],
)  # fmt: skip
def test_step_layer_and_rate_are_named(
    engine: str, options: tuple[object, ...], step: int | None, layer: str, tmp_path: Path,
    tiny_mnist: Path, capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    out = tmp_path / "out"
    command = ("784-500-300-10", "--engine", engine, "--data", tiny_mnist, "--batch-size", 10)
    error = _diverges(capsys, *command, *options, "--out", out)
    assert f"epoch 1, step {step or ''}" in error
    assert " of 6: expected " in error
    assert layer in error
    assert "is probably too large; nothing of it is saved" in error
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("network", ["64-40-10", "784-64-10"])
def test_a_bounded_loss_that_runs_away_is_noticed(
    network: str, tmp_path: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    # A quadratic loss, and the cross-entropy of clipped probabilities, as Keras has it on PyTorch.
    clipped = SimpleNamespace(get=lambda name, **fused: losses.get(name))
    monkeypatch.setattr(engines, "losses", clipped)
    data = ("--data", tiny_mnist) if network.startswith("784") else ()
    command = (network, "--engine", "numpy", *data, "--batch-size", 10, "--out", tmp_path / "out")
    error = _diverges(capsys, *command, "--epochs", 2, "--learning-rate", 1e30)
    assert "epoch 1, step 1 of " in error
    assert "expected no enormous cross-entropy (at most " in error
    assert "layer 2 of 2 (" in error
    assert not list(tmp_path.glob("out*"))
    # Ten times the recipe's rate trains badly, and is none.
    rate = ("--learning-rate", 10 * recipes.get(network).options["learning_rate"])
    assert train.main([*map(str, command), "--epochs", "2", *map(str, rate)]) == 0


def test_the_step_is_found_wherever_it_is(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    x, y = rng.random((30, 64), np.float32), np.eye(10, dtype=np.float32)[np.arange(30) % 10]
    batches = np.split(np.arange(30), 15)
    recipe = recipes.get("sigmoid:64-5-10")
    for bad in (1, 2, 7, 14, 15):
        with engines.trainer(
            "numpy", engines.TrainingPlan.of(recipe), np.random.default_rng(1)
        ) as trainer:
            steps = [0]
            take = divergence._take

            def taking(trainer, x, y, some, rate, steps=steps, bad=bad, take=take):
                logs = take(trainer, x, y, some, rate)
                steps[0] += len(some)
                if steps[0] >= bad > steps[0] - len(some):
                    network = trainer.network()
                    network.set_weights([np.full_like(w, 1e9) for w in network.get_weights()])
                return logs

            restore = trainer.restore

            def restoring(*arguments, steps=steps, restore=restore):
                steps[0] -= 4 - (steps[0] == 15)  # so many are taken at once, and three at the end
                restore(*arguments)

            monkeypatch.setattr(divergence, "_take", taking)
            monkeypatch.setattr(trainer, "restore", restoring)
            found = divergence.origin(trainer, 700, x, y, batches, lambda epoch: 0.0)
            monkeypatch.undo()
        assert (found.step, "grew most" in found.what) == (bad, True)


@pytest.mark.parametrize("engine", ["numpy", "keras"])
def test_the_last_good_epoch_is_kept(
    engine: str, tmp_path: Path, tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    out = tmp_path / "out"
    options = ("--optimizer", "sgd", "--learning-rate", 0.01, "--data", tiny_mnist)
    command = ("784-500-300-10", "--engine", engine, *options, "--batch-size", 10)
    assert train.main([*map(str, command), "--epochs", "2", "--out", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    rate = recipes.Recipe.learning_rate
    monkeypatch.setattr(
        recipes.Recipe, "learning_rate", lambda self, epoch: rate(self, epoch) * 1e32 ** (epoch > 1)
    )
    # Not on the disk when it happens: then it is saved.
    every = ("--checkpoint-every", 10, "--epochs", 5)
    error = _diverges(capsys, *command, *every, "--out", out, "--force")
    assert re.search(r"epoch 3, step \d of 6: expected a finite loss. Received: (nan|inf); ", error)
    kept = tmp_path / "out.training" / "checkpoint.npz"
    assert error.endswith(f"epoch 2 is kept in {kept}")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    network = serialization.load(kept)
    expected = serialization.load(out / "model.npz")
    np.testing.assert_array_equal(network.parameters, expected.parameters)


def test_the_layer_is_the_first_in_the_order_of_computation():
    network = models.build("784-500-300-10", np.random.default_rng(0))
    x = np.ones((3, 784), np.float32)
    good = network.get_weights()

    def affected(before: dict[int, float], after: dict[int, float]) -> str | None:
        one, other = ([weight.copy() for weight in good] for _ in range(2))
        for weights, changes in ((one, before), (other, after)):
            for index, value in changes.items():
                weights[index][...] = value
        return divergence._affected(network, one, other, x)

    assert affected({}, {}) is None
    # Forward from the input, gradients from the output.
    for before, after, layer, what in (
        ({0: 1e38}, {}, 1, "outputs"),
        ({1: np.inf, 4: np.nan}, {0: np.nan}, 1, "outputs"),
        ({4: np.inf}, {0: np.nan}, 3, "outputs"),
        ({}, {0: np.nan}, 1, "weights"),
        ({}, {0: np.nan, 3: np.inf}, 2, "weights"),
        ({}, dict.fromkeys(range(6), np.nan), 3, "weights"),
    ):
        found = affected(before, after)
        assert found is not None
        assert f"layer {layer} of 3" in found
        assert f"{what} that are not finite" in found


def test_a_jump_in_one_step_is_no_divergence():
    limit = divergence.worst("categorical_crossentropy", 10)
    assert limit == pytest.approx(1000 * np.log(10))
    divergence.check({"loss": 1e9})
    divergence.check({"loss": 2.3, "val_loss": 40.0}, limit)
    for logs in ({"loss": 1e9}, {"val_loss": 1e9}, {"loss": np.nan}, {"val_loss": -np.inf}):
        with pytest.raises(divergence.Diverged):
            divergence.check(logs, limit)
