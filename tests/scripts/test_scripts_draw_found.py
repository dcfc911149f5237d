"""The page of ``scripts.draw``: where digits were found, what is none, the camera, and saving."""

import contextlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from digit_data.pictures.examine import examine, open_image
from scripts import model_files
from scripts.draw import __main__ as draw
from scripts.draw import saving
from tests.scripts import browsing
from tests.scripts.browsing import ONE, THREE, Tab, deliver, open_tab, stroke
from tests.scripts.serving import ROOT, Client, Reply, command, png, serving, seven

if TYPE_CHECKING:
    from playwright.sync_api import Browser


IMAGES = ROOT / "docs" / "images"
PHOTO, YEAR = (IMAGES / name for name in ("photo.jpg", "year.png"))


# ---- Saving, without a browser ----


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "my digits"


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    with serving(model_files.SHIPPED_MODEL, folder) as (client, _):
        yield client


def keep(client: Client, label: str, body: Any, **headers: str) -> Reply:
    origin = f"http://localhost:{client.port}"
    own = {"Host": f"localhost:{client.port}", "Origin": origin, **headers}
    return client.ask("POST", f"/save?label={label}", body, **own)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_saved_is_the_picture_with_its_label(client: Client, folder: Path):
    assert client.ask("GET", "/status").json()["save"] == str(folder)
    for count, label in enumerate(("7", "0", "7"), 1):
        reply = keep(client, label, png(seven()))
        assert reply.status == 200
        answer = reply.json()
        assert answer["saved"] == count
        assert answer["name"].startswith(f"{label}/")
        with Image.open(folder / answer["name"]) as image:
            np.testing.assert_array_equal(np.asarray(image), np.asarray(seven()))
    assert len(files(folder)) == 3


@pytest.mark.parametrize(
    "label",
    ["", "10", "-1", "7/../../x", "..", "%2e%2e", "..%2f..%2fetc%2fx", "/etc/x", "7%00", "7%0a",
     "%EF%BC%97", "%D9%A3", "None"],
)  # fmt: skip
def test_no_path_from_a_request_reaches_the_disk(
    label: str, client: Client, folder: Path, tmp_path: Path
):
    reply = keep(client, label, png(seven()))
    assert reply.status == 422
    assert reply.json()["error"].startswith("expected a label in 0..9. Received: ")
    assert reply.json()["error"].isprintable()
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "body", [b"", b"no picture", png(seven())[:100], b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_what_is_no_picture_is_not_saved(body: bytes, client: Client, folder: Path):
    reply = keep(client, "7", body)
    assert reply.status == 422
    assert reply.json()["error"].isprintable()
    assert files(folder) == []


def test_only_the_page_saves(client: Client, folder: Path):
    for headers in ({"Origin": "http://example.org"}, {"Origin": "null"}, {"Host": "example.org"}):
        assert keep(client, "7", png(seven()), **headers).status == 403
    assert client.ask("POST", "/save?label=7", png(seven())).status == 403
    assert client.ask("GET", "/save?label=7").status == 405
    assert files(folder) == []


def test_without_the_option_nothing_is_saved(tmp_path: Path):
    with serving(model_files.SHIPPED_MODEL) as (client, _):
        assert client.ask("GET", "/status").json()["save"] is None
        assert keep(client, "7", png(seven())).status in (404, 405)
    assert files(tmp_path) == []


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "F"])
def test_every_kind_of_picture_is_kept_so_that_it_reads_the_same(mode: str, folder: Path):
    image = seven().resize((200, 200))
    if mode in ("I;16", "F"):
        grey = np.asarray(image).astype(np.uint16 if mode == "I;16" else np.float32)
        image = Image.fromarray(grey * 257 if mode == "I;16" else grey)
    else:
        image = image.convert("RGB").convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF")
    kept = saving.LabelledFolder(folder).save("7", file.getvalue())
    before, after = (
        examine(open_image(source)).pictures[0]
        for source in (io.BytesIO(file.getvalue()), folder / kept)
    )
    np.testing.assert_allclose(after, before, atol=0.02)


def test_a_large_photograph_is_kept_smaller_and_without_what_the_camera_wrote(folder: Path):
    image = Image.new("RGB", (3000, 2000), "white")
    exif = image.getexif()
    exif[0x010F] = "the camera's maker"
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    name = saving.LabelledFolder(folder).save("3", file.getvalue())
    assert b"maker" not in (folder / name).read_bytes()
    with Image.open(folder / name) as kept:
        assert max(kept.size) <= saving.LONGEST_SIDE


