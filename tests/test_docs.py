"""The pages under docs are run: their files written, their commands executed, the output compared.

With the environment variable ``UPDATE_DOCS=1`` the output is written into the page instead.
"""

import contextlib
import io
import itertools
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from numpy_impl.layers import LAYERS, Layer
from parity import __main__ as command
from parity.commands import isolation
from scripts.reproduce import pages
from tests import census
from tests.parity import in_process
from tests.printed import stable

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(python|console)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(line: str) -> str:
    """Run one command of a page in this process, in the current folder; return what it prints."""
    words = line.split()[1:]
    for name, module in list(sys.modules.items()):  # edited since they were imported
        if str(getattr(module, "__file__", None)).startswith(os.getcwd()):
            del sys.modules[name]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        if words[:2] == ["-m", "parity"]:
            command.main(words[2:])
        else:
            runpy.run_path(words[0], run_name="__main__")
    return "\n".join(text.rstrip() for text in shown.getvalue().splitlines())


def executed(block: str) -> str:
    """Return a console block with what its commands print now."""
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    return "".join(f"$ {line}\n{run(line)}\n" for line in commands)


def written(name: str, block: str) -> None:
    """Write a python block to its file: at its end, or with one piece replaced by another."""
    file, _, replaces = name.strip().partition(" ")
    path = Path(file)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if replaces:
        old, new = block.split("---\n")
        assert before.count(old) == 1
        after = before.replace(old, new)
    else:
        after = f"{before}\n\n{block}" if before else block
    path.write_text(after, encoding="utf-8")


@pytest.mark.parametrize("name", ["validate-your-network.md"])
def test_a_page_prints_what_its_commands_print(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    page = DOCS / name
    text = page.read_text(encoding="utf-8")
    # The user's code has a process of its own, which takes seconds where it needs Keras; in a
    # sample one command does so, and the others ask in this process.
    asked = isolation.asked
    alone = set(census.sample(range(text.count("$ python -m parity")), 1, "alone"))
    number = itertools.count()

    def asked_once(*arguments: Any, **named: Any) -> dict[str, Any]:
        return (asked if next(number) in alone else in_process.asked)(*arguments, **named)

    monkeypatch.setattr(isolation, "asked", asked_once)

    def checked(match: re.Match[str]) -> str:
        kind, info, block = match.groups()
        if kind == "python":
            written(info, block)
            return match[0]
        now = executed(block)
        if not os.environ.get("UPDATE_DOCS"):
            assert stable(block) == stable(now)
        return f"```console{info}\n{now}```"

    new = BLOCK.sub(checked, text)
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(new, encoding="utf-8")


def test_the_python_of_train_and_compare_runs(capsys):
    blocks = re.findall(
        r"^```python\n(.*?)^```$",
        (DOCS / "train-and-compare.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    assert len(blocks) == 2
    exec("\n".join(blocks), {})
    assert capsys.readouterr().out.endswith("Identical up to rounding.\n")


def test_every_layer_is_on_a_page_that_says_what_goes_wrong(monkeypatch):
    found = pages.layer_pages()
    assert set(found) == set(LAYERS)
    for page in set(found.values()):
        text = (DOCS / "layers" / page).read_text(encoding="utf-8")
        assert "What goes wrong" in text, page
        assert "pages.bugs(" in text, page
    unwritten = type("Unwritten", (Layer,), {"__module__": "numpy_impl.layers.unwritten"})
    monkeypatch.setitem(LAYERS, "Unwritten", unwritten)
    with pytest.raises(
        LookupError, match=r"expected Unwritten and its code on a page of docs/layers"
    ):
        pages.layer_pages()
