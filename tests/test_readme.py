"""The README's program prints the report that is shown, and its commands and files exist."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from parity.__main__ import parser
from tests.printed import stable

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
}


def block(language: str) -> str:
    """Return the README's only block in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return found


def printed(program: str, folder: Path) -> str:
    """Return what a program prints that a reader has saved in a folder."""
    (folder / "mynet.py").write_text(program, encoding="utf-8")
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; "
    done = subprocess.run(
        [sys.executable, "-c", path + "runpy.run_path('mynet.py', run_name='__main__')"],
        cwd=folder, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_program_of_the_readme_prints_its_report(tmp_path):
    now = printed(block("python"), tmp_path)
    assert now.startswith("your network: WRONG. missing activation derivative")
    assert stable(block("text")) == stable(now)


def test_the_line_that_the_readme_mends_it_with_mends_it(tmp_path):
    (mended,) = re.findall(r"`(delta1 = [^`]+)`", README)
    program, count = re.subn(r"delta1 = .*", mended, block("python"))
    assert count == 1
    assert printed(program, tmp_path).startswith("your network: RIGHT.")


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_exists(name):
    text = PAGES[name]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    mentioned = re.findall(r"`make ([a-z-]+)|^(?:\$ )?make ([a-z-]+)", text, re.MULTILINE)
    assert {first or second for first, second in mentioned} <= targets
    for module in re.findall(r"python -m ((?:scripts|tools)(?:\.\w+)+)", text):
        assert importlib.util.find_spec(module), module
    for command in re.findall(r"python -m parity (\w+)", text):
        assert f" {command} " in parser().format_help(), command


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name):
    folder = ROOT if (ROOT / name).exists() else ROOT / "docs"
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGES[name]):
        assert (folder / target).exists(), target
