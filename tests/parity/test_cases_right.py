"""Right code of people is called right, or right but for a scale; what was not tested is said."""

import importlib.util
from collections import namedtuple
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import parity
from parity.reports.report import Outcome

CASES = Path(__file__).parents[1] / "cases"


def load(name: str) -> ModuleType:
    """Return a case as a module of its own, made anew."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, CASES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(name: str, make: str = "make", **options: Any) -> parity.CheckReport:
    return parity.check(getattr(load(name), make), keras=False, **options)


def right(report: parity.CheckReport) -> parity.CheckReport:
    assert report.outcome is Outcome.RIGHT, str(report)
    return report


def wrong(report: parity.CheckReport, *codes: str) -> parity.CheckReport:
    assert report.outcome is Outcome.WRONG, str(report)
    assert tuple(finding.code for finding in report.findings) == codes, str(report)
    return report


def said(report: parity.CheckReport) -> str:
    """Return all remarks in one."""
    return " ".join(report.remarks)


# Gradients in dicts.


def two_layers(pack, pack_gradients, rng_seed: int = 0, spoil: float = 1.0):
    """Return the maker of a 6-5-4 network of tanh and outputs, its weights and gradients packed."""
    rng = np.random.default_rng(rng_seed)
    P = [rng.normal(size=s) for s in ((6, 5), (5,), (5, 4), (4,))]

    def hidden(x):
        return np.tanh(x @ P[0] + P[1])

    def forward(x):
        return hidden(x) @ P[2] + P[3]

    def gradients(x, y):
        h = hidden(x)
        d2 = (forward(x) - y) / len(x)
        d1 = d2 @ P[2].T * (1 - h**2)
        return pack_gradients(x.T @ d1 * spoil, d1.sum(0), h.T @ d2, d2.sum(0))

    return lambda: parity.Candidate(
        get_weights=lambda: pack(*P), forward=forward, gradients=gradients
    )


Layer = namedtuple("Layer", "kernel bias")
Turned = namedtuple("Turned", "bias kernel")
KEYED = {
    "list of dicts": (
        lambda W, b, V, c: [{"w": W, "b": b}, {"w": V, "b": c}],
        lambda W, b, V, c: [{"b": b, "w": W}, {"b": c, "w": V}],
    ),
    "tuple of dicts, dw for w": (
        lambda W, b, V, c: ({"w": W, "b": b}, {"w": V, "b": c}),
        lambda W, b, V, c: ({"db": b, "dw": W}, {"db": c, "dw": V}),
    ),
    "dict of lists": (
        lambda W, b, V, c: {"W": [W, V], "b": [b, c]},
        lambda W, b, V, c: {"db": [b, c], "dW": [W, V]},
    ),
    "dict of lists, w_grad": (
        lambda W, b, V, c: {"w": [W, V], "b": [b, c]},
        lambda W, b, V, c: {"b_grad": [b, c], "w_grad": [W, V]},
    ),
    "dict of dicts, in the backward order": (
        lambda W, b, V, c: {"hidden": {"W": W, "b": b}, "out": {"W": V, "b": c}},
        lambda W, b, V, c: {"out": {"b": c, "W": V}, "hidden": {"b": b, "W": W}},
    ),
    "dicts with numbers": (
        lambda W, b, V, c: {1: {"W": W, "b": b}, 2: {"W": V, "b": c}},
        lambda W, b, V, c: {2: {"grad_b": c, "grad_W": V}, 1: {"grad_b": b, "grad_W": W}},
    ),
    "a layer's dict with its weights as well": (
        lambda W, b, V, c: [{"W": W, "b": b}, {"W": V, "b": c}],
        lambda W, b, V, c: [
            {"W": np.ones_like(W), "b": b * 0, "dW": W, "db": b},
            {"W": np.ones_like(V), "b": c * 0, "db": c, "dW": V},
        ],
    ),
    "named tuples": (
        lambda W, b, V, c: [Layer(W, b), Layer(V, c)],
        lambda W, b, V, c: [Turned(b, W), Turned(c, V)],
    ),
    "one dict, with what else is computed": (
        lambda W, b, V, c: {"W1": W, "b1": b, "W2": V, "b2": c},
        lambda W, b, V, c: {"dZ2": c * 2, "dW2": V, "db2": c, "dA1": b, "dW1": W, "db1": b},
    ),
    "an object array of dicts": (
        lambda W, b, V, c: np.array([{"W": W, "b": b}, {"W": V, "b": c}], dtype=object),
        lambda W, b, V, c: np.array([{"b": b, "W": W}, {"b": c, "W": V}], dtype=object),
    ),
}  # fmt: skip


def test_a_list_of_dicts_is_matched_by_its_keys():
    right(check("right/repro_list_of_dicts"))


@pytest.mark.parametrize("kept", KEYED)
def test_gradients_with_names_are_matched_by_these(kept):
    right(parity.check(two_layers(*KEYED[kept]), keras=False))


@pytest.mark.parametrize("kept", KEYED)
def test_a_bug_in_gradients_with_names_is_seen(kept):
    report = parity.check(two_layers(*KEYED[kept], spoil=3.0), keras=False)
    wrong(report, "factor")
    assert "layer 1 kernel" in report.findings[0].where
