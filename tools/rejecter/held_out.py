"""What the rejecter has never seen: other fonts, scripts and things, in whole pictures.

Each kind is a function of random numbers that returns a picture without a digit, (H, W) uint8.
"""

from collections.abc import Callable, Iterator, Sequence
from zlib import crc32

import cv2
import numpy as np

from digit_data.types import Array

from . import glyphs
from .inks import Generator, drawn, grey, parsed, shaken

# Debian's packages and their folders, as in ``glyphs``; none is in ``glyphs.TEXT``.
TEXT = {
    "kaushanscript": "kaushanscript", "isabella": "isabella", "junction": "junction",
    "quattrocento": "quattrocento", "vollkorn": "vollkorn", "radisnoir": "radisnoir",
    "staypuft": "staypuft", "leckerli-one": "leckerli-one", "quicksand": "quicksand",
}  # fmt: skip
BY_HAND = {"sjfonts": "sjfonts", "smc-chilanka": "malayalam", "summersby": "summersby"}
KANA = {"sawarabi-gothic": "sawarabi-gothic"}
ICONS = {"entypo": "fonts-entypo"}
SYMBOLA = {"symbola": "ancient-scripts"}

KANA_TEXT = (
    "あいうえおかきけさしすせそたちてなにぬねはひふへほまみむめもやゆらりるれをん"
    "アイウエオカキクケサシスセタテナニヌネハヒホマミムメモヤユヨラリルレン"
)
ANIMALS = "".join(map(chr, range(0x1F400, 0x1F440)))
FACES = "".join(map(chr, range(0x1F600, 0x1F641)))

BY_STROKE = {
    "fish": "8,50 40,22 74,44 94,24! 94,76! 74,56 40,78 8,50 / 24,44 26,46",
    "bird": "10,40 26,24 44,34 60,60 92,54 66,84 34,80 24,46 10,40 / 44,80 42,96 / 56,82 56,96",
    "snail": "92,70 60,72 40,52 52,30 74,34 74,56 58,58 56,48 / 92,70 94,90 20,92 8,70 / 8,70 4,54",
    "dog": "14,30 30,20 36,36! 76,38 92,22! 84,44 82,90! 72,90 70,64! 38,64 36,90! 26,90 28,46"
    " 14,44 14,30",
    "rabbit": "40,40 30,6 44,8 48,36! 56,36 62,6 74,10 62,42 76,66 58,92 38,90 24,66 40,40 / 42,58"
    " 44,60 / 58,58 60,60",
    "shoe": "10,30 12,80! 92,82! 90,64 60,54 44,28! 10,30 / 12,70 92,72",
    "boot": "30,6 30,60 22,92! 90,92! 88,74 60,64 58,6! 30,6",
    "cup": "16,20 24,88! 66,88! 74,20! 16,20 / 74,32 94,36 90,58 70,62",
    "house": "14,46 50,8! 86,46! 86,94! 14,94! 14,46 / 42,94 42,64! 58,64! 58,94",
    "tree": "44,96 44,62 22,54 16,34 36,12 64,10 84,34 78,54 56,62 56,96",
    "umbrella": "6,50 20,20 50,8 80,20 94,50! 6,50 / 50,50 50,84 38,94 30,82",
    "key": "30,50 18,36 6,50 18,64 30,50 94,50 / 78,50 78,66 / 90,50 90,66",
    "apple": "50,30 22,26 12,56 30,92 50,86 70,92 88,56 78,26 50,30 / 50,30 56,8",
    "moon": "66,6 30,20 18,50 32,82 66,94 46,72 42,40 66,6",
    "bolt": "60,4 24,56! 50,56! 38,96! 80,40! 54,40! 60,4",
    "note": "66,78 48,70 34,84 50,94 66,80! 66,8! 88,26",
    "plus": "50,14 50,86 / 14,50 86,50",
    "minus": "10,50 90,50",
    "equals": "12,36 88,36 / 12,64 88,64",
    "bracket": "72,5 28,5! 28,95! 72,95",
    "round bracket": "72,4 44,26 36,52 46,78 72,96",
    "brace": "74,4 52,12 52,40 34,50! 52,60 52,88 74,96",
}
Kind = Callable[[Generator], Array]


