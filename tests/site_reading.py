"""Reading the pages of a site: what a browser would fetch for them, and markup that is left."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

FETCHED = {"src", "srcset", "poster", "data", "background", "action", "formaction", "ping"}
NOT_FETCHED = {"canonical", "prev", "next", "alternate"}
IN_STYLES = re.compile(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)")
IN_SCRIPTS = re.compile(r"(?:https?:)//[\w.-]+\.[a-z]+[\w./@-]*")
# What the theme's scripts know of other hosts; the policy of each page forbids to ask them.
KNOWN = {
    "https://unpkg.com/mermaid@11/dist/mermaid.min.js",  # only on pages with diagrams
    "https://unpkg.com/resize-observer-polyfill",  # only in browsers from before 2020
    "https://api.github.com/repos/",  # only with repo_url
    "https://api.github.com/users/",
    "https://clipboardjs.com/",  # these are comments
    "https://bit.ly/2s3ChXG",
    "http://lunrjs.com",
    "http://tartarus.org/",
}


class Reader(HTMLParser):
    """Reads a page: what a browser fetches for it, and its text outside of code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.policies: list[str] = []
        self.text: list[str] = []
        self._silent = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("http-equiv") == "Content-Security-Policy":
            assert not self.fetched, "the policy has to come first"
            self.policies.append(given["content"])
        for name in FETCHED & given.keys():
            self.fetched += re.split(r"\s+", given[name]) if name == "srcset" else [given[name]]
        if tag == "link" and given.get("rel") not in NOT_FETCHED:
            self.fetched.append(given["href"])
        self.fetched += in_style(given.get("style", ""))
        self._silent += tag in ("code", "math", "script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("code", "math", "script", "style")

    def handle_data(self, data: str) -> None:
        if self._silent:
            self.fetched += in_style(data) if self.lasttag == "style" else []
        else:
            self.text.append(data)


def in_style(style: str) -> list[str]:
    return [first or second for first, second in IN_STYLES.findall(style)]


def read(folder: Path) -> dict[Path, Reader]:
    return {path: Reader(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}


def elsewhere(folder: Path, pages: dict[Path, Reader]) -> list[str]:
    """Return what the files of a site would have a browser fetch from other hosts."""
    addresses = [(path, address) for path, page in pages.items() for address in page.fetched]
    for path in folder.rglob("*.css"):
        addresses += [(path, address) for address in in_style(path.read_text(encoding="utf-8"))]
    for path in folder.rglob("*.js"):
        if "lunr" not in path.parts:  # searches in other languages, which are not loaded
            known = set(IN_SCRIPTS.findall(path.read_text(encoding="utf-8"))) - KNOWN
            addresses += [(path, a) for a in known if not a.startswith("http://www.w3.org/")]
    return [f"{path.name}: {address}" for path, address in addresses if urlsplit(address).netloc]


MARKUP = re.compile(r":(?:func|class|mod|meth|attr):|```|``|>>>|\*\*|\$|\\\(|\\\[|\]\[|\]\(")


def leftover(page: Reader) -> list[str]:
    """Return the lines of a page's text in which markup is left."""
    lines = "".join(page.text).splitlines()
    return [line.strip() for line in lines if MARKUP.search(line)]
