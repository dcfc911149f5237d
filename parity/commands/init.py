"""``python -m parity init``: write a first connection to a module, by trying what it defines."""

import ast
import importlib.util
import keyword
import os
import re
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity import loading
from parity.checking.asking import current
from parity.commands import Commands, isolation, sources
from parity.commands.files import check_writable
from terminal_io import CliError, printable, write_text

if TYPE_CHECKING:
    from parity import drafting

EPILOG = """\
example:
  python -m parity init mynet.py       writes check_mynet.py beside it; look through it, then
  python -m parity check check_mynet.py

What is looked for in mynet.py: a class, functions or layers with weights, a forward pass, and
gradients or an update; or a training loop in which all of it stands. First mynet.py is run for a
moment, to see what it calls them with; it can write, draw, print and send nothing in it. Then they
are tried on a few numbers, without mynet.py's training and reading of files. Lines of the new file
with "# check:" are guesses. Exit codes: 0 written; 2 nothing found, or the file cannot be read or
written.
"""
_MOST_ACTIONS = 5
# Names that the adapter itself uses.
_TAKEN = {
    "parity", "np", "sys", "importlib", "make", "net", "layers", "layer", "name", "x", "y",
    "learning_rate", "output", "grads", "gradient", "gradients", "forward", "step", "loss",
    "get_weights", "before", "array", "old", "key", "parameters",
}  # fmt: skip


def add_options(commands: Commands) -> None:
    """Add this command and its options."""
    p = commands.add_parser(
        "init",
        help="write check_mynet.py, a first connection to mynet.py",
        description="Write a first connection between parity and your own network.",
        epilog=EPILOG,
    )
    p.add_argument("module", type=Path, metavar="FILE", help="your network: a Python file")
    p.add_argument("--out", type=Path, metavar="FILE", help="default: check_... beside it")
    p.add_argument("--force", action="store_true", help="replace the file if there is one")
    isolation.add_limits(p)
    p.set_defaults(run=run)


def run(args: Namespace) -> int:
    """Run the command; return its exit code."""
    module: Path = args.module
    plain = re.sub(r"\W", "_", module.stem)
    out = args.out or module.with_name(f"check_{plain}.py")
    told = isolation.asked(
        "parity.commands.init:answer", args, module=str(module), out=str(out), force=args.force
    )
    write_text(out, told["page"])
    print("\n".join(told["lines"]))
    return 0


def answer(module: str, out: str, force: bool) -> dict[str, Any]:
    """Draft, in a process that the user's code may spoil; return the page and what to say."""
    from parity import drafting  # late, as it loads NumPy, which --help does not need

    own, new = Path(module), Path(out)
    survey = drafting.survey(sources.parsed(own), lambda name: _beside(own, name))
    _check_out(new, own, force)
    source = _source(own, new, survey)
    with current.awaiting(f"what {own.name} defines to be tried"):
        seen = drafting.rehearse(own, source.alias)
        drafting_ = drafting.Drafting(survey, source.alias, lambda: loading.definitions(own), seen)
        draft, why_not = drafting_.best(), drafting_.why_not
        if draft is None:
            draft, told = _in_a_loop(own, survey, source.alias, seen)
            source, why_not = replace(source, loop=True), told or why_not
    if draft is None:
        raise CliError(_nothing(own, survey, why_not))
    page = drafting.page(draft, source, new.name)
    return {"page": page, "lines": list(_lines(draft, survey, own, new))}


def _in_a_loop(
    module: Path, survey: "drafting.Survey", alias: str, seen: "drafting.Rehearsal"
) -> "tuple[drafting.Draft | None, str]":
    """Return a draft of a network that stands in its training loop; or None, and why."""
    from parity import drafting

    try:
        drafting.loop_functions(module)
    except drafting.LoopError as error:
        return None, str(error)
    drafting_ = drafting.Drafting(survey, alias, lambda: drafting.loop_functions(module), seen)
    return drafting_.best(), drafting_.why_not


def _beside(module: Path, name: str) -> ast.Module | None:
    """Return the text of a module that lies beside the user's, if there is one."""
    file = module.parent.joinpath(*name.split(".")).with_suffix(".py")
    return sources.parsed(file) if file.is_file() else None


def _check_out(out: Path, module: Path, force: bool) -> None:
    if out.suffix != ".py":
        raise CliError(f"--out: expected a file whose name ends in .py. Received: {out}")
    if os.path.realpath(out) == os.path.realpath(module):
        raise CliError(f"--out: expected another file than your own. Received: {out}")
    if out.exists() and not force:
        raise CliError(f"expected no file {out}, or --force to replace it. Received: it is there")
    check_writable("--out", out)


def _source(module: Path, out: Path, survey: "drafting.Survey") -> "drafting.UserModule":
    """Return how the adapter imports the module."""
    root, parts = module.resolve().parent, [module.stem]
    while survey.relative and (root / "__init__.py").exists():
        parts.insert(0, root.name)
        root = root.parent
    from parity import drafting

    alias = re.sub(r"\W|^(?=\d)", "_", module.stem)
    home = out.resolve().parent
    return drafting.UserModule(
        shown=module.name,
        module=".".join(parts),
        alias="own" if alias in _TAKEN or keyword.iskeyword(alias) else alias,
        root="" if root == home else os.path.relpath(root, home),
        # A package's own relative imports need the package.
        trains=bool(survey.actions) and not survey.relative,
        file=os.path.relpath(module.resolve(), home),
    )


def _nothing(module: Path, survey: "drafting.Survey", why_not: str) -> str:
    there = [*survey.classes, *survey.functions]
    found = f"only {', '.join(there[:8])}" if there else "no classes or functions"
    return (
        "expected a class, functions or layers with weights, a forward pass, and gradients or an "
        f"update. Received: {module}, with {found}{'; ' * bool(why_not)}{why_not}; "
        "python -m parity check --help shows what to write by hand"
    )


def _is_hidden(module: Path) -> bool:
    """Whether importing the module by its name finds another one, such as random or parity."""
    if "." in module.stem or module.stem == "__main__":
        return False
    spec = importlib.util.find_spec(module.stem)
    return spec is not None and spec.origin != str(module.resolve())


def _lines(
    draft: "drafting.Draft", survey: "drafting.Survey", module: Path, out: Path
) -> Iterator[str]:
    """Yield what to say of a draft that was written."""
    uses = {name: part.uses for name, part in draft.parts.items()}
    yield f"wrote {printable(out)}"
    found = ", ".join(f"{k} by {v}" for k, v in uses.items() if v)
    yield f"found {draft.setup.title}: {found}"
    for check in draft.checks:
        yield f"check: {check}"
    if draft.left:
        yield f"not connected: {', '.join(draft.left)}; give step=... by hand if it is the update"
    if _is_hidden(module):
        yield f"rename {module.name}: importing {module.stem} finds another module of that name"
    if survey.actions:
        yield f"left out of {printable(module)}, by parity.definitions:"
        for action in survey.actions[:_MOST_ACTIONS]:
            yield f"  line {action.line}: {action.text}"
        more = len(survey.actions) - _MOST_ACTIONS
        if more > 0:
            yield f"  and {more} more"
    yield f"next: python -m parity check {printable(out)}"
