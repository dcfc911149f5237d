"""A browser for the tests of the page of ``scripts.draw``, and a hand that draws in it.

All tests have these fixtures, since a process can have one Playwright at a time.
"""

import base64
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.scripts.serving import command

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

# No sandbox, since containers have none; and none of Chromium's own requests.
CHROMIUM_OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
# Milliseconds; Keras takes 5 seconds to load, and far longer on a computer that is busy.
PATIENCE = 120_000
EMPTY = "No digit yet."
# The page paints in the frame after a change, or after the one in which the canvas got its size,
# which may be long in coming; what was asked for before is done before what is asked for here.
PAINTED = """async canvas => {
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
    await new Promise(resolve => setTimeout(resolve));
    return canvas.toDataURL();
}"""
READ_TABLE = "table => [...table.tBodies[0].rows].map(row => row.cells[2].textContent)"


def give_up(reason: str) -> Any:
    """Skip, but in CI, where a browser must be there, fail."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@contextmanager
def chromium(give_up: Callable[[str], Any]) -> Iterator["Browser"]:
    """Start Chromium.

    Args:
        give_up: Called with the reason if it is not to be had; must raise.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise give_up(f"playwright is not installed: {error}") from error
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        raise give_up("there is no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


Points = Sequence[tuple[float, float]]


def smooth(points: Points, steps: int = 4) -> list[tuple[float, float]]:
    """Return a curve through points (Catmull and Rom's spline), as a steady hand would draw it."""
    curve = []
    padded = [points[0], *points, points[-1]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for t in (step / steps for step in range(steps)):
            weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3,
                       t + 4 * t**2 - 3 * t**3, t**3 - t**2)  # fmt: skip
            x, y = (
                sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True)) / 2
                for axis in (0, 1)
            )
            curve.append((x, y))
    return [*curve, points[-1]]


ONE = [(0.5, 0.2), (0.5, 0.8)]
# A three, as fractions of the paper's side: the upper bow and the lower, in one stroke.
THREE = [
    *smooth([(0.31, 0.27), (0.38, 0.185), (0.50, 0.155), (0.63, 0.20), (0.665, 0.30),
             (0.61, 0.395), (0.46, 0.455)]),
    *smooth([(0.46, 0.455), (0.62, 0.48), (0.70, 0.60), (0.675, 0.74), (0.55, 0.83),
             (0.40, 0.82), (0.29, 0.72)]),
]  # fmt: skip


def stroke(page: "Page", points: Points, release: bool = True) -> None:
    """Draw one stroke with the mouse."""
    box = page.locator("#drawing").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    if release:
        page.mouse.up()


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    with chromium(give_up) as browser:
        yield browser


@pytest.fixture(scope="session")
def address(browser: "Browser") -> Iterator[str]:
    """Where the command itself serves the page."""
    with command() as (_, url):
        yield url


@dataclass
class Tab:
    """A page, and what has happened in it.

    Attributes:
        page: The browser's.
        problems: Errors and warnings on the console, requests that failed or were refused.
        requests: The addresses of all requests.
        sent: The pictures that were asked about.
    """

    page: "Page"
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        note = self.problems.append
        self.page.on("console", lambda message: note(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: note(str(error)))
        self.page.on("requestfailed", lambda request: note(f"failed: {request.url}"))
        self.page.on("request", self._begin)

    def _begin(self, request: "Request") -> None:
        self.requests.append(request.url)
        if request.method == "POST":
            self.sent.append(request.post_data_buffer or b"")

    def verdict(self, text: str) -> None:
        """Wait until the page says this."""
        self.page.locator("#verdict", has_text=text).wait_for(timeout=PATIENCE)

    def filled(self, engine: str) -> None:
        """Wait until an engine's table has scores."""
        self.page.locator(f"#{engine}:not(.unknown)").wait_for(timeout=PATIENCE)

    def settle(self) -> None:
        """Wait until all is answered that was asked."""
        self.page.locator("#answer[aria-busy=false]").wait_for(timeout=PATIENCE)

    def scores(self, engine: str) -> list[str]:
        """Return the numbers in an engine's table."""
        return self.page.locator(f"#{engine}").evaluate(READ_TABLE)

    def ink(self) -> bytes:
        """Return what is on the paper, as a PNG."""
        url = self.page.locator("#drawing").evaluate(PAINTED)
        return base64.b64decode(url.split(",")[1])

    def seen(self) -> np.ndarray:
        """Return what the network sees, 0..255."""
        data = self.page.locator("#seen").evaluate(
            "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
        side = self.page.locator("#seen").evaluate("canvas => canvas.width")
        return np.reshape(data, (side, side, 4))[..., 0]


def open_tab(browser: "Browser", url: str, width: int = 1200, **options: Any) -> Tab:
    """Open the page in a profile of its own."""
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    tab = Tab(context.new_page())
    tab.page.goto(url)
    return tab


@pytest.fixture
def tab(browser: "Browser", address: str) -> Iterator[Tab]:
    tab = open_tab(browser, address)
    yield tab
    tab.page.context.close()
    assert tab.problems == []
    assert all(url.startswith((address, f"blob:{address}", "data:")) for url in tab.requests)


def three(kind: str = "PNG", size: tuple[int, int] = (300, 200)) -> bytes:
    """A picture file of a three."""
    image = Image.new("RGB", size, "white")
    points = [(50 + 200 * x, 200 * y) for x, y in THREE]
    ImageDraw.Draw(image).line(points, "navy", 16, "curve")
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def deliver(tab: Tab, how: str, name: str, content: bytes) -> None:
    """Choose, drop or paste a picture file."""
    if how == "choose":
        tab.page.locator("#file").set_input_files(
            {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        )
        return
    tab.page.locator("#paper").evaluate(
        """(target, [how, name, content]) => {
            const bytes = Uint8Array.from(atob(content), char => char.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], name));
            target.dispatchEvent(how === "drop"
                ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
        }""",
        [how, name, base64.b64encode(content).decode()],
    )
