"""Damaged, random and hostile files end in scores or in one line, never in anything else."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts import model_files
from scripts.whatami import answers, looking
from scripts.whatami.pictures import Source
from tests import census
from tests.scripts.whatami_pictures import command, draw

PNG_MODES = ("L", "1", "P", "RGB", "RGBA", "LA", "I;16")
JPEG_MODES = ("L", "RGB", "CMYK")
OTHERS = ("GIF", "BMP", "TIFF", "WEBP", "PPM")
SIDES = (28, 8)
UNEXPECTED = "expected a picture that can be used"


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@cache
def good(kind: str) -> list[bytes]:
    """Return whole files of a format."""
    image = draw(size=(40, 40))
    if kind == "PNG":
        deep = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
        modes = [deep if mode == "I;16" else image.convert(mode) for mode in PNG_MODES]
        return [encoded(one, "PNG") for one in modes]
    if kind == "JPEG":
        return [
            encoded(image.convert(mode), "JPEG", progressive=progressive)
            for mode in JPEG_MODES
            for progressive in (False, True)
        ]
    return [encoded(image, kind)]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with bytes changed, cut off, put in, or moved."""
    out = bytearray(data)
    start, other = rng.integers(len(out), size=2)
    count = int(rng.integers(1, 50))
    match rng.integers(5):
        case 0:
            for place in rng.integers(len(out), size=int(rng.integers(1, 8))):
                out[place] = rng.integers(256)
        case 1:
            del out[start:]
        case 2:
            out[start : start + count] = rng.bytes(int(rng.integers(0, 50)))
        case 3:
            out[start : start + count] = out[other : other + count]
        case 4:  # the header, where sizes and modes are
            out[int(rng.integers(8, 40))] = rng.integers(256)
    if data.startswith(b"\x89PNG") and rng.integers(3):
        return with_checksums(bytes(out))
    return bytes(out)


def with_checksums(png: bytes) -> bytes:
    """Return a PNG whose chunks have right checksums, so that their content is looked at."""
    out, place = png[:8], 8
    while place + 12 <= len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        body = png[place + 4 : place + 8 + length]
        if len(body) < 4 + length:
            break
        out += png[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return out + png[place:]


@cache
def classifier(side: int) -> model_files.Classifier:
    """Return a model that is asked quickly."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((side * side, 10))

    def predict(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(x @ kernel)))

    return model_files.Classifier(Path("x"), (side * side,), (10,), ["Dense"], predict)


def ends_well(data: bytes, choice: int) -> bool:
    """Ask about a file; return whether there were scores."""
    side = SIDES[choice % 2]
    view = looking.View(28 if side == 28 else 8, "auto", choice % 3 == 0, choice % 4 == 0)
    seen = looking.look(Source("x", data), view)
    ask = answers.read if view.segment else answers.answer
    (answer,) = ask(classifier(side), [seen])
    if answer.error is None:
        assert all(line.isprintable() for line in answer.lines())
        assert (seen.original is not None) == view.keep
        return True
    assert UNEXPECTED not in answer.error
    assert answer.error.isprintable()
    assert len(answer.error) > 10
    return False


@pytest.mark.parametrize(
    ("kind", "count"), [("PNG", 2200), ("JPEG", 1500), *((kind, 100) for kind in OTHERS)]
)
def test_mutated_files(kind: str, count: int):
    files = good(kind)
    assert all(ends_well(data, 1) for data in files)
    seeds = census.sample(range(count), max(count // 5, 100), f"mutated {kind}")
    ends = [
        ends_well(mutated(files[i % len(files)], np.random.default_rng([len(kind), i])), i)
        for i in seeds
    ]
    assert 0 < sum(ends) < len(seeds)


@given(st.binary(max_size=200), st.sampled_from(["", *good("PNG"), *good("JPEG")]), st.integers(0))
@settings(max_examples=census.count(500, 100), deadline=None)
@example(b"", "", 0)
def test_random_bytes_alone_and_after_the_beginning_of_a_file(
    data: bytes, file: bytes | str, choice: int
):
    start = b"" if isinstance(file, str) else file[: choice % len(file)]
    ends_well(start + data, choice)


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(["noise", "dots", "lines"]),
    st.integers(0, 2**32), st.integers(0, 11),
)  # fmt: skip
@settings(max_examples=census.count(400, 100), deadline=None)
def test_pictures_of_anything(height: int, width: int, kind: str, seed: int, choice: int):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width))
    if kind == "dots":
        pixels = np.where(rng.random((height, width)) < rng.random(), 0, 255)
    elif kind == "lines":
        pixels = np.where(np.arange(width) % int(rng.integers(2, 9)) == 0, 0, 255 + 0 * pixels)
    ends_well(encoded(Image.fromarray(pixels.astype(np.uint8)), "PNG"), choice)


def test_the_command_itself(tmp_path: Path):
    rng = np.random.default_rng(1)
    for place in range(60):
        kind = ("PNG", "JPEG", *OTHERS)[place % 7]
        files = good(kind)
        (tmp_path / f"{place:02}.png").write_bytes(mutated(files[place % len(files)], rng))
    bomb = bytearray(good("PNG")[0])
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    (tmp_path / "99.png").write_bytes(with_checksums(bytes(bomb)))
    done = command(tmp_path)
    assert done.returncode == 2
    errors = done.stderr.decode().splitlines()
    assert all(line.startswith(f"whatami: {tmp_path}") for line in errors)
    assert "refused: expected at most 64000000 pixels" in errors[-1]
    headings = done.stdout.decode().count(".png:\n")
    failed = [line for line in errors if ": note: " not in line and ": warning: " not in line]
    assert headings + len(failed) == 61
    assert headings > 5
    for path in census.sample(sorted(tmp_path.iterdir())[:12], 4, "whatami"):
        done = command(path)
        assert done.returncode in (0, 2)
        assert b"Traceback" not in done.stderr
        assert (done.returncode == 2) == (done.stdout == b"")
