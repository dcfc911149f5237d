"""The line of a wrong training step: one change with which it is the optimizer that is declared."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import parity
from parity import CheckReport
from parity.checking.asking.held import Held
from parity.checking.bugs.optimizers import STEP_LINE
from parity.checking.explain.steps.mending import OfOptimizer
from parity.checking.repairing import search
from parity.reports.report import Outcome
from tests.imported import imported
from tests.parity.wrong_steps.mistakes import MISTAKES

pytestmark = pytest.mark.search
HERE = Path(__file__).parent / "wrong_steps"
PROGRAMS = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in ("__init__", "mistakes"))


def loaded(name: str, folder: Path, *changes: tuple[str, str]) -> tuple[ModuleType, range]:
    """Return a program with changes, in a file of its own, and the lines of the first."""
    text, lines = (HERE / f"{name}.py").read_text(), range(0)
    for old, new in changes:
        assert text.count(old) == 1
        if not lines:
            first = text[: text.index(old)].count("\n") + 1
            lines = range(first, first + new.rstrip().count("\n") + 1)
        text = text.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(text)
    return imported(path), lines


def codes(report: CheckReport) -> list[str]:
    return [finding.code for finding in report.findings]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason to fail."""
    monkeypatch.setattr(search, "SECONDS", 60.0)


