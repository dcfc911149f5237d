"""The line that is wrong: one change of the user's own code with which its gradients are right."""

import ast
import gc
import importlib.util
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

import parity
from parity import CheckReport
from parity.checking.repairing import search
from parity.checking.repairing.functions import OutOfTime, within
from parity.reports.report import Outcome
from tests.imported import imported
from tests.parity.one_change.mistakes import MENDED_ELSEWHERE, MISTAKES, OF_VALUES

pytestmark = pytest.mark.search
HERE = Path(__file__).parent / "one_change"
PROGRAMS = sorted(
    path.stem for path in HERE.glob("*.py") if path.stem not in ("__init__", "mistakes")
)


def loaded(name: str, folder: Path, *changes: tuple[str, str]) -> tuple[ModuleType, int]:
    """Return a program with changes, in a file of its own, and the line of the first."""
    text, line = (HERE / f"{name}.py").read_text(), 0
    for old, new in changes:
        assert text.count(old) == 1
        line = line or text[: text.index(old)].count("\n") + 1
        text = text.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(text)
    return imported(path), line


def codes_of(module: ModuleType) -> dict[str, Any]:
    """Return the code of every function and method of a module."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        parts = vars(value) if isinstance(value, type) else {"": value}
        found |= {
            f"{name}.{n}": f.__code__ for n, f in parts.items() if isinstance(f, FunctionType)
        }
    return found


def asked(report: CheckReport) -> list[str]:
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize(("name", "old", "new", "words", "told"), OF_VALUES)
def test_where_no_line_is_found_the_wrong_value_is(
    name: str, old: str, new: str, words: str, told: str, tmp_path: Path
):
    module, _ = loaded(name, tmp_path, (old, new))
    report = parity.check(module.make)
    assert report.outcome is Outcome.WRONG
    assert asked(report) == ["wrong-value"], str(report)
    text = (tmp_path / f"{name}.py").read_text()
    line = text[: text.index(told)].count("\n") + 1
    assert words.format(f"line {line} of {name}.py") in report.findings[0].title


@pytest.mark.census(keep=3, by=lambda name, old, new: name)
@pytest.mark.parametrize(("name", "old", "new"), MISTAKES)
def test_a_wrong_line_is_found(
    name: str, old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(search, "SECONDS", 60.0)  # a busy machine is no reason to fail
    module, line = loaded(name, tmp_path, (old, new))
    before = codes_of(module)
    report = parity.check(module.make)
    assert report.outcome is Outcome.WRONG
    assert asked(report) == ["one-change"], str(report)
    lines = [
        f"line {line} of",
        *(f"lines {n} and {n + 1} of" for n in [line] if "\n" in old.strip()),
    ]
    assert f"{lines[-1]} {name}.py" in report.findings[0].title, report.findings[0]
    assert "all gradients agree" in report.findings[0].evidence
    assert codes_of(module) == before


@pytest.mark.census(keep=1, by=lambda name, old, new, line: name)
@pytest.mark.parametrize(("name", "old", "new", "line"), MENDED_ELSEWHERE)
def test_what_mends_a_wrong_line_is_found_in_another(
    name: str, old: str, new: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(search, "SECONDS", 60.0)
    module, _ = loaded(name, tmp_path, (old, new))
    report = parity.check(module.make)
    assert report.outcome is Outcome.WRONG
    assert asked(report) == ["one-change"], str(report)
    assert line in str(report.findings[0].values["new"])
    assert "all gradients agree" in report.findings[0].evidence


def test_a_sum_over_a_pass_begins_with_zeros_and_the_report_says_so(tmp_path: Path):
    """Branches whose gradients are zeroed by nobody: to add alone would add to the pass before."""
    add = 'self.grads["W"] += x.T @ dz\n        self.grads["b"] += dz.sum(axis=0)'
    module, _ = loaded(
        "branches", tmp_path, (add, add.replace("+=", "=")),
        ("        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}\n", ""),
    )  # fmt: skip
    before = set(vars(module))
    report = parity.check(module.make)
    assert asked(report) == ["one-change"], str(report)
    assert "+=" in str(report.findings[0].values["new"])
    assert "with it, and zeros there before each pass, all gradients" in report.findings[0].evidence
    assert set(vars(module)) == before


def test_a_variance_of_n_less_one_in_the_loss_alone_is_told(tmp_path: Path):
    """No factor in the gradients mends it where their n is of another batch than the loss's."""
    module, line = loaded(
        "normalized", tmp_path,
        ("(centred**2).sum(axis=0) / (len(x) - 1)", "z.var(axis=0, ddof=1)"),
        ("self.hat * along / (n - 1))", "self.hat * (dhat * self.hat).mean(axis=0))"),
    )  # fmt: skip
    [finding] = parity.check(module.make).findings
    assert f"line {line} of" in finding.title
    assert "z.var(axis=0)" in str(finding.values["new"])
    assert "(and your loss is another)" in finding.evidence


