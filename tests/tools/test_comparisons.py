"""The tools that train both engines: MNIST step by step, and the accuracies."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import terminal_io
from keras_impl import keras
from numpy_impl import layers as numpy_layers
from numpy_impl import optimizers
from scripts import recipes
from tools import accuracy, parity_mnist, parity_sequences, pretrained


def test_the_mnist_comparison_on_a_few_pictures(tiny_mnist: Path, capsys):
    assert (
        parity_mnist.main(["--epochs", "3", "--check-every", "1", "--data", str(tiny_mnist)]) == 0
    )
    text = capsys.readouterr().out
    assert "3 of 3 training steps checked" in text
    # One batch an epoch: after each, both distances, and all 20 test pictures labelled alike.
    rows = re.findall(r"^ +([123]) +(\S+) +(\S+) +20$", text, re.MULTILINE)
    assert [step for step, _, _ in rows] == ["1", "2", "3"]
    assert all(0 < float(apart) < 1e-12 for row in rows for apart in row[1:])


def test_some_steps_of_lenet_are_compared(tiny_mnist: Path, capsys):
    given = ["--network", "lenet", "--epochs", "2", "--steps", "2", "--check-every", "2"]
    parity_mnist.main([*given, "--data", str(tiny_mnist)])
    text = capsys.readouterr().out
    assert "1 of 2 training steps checked" in text
    # Pictures are black at their edges, where pooled numbers are equal: a bound may decide nothing.
    assert "DIFFERENT" not in text
    rows = re.findall(r"^ +([12]) +(\S+) +(\S+) +20$", text, re.MULTILINE)
    assert [step for step, _, _ in rows] == ["1", "2"]
    # Adam divides each gradient by its own size, also where that is mostly rounding: how far the
    # engines come apart depends on the processor. What is wrong shows at the learning rate, 1e-3.
    assert all(0 < float(apart) < 1e-11 for row in rows for apart in row[1:])


def test_the_mnist_comparison_fails_when_an_engine_is_wrong(tiny_mnist: Path, monkeypatch, capsys):
    right = optimizers.RMSprop._update
    monkeypatch.setattr(
        optimizers.RMSprop, "_update", lambda self, g, *rest: right(self, 1.001 * g, *rest)
    )
    assert parity_mnist.main(["--epochs", "1", "--data", str(tiny_mnist)]) == 1
    assert "NOT shown to be identical" in capsys.readouterr().out


def test_the_comparison_of_sequences(tiny_mnist: Path, monkeypatch, capsys):
    few = ["--steps", "2", "--checked", "2", "--units", "3"]
    assert parity_sequences.main(["rows", *few, "--data", str(tiny_mnist)]) == 0
    assert "1 of 1 training steps checked" in capsys.readouterr().out  # one batch
    monkeypatch.setattr(parity_sequences, "CHARACTERS", 4)
    text = [*few, "--layer", "SimpleRNN"]
    assert parity_sequences.main(["text", *text]) == 0
    shown = capsys.readouterr().out
    # After each step the loss in both engines, which has gone down.
    (_, first, same), (_, last, _) = re.findall(r"^([12]) +(\S+) +(\S+) *$", shown, re.MULTILINE)
    assert first == same
    assert float(last) < float(first)
    right = numpy_layers.SimpleRNN.step_back

    def wrong(self, *arguments):
        dz, du, *others = right(self, *arguments)
        return dz, 1.001 * du, *others

    monkeypatch.setattr(numpy_layers.SimpleRNN, "step_back", wrong)
    assert parity_sequences.main(["text", *text]) == 1
    assert "NOT shown to be identical: steps 1/recurrent_kernel" in capsys.readouterr().out


def _network_for_pictures(path: Path, *layers) -> Path:
    last = [keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    keras.Sequential([keras.Input((200, 200, 3)), *layers, *last]).save(path)
    return path


def test_somebodys_trained_network(tmp_path: Path, monkeypatch, capsys):
    kinds = keras.layers
    convolved = kinds.Conv2D(2, 5, strides=20), kinds.BatchNormalization(), kinds.MaxPooling2D()
    path = _network_for_pictures(tmp_path / "m.keras", *convolved)
    assert pretrained.main([str(path), "--compared", "2"]) == 0
    shown = capsys.readouterr().out
    # Of two photographs of 427 x 640 there are six pieces each.
    assert "12 pieces of photographs: the largest output is at the same place in 12," in shown
    assert re.search(r"forward in float64: .*5 rounding|forward .*identical", shown)
    right = numpy_layers.MaxPooling2D.compute

    def wrong(self, x, w, training):
        y, kept = right(self, x, w, training)
        return y + 1e-9, kept

    monkeypatch.setattr(numpy_layers.MaxPooling2D, "compute", wrong)
    assert pretrained.main([str(path), "--compared", "2"]) == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_accuracies_of_both_engines(tmp_path: Path, monkeypatch, capsys):
    short = replace(recipes.get("64-200-10"), epochs=2)
    monkeypatch.setitem(recipes.RECIPES, "64-200-10", short)
    out = tmp_path / "accuracy.json"
    assert accuracy.main(["--names", "64-200-10", "--seeds", "2", "--out", str(out)]) == 0
    results = json.loads(out.read_text())
    assert [(r["engine"], r["seed"]) for r in results] == [
        ("numpy", 0), ("numpy", 1), ("keras", 0), ("keras", 1),
    ]  # fmt: skip
    assert all(r["epochs"] == 2 and 0.8 < r["accuracy"] <= 1 for r in results)
    mean = 50 * sum(r["accuracy"] for r in results[:2])
    assert f"{mean:.2f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (accuracy, ["--seeds", "0"], "expected --seeds of at least 1. Received: 0"),
        (accuracy, ["--engines", "torch"], "Received: 'torch'"),
        (accuracy, ["--names", "64-41-10"], "unknown network"),
        (parity_mnist, ["--epochs", "0"], "at least 1. Received: 0 and 10"),
        (parity_mnist, ["--steps", "0"], "expected --steps of at least 1. Received: 0"),
        (parity_mnist, ["--data", "/no/such/file"], "a path that does not exist"),
        (parity_sequences, ["text", "--steps", "-1"], "at least 1. Received: 32, -1 and 20"),
        (parity_sequences, ["rows", "--data", "/no/such/file"], "a path that does not exist"),
        (pretrained, ["/no/such/file.keras"], "expected a model that Keras reads. Received: "),
        (pretrained, ["x.keras", "--compared", "0"], "at least 1. Received: 0"),
    ],
)
def test_wrong_options_give_one_line(command, arguments, message, tmp_path, capsys):
    if command is accuracy:
        arguments = [*arguments, "--out", str(tmp_path / "accuracy.json")]
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_spread_is_the_sample_standard_deviation():
    results = [
        {"name": "64-40-10", "engine": "numpy", "epochs": 1, "accuracy": a, "seconds": 1.0}
        for a in (0.80, 0.82, 0.87)
    ]
    console = terminal_io.console()
    with console.capture() as captured:
        console.print(accuracy.table(results))
    # Mean 83; squared deviations 9 + 1 + 16 = 26, over 2 is 13, whose root is 3.61.
    assert np.isclose(np.sqrt(13), 3.61, atol=0.01)
    row = captured.get().splitlines()[-1].split()
    assert row[:6] == ["64-40-10", "numpy", "3", "1", "83.00", "3.61"]
