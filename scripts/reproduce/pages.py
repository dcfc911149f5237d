"""What the pages under ``docs`` take from results and source; for cog, which writes it into them.

``cog -P -r`` runs what stands between ``[[[cog`` and ``]]]`` in a page and puts its output below;
``cog -P --check`` fails if that would change anything.
"""

import importlib
import inspect
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from . import DOCS, ROOT
from .documents import DOCUMENTS
from .results import RESULTS_JSON, Table, spread


def results(document: str) -> dict[str, Any]:
    """Return a document's saved results."""
    return json.loads((DOCS / document / RESULTS_JSON).read_text(encoding="utf-8"))


def markdown(table: Table) -> str:
    """Return a table in Markdown: the first column to the left, the others to the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (table.columns, *table.rows)]
    rule = ["---", *["---:"] * (len(table.columns) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))


def source(document: str) -> None:
    """Print what is known of a document."""
    print(
        textwrap.fill(f"The document is {DOCUMENTS[document].source}.", 118, break_on_hyphens=False)
    )


def table(document: str, name: str) -> None:
    """Print one of a document's tables."""
    saved = results(document)["tables"][name]
    print(f"\n{saved['title']}:\n\n{markdown(Table(**saved))}\n")


def targets(*documents: str) -> None:
    """Print the authors' numbers beside ours."""
    rows = []
    for document in documents:
        for t in results(document)["targets"]:
            author = "" if t["author"] is None else f"{t['author']:g}"
            rows.append([f"{document.upper()}: {t['what']}", author, spread(t["measured"])])
    columns = ["percent right", "its author", "here"]
    print(f"\n{markdown(Table('', columns, rows))}\n")


def value(document: str, name: str) -> Any:
    """Return one of a document's values, for a sentence."""
    return results(document)["values"][name]


def code(where: str) -> None:
    """Print the source of a function, class or method, such as "numpy_impl.losses:Loss.value".

    Its docstring is left out: the page says in its own words what the lines do.
    """
    module, _, name = where.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    found = inspect.unwrap(found)  # what a decorator stands before
    source = textwrap.dedent(inspect.getsource(found))
    doc = inspect.getdoc(found)
    if doc and (start := source.find('"""')) >= 0:
        end = source.index('"""', start + 3) + 3
        source = source[:start].rstrip(" ") + source[end:].lstrip("\n")
    path = Path(inspect.getfile(found)).relative_to(ROOT)
    print(f"\n```python\n# {path}\n{source.rstrip()}\n```\n")


def layer_pages() -> dict[str, str]:
    """Return, for each layer of ``numpy_impl``, the page below docs/layers with its module's code.

    Raises:
        LookupError: A layer is on no page.
    """
    from numpy_impl.layers import LAYERS

    folder = ROOT / "docs" / "layers"
    texts = {p.name: p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.md"))}
    found: dict[str, str] = {}
    for name, kind in LAYERS.items():
        shown = f'pages.code("{kind.__module__}:'
        page = next(
            (p for p, text in texts.items() if shown in text and re.search(rf"\b{name}\b", text)),
            None,
        )
        if page is None:
            raise LookupError(f"expected {name} and its code on a page of docs/layers")
        found[name] = page
    return found


def layers() -> None:
    """Print all layers as a table, with the first sentence of their documentation and their page.

    "See" and "as there" of that sentence are left out.
    """
    from numpy_impl.layers import LAYERS

    print("\n| layer | what it computes |\n| --- | --- |")
    for name, page in sorted(layer_pages().items()):
        says = " ".join((inspect.getdoc(LAYERS[name]) or "").partition("\n\n")[0].split())
        says = re.sub(r"[,;:] ((see )?(:class:`\w+`|above)|inputs as there)\.$", ".", says)
        says = says.replace("``", "`").replace("|", r"\|")
        print(f"| [`{name}`]({page}) | {says} |")
    print()


def bugs(*codes: str) -> None:
    """Print what a report says of some bugs, with their codes, as a table."""
    from parity.checking.bugs import TABLE
    from parity.commands.explain import sentence

    print("\n| in the report | what it says |\n| --- | --- |")
    for code in codes:
        title = sentence(TABLE[code][0].title).replace("|", r"\|")
        print(f"| [`{code}`](../bugs.md#{code}) | {title} |")
    print()