@pytest.mark.parametrize("name", PROGRAMS)
def test_right_programs_are_not_searched(name: str, tmp_path: Path, monkeypatch: Any):
    def searched(_: Any) -> None:
        raise AssertionError("a right program was searched")

    monkeypatch.setattr(search.Search, "run", searched)
    assert parity.check(loaded(name, tmp_path)[0].make).outcome is Outcome.RIGHT


def test_two_wrong_lines_that_each_spoil_all_are_located(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(search, "SECONDS", 2.0)
    dh = "dh = d @ self.V.T + dh_next"
    slope = "dz = dh * (1 - states[t + 1] ** 2)"
    module, _ = loaded(
        "recurrent", tmp_path, (dh, "dh = np.cbrt(d) @ self.V.T + dh_next"),
        (slope, "dz = np.sin(dh) * (1 - states[t] ** 2)"),
    )  # fmt: skip
    report = parity.check(module.make)
    assert asked(report) == ["not-the-derivative"], str(report)
    assert "no single change" in report.findings[0].evidence


@pytest.mark.parametrize("mean", ["np.mean(kl)", "kl.mean()"])
def test_a_mean_of_too_many_numbers_in_the_loss_is_found(mean: str, tmp_path: Path):
    """The penalty is divided by the width of the code as well; gradients are those without."""
    old = "return (((out - x) ** 2).sum() + kl.sum()) / len(x)"
    new = f"return ((out - x) ** 2).sum() / len(x) + {mean}"
    module, line = loaded("vae", tmp_path, (old, new))
    report = parity.check(module.make)
    assert asked(report) == ["one-change"], str(report)
    finding = report.findings[0]
    assert f"line {line} of vae.py" in finding.title
    assert "all gradients agree (and your loss is another)" in finding.evidence
    assert "axis=0" in finding.fix


class _Finalized:
    """Garbage that only a collection finds, with a finalizer of several lines."""

    begun, ended = 0, 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        _Finalized.begun += 1
        for _ in range(50):
            pass
        _Finalized.ended += 1


def test_no_finalizer_is_ended_half_way():
    """An exception there is lost, with what the finalizer had to do, and tracing ends with it."""

    def for_long() -> None:
        for _ in range(100_000):
            _Finalized()

    often = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for _ in range(5):
            with pytest.raises(OutOfTime), within(0.01):
                for_long()
    finally:
        gc.set_threshold(*often)
    assert gc.isenabled()
    gc.collect()
    assert _Finalized.begun == _Finalized.ended > 50


def test_a_gradient_that_has_to_be_zero_is_not_mended_by_a_zero(tmp_path: Path):
    """The last bias cancels in a distance: what makes all gradients nothing mends nothing."""
    module, _ = loaded("siamese", tmp_path, ("left[name] + right[name]", "left[name]"))
    found = parity.check(module.make).findings
    assert [f.code for f in found] != ["one-change"] or "W1" in found[0].where, found


def test_of_two_wrong_lines_one_is_named_with_what_it_mends(tmp_path: Path):
    module, line = loaded(
        "vae", tmp_path, ("dmean = dz + mean / n", "dmean = dz - mean / n"),
        ("z.T @ dout", "np.cbrt(z.T @ dout)"),
    )  # fmt: skip
    report = parity.check(module.make)
    [finding] = report.findings
    assert finding.code == "one-change"
    assert f"line {line} of" in finding.title
    assert finding.where == "weights[0], weights[1], weights[2], weights[3]"
    assert finding.evidence.startswith("with it weights[0], weights[1], weights[2] and weights[3] ")
    assert "and not yet weights[6]" in finding.evidence
    assert finding.title == (
        "one change mends the gradients of weights[0], weights[1], weights[2] and weights[3], in "
        f"line {line} of vae.py; that of weights[6] stays wrong"
    )
    assert report.summary == f"{finding.title}."
    assert "one change mends it" not in str(report)
    assert "then look for what is wrong besides" in finding.fix


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_code_and_weights_are_put_back_whatever_happens(
    error: type[BaseException], tmp_path: Path, monkeypatch: Any
):
    module, _ = loaded("siamese", tmp_path, ("dd = 2 * same * d - 2", "dd = 2 * same * d + 2"))
    before, weights = codes_of(module), {name: w.copy() for name, w in module.P.items()}
    calls: list[int] = []
    own = search.Search._values

    def interrupted(self: search.Search) -> Any:
        calls.append(1)
        if len(calls) == 30:
            assert codes_of(module) != before
            raise error
        return own(self)

    monkeypatch.setattr(search.Search, "_values", interrupted)
    with pytest.raises(error):
        parity.check(module.make)
    assert codes_of(module) == before
    assert all(np.array_equal(module.P[name], w) for name, w in weights.items())
    assert sys.gettrace() is None or "coverage" in repr(sys.gettrace())


def test_what_is_computed_and_never_read_is_tried_first(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(search, "CHANGES", 80)
    monkeypatch.setattr(search, "SECONDS", 60.0)
    module, line = loaded(
        "recurrent", tmp_path, ("dh = d @ self.V.T + dh_next", "dh = d @ self.V.T")
    )
    [finding] = parity.check(module.make).findings
    assert f"line {line} of" in finding.title
    assert finding.values["new"] == '"dh = d @ self.V.T + dh_next"'


def test_lines_of_which_the_loss_is_made_are_not_tried(tmp_path: Path, monkeypatch: Any):
    tried: set[str] = set()
    own = search.Search._tried

    def noted(self: search.Search, candidate: Any, confirm: bool = False) -> Any:
        tried.add(ast.unparse(candidate.statement.node))
        return own(self, candidate, confirm)

    monkeypatch.setattr(search.Search, "_tried", noted)
    monkeypatch.setattr(search.Search, "wrong_values", lambda *_: [])  # or few lines are left
    monkeypatch.setattr(search, "CHANGES", 300)
    wrong = "dh = np.cbrt(d) @ self.V.T + dh_next"
    module, _ = loaded("recurrent", tmp_path, ("dh = d @ self.V.T + dh_next", wrong))
    parity.check(module.make)
    assert "dz = dh * (1 - states[t + 1] ** 2)" in tried
    assert not any(line.startswith(("h = np.tanh", "e = np.exp")) for line in tried)


LOOP = """
import numpy as np
W = np.random.default_rng(0).normal(size=(4, 3))
count = [0]

def loss(x, y):
    return np.mean(np.tanh(x @ W) ** 2)

def gradients(x, y):
    count[0] += 1
    h, i, dW = np.tanh(x @ W), 0, np.zeros_like(W)
    while i < len(x):
        dW += np.outer(x[i], np.sin(2 * h[i] * (1 - h[i] ** 2))) / h.size
        i = i + 1
    return [dW]
"""


def test_a_change_that_never_ends_is_ended(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(search, "SECONDS", 4.0)
    (tmp_path / "loop.py").write_text(LOOP)
    spec = importlib.util.spec_from_file_location("loop", tmp_path / "loop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    report = parity.check_gradients(
        module.loss, [module.W], module.gradients,
        lambda rng: (rng.normal(size=(5, 4)), rng.normal(size=5)),
    )  # fmt: skip
    # np.sin is left out by the change: its argument stands alone.
    assert asked(report) == ["one-change"], str(report)
    assert "np.sin" in str(report.findings[0].values["old"])
    assert "np.sin" not in str(report.findings[0].values["new"])


def test_what_modules_and_objects_hold_is_put_back():
    from parity.checking.asking.held import Held

    class Neuron:
        def __init__(self) -> None:
            self.w: list[Any] = [1.0, np.ones(2)]

    array, part, neuron = np.arange(3.0), [1, 2], Neuron()
    holder: dict[str, Any] = {"array": array, "part": part, "w": {"a": np.ones(2)}}
    holder["net"] = [[neuron], (neuron,)]
    held = Held([holder])
    array += 1
    part.append(3)
    holder["w"]["a"] *= 5
    holder["more"], holder["array"] = 1, None
    neuron.w[1] *= 2
    neuron.w, holder["net"][0][0] = [], None
    held.put_back()
    assert holder.keys() == {"array", "part", "w", "net"}
    assert holder["net"][0] == [neuron]
    assert neuron.w[1].tolist() == [1, 1]
    assert holder["array"] is array
    assert (array.tolist(), part, holder["w"]["a"].tolist()) == ([0, 1, 2], [1, 2], [1, 1])


GUARDED = """
import numpy as np

r = np.random.default_rng(2)
W1, b1 = 0.5 * r.normal(size=(5, 6)), 0.1 * r.normal(size=6)
W2, b2 = 0.5 * r.normal(size=(6, 3)), 0.1 * r.normal(size=3)

def softmax_backward(dp, p):
    return p * (dp - (dp * p).sum(axis=1, keepdims=True))

def run(x):
    h = np.tanh(x @ W1 + b1)
    e = np.exp(h @ W2 + b2)
    return h, e / e.sum(axis=1, keepdims=True)

def loss(x, y):
    return -np.mean(np.sum(y * np.log(run(x)[1] + 1e-9), axis=1))

def gradients(x, y):
    h, p = run(x)
    d = softmax_backward(-y / (p + 1e-9) / len(x), p)
    dz = d @ W2.T * (1 - h**2)
    return [x.T @ dz, dz.sum(axis=0), h.T @ d, d.sum(axis=0)]

def make():
    import parity
    return parity.Candidate(get_weights=lambda: [W1, b1, W2, b2], forward=lambda x: run(x)[1],
                            loss=loss, gradients=gradients)
"""


def test_a_guard_in_the_logarithm_hides_no_wrong_line(tmp_path: Path, monkeypatch: Any):
    """Gradients of a loss with a guard are the usual one's only to some digits, and right."""
    monkeypatch.setattr(search, "SECONDS", 60.0)
    right = "p * (dp - (dp * p).sum(axis=1, keepdims=True))"
    for text, outcome in ((right, Outcome.RIGHT), ("dp * p * (1 - p)", Outcome.WRONG)):
        path = tmp_path / f"guarded_{outcome.name}.py"
        path.write_text(GUARDED.replace(right, text))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        report = parity.check(module.make)
        assert report.outcome is outcome, str(report)
    assert asked(report) == ["one-change"], str(report)
    assert report.findings[0].values["old"] == "return dp * p * (1 - p)"
