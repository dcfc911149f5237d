"""The page of ``scripts.draw`` in a browser: drawing, picture files, and both engines' scores."""

import contextlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from digit_data.pictures.examine import open_image, prepare
from scripts.model_files import SHIPPED_MODEL
from scripts.whatami import __main__ as whatami
from tests.scripts.browsing import EMPTY, ONE, THREE, Tab, deliver, open_tab, stroke, three
from tests.scripts.serving import command

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route


def by_command(picture: bytes, path: Path, engine: str = "numpy") -> dict[str, Any]:
    """Return what ``python -m scripts.whatami`` says about a picture."""
    path.write_bytes(picture)
    options = ["--model", str(SHIPPED_MODEL), "--engine", engine, "--json"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert whatami.main([str(path), *options]) == 0
    return json.loads(said.getvalue())[0]


def assert_shows(tab: Tab, record: dict[str, Any], engine: str = "numpy") -> None:
    """Hold an engine's table against the command's answer."""
    assert tab.scores(engine) == [f"{score:.3f}" for score in record["scores"]]


# ---- Drawing ----


def test_a_drawn_digit_gets_the_scores_of_the_command(tab: Tab, tmp_path: Path):
    stroke(tab.page, THREE)
    tab.verdict("I am a 3.")
    tab.filled("keras")
    tab.settle()
    sent = tab.sent[-1]
    for engine in ("numpy", "keras"):
        record = by_command(sent, tmp_path / "sent.png", engine)
        assert record["digit"] == 3
        assert_shows(tab, record, engine)
    seen = prepare(open_image(io.BytesIO(sent)))
    np.testing.assert_allclose(tab.seen() / 255, seen, atol=0.5 / 255 + 1e-6)
    said = tab.page.locator("#compared").inner_text()
    assert said.startswith("Greatest difference: ")
    assert float(said.split()[2]) < 1e-9
    assert tab.page.locator("#about").inner_text().startswith("Model: mnist-robust.npz.")


def test_answers_come_while_the_pen_moves(tab: Tab):
    stroke(tab.page, THREE, release=False)
    tab.verdict("I am a 3.")
    tab.page.mouse.up()


def test_numpy_answers_while_keras_loads(browser: "Browser", address: str):
    loading = True

    def without_keras(route: "Route") -> None:
        answer = route.fetch().json()
        if loading:
            answer = {**answer, "keras": {"state": "loading", "error": None}, "difference": None}
        route.fulfill(json=answer)

    context = browser.new_context()
    context.route("**/status", without_keras)
    context.route("**/scores", without_keras)
    tab = Tab(context.new_page())
    tab.page.goto(address)
    compared = tab.page.locator("#compared")
    assert compared.inner_text() == "Keras is loading …"
    stroke(tab.page, THREE)
    tab.filled("numpy")
    assert compared.inner_text() == "Keras is loading …"
    assert set(tab.scores("keras")) == {"–"}
    loading = False
    tab.filled("keras")
    assert compared.inner_text().startswith("Greatest difference: ")
    context.unroute_all(behavior="wait")
    context.close()


def test_undo_and_clear(tab: Tab):
    page, blank = tab.page, tab.ink()
    stroke(page, ONE)
    one = tab.ink()
    stroke(page, [(0.2, 0.5), (0.8, 0.5)])
    cross = tab.ink()
    assert len({blank, one, cross}) == 3
    undo, clear = (page.get_by_role("button", name=name) for name in ("Undo", "Clear"))
    undo.click()
    assert tab.ink() == one
    page.keyboard.press("Control+z")
    assert tab.ink() == blank
    tab.verdict(EMPTY)
    assert undo.get_attribute("aria-disabled") == "true"
    for press in (clear.click, lambda: page.keyboard.press("Delete"),
                  lambda: page.keyboard.press("Escape")):  # fmt: skip
        stroke(page, ONE)
        assert tab.ink() == one
        tab.filled("numpy")
        press()
        assert tab.ink() == blank
        tab.verdict(EMPTY)
        assert {*tab.scores("numpy"), *tab.scores("keras")} == {"–"}
        page.keyboard.press("Control+z")
        assert tab.ink() == one
        tab.filled("numpy")
        press()
    tab.settle()


def test_a_frame_that_comes_late_is_waited_for(browser: "Browser", address: str):
    context = browser.new_context()
    context.add_init_script(
        "const soon = requestAnimationFrame;"
        "window.requestAnimationFrame = (f) => setTimeout(() => soon(f), 300);"
    )
    tab = Tab(context.new_page())
    tab.page.goto(address)
    blank = tab.ink()
    stroke(tab.page, ONE)
    one = tab.ink()
    tab.page.keyboard.press("Escape")
    assert tab.ink() == blank != one
    context.close()


def test_notes_another_verdict_and_failures_are_said(browser: "Browser", address: str):
    keras: dict[str, Any] = {"verdict": "I am a 7."}
    note = "There <b>seem</b> to be several digits."

    def change(route: "Route") -> None:
        answer = route.fetch().json()
        answer["keras"] = {**answer["numpy"], **keras}
        route.fulfill(json={**answer, "notes": [note], "difference": 0.0})

    tab = open_tab(browser, address)
    tab.page.route("**/scores", change)
    compared = tab.page.locator("#compared")
    stroke(tab.page, ONE)
    tab.page.get_by_text(
        "Greatest difference: 0 percentage points. Keras says: I am a 7."
    ).wait_for()
    assert tab.page.get_by_role("listitem").all_inner_texts() == [note]
    keras |= {"state": "failed", "scores": None, "error": "No module named 'tensorflow'"}
    stroke(tab.page, THREE)
    tab.settle()
    assert compared.inner_text() == "Keras gives no scores: No module named 'tensorflow'"
    assert set(tab.scores("keras")) == {"–"}
    tab.page.context.close()


def test_an_answer_that_comes_too_late_is_not_shown(browser: "Browser", address: str):
    context = browser.new_context()
    held: list[Route] = []
    context.route("**/scores", lambda route: held.append(route))
    tab = Tab(context.new_page())
    tab.page.goto(address)
    stroke(tab.page, ONE)
    tab.verdict("Looking …")
    tab.page.keyboard.press("Escape")
    held[0].continue_()
    tab.settle()
    tab.verdict(EMPTY)
    assert set(tab.scores("numpy")) == {"–"}
    context.close()


def test_the_pens_width(tab: Tab):
    def amount() -> float:
        return np.asarray(Image.open(io.BytesIO(tab.ink())))[..., 3].mean()

    pen = tab.page.get_by_role("slider", name="Pen")
    pen.fill("4")
    stroke(tab.page, ONE)
    thin = amount()
    tab.page.keyboard.press("Escape")
    pen.fill("12")
    stroke(tab.page, ONE)
    assert 2 < amount() / thin < 4
    tab.settle()


def test_a_click_is_a_dot_and_other_buttons_do_nothing(tab: Tab):
    blank = tab.ink()
    tab.page.locator("#drawing").click(button="middle")
    assert tab.ink() == blank
    tab.page.locator("#drawing").click()
    assert tab.ink() != blank
    tab.settle()


# ---- Picture files ----


@pytest.mark.parametrize("how", ["choose", "drop", "paste"])
def test_a_picture_file(how: str, tab: Tab, tmp_path: Path):
    deliver(tab, how, "three.png", three())
    tab.verdict("I am a 3.")
    tab.filled("keras")
    assert tab.sent[-1] == three()
    assert_shows(tab, by_command(three(), tmp_path / "three.png"))
    assert tab.page.locator("#picture").is_visible()
    tab.page.get_by_role("button", name="Undo").click()
    tab.page.locator("#picture").wait_for(state="hidden")
    tab.verdict(EMPTY)


def test_drawing_on_a_picture_begins_anew(tab: Tab):
    deliver(tab, "choose", "three.png", three())
    tab.verdict("I am a 3.")
    stroke(tab.page, ONE)
    tab.page.locator("#picture").wait_for(state="hidden")
    tab.settle()
    assert tab.sent[-1] != three()
    tab.page.keyboard.press("Control+z")
    tab.verdict("I am a 3.")
    tab.settle()
    assert tab.page.locator("#picture").is_visible()


def test_a_picture_that_the_browser_cannot_show(tab: Tab):
    deliver(tab, "drop", "scan.tif", three("TIFF"))
    tab.verdict("I am a 3.")
    assert tab.page.locator("#hint").inner_text() == "scan.tif"
    assert tab.page.locator("#picture").is_hidden()


def test_files_that_are_no_digit(tab: Tab):
    blank = io.BytesIO()
    Image.new("L", (50, 50), "white").save(blank, "PNG")
    for content in (b"some text", b"", three()[:300], blank.getvalue()):
        deliver(tab, "choose", "file.png", content)
        tab.verdict("No digit to be seen.")
        assert tab.page.locator("#detail").inner_text().endswith(".")
        assert {*tab.scores("numpy"), *tab.scores("keras")} == {"–"}
        tab.page.keyboard.press("Escape")
        tab.verdict(EMPTY)
    refused = "error: Failed to load resource: the server responded with a status of 422"
    assert all(problem.startswith(refused) for problem in tab.problems)
    tab.problems.clear()


def test_what_is_not_sent_at_all(tab: Tab):
    tab.page.evaluate(
        """() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(20000001)], "large.png"));
            dispatchEvent(new DragEvent("drop", {dataTransfer, cancelable: true}));
        }"""
    )
    tab.verdict("That file is too large.")
    tab.page.evaluate(
        "() => dispatchEvent(new ClipboardEvent('paste', {clipboardData: new DataTransfer()}))"
    )
    tab.verdict("That is not a picture file.")
    assert not any(url.endswith("/scores") for url in tab.requests)


def test_a_server_that_has_ended(browser: "Browser"):
    with command() as (process, url):
        tab = open_tab(browser, url)
        process.terminate()
        assert process.communicate(timeout=60) == ("", "draw: stopped by SIGTERM\n")
        stroke(tab.page, ONE)
        tab.verdict("The server does not answer.")
        tab.page.context.close()