def _on_sheet(ink: Array, rng: Generator) -> Array:
    """Return ink on a sheet with some margin, light and noise, as somebody would send it."""
    factor = rng.uniform(0.7, 2.2) * 120 / max(ink.shape)
    ink = cv2.resize(ink, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    margins = (rng.uniform(0.12, 0.6, 4) * max(ink.shape)).astype(int).reshape(2, 2).tolist()
    share = np.pad(ink, margins).astype(np.float32) / 255
    light = np.linspace(1, rng.uniform(0.6, 1), share.shape[1], dtype=np.float32)
    sheet = light * rng.uniform(190, 255) * (1 - rng.uniform(0.6, 1) * share)
    sheet = grey(sheet + rng.normal(0, rng.uniform(0, 5), sheet.shape))
    return 255 - sheet if rng.random() < 0.25 else sheet


def of_font(fonts: dict[str, str], characters: str) -> Kind:
    """Return a kind: characters of packages' fonts."""
    known: list[tuple[str, Array]] = []

    def draw(rng: Generator) -> Array:
        if not known:
            known.extend(glyphs.glyphs(glyphs.files(fonts), characters))
        return _on_sheet(known[rng.integers(len(known))][1], rng)

    return draw


def by_stroke(texts: Sequence[str]) -> Kind:
    """Return a kind: drawings by hand and pen of strokes, as ``inks.parsed`` reads them."""

    def draw(rng: Generator) -> Array:
        strokes = parsed(texts[int(rng.integers(len(texts)))])
        return _on_sheet(drawn(shaken(strokes, rng), rng.uniform(0.03, 0.14)), rng)

    return draw


def _white_frame(rng: Generator) -> Array:
    """An empty sheet with a white frame around it."""
    rows, columns = (int(n) for n in rng.integers(80, 400, 2))
    sheet = np.full((rows, columns), 255.0)
    edge = int(rng.integers(3, max(min(rows, columns) // 5, 4)))
    sheet[edge:-edge, edge:-edge] = rng.uniform(100, 240)
    return grey(sheet + rng.normal(0, rng.uniform(0, 3), sheet.shape))


def _writing(rng: Generator) -> Array:
    """A page of writing by hand."""
    return 255 - glyphs.words(glyphs.files(BY_HAND), rng)


SIGNS = ["plus", "minus", "equals", "bracket", "round bracket", "brace"]
THINGS = [name for name in BY_STROKE if name not in SIGNS]
KINDS: dict[str, Kind] = {
    "letters, other fonts": of_font(TEXT, glyphs.LATIN),
    "letters, other hands": of_font(BY_HAND, "".join(c for c in glyphs.LATIN if c.isalpha())),
    "kana": of_font(KANA, KANA_TEXT),
    "animals and things, drawn": by_stroke([BY_STROKE[name] for name in THINGS]),
    "plus, minus, brackets, drawn": by_stroke([BY_STROKE[name] for name in SIGNS]),
    "animals, printed": of_font(SYMBOLA, ANIMALS),
    "faces, printed": of_font(SYMBOLA, FACES),
    "icons": of_font(ICONS, "".join(map(chr, [*range(0xE700, 0xE7FF), *range(0x1F300, 0x1F6FF)]))),
    "empty sheet with a white frame": _white_frame,
    "page of writing": _writing,
}


def pictures(name: str, kind: Kind, count: int, seed: int = 2026) -> Iterator[Array]:
    """Yield so many pictures of a kind; the same for a name and a seed."""
    for number in range(count):
        yield kind(np.random.default_rng([seed, crc32(name.encode()), number]))


def digits(count: int, seed: int = 2026) -> Iterator[tuple[Array, int]]:
    """Yield digits of fonts that the rejecter has not seen, rendered, with their labels."""
    known = glyphs.glyphs(glyphs.files(TEXT | BY_HAND | KANA), "0123456789")
    rng = np.random.default_rng(seed)
    for _ in range(count):
        character, ink = known[rng.integers(len(known))]
        yield _on_sheet(ink, rng), int(character)
