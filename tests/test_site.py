"""The site of ``docs``: it builds strictly, asks no other host for anything, and works."""

import functools
import http.server
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests import census
from tests.scripts.browsing import give_up, open_tab
from tests.site_reading import Reader, elsewhere, leftover, read

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.scripts.browsing import Tab

ROOT = Path(__file__).parents[1]
PHONE = 360


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as ``make docs`` does; in a sample without source code or set signatures."""
    own = {
        "NO_MKDOCS_2_WARNING": "1", "SITE_WHOLE": "true" if census.settings.all else "false"
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict",
         "--config-file", str(config), "--site-dir", str(site)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | own,
    )  # fmt: skip


def need_mkdocs() -> None:
    missing = [
        name
        for name in ("griffe", "latex2mathml", "material", "mkdocs", "mkdocstrings", "nbformat")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        give_up(f"not installed: {', '.join(missing)} (make .venv/dev)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_mkdocs()
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


# The home page of a small site of its own: every fault that is to be noticed, and a formula.
FAULTY = r"""# Faulty

[no such page](nowhere.md), [no such heading](#nowhere), ![elsewhere](https://example.org/a.png)

$$x = \frac{a}{b}$$
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A site with faults, and what its build said."""
    need_mkdocs()
    folder = tmp_path_factory.mktemp("faulty")
    done = build(small(folder, FAULTY), folder / "site")
    assert done.returncode != 0
    return folder / "site", done.stderr


def small(folder: Path, home: str) -> Path:
    """Write a site of one page with the project's settings, and return its configuration."""
    (folder / "docs" / "stylesheets").mkdir(parents=True)
    (folder / "docs" / "stylesheets" / "site.css").touch()
    (folder / "docs" / "index.md").write_text(home, encoding="utf-8")
    config = folder / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\n"
        f"docs_dir: {folder / 'docs'}\n"
        f"hooks: [{ROOT / 'tools' / 'site' / 'hooks.py'}]\n"
        "nav: [index.md]\n"
        "plugins: [search]\n",
        encoding="utf-8",
    )
    return config


# ---- What is in the files ----


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Reader]:
    return read(site)


def test_nothing_comes_from_another_host(site: Path, pages: dict[Path, Reader]):
    assert elsewhere(site, pages) == []
    assert len(pages) > 100
    for page in pages.values():
        (policy,) = page.policies
        assert policy.startswith("default-src 'self'; ")
        assert "//" not in policy


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", '<img srcset="a.png, //example.org/a.png 2x">'),
        ("a.html", '<link rel="stylesheet" href="https://fonts.example.org/css">'),
        ("a.html", "<style>@import 'https://example.org/a.css'</style>"),
        ("a.html", "<p style=\"background: url('https://example.org/a.png')\">"),
        ("a.css", "@font-face { src: url(//example.org/a.woff2) }"),
        ("a.js", 'import("https://cdn.example.org/mathjax.js")'),
    ],
)
def test_what_comes_from_another_host_is_noticed(name: str, content: str, tmp_path: Path):
    (tmp_path / name).write_text(content)
    (found,) = elsewhere(tmp_path, read(tmp_path))
    assert "example.org" in found


def test_no_markup_is_left(pages: dict[Path, Reader]):
    for path, page in pages.items():
        assert leftover(page) == [], path.name


@pytest.mark.parametrize(
    "text", ["see :func:<code>save</code>", r"with \(x\)", "```python a.py", "$x$", "[a][b.c]"]
)
def test_markup_that_is_left_is_noticed(text: str):
    assert leftover(Reader(f"<p>{text}</p>")) != []


def test_every_module_has_a_page(site: Path):
    for package in ("numpy_impl", "keras_impl", "digit_data", "parity", "scripts", "tools"):
        for path in (ROOT / package).rglob("*.py"):
            place = path.relative_to(ROOT).with_suffix("")
            if path.name == "__init__.py":
                place = place.parent / "index"
            if not path.name.startswith("_") or place.name == "index":
                page = (site / "api" / place).with_suffix(".html")
                dotted = ".".join(part for part in place.parts if part != "index")
                assert f'<h1 id="{dotted}"' in page.read_text(encoding="utf-8")
    assert 'href="checking/checker.html#parity.checking.checker.check"' in (
        site / "api" / "parity" / "index.html"
    ).read_text(encoding="utf-8")


def test_links_to_files_lead_to_their_pages(site: Path):
    page = (site / "tolerances.html").read_text(encoding="utf-8")
    assert 'href="api/parity/bounds/rounding.html"' in page
    assert 'href="api/parity/bounds/index.html"' in page
    assert 'href="tolerances.html"' in (site / "readme.html").read_text(encoding="utf-8")
    assert 'href="readme.html"' in (site / "contributing.html").read_text(encoding="utf-8")


def test_formulas_are_mathml(site: Path):
    for i in range(5):
        page = (site / "documents" / f"d{i}.html").read_text(encoding="utf-8")
        assert "<math " in page, f"D{i}"
        assert "arithmatex" not in page