def test_a_run_saves_only_so_many(client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(saving, "MOST_SAVED", 2)
    statuses = [keep(client, "1", png(seven())).status for _ in range(3)]
    assert statuses == [200, 200, 422]
    assert len(files(folder)) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_any_more(client: Client, folder: Path):
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert keep(client, "7", png(seven())).status == 507


def test_a_disk_that_is_full(client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "atomic", full)
    reply = keep(client, "7", png(seven()))
    assert (reply.status, reply.json()) == (507, {"error": "No space left on device"})


def test_a_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("")
    (tmp_path / "7").write_text("")
    for path in (tmp_path / "file", tmp_path):
        assert draw.main(["--port", "0", "--no-browser", "--save", str(path)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("draw: --save: expected ")
        assert error.count("\n") == 1


# ---- In the browser ----


@pytest.fixture(scope="module")
def saved_to(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def address(browser: "Browser", saved_to: Path) -> Iterator[str]:
    with command("--save", str(saved_to)) as (_, url):
        yield url


@pytest.fixture
def tab(browser: "Browser", address: str) -> Iterator[Tab]:
    tab = open_tab(browser, address)
    yield tab
    tab.page.context.close()
    assert tab.problems == []


def marked(tab: Tab) -> list[tuple[str, list[float]]]:
    """Return what the boxes on the paper say, and where they are, as shares of the paper."""
    paper = tab.page.locator("#boxes").bounding_box()
    assert paper is not None
    found = []
    for box in tab.page.locator(".box").all():
        place = box.bounding_box()
        assert place is not None
        left, top = place["x"] - paper["x"], place["y"] - paper["y"]
        sides = [left, top, left + place["width"], top + place["height"]]
        found.append((box.inner_text(), [side / paper["width"] for side in sides]))
    return found


def on_paper(path: Path) -> list[list[float]]:
    """Return where the command finds digits, as shares of a square around the picture."""
    image = open_image(path)
    most = max(image.size)
    width, height = image.width / most, image.height / most
    left, top = (1 - width) / 2, (1 - height) / 2
    boxes = examine(image, segment=True).boxes
    return [
        [left + a * width, top + b * height, left + c * width, top + d * height]
        for a, b, c, d in boxes
    ]


@pytest.mark.parametrize(("path", "text"), [(PHOTO, "7"), (YEAR, "2024")])
def test_a_picture_shows_where_each_digit_was_found(path: Path, text: str, tab: Tab):
    deliver(tab, "drop", path.name, path.read_bytes())
    tab.verdict(f"I am a {text}." if len(text) == 1 else f"I am {text}.")
    tab.page.locator(".box").first.wait_for()
    boxes = marked(tab)
    assert "".join(name for name, _ in boxes) == text
    np.testing.assert_allclose([box for _, box in boxes], on_paper(path), atol=0.01)
    if len(text) > 1:
        detail = tab.page.locator("#detail").inner_text()
        assert detail.startswith("Each by itself, with its score in percent: 2 (100.0), 0 (100.0)")
    tab.page.keyboard.press("Escape")
    assert marked(tab) == []


def test_a_drawing_is_marked_only_where_there_are_several(tab: Tab):
    stroke(tab.page, THREE)
    tab.verdict("I am a 3.")
    tab.settle()
    assert marked(tab) == []
    tab.page.keyboard.press("Escape")
    for left in (0.05, 0.5):
        stroke(tab.page, [(left + 0.4 * x, 0.3 + 0.4 * y) for x, y in THREE])
    tab.verdict("I am 33.")
    tab.settle()
    assert [name for name, _ in marked(tab)] == ["3", "3"]


def test_what_is_no_digit_is_said_kindly(tab: Tab):
    for line in ([(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]):
        stroke(tab.page, line)
    tab.verdict("That does not look like a digit to me.")
    assert "my best guess is a " in tab.page.locator("#detail").inner_text()


def test_saving_from_the_page(tab: Tab, saved_to: Path):
    page = tab.page
    page.locator("#save:not([hidden])").wait_for()
    assert str(saved_to) in page.locator("#about").inner_text()
    assert page.locator("#keep").get_attribute("aria-disabled") == "true"
    page.locator("#keep").evaluate("button => button.click()")
    assert files(saved_to) == []
    stroke(page, [(0.2, 0.5), (0.8, 0.5)])
    stroke(page, ONE)  # a plus, of which no digit is said
    tab.verdict("That does not look like a digit to me.")
    assert page.get_by_label("It is a").input_value() == ""
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Say first which digit it is.").wait_for()
    assert files(saved_to) == []
    page.keyboard.press("Escape")
    stroke(page, THREE)
    tab.verdict("I am a 3.")
    tab.settle()
    assert page.get_by_label("It is a").input_value() == "3"
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved as a 3, 1 so far.").wait_for()
    page.get_by_label("It is a").select_option("8")  # the user knows better
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved as a 8, 2 so far.").wait_for()
    assert [name[:2] for name in files(saved_to)] == ["3/", "8/"]
    seen = tab.seen() / 255
    for name in files(saved_to):
        (found,) = examine(open_image(saved_to / name)).pictures
        np.testing.assert_allclose(seen, found, atol=0.5 / 255 + 1e-6)


def test_the_content_security_policy_holds_also_for_boxes_and_camera(tab: Tab):
    """Nothing of it is loosened, and nothing that it forbids is tried: the console is empty."""
    policy = tab.page.request.get(tab.page.url).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' blob: data:; object-src 'none'")
    assert "unsafe" not in policy
    deliver(tab, "choose", "year.png", YEAR.read_bytes())
    tab.verdict("I am 2024.")
    tab.page.locator(".box").first.wait_for()


def y4m(image: Image.Image, path: Path) -> None:
    """Write a film of one still, in the form that Chromium takes for a camera."""
    width, height = image.size
    grey = np.asarray(image.convert("L"))
    frame = b"FRAME\n" + grey.tobytes() + bytes([128]) * (width * height // 2)
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode() + 4 * frame)


def test_the_camera_takes_a_picture(browser: "Browser", address: str, tmp_path: Path):
    sheet = Image.new("L", (320, 240), 235)
    sheet.paste(seven(180), (60, 30))
    y4m(sheet, tmp_path / "seven.y4m")
    options = (
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={tmp_path / 'seven.y4m'}",
    )  # fmt: skip
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    options = [*browsing.CHROMIUM_OPTIONS, *options]
    own = browser.browser_type.launch(executable_path=path, args=options)
    with contextlib.closing(own):
        tab = open_tab(own, address)
        page = tab.page
        page.get_by_role("button", name="Camera", exact=True).click()
        page.locator("#camera:not([hidden])").wait_for()
        page.locator("#camera").evaluate(
            "v => v.videoWidth || new Promise(done => v.addEventListener('loadedmetadata', done))"
        )
        assert tab.sent == []
        page.get_by_role("button", name="Take the picture").click()
        tab.verdict("I am a 7.")
        page.locator(".box").wait_for()
        assert page.locator("#camera").is_hidden()
        assert page.evaluate("document.getElementById('camera').srcObject") is None
        page.get_by_role("button", name="Camera", exact=True).click()
        page.get_by_role("button", name="Close the camera").click()
        assert page.locator("#camera").is_hidden()
        assert tab.problems == []


def test_a_camera_that_may_not_be_used_is_said(browser: "Browser", address: str):
    tab = open_tab(browser, address, permissions=[])
    refuse = """() => {
        navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', %r); };
    }"""
    for name, said in (
        ("NotAllowedError", "This browser was not allowed to use it"),
        ("NotFoundError", "This computer has none"),
        ("NotReadableError", "Another program may be using it."),
        ("AbortError", "AbortError."),
    ):
        tab.page.evaluate(refuse % name)
        tab.page.get_by_role("button", name="Camera", exact=True).click()
        tab.verdict("The camera cannot be used.")
        tab.page.locator("#detail", has_text=said).wait_for()
    assert tab.problems == []
    tab.page.context.close()


def test_on_a_narrow_screen_all_buttons_have_room(browser: "Browser", address: str):
    tab = open_tab(browser, address, 360)
    tab.page.locator("#save:not([hidden])").wait_for()
    stroke(tab.page, ONE)
    tab.settle()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    tab.page.context.close()
