"""Temperature and calibration error, by hand and on planted cases; the shipped weights and card."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from digit_data.datasets import load_mnist
from numpy_impl import Sequential, serialization
from numpy_impl.layers import Dense
from scripts import calibration, model_files
from scripts.train import __main__ as train
from tools import ship


def _network(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential([Dense(8, "relu"), Dense(3, "softmax")], 4, rng, "float64")


def test_calibration_error_by_hand():
    # Two bins of width 1/2. Best scores 0.6 right, 0.8 wrong, 0.7 right are in the upper one:
    # accuracy 2/3, mean score 0.7. 0.4 wrong is in the lower one: accuracy 0, mean score 0.4.
    # ECE = 3/4 |2/3 - 0.7| + 1/4 |0 - 0.4| = 0.025 + 0.1.
    scores = np.array([[0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    labels = np.array([0, 1, 2, 1])
    assert calibration.expected_calibration_error(scores, labels, bins=2) == pytest.approx(0.125)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not():
    scores = np.eye(3)
    assert calibration.expected_calibration_error(scores, np.arange(3)) == 0
    assert calibration.expected_calibration_error(scores, np.array([1, 2, 0])) == 1


def test_negative_log_likelihood_by_hand():
    scores = np.array([[0.5, 0.5], [0.25, 0.75]])
    expected = -(np.log(0.5) + np.log(0.75)) / 2
    labels = np.array([0, 1])
    assert calibration.negative_log_likelihood(scores, labels) == pytest.approx(expected)


def test_the_temperature_divides_the_logits():
    network, x = _network(), np.random.default_rng(1).normal(size=(5, 4))
    network.forward(x)
    logits = np.asarray(network.layers[-1].z) / 2.5  # type: ignore[attr-defined]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scaled = calibration.with_temperature(network, 2.5)
    np.testing.assert_allclose(scaled.predict(x), expected, rtol=1e-12)
    assert (scaled.parameters != network.parameters).any()


@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found(planted: float):
    """Labels drawn from the network's own scores are best told by temperature 1."""
    rng, network = np.random.default_rng(2), _network()
    x = 3 * rng.normal(size=(20_000, 4))
    scores = network.predict(x)
    labels = (scores.cumsum(axis=1) > rng.random((len(x), 1))).argmax(axis=1)
    sharpened = calibration.with_temperature(network, 1 / planted)
    assert calibration.fit_temperature(sharpened, x, labels) == pytest.approx(planted, rel=0.05)


def test_only_a_softmax_has_a_temperature():
    network = Sequential([Dense(3, "sigmoid")], 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="Dense layer with softmax at the end"):
        calibration.with_temperature(network, 2.0)


def test_weights_and_card_are_made_from_a_training(
    tmp_path: Path, tiny_mnist: Path, capsys: pytest.CaptureFixture[str]
):
    run, out = tmp_path / "run", tmp_path / "weights"
    options = ["--engine", "numpy", "--epochs", "1", "--data", str(tiny_mnist), "--out", str(run)]
    assert train.main(["mnist-robust", *options]) == 0
    command = ["--run", str(run), "--data", str(tiny_mnist), "--out", str(out)]
    assert ship.main(command) == 0
    card = (out / "mnist-robust.md").read_text()
    content = (out / "mnist-robust.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest() in card
    assert "1 epochs" in card
    assert "58 pictures" in card
    before, after = (
        serialization.load(path) for path in (run / "model.npz", out / "mnist-robust.npz")
    )
    ratio = before.weights[-2] / after.weights[-2]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-5)
    assert f"| temperature | {ratio.mean():.3f}," in card
    for one, other in zip(before.weights[:-2], after.weights[:-2], strict=True):
        np.testing.assert_array_equal(one, other)
    capsys.readouterr()
    assert ship.main(["--run", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("ship: No such file or directory: ")


def test_the_shipped_card_tells_the_truth(real_mnist: Path):
    path = model_files.SHIPPED_MODEL
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    data = load_mnist(real_mnist)
    x = data.x_test.reshape(-1, 784).astype(np.float32) / 255
    scores = serialization.load(path).predict(x)
    accuracy = np.mean(scores.argmax(axis=1) == data.y_test)
    error = calibration.expected_calibration_error(scores, data.y_test)
    assert accuracy >= 0.993
    said = re.search(r"MNIST test set \| ([\d.]+)% right", card)
    assert said is not None
    assert float(said[1]) == pytest.approx(100 * accuracy, abs=0.011)
    said = re.search(r"calibration error, test set \| ([\d.]+)%", card)
    assert said is not None
    assert float(said[1]) == pytest.approx(100 * error, abs=0.011)
