"""The text of the adapter that "python -m parity init" writes."""

import json
import keyword
import re
from dataclasses import dataclass

from parity.drafting.draft import Draft
from terminal_io import printable

_SIGNATURES = {
    "set_weights": "set_weights(values)",
    "forward": "forward(x)",
    "gradients": "gradients(x, y)",
    "step": "step(x, y, learning_rate)",
    "loss": "loss(x, y)",
    "data": "data(rng)",
}
_CHECK = "# check: "
_CONVENTIONS = (
    '        # Found out, unless you say so here: samples="rows", "columns" or "single",',
    '        # labels="one-hot" or "integer", kernel="in-out" or "out-in", loss="..."',
)


@dataclass(frozen=True)
class UserModule:
    """Where the user's module is, as the adapter sees it.

    Attributes:
        shown: Its file, for people.
        module: What Python imports: "mynet", "package.mynet".
        alias: What the adapter calls it.
        root: The folder to be put on Python's path, relative to the adapter's; "" if it is its own.
        trains: Whether importing it does more than to define.
        file: Its path, relative to the adapter's folder.
        loop: Whether the network stands in its training loop.
    """

    shown: str
    module: str
    alias: str
    root: str = ""
    trains: bool = False
    file: str = ""
    loop: bool = False


def page(draft: Draft, source: UserModule, adapter: str) -> str:
    """Return the adapter's text.

    Args:
        draft: The Candidate.
        source: The user's module.
        adapter: The adapter's own file name.
    """
    body = "\n".join(_make(draft, source))
    return "\n".join([*_head(draft, source, adapter, body), "", "", body, ""])


def _head(draft: Draft, source: UserModule, adapter: str, body: str) -> list[str]:
    shown = _quotable(source.shown)
    lines = [
        f'"""Connects {shown} to parity: python -m parity check {_quotable(adapter)}',
        "",
        f'Drafted by "python -m parity init" by trying what {shown} defines.',
    ]
    if _CHECK in body:
        lines.append(f'Lines with "{_CHECK.strip()}" are guesses; look at them first.')
    lines += ['"""', "", *_imports(source, body)]
    return lines


def _quotable(name: str) -> str:
    """Return a file's name as it may stand between quotes."""
    return printable(name).replace("\\", "/").replace('"', "'")


def _imports(source: UserModule, body: str) -> list[str]:
    standard: list[str] = []
    own = f"import {source.module}"
    if source.trains or source.loop:
        name = json.dumps(source.file, ensure_ascii=False)
        read = "loop_functions" if source.loop else "definitions"
        own = f"{source.alias} = parity.{read}(Path(__file__).parent / {name})"
        lines = ["from pathlib import Path", "", *_numpy(body), "import parity", ""]
        made = "# The functions are made of the lines of its training loop." * source.loop
        return [*lines, made or "# Without its training, printing and reading of files.", own]
    parts = source.module.split(".")
    if not all(p.isidentifier() and not keyword.iskeyword(p) for p in parts):  # my-net, 2_layers
        standard.append("import importlib")
        name = json.dumps(source.module, ensure_ascii=False)
        own = f"{source.alias} = importlib.import_module({name})"
    elif source.module != source.alias:
        own = f"import {source.module} as {source.alias}"
    if source.root:
        standard += ["import sys", "from pathlib import Path"]
        folder = json.dumps(source.root, ensure_ascii=False)
        path = f"sys.path.insert(0, str((Path(__file__).parent / {folder}).resolve()))"
        own = f"{path}\n{own}"
    return [*standard, *[""] * bool(standard), *_numpy(body), "import parity", "", own]


def _numpy(body: str) -> list[str]:
    needed = ["from types import SimpleNamespace", ""] * ("SimpleNamespace(" in body)
    return needed + ["import numpy as np"] * bool(re.search(r"\bnp\.", body))


def _make(draft: Draft, source: UserModule) -> list[str]:
    setup = draft.setup
    lines = ["def make():", '    """Return a new network for parity, and how to ask it."""']
    lines += [*_checks(setup.remarks, 4), *(f"    {line}" for line in setup.lines)]
    lines += ["", "    def get_weights():"]
    lines.append("        # The arrays themselves, no copies: parity tries other values in them.")
    lines += _indented(f"return {draft.weights}")
    for name, part in draft.parts.items():
        lines += ["", f"    def {_SIGNATURES[name]}:", *_checks(part.checks, 8)]
        lines += [line for text in part.lines for line in _indented(text)]
    title = _quotable(source.shown)
    if setup.title != "functions":
        title = f"{setup.title.removeprefix('class ')} of {title}"
    lines += ["", "    return parity.Candidate(", f'        name="{title}",']
    lines += [f"        {name}={name}," for name in ("get_weights", *draft.parts)]
    lines += [f'        labels="{draft.labels}",'] * bool(draft.labels)
    lines += [f'        samples="{draft.samples}",'] * bool(draft.samples)
    if draft.optimizer:
        lines.append("        # By the name of the update.")
        lines.append(f'        optimizer="{draft.optimizer}",')
    lines += [f"        # No step is given, though there is {name}." for name in draft.left[:1]]
    return [*lines, *_CONVENTIONS, "    )"]


def _indented(text: str) -> list[str]:
    return [f"        {line}" for line in text.split("\n")]


def _checks(checks: list[str], indent: int) -> list[str]:
    return [f"{' ' * indent}{_CHECK}{check}" for check in checks]
