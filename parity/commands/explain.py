"""``python -m parity explain``: what a code of a report means, by example, and what mends it."""

import re
from argparse import Namespace
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from parity.commands import Commands
from terminal_io import CliError

if TYPE_CHECKING:
    from parity.checking.bugs import Bug

EPILOG = """\
examples:
  python -m parity explain softmax-diagonal
  python -m parity explain --all > docs/bugs.md    all of them, as a page

A code stands with each finding of a report in JSON.
"""
_HEAD = """\
# All bugs

What `parity.check` can say is wrong, by the code that a finding has in a report's JSON, with an
example of it, and what mends it. ‹Words in brackets› stand for what is found in your network.
`python -m parity explain CODE` prints one of these.

Examples have samples in rows. `z1`, `z2` are pre-activations and `a1`, `a2` activations; `delta1`
and `delta2` are the derivatives of the loss by the former, `g` is that by the outputs, and `e` is a
delta on its way down, before it is multiplied by an activation's derivative.

This page is printed by `python -m parity explain --all`.
"""


def add_options(commands: Commands) -> None:
    """Add this command and its options."""
    p = commands.add_parser(
        "explain",
        help="explain a code of a report: an example of the bug, and what mends it",
        description="What is this bug?",
        epilog=EPILOG,
    )
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("code", metavar="CODE", nargs="?", help="such as softmax-diagonal")
    which.add_argument("--all", action="store_true", help="print all bugs, as a page in Markdown")
    p.set_defaults(run=run)


def run(args: Namespace) -> int:
    """Run the command; return its exit code."""
    # Late, so that help is quick.
    from parity.checking.bugs import TABLE

    if args.all:
        print(page(TABLE), end="")
        return 0
    code: str = args.code
    if code not in TABLE:
        near = get_close_matches(code, TABLE, n=3)
        expected = f"a code such as {', '.join(near)}" if near else "a code that --all lists"
        raise CliError(f"expected {expected}. Received: {code!r}")
    print(entry(code, TABLE[code], "{}"), end="")
    return 0


def page(bugs: "dict[str, list[Bug]]") -> str:
    """Return all bugs as a page in Markdown."""
    entries = [entry(code, forms, "## `{}`", _as_it_is) for code, forms in bugs.items()]
    return "\n".join([_HEAD, *entries])


def entry(
    code: str, forms: "list[Bug]", heading: str, shown: Callable[[str], str] = lambda text: text
) -> str:
    """Return one bug in Markdown, each of its forms with an example; ``shown`` is for the prose."""
    lines = [heading.format(code), ""]
    for form in forms:
        lines += [shown(f"{sentence(form.title)} {sentence(form.severity.value)}"), ""]
        lines += [f"    {line.strip()}" for line in form.example.splitlines()] + [""]
        if form.fix:
            lines += [shown(f"Fix: {sentence(form.fix)}"), ""]
    return "\n".join(lines)


def _as_it_is(text: str) -> str:
    """Return a text so that a page shows W[k][j] and db**2, and takes neither for its markup."""
    return text.replace("*", "&#42;").replace("[", "&#91;")


def sentence(text: str) -> str:
    """Return a text as a sentence, with the places that it holds open in brackets of their own."""
    # What is joined to a word is an addition that may be empty.
    shown = re.sub(r"(?<=[\w}])\{\w+\}", "", text)
    shown = re.sub(r"\{(\w+)[^}]*\}", r"‹\1›", shown)
    return f"{shown[0].upper()}{shown[1:]}."
