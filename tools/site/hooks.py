"""Hooks of MkDocs: what is done to every page of the site.

- Formulas become MathML.
- Every module of the packages gets a page from its docstrings, and every notebook one from its
  cells and saved outputs.
- README.md, what stands beside it, and the shipped weights' card are pages too.
- Links that lead from a page to a file, as they have to on GitHub, lead to the file's page.
- Each page forbids the browser to ask any other host for anything.

Whatever cannot be done is an error of one line that ends the build.

Reference: https://www.mkdocs.org/dev-guide/plugins/#events
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.site import formulas, notebooks

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "numpy_impl", "keras_impl", "digit_data", "parity", "scripts", "tools", "terminal_io",
)  # fmt: skip

Nav: TypeAlias = dict[str, Any]


def _parts(path: Path) -> tuple[list[Path], list[Path]]:
    """Return a package's modules and its packages, in the order of their names."""
    inside = sorted(child for child in path.iterdir() if not child.name.startswith("_"))
    packages = [child for child in inside if (child / "__init__.py").exists()]
    return [child for child in inside if child.suffix == ".py"], packages


def api_pages(package: Path) -> Iterator[tuple[Path, str]]:
    """Yield each module of a package, a package as its folder, and the address of its page."""
    place = package.relative_to(ROOT).as_posix()
    yield package, f"api/{place}/index.md"
    modules, packages = _parts(package)
    for path in modules:
        yield path, f"api/{place}/{path.stem}.md"
    for path in packages:
        yield from api_pages(path)


def api_nav(package: Path) -> Nav:
    """Return a package's part of the navigation."""
    place = package.relative_to(ROOT).as_posix()
    modules, packages = _parts(package)
    pages = [{path.stem: f"api/{place}/{path.stem}.md"} for path in modules]
    return {package.name: [f"api/{place}/index.md", *pages, *map(api_nav, packages)]}


MODULES = dict(page for name in PACKAGES for page in api_pages(ROOT / name))
# Pages that lie outside of docs.
TEXTS = {
    ROOT / "README.md": "readme.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "SECURITY.md": "security.md",
    ROOT / "scripts" / "weights" / "mnist-robust.md": "weights.md",
    ROOT / "scripts" / "weights" / "digit-or-none.md": "rejecter.md",
}


def api_page(path: Path) -> str:
    """Return the Markdown of a module's page, for mkdocstrings."""
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    # What a package passes on stands where it is defined; Prose lists it.
    options = "" if path.suffix else "    options:\n      members: false\n"
    return f"::: {dotted}\n{options}"


# ---- What MkDocs calls ----


def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    """Add the modules' pages to the navigation."""
    assert config.nav is not None
    config.nav.append({"API": [api_nav(ROOT / name) for name in PACKAGES]})
    return config


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the pages of modules, texts outside of docs, and notebooks."""
    for path, address in MODULES.items():
        files.append(File.generated(config, address, content=api_page(path)))
    for path, address in TEXTS.items():
        files.append(File.generated(config, address, content=path.read_text(encoding="utf-8")))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        for made in notebooks.files(notebook, config):
            files.append(made)
    return files


# Code is passed over, so that a link in it stays as it is.
LINK = re.compile(
    r"^(?P<fence>```+|~~~+).*?^(?P=fence)|(?P<before>\]\()(?P<target>[^)\s#:]+)", re.M | re.S
)
# A fence with the name of a file, as in docs/validate-your-network.md.
NAMED = re.compile(r"^(```+)(\w+) ([\w.]+(?: \w+)?)$", re.M)
COG = re.compile(r"^<!-- \[\[\[.*?-->\n", re.M | re.S)


def address_of(path: Path, docs: Path) -> str | None:
    """Return the address of the page of a file, or of the file itself if it is in ``docs``."""
    if path.suffix == ".ipynb":
        path = path.with_suffix(".md")
    if path.is_relative_to(docs):
        return path.relative_to(docs).as_posix()
    return {**MODULES, **TEXTS}.get(path)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Send links to files to their pages, and show which files code goes to.

    What is for cog is left out.
    """
    here, docs = page.file.src_uri, Path(config.docs_dir)
    origin = next((path for path, address in TEXTS.items() if address == here), docs / here)

    def mapped(found: re.Match[str]) -> str:
        if found["fence"]:
            return found[0]
        path = Path(posixpath.normpath(origin.parent / found["target"]))
        address = address_of(path, docs)
        if address is None:
            return found[0]  # MkDocs says that there is no such page
        return found["before"] + posixpath.relpath(address, posixpath.dirname(here) or ".")

    titled = NAMED.sub(r'\g<1>{ .\g<2> title="\g<3>" }', COG.sub("", markdown))
    return LINK.sub(mapped, titled)


# How mkdocstrings shows where a function is defined.
SOURCE = '<details class="mkdocstrings-source"'


def on_page_content(content: str, page: Page, **_: Any) -> str:
    """Turn the formulas of a page into MathML, and leave source code out of the search."""
    content = content.replace(SOURCE, f"{SOURCE} data-search-exclude")
    try:
        return formulas.convert(content)
    except PluginError as error:
        raise PluginError(f"{page.file.src_uri}: formula: {error}") from error


POLICY = (
    "default-src 'self'; img-src 'self' data:; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'"
)


def on_post_page(output: str, **_: Any) -> str:
    """Forbid requests to other hosts: the theme's scripts know some, for parts not used here."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return output.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n      {policy}', 1)


on_post_template = on_post_page  # for 404.html
