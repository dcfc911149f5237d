"""How a forward pass beside a Keras model may be called, and what it may return."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import parity
from parity.__main__ import main
from parity.reports.report import CheckReport, Outcome


@functools.cache
def model() -> Any:
    from keras_impl import keras

    layers = keras.layers
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((4,)), layers.Dense(5, "tanh", name="one"), layers.Dropout(0.3),
            layers.LayerNormalization(name="norm"), layers.Dense(2, name="two"),
        ],
        name="small",
    )  # fmt: skip


def layers_of(x: Any, epsilon: float = 1e-3) -> list[Any]:
    """The activations for samples in rows, or for one sample."""
    w = [a.astype(np.float64) for a in model().get_weights()]
    one = np.tanh(x @ w[0] + w[1])
    root = np.sqrt(one.var(axis=-1, keepdims=True) + epsilon)
    norm = (one - one.mean(axis=-1, keepdims=True)) / root * w[2] + w[3]
    return [one, norm, norm @ w[4] + w[5]]


def checked(forward: Callable[..., Any], **changes: Any) -> CheckReport:
    return parity.check(parity.Candidate(forward=forward, **changes), model())


def only_one(x: Any) -> Any:
    if x.ndim != 1:
        raise ValueError("one sample, please")
    return layers_of(x)[-1]


FORWARDS: dict[str, Callable[..., Any]] = {
    "in rows": lambda x: layers_of(x)[-1],
    "one a call": only_one,
    "in columns": lambda x: layers_of(x.T)[-1].T,
    "outputs and a cache": lambda x: (layers_of(x)[-1], {"x": x}),
    "a list": layers_of,
    "a dict": lambda x: dict(zip(("one", "norm", "two"), layers_of(x), strict=True)),
}


@pytest.mark.parametrize("words", FORWARDS)
def test_a_right_forward_in_its_own_conventions(words: str):
    report = checked(FORWARDS[words])
    assert report.outcome is Outcome.RIGHT, str(report)


def test_layer_map_names_the_layers():
    names = {"h": "one", "n": "norm"}
    report = checked(lambda x: dict(zip("hno", layers_of(x), strict=True)), layer_map=names)
    assert [row.name for row in report.tensors] == ["one", "norm", "output"]
    assert report.passed


def test_of_weights_that_are_all_zero_it_is_said_that_nothing_is_known():
    assert "one/bias" in checked(lambda x: layers_of(x)[-1]).summary


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_epsilon_is_seen_in_either_precision(dtype: Any):
    report = checked(lambda x: layers_of(x, 1e-5)[-1].astype(dtype))
    assert [(f.code, f.where) for f in report.findings] == [("epsilon", "layer norm, forward")]


def test_what_no_change_explains_is_placed():
    def forward(x: Any) -> Any:
        one, norm, two = layers_of(x)
        return [one, norm + 0.1 * np.sin(7 * norm), two]

    report = checked(forward)
    assert report.outcome is Outcome.WRONG
    assert [(f.code, f.where) for f in report.findings] == [
        ("unknown-forward", "layer norm, forward")
    ]
    assert "up to layer one, agrees" in report.findings[0].evidence


def test_a_nan_is_no_agreement():
    assert not checked(lambda x: layers_of(x)[-1] * np.nan).passed


def test_the_model_is_as_before():
    before = [(layer.dtype_policy.name, layer.call) for layer in model()._flatten_layers()]
    weights = [w.copy() for w in model().get_weights()]
    checked(lambda x: layers_of(x, 1e-5)[-1])
    after = [(layer.dtype_policy.name, layer.call) for layer in model()._flatten_layers()]
    assert before == after
    assert all(np.array_equal(a, b) for a, b in zip(weights, model().get_weights(), strict=True))


def test_without_weights_only_a_keras_model_is_a_reference():
    with pytest.raises(parity.candidate.CandidateError, match="expected get_weights, or"):
        parity.check(parity.Candidate(forward=lambda x: x), "64-40-10")


def test_a_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(ValueError, match=r"expected a \.keras file\. Received: .*none\.keras"):
        parity.check(parity.Candidate(forward=lambda x: x), tmp_path / "none.keras")
    assert main(["check", str(tmp_path / "any.py"), "--reference", "none.keras"]) == 2
    said = capsys.readouterr().err
    assert said == "parity: --reference: expected a .keras file. Received: none.keras, not there\n"


def test_exchanged_arrays_of_one_shape_are_told():
    import keras

    made = keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(name="norm")], name="exchanged"
    )
    gamma, beta, mean, variance = (np.array(w, float) for w in made.get_weights())

    def forward(x):  # reads what it calls gamma as beta, and the reverse
        return beta * (x - mean) / np.sqrt(variance + 1e-3) + gamma

    report = parity.check(
        parity.Candidate(get_weights=lambda: [gamma, beta, mean, variance], forward=forward), made
    )
    (remark,) = [r for r in report.remarks if r.startswith("Order: ")]
    assert "weights[0] is norm/beta, weights[1] is norm/gamma" in remark.replace("exchanged/", "")
