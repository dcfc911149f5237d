"""The command that compares both engines on each backend, and the tables of docs/backends.md."""

import copy
from typing import Any

import pytest

from numpy_impl.layers import LAYERS
from numpy_impl.losses import LOSSES
from numpy_impl.optimizers import OPTIMIZERS
from tools.backends import __main__ as backends
from tools.backends import cases, differences, measuring, page


def test_every_layer_loss_and_optimizer_of_the_engine_is_compared() -> None:
    named = {case.name for case in cases.cases()}
    kinds = {kind.__name__ for kind in OPTIMIZERS.values()}
    assert named >= {*LAYERS, *LOSSES, *kinds, "64-40-10", "784-500-300-10"}


def test_a_case_that_is_wrong_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in cases.cases() if case.name == "Dense")
    right = measuring.compared(case, "float64")
    assert right["verdict"] in page.PASSED
    assert 0 < right["ratio"] <= 1
    twin = cases.parity.numpy_twin

    def off(model: Any) -> Any:
        network = twin(model)
        network.weights[0][0, 0] *= 1 + 1e-12
        return network

    monkeypatch.setattr(cases.parity, "numpy_twin", off)
    wrong = measuring.compared(case, "float64")
    assert wrong["verdict"] == "DIFFERENT"
    assert page.failures(_found(right)) == []
    assert page.failures(_found(wrong)) == ["Dense on tensorflow in float64"]


def _found(entry: dict[str, Any]) -> list[dict[str, Any]]:
    fine = {"verdict": page.PASSED[0], "ratio": 0.0}
    row = {"group": "layers", "name": "Dense", "float64": entry, "float32": fine}
    return [{"backend": "tensorflow", "agreement": [row], "training": {"checked": fine}}]


def test_what_is_refused_is_a_failure_but_where_it_is_known(capsys: pytest.CaptureFixture[str]):
    found = _found({"verdict": page.REFUSED, "ratio": None})
    assert page.failures(found) == ["Dense on tensorflow in float64"]
    found[0]["backend"], found[0]["agreement"][0]["name"] = "jax", "MultiHeadAttention"
    assert page.failures(found) == []
    page.agreement(found)
    assert "| MultiHeadAttention | refused | 0 |" in capsys.readouterr().out


def test_a_constant_of_float32_is_measured_as_one() -> None:
    measured = differences.differences()
    constants, losses = measured["constants"], measured["losses"]
    assert constants["`L2(0.1)`"] == pytest.approx(1.4901161e-8)  # float32(0.1) / 0.1 - 1
    assert constants["`RMSprop(rho=0.9)`"] == 0
    assert losses["`categorical_crossentropy` of softmax"] == pytest.approx(30)


def test_the_page_s_measurements_are_of_all_three_and_within_what_it_says() -> None:
    found = page.saved()
    assert [one["backend"] for one in found] == list(backends.BACKENDS)
    assert page.failures(found) == []
    assert all(one["training"]["engines"] < 1e-12 for one in found)
    planted = copy.deepcopy(found)
    planted[1]["training"]["checked"]["verdict"] = "DIFFERENT"
    assert page.failures(planted) == ["training on jax"]


def test_a_backend_that_is_not_known_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert backends.main(["--backends", "jax,mxnet"]) == 2
    assert capsys.readouterr().err == (
        "backends: --backends: expected some of tensorflow,jax,torch. Received: mxnet\n"
    )