@pytest.mark.parametrize("name", PROGRAMS)
def test_right_steps_are_right_and_not_searched(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def searched(_: Any) -> None:
        raise AssertionError("a right program was searched")

    monkeypatch.setattr(search.Search, "run", searched)
    report = parity.check(loaded(name, tmp_path)[0].make)
    assert report.outcome is Outcome.RIGHT, str(report)


@pytest.mark.census(keep=4, by=lambda name, old, new, code: name)
@pytest.mark.parametrize(("name", "old", "new", "code"), MISTAKES)
def test_a_wrong_step_is_named(name: str, old: str, new: str, code: str, tmp_path: Path) -> None:
    module, lines = loaded(name, tmp_path, (old, new))
    report = parity.check(module.make)
    assert report.outcome is Outcome.WRONG, str(report)
    assert codes(report) == [code or "one-change"], str(report)
    if not code:
        [finding] = report.findings
        assert finding.bug is STEP_LINE
        assert any(finding.title.endswith(f"line {n} of {name}.py") for n in lines), finding
        assert finding.evidence.startswith("with it every step is "), finding
        assert "up to rounding; another optimizer than declared: " in finding.evidence


def test_enough_steps_are_tried() -> None:
    assert len(PROGRAMS) >= 6
    assert sum(not code for *_, code in MISTAKES) >= 30


def test_the_right_line_is_printed(tmp_path: Path) -> None:
    module, _ = loaded("adam_of_dicts", tmp_path, ("total += np.sum(g**2)", "total = np.sum(g**2)"))
    [finding] = parity.check(module.make).findings
    assert finding.values["old"] == "total = np.sum(g**2)"
    assert finding.values["new"] == '"total += np.sum(g ** 2)"'
    assert finding.where == "step"
    assert "epsilon 1e-08, global_clipnorm 0.1 up to rounding" in finding.evidence


def test_a_counter_is_moved_out_of_its_loop(tmp_path: Path) -> None:
    loop, count = "for name in self.model.names:\n", "self.t = self.t + 1\n"
    module, lines = loaded(
        "convolution_adamax", tmp_path,
        (f"        {count}        {loop}", f"        {loop}            {count}"),
    )  # fmt: skip
    [finding] = parity.check(module.make).findings
    assert finding.values["old"] == "self.t = self.t + 1"
    assert finding.values["new"] == f"nothing, and it before line {lines.start}"


def test_two_wrong_lines_are_located(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SECONDS", 2.0)
    module, _ = loaded(
        "gradients_in_place", tmp_path, ("buf *= self.momentum", "buf *= np.cbrt(self.momentum)"),
        ("buf += (1 - self.dampening) * g", "buf += (1 - self.dampening) * np.cbrt(g)"),
    )  # fmt: skip
    report = parity.check(module.make)
    assert codes(report) == ["other-optimizer"], str(report)
    assert "no single change of your code that mends it was found" in report.findings[0].evidence


def test_what_is_right_on_one_draw_alone_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change is a coincidence where another draw does not bear it out."""
    own, asked = OfOptimizer._is_meant, set[int]()

    def on_the_first(self: OfOptimizer, number: int) -> bool:
        asked.add(number)
        return len(asked) == 1 and own(self, number)

    monkeypatch.setattr(OfOptimizer, "_is_meant", on_the_first)
    monkeypatch.setattr(search, "CHANGES", 200)
    module, _ = loaded("adam_of_dicts", tmp_path, ("total += np.sum(g**2)", "total = np.sum(g**2)"))
    assert codes(parity.check(module.make)) == ["other-optimizer"]
    assert len(asked) == 2


WRONG = ("gradients_in_place", ("buf *= self.momentum", "buf *= self.dampening"))


def test_a_candidate_that_cannot_be_made_anew_is_searched_and_is_as_before(tmp_path: Path) -> None:
    module, _ = loaded(WRONG[0], tmp_path, WRONG[1])
    candidate = module.make()
    weights = [w.copy() for w in candidate.get_weights()]
    code = module.SGD.step.__code__
    report = parity.check(candidate)
    assert codes(report) == ["one-change"], str(report)
    assert report.outcome is Outcome.WRONG
    assert all(map(np.array_equal, weights, candidate.get_weights()))
    assert module.SGD.step.__code__ is code
    assert candidate.step.__closure__[1].cell_contents.buffers is None


def test_without_an_optimizer_declared_nothing_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _ = loaded("adam_of_dicts", tmp_path, ("total += np.sum(g**2)", "total = np.sum(g**2)"))
    monkeypatch.setattr(search.Search, "run", lambda _: pytest.fail("it was searched"))
    report = parity.check(lambda: replace(module.make(), optimizer=None))
    assert "one-change" not in codes(report)


def test_beside_wrong_gradients_no_step_is_searched(tmp_path: Path) -> None:
    module, _ = loaded(
        "adam_of_dicts", tmp_path, ("total += np.sum(g**2)", "total = np.sum(g**2)"),
        ("* (1 - h**2)", "* (1 - h)"),
    )  # fmt: skip
    report = parity.check(module.make)
    assert report.outcome is Outcome.WRONG
    assert not any(finding.bug is STEP_LINE for finding in report.findings), str(report)


def test_by_a_name_alone_a_line_is_a_hint(tmp_path: Path) -> None:
    """Settings are open then, and what is unusual may be meant."""
    new = "self.v[k] / (1 - self.beta2 * self.t)"
    module, _ = loaded(
        "adam_of_dicts", tmp_path, ("self.v[k] / (1 - self.beta2**self.t)", new),
        ("scale = min(1.0, self.clip / norm)", "scale = 1.0"),
    )  # fmt: skip
    report = parity.check(lambda: replace(module.make(), optimizer="adam"))
    assert codes(report) == ["one-change"], str(report)
    assert report.outcome is Outcome.UNKNOWN
    assert 'self.beta2 ** self.t)"' in str(report.findings[0].values["new"])
    assert "with it every step is Adam, beta_1 0.9" in report.findings[0].evidence


def test_what_functions_keep_is_put_back() -> None:
    def counter() -> Any:
        count, kept = 0, [np.zeros(2)]

        def step(add: float, seen: list[float] = []) -> int:  # noqa: B006 (that is what is kept)
            nonlocal count
            count += 1
            seen.append(add)
            kept[0] += add
            return count

        return step

    step = counter()
    held = Held([step])
    assert (step(1.0), step(2.0)) == (1, 2)
    held.put_back()
    assert step.__defaults__ == ([],)
    assert step(5.0) == 1
