"""Pictures made to fill the memory or to never end: refused in one line, or read, but soon."""

import io
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digit_data.pictures import files, grey
from digit_data.pictures.examine import ImageError, examine, open_image, to_grey
from tests.digit_data.test_digits_images import encoded, seven

# Seconds of this process for what takes a tenth of that alone.
SOON = 5


def refused(content: bytes, *words: str) -> None:
    """Open a picture; see that it is soon refused in one line that has the words."""
    started = time.process_time()
    with pytest.raises(ImageError) as caught:
        open_image(io.BytesIO(content))
    assert time.process_time() - started < SOON
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def png(width: int, height: int, before: bytes = b"") -> bytes:
    """Return the beginning of a PNG."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


@pytest.mark.parametrize(("width", "height"), [(64_000_000, 1), (1, 64_000_000), (65_536, 10)])
def test_sides_that_shrinking_has_no_memory_for(width: int, height: int):
    refused(png(width, height, chunk(b"IDAT")), "refused", f"received {width} x {height}")


# ---- Pages ----


def pages(count: int) -> bytes:
    """Return a TIFF of one white pixel on each of its pages."""
    tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 4), (277, 1), (278, 1)]
    tags.append((279, 1))
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    size = len(directory) + 4
    nexts = [8 + size * (i + 1) for i in range(count - 1)] + [0]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(
        directory + struct.pack("<I", place) for place in nexts
    )  # fmt: skip


def frames(count: int) -> bytes:
    """Return a GIF of one pixel in each of its frames."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    return head + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0") * count + b";"


@pytest.mark.parametrize("content", [pages(100_000), frames(500_000)])
def test_pages_are_not_counted(content: bytes):
    started = time.process_time()
    image = open_image(io.BytesIO(content))
    assert time.process_time() - started < 1
    assert image.size == (1, 1)
    assert image.info["several"]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG", "AVIF"])
def test_one_page_or_several_is_still_told(kind: str):
    image = Image.fromarray(seven()).convert("RGB")
    said = ["this is the first of several frames or pages"]
    several = encoded(image, kind, save_all=True, append_images=[image.rotate(90)])
    assert examine(open_image(several)).notes == said
    assert examine(open_image(encoded(image, kind))).notes == []


@pytest.mark.parametrize(
    "content",
    [
        png(28, 28, chunk(b"prVt") * 10_000),
        frames(0)[:-1] + b"!\1\0\0" * 10_000,
        frames(0)[:-1] + b"!\xfe" + b"\1a" * 20_000,
        b"P5\n" + b" " * 20_000 + b"28 28\n255\n" + bytes(784),
    ],
    ids=["chunks", "extensions", "comments", "header"],
)
def test_blocks_without_end(content: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "MOST_READS", 10_000)
    refused(content, "refused", "pieces")


# ---- Scans ----


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def scanned(side: int, scans: int) -> bytes:
    """Return a progressive JPEG of one grey; its last scan, which changes nothing, is repeated."""
    table = bytes([1] + [0] * 15)
    head = [
        b"\xff\xd8", segment(0xDB, bytes([0] + [1] * 64)),
        segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0"),
        segment(0xC4, b"\0" + table + b"\0"), segment(0xC4, b"\x10" + table + b"\xe0"),
    ]  # fmt: skip
    first = segment(0xDA, b"\1\1\0" + bytes(3)) + bytes((side // 8) ** 2 // 8)
    again = segment(0xDA, b"\1\1\0" + bytes([1, 63, 0])) + b"\x7f\xff\0" * 9
    return b"".join([*head, first, again * (scans - 1), b"\xff\xd9"])


def test_scans_over_the_same_pixels_again_and_again():
    assert open_image(io.BytesIO(scanned(64, files.MOST_SCANS))).size == (64, 64)
    refused(scanned(64, files.MOST_SCANS + 1), "refused", "at most 100 scans")
    refused(scanned(64, 200_000), "refused", "at most 100 scans")
    refused(scanned(8000, 21), "refused", "received 21 scans of 8000 x 8000")
    refused(b"\xff\xd8" + segment(0xFE, b"") * 1_000_000, "markers")


def test_what_looks_like_a_scan_and_is_none():
    progressive = encoded(Image.fromarray(seven()), "JPEG", progressive=True).getvalue()
    fake = segment(0xDA, b"") * 200
    comment = segment(0xFE, fake)
    for content in (
        progressive[:2] + comment + progressive[2:], progressive + fake,
        encoded(Image.fromarray(seven()), "JPEG", restart_marker_blocks=1).getvalue(),
    ):  # fmt: skip
        assert open_image(io.BytesIO(content)).size == (120, 120)


# ---- Memory ----


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "P", "I;16", "F"])
def test_brightness_takes_little_more_than_it_is(mode: str):
    image = Image.new(mode, (2000, 2000), 3 if mode in ("L", "P", "I;16", "F") else (9, 9, 200))
    if mode == "RGBA":
        image.putpixel((5, 5), (200, 1, 1, 100))
    to_grey(image.crop((0, 0, 9, 9)))  # what is made once
    tracemalloc.start()
    made = to_grey(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Of a part there are a few copies at a time; of all in colour, there were four.
    assert peak < made.nbytes + 24 * grey.PART


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "I;16"])
def test_brightness_in_parts_is_the_same(mode: str, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (70, 90, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    elif mode != "RGBA":
        image = image.convert("RGB" if mode == "CMYK" else "LA" if mode == "LA" else "P")
        image = image.convert(mode)
    whole = to_grey(image)
    for size in (7, 90, 1000):
        monkeypatch.setattr(grey, "PART", size)
        assert np.array_equal(to_grey(image), whole)


def test_a_file_too_long_for_a_picture(tmp_path: Path):
    path = tmp_path / "long.bmp"
    with path.open("wb") as file:
        file.truncate(files.LONGEST_FILE + 1)  # a hole, which takes no place on the disk
    with pytest.raises(ImageError, match=f"at most {files.LONGEST_FILE} bytes"):
        open_image(path)


@pytest.mark.parametrize("cut", range(13, 40))
def test_a_gif_that_ends_in_its_frame(cut: int):
    # Pillow raises struct.error here.
    whole = frames(1)
    if cut < len(whole) - 6:
        refused(whole[:cut])
