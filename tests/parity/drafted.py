"""Programs that ``python -m parity init`` drafts, as they are and with a bug, and their checks."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import parity
from parity.__main__ import main
from parity.commands import targets


@pytest.fixture(autouse=True)
def own_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, and forget what is imported from there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def drafted(text: str) -> parity.Candidate:
    """Return the candidate that the draft for a program makes."""
    name = f"program_{abs(hash(text)) % 10**8}_{os.getpid()}"
    Path(f"{name}.py").write_text(text)
    assert main(["init", f"{name}.py"]) == 0
    make = targets.candidate(f"check_{name}.py")
    return make if isinstance(make, parity.Candidate) else make()


def is_right(text: str, parts: tuple[str, ...], said: str) -> None:
    """Expect a draft with these parts, and a report that says "right" and this of it."""
    candidate = drafted(text)
    found = [p for p in ("gradients", "step", "loss") if getattr(candidate, p) is not None]
    assert found == list(parts)
    _is_called("RIGHT", said, parity.check(candidate))


def is_wrong(text: str, right: str, wrong: str, said: str) -> None:
    """Expect a report that says "wrong" and this of a program with something else in its place."""
    assert right in text
    _is_called("WRONG", said, parity.check(drafted(text.replace(right, wrong))))


def _is_called(outcome: str, said: str, report: parity.CheckReport) -> None:
    assert report.outcome.name == outcome, str(report)
    assert said in " ".join(str(report).split("\n\n")[0].split()), str(report)
