"""Make the README's picture of the page: ``python -m tests.scripts.draw_screenshot``.

With a folder as argument it makes the page's other looks too: dark, on a phone, empty.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.scripts import browsing, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

README_PICTURE = serving.ROOT / "docs" / "images" / "draw.png"


def look(
    browser: "Browser", url: str, path: Path, width: int = 1200,
    scheme: Literal["light", "dark"] = "light", drawn: bool = True,
) -> None:  # fmt: skip
    """Save a picture of the page, with a three on it if it is to be drawn."""
    context = browser.new_context(viewport={"width": width, "height": 760}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    if drawn:
        browsing.stroke(page, browsing.THREE)
        page.locator("#keras:not(.unknown)").wait_for(timeout=browsing.PATIENCE)
        page.wait_for_timeout(500)  # the bars move
    page.screenshot(path=path, full_page=True)
    context.close()


def main(arguments: list[str]) -> None:
    """Make the picture, or all of them in a folder."""

    def give_up(reason: str) -> Any:
        raise SystemExit(reason)

    with serving.command() as (_, url), browsing.chromium(give_up) as browser:
        if not arguments:
            look(browser, url, README_PICTURE)
            return
        for scheme in ("light", "dark"):
            for width in (1200, 360):
                for drawn in (False, True):
                    name = f"{scheme}-{width}-{'drawn' if drawn else 'empty'}.png"
                    look(browser, url, Path(arguments[0]) / name, width, scheme, drawn)


if __name__ == "__main__":
    main(sys.argv[1:])