def test_formulas_are_set_as_latex_sets_them():
    need_mkdocs()
    from tools.site.formulas import mathml

    sign = '<mo form="prefix">&#x02212;</mo>'
    for latex in ("[-1, 1]", "x = -y", r"\left(-1\right)", r"w \leftarrow -w"):
        assert sign in mathml(latex)
    for latex in ("a - b", "(a) - b", "[a] - b", "|a| - |b|", "-a - b"):
        assert sign not in mathml(latex)
    assert "msup" not in mathml("f'(x)")
    assert mathml(r"\lVert a\rVert").count('stretchy="false"') == 2


# ---- Faults are noticed ----


def test_a_broken_link_fails_the_build(faulty: tuple[Path, str]):
    _, said = faulty
    assert "WARNING -  Doc file 'index.md' contains a link 'nowhere.md'" in said
    assert "WARNING -  Doc file 'index.md' contains a link '#nowhere'" in said


def test_a_picture_from_another_host_is_noticed(faulty: tuple[Path, str]):
    folder, _ = faulty
    assert elsewhere(folder, read(folder)) == ["index.html: https://example.org/a.png"]


@pytest.mark.parametrize(
    ("latex", "reason"),
    [
        (r"\frac{1}{", "cannot read (NoAvailableTokensError)"),
        (r"\foo{x}", r"\foo is unknown to latex2mathml"),
        (r"\begin{aligned}a &= b\end{aligned}", "& is unknown to latex2mathml"),
        ("a}", "} is unknown to latex2mathml"),
        ("a$$$$b", "$ is unknown to latex2mathml"),
    ],
)
def test_a_formula_that_cannot_be_shown_fails(latex: str, reason: str):
    need_mkdocs()
    from mkdocs.exceptions import PluginError

    from tools.site import hooks

    page: Any = SimpleNamespace(file=SimpleNamespace(src_uri="a.md"))
    content = f'<span class="arithmatex">\\({latex}\\)</span>'.replace("&", "&amp;")
    with pytest.raises(PluginError) as error:
        hooks.on_page_content(content, page)
    assert str(error.value) == f"a.md: formula: {reason}: {latex}"


def test_a_formula_that_cannot_be_shown_ends_the_build_with_a_line(tmp_path: Path):
    need_mkdocs()
    done = build(small(tmp_path, r"# Home" "\n\n" r"With $\foo$." "\n"), tmp_path / "site")
    assert done.returncode != 0
    assert r"index.md: formula: \foo is unknown to latex2mathml: \foo" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_notebooks_outputs():
    need_mkdocs()
    import nbformat
    from mkdocs.exceptions import PluginError

    from tools.site import notebooks

    v4 = nbformat.v4
    red = v4.new_output("stream", text="\x1b[31mred\x1b[0m and ```\n")
    dot = v4.new_output("display_data", {"image/png": "aGk=", "text/plain": "<Figure>"})
    cells = [v4.new_markdown_cell("# Title\n\nText"), v4.new_code_cell("1", outputs=[red, dot])]
    text, pictures = notebooks.page(v4.new_notebook(cells=cells), "a")
    assert text.startswith('# Title\n\n<p><a href="a.ipynb" download>')
    assert "````{ .text .output }\nred and ```\n````\n" in text
    assert "](a-1.png)" in text
    assert pictures == {"a-1.png": b"hi"}
    cells[1].outputs = [v4.new_output("display_data", {"audio/wav": "aGk="})]
    with pytest.raises(PluginError, match="Received: audio/wav"):
        notebooks.page(v4.new_notebook(cells=cells), "a")


# ---- In a browser ----


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder, and yield its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with serving(site) as url:
        yield url


def foreign(tab: "Tab", address: str) -> list[str]:
    return [url for url in tab.requests if not url.startswith((address, "data:"))]


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name",
    [
        "index",
        "architecture",
        "documents/d1",
        "validate-your-network",
        "notebooks/train",
        "api/parity/candidate",
    ],
)
def test_a_page_asks_nobody_else(name: str, scheme: Any, browser: "Browser", address: str):
    tab = open_tab(browser, f"{address}{name}.html", PHONE, color_scheme=scheme)
    tab.page.wait_for_load_state("networkidle")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert tab.page.locator("body").get_attribute("data-md-color-scheme") == (
        "slate" if scheme == "dark" else "default"
    )
    broken = "() => [...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert tab.page.evaluate(broken) == 0
    assert tab.problems == []
    assert foreign(tab, address) == []
    tab.page.context.close()


def test_the_search(browser: "Browser", address: str):
    tab = open_tab(browser, f"{address}index.html")
    tab.page.get_by_placeholder("Search").click()
    tab.page.keyboard.type("dropout")
    tab.page.locator(".md-search-result__link").first.click()
    tab.page.wait_for_url(lambda url: "index.html" not in url.removeprefix(address))
    assert "dropout" in tab.page.locator("article").inner_text().lower()
    assert tab.problems == []
    assert foreign(tab, address) == []
    tab.page.context.close()


def test_formulas_are_laid_out_and_other_hosts_refused(
    browser: "Browser", faulty: tuple[Path, str]
):
    with serving(faulty[0]) as url:
        tab = open_tab(browser, f"{url}index.html")
        upper, lower = (tab.page.locator(f"mfrac > :nth-child({i})").bounding_box() for i in (1, 2))
        assert upper is not None
        assert lower is not None
        assert upper["y"] + upper["height"] <= lower["y"]
        assert any("https://example.org/a.png" in problem for problem in tab.problems)
        assert "Content Security Policy" in "".join(tab.problems)
        tab.page.context.close()
