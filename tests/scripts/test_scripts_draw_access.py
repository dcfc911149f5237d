"""The page of ``scripts.draw`` for everybody: keys, names, fingers, every width, light and dark."""

import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from PIL import Image

from tests.scripts.browsing import EMPTY, ONE, THREE, Tab, open_tab, stroke, three

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_the_keyboard_reaches_everything(tab: Tab):
    page, order = tab.page, []
    with page.expect_file_chooser() as chooser:
        for _ in range(4):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Enter")
    assert order == ["undo", "clear", "pen", "file"]
    outline = page.locator("label[for=file]").evaluate("label => getComputedStyle(label).outline")
    assert "solid 3px" in outline
    chooser.value.set_files({"name": "3.png", "mimeType": "image/png", "buffer": three()})
    tab.verdict("I am a 3.")


def test_names_for_those_who_listen(tab: Tab):
    page = tab.page
    for found in (
        page.get_by_role("heading", name="Draw a digit", exact=True),
        page.get_by_role("button", name="Undo", exact=True),
        page.get_by_role("button", name="Clear", exact=True),
        page.get_by_role("slider", name="Pen", exact=True),
        page.get_by_role("img", name="What the network sees", exact=True),
        page.get_by_role("table", name="NumPy", exact=True),
        page.get_by_role("table", name="Keras", exact=True),
    ):
        assert found.count() == 1, found
    assert page.get_by_label("Choose a picture", exact=True).get_attribute("type") == "file"
    assert page.locator("[aria-live=polite] #verdict").count() == 1
    assert page.get_by_role("rowheader").all_inner_texts() == list("0123456789") * 2


def boxes(tab: Tab) -> list[Any]:
    """Return where the parts of the page are."""
    return [
        tab.page.locator(selector).bounding_box()
        for selector in (
            "#paper",
            "#undo",
            "label[for=file]",
            "#seen",
            "#numpy",
            "#keras",
            "footer",
        )
    ]


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("width", [360, 768, 1200, 2000])
def test_nothing_overflows_and_nothing_jumps(width: int, browser: "Browser", address: str):
    tab = open_tab(browser, address, width)
    tab.verdict(EMPTY)
    tab.settle()
    before = boxes(tab)
    stroke(tab.page, THREE)
    tab.filled("keras")
    tab.settle()
    assert boxes(tab) == before
    assert tab.page.evaluate("document.documentElement.scrollWidth") == width
    tab.page.context.close()


def test_a_finger_draws_and_does_not_scroll(browser: "Browser", address: str):
    tab = open_tab(browser, address, 360, has_touch=True, is_mobile=True)
    box = tab.page.locator("#drawing").bounding_box()
    assert box is not None
    session = tab.page.context.new_cdp_session(tab.page)
    for i, (x, y) in enumerate(THREE):
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        kind = "touchMove" if i else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    tab.verdict("I am a 3.")
    assert tab.page.evaluate("scrollY") == 0
    tab.page.context.close()


CONTRAST = """element => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    const light = color => {
        context.fillStyle = color;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => {
            const c = v / 255;
            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    let ground = element;
    const background = () => getComputedStyle(ground).backgroundColor;
    while (background() === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    const both = [light(getComputedStyle(element).color), light(background())];
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(scheme: Literal["light", "dark"], browser: "Browser", address: str):
    tab = open_tab(browser, address, color_scheme=scheme)
    for selector in ("h1", "#verdict", "#detail", "#hint", "label[for=file]", "th", "td.score",
                     "#compared", "footer p", "figcaption"):  # fmt: skip
        assert tab.page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
    stroke(tab.page, ONE)
    tab.filled("numpy")
    ink = np.asarray(Image.open(io.BytesIO(tab.ink())))
    shade = ink[ink[..., 3] == 255, :3].mean()
    assert shade > 200 if scheme == "dark" else shade < 60
    # The network is asked about the same picture, whatever the colours on the screen.
    assert tab.seen()[:, :8].max() == 0
    tab.settle()
    paper = np.asarray(Image.open(io.BytesIO(tab.sent[-1])).convert("L"))
    assert (paper[0, 0], paper.min()) == (255, 0)
    tab.page.context.close()
