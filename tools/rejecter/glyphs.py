"""Glyphs of fonts, of Debian's packages: digits, letters of several scripts, signs and icons."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digit_data.types import Array
from terminal_io import CliError

from .inks import Generator, cut, seen, varied

FOLDERS = (Path("/usr/share/fonts/truetype"), Path("/usr/share/fonts/opentype"))
SIZE = 96
# What has fewer pixels of ink, or is the box that stands for a missing glyph, is none.
LEAST_INK = 30

# Debian's package "fonts-X" keeps its files in a folder that is named beside it.
TEXT = {
    "freefont-ttf": "freefont", "lato": "lato", "comic-neue": "comic-neue",
    "dancingscript": "dancingscript", "humor-sans": "humor-sans", "breip": "breip",
    "dkg-handwriting": "fifthhorseman", "rufscript": "rufscript", "sil-andika": "andika",
    "tuffy": "tuffy", "lobster": "lobster", "klaudia-berenika": "klaudia-berenika", "jura": "jura",
    "oldstandard": "fonts-oldstandard", "dejavu": "dejavu", "kristi": "kristi",
    "allerta": "allerta", "anonymous-pro": "anonymous-pro", "averia-serif-gwf": "averia-gwf",
    "cantarell": "cantarell", "beteckna": "beteckna", "clear-sans": "clear-sans", "hack": "hack",
    "lindenhill": "lindenhill", "prociono": "fonts-prociono", "osifont": "osifont",
    "opendyslexic": "opendyslexic", "georgewilliams": "fonts-georgewilliams",
    "national-park": "national-park", "yanone-kaffeesatz": "yanone-kaffeesatz",
    "ecolier-court": "ecolier-court", "arapey": "arapey", "b612": "b612",
    "bebas-neue": "bebas-neue", "ocr-a": "ocr-a", "paratype": "paratype", "bajaderka": "bajaderka",
    "lobstertwo": "lobstertwo", "stick": "stick", "engadget": "engadget", "gfs-didot": "didot",
    "routed-gothic": "routed-gothic", "goudybookletter": "sortsmill",
}  # fmt: skip
# Those that have letters of other scripts.
SCRIPTED = ("freefont-ttf", "dejavu", "sil-andika", "oldstandard")
# Digits of seven bars, as clocks and meters show them; their letters nobody can tell from digits.
DISPLAYS = {"dseg": "dseg"}
# Not trained on: the boundary lies where their digits are kept.
BOUNDARY = {
    "tiresias": "tiresias", "okolaks": "okolaks", "century-catalogue": "fonts-century-catalogue",
    "havana": "havana", "karla": "karla", "opendin": "opendin", "gfs-neohellenic": "neohellenic",
}  # fmt: skip
# Several hundred fonts with fanciful letters, of which a few score do.
FANCIFUL = {"aenigma": "aenigma"}
SYMBOLS = {"symbola": "ancient-scripts", "font-awesome": "font-awesome"}

# Written as digits are, by somebody or in some font: nobody can tell, and neither shall it.
LIKE_DIGITS = frozenset("OoQIlSsZzBbgq|/\\'`,°ΟοΙιΖςσΘθφΦρΡОоЗзЭэбвЧчІіЅѕОВ")
LATIN = "ACDEFGHJKLMNPRTUVWXYacdefhijkmnprtuvwxy&?!%@#$*+=<>()[]{}~^-_.:;§€£"
GREEK = "ΓΔΛΞΠΣΨΩαβγδεζηκλμνξπτυχψω"
CYRILLIC = "БГДЖИЛПФЦШЩЪЫЬЮЯгджийлпфцшщъыьюя"
HEBREW = "אבגדהזחטיכלמנעפצקרשת"
# Armenian, Georgian, Devanagari, Bengali, Tamil, Thai, Ethiopic, runes, Tifinagh: no digits of any.
SCRIPTS = "".join(
    chr(code)
    for first, last in (
        (0x531, 0x557), (0x10D0, 0x10F1), (0x905, 0x93A), (0x985, 0x9B3), (0xB85, 0xBBA),
        (0xE01, 0xE2F), (0x1200, 0x1358), (0x16A0, 0x16EB), (0x2D31, 0x2D66),
    )
    for code in range(first, last)
)  # fmt: skip
# Arrows, mathematics, technical and geometrical signs, dingbats, and pictures: not those that
# ``held_out`` keeps, and neither rings, bars nor digits in circles.
SIGNS = "".join(
    chr(code)
    for first, last in (
        (0x2190, 0x2210), (0x2227, 0x2236), (0x223C, 0x22FF), (0x2300, 0x23FF), (0x25A0, 0x25C9),
        (0x25D0, 0x25EE), (0x2600, 0x26FF), (0x2701, 0x2767), (0x2794, 0x27BF), (0x1F300, 0x1F3FF),
        (0x1F440, 0x1F4FF), (0x1F525, 0x1F5FF), (0x1F680, 0x1F6C5), (0xF000, 0xF250),
    )
    for code in range(first, last)
)  # fmt: skip


def files(fonts: dict[str, str]) -> list[Path]:
    """Return the files of packages' fonts.

    Raises:
        CliError: A package is not installed.
    """
    found: list[Path] = []
    for package, folder in fonts.items():
        own = sorted(
            path for root in FOLDERS for path in (root / folder).glob("*.[to]tf")
        )  # fmt: skip
        if not own:
            raise CliError(
                f"expected the fonts of Debian's package fonts-{package} (apt-get install "
                f"{' '.join(f'fonts-{name}' for name in fonts)}). Received: none in {folder}"
            )
        found += own
    return found


@cache
def _font(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, SIZE, layout_engine=ImageFont.Layout.BASIC)


def glyph(path: Path, character: str) -> Array | None:
    """Return a character's ink, cut out, (H, W) uint8; None if the font has none of it."""
    ink, missing = _drawn(path, character), _missing(path)
    if ink is None or (missing is not None and np.array_equal(ink, missing)):
        return None
    return ink


@cache
def _missing(path: Path) -> Array | None:
    """Return what a font shows for a character that it has not."""
    return _drawn(path, "\U000e0fff")


def _drawn(path: Path, character: str) -> Array | None:
    image = Image.new("L", (4 * SIZE, 3 * SIZE))
    ImageDraw.Draw(image).text((SIZE, SIZE / 2), character, font=_font(path), fill=255)
    ink = np.asarray(image)
    return cut(ink) if np.count_nonzero(ink) >= LEAST_INK else None


def glyphs(fonts: Sequence[Path], characters: str) -> list[tuple[str, Array]]:
    """Return every character in every font that has it."""
    found = ((c, glyph(path, c)) for path in fonts for c in characters if c not in LIKE_DIGITS)
    return [(character, ink) for character, ink in found if ink is not None]


def pictures(
    kinds: Sequence[tuple[str, Array]], count: int, rng: Generator
) -> Iterator[tuple[str, Array]]:
    """Yield so many characters, each varied anew, as a network sees them."""
    for place in rng.integers(len(kinds), size=count).tolist():
        character, ink = kinds[place]
        yield character, seen(varied(ink, rng))


def words(fonts: Sequence[Path], rng: Generator) -> Array:
    """Return a page of writing, (H, W) uint8: ink bright, some lines of random words."""
    font = ImageFont.truetype(fonts[int(rng.integers(len(fonts)))], int(rng.integers(14, 40)))
    page = Image.new("L", (int(rng.integers(200, 500)), int(rng.integers(150, 500))))
    letters = np.array(list("eanhrducmfwypvktATEHKMW"))
    line = int(rng.integers(20, 60))
    for top in range(int(rng.integers(5, 40)), page.height, line):
        text = " ".join("".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(6))
        ImageDraw.Draw(page).text((int(rng.integers(5, 30)), top), text, font=font, fill=255)
    return np.asarray(page)


def outlined(ink: Array, rng: Generator) -> Array:
    """Return the outline of ink, as a hollow letter has it."""
    kernel = np.ones((2 * int(rng.integers(2, 5)) + 1,) * 2, np.uint8)
    return cv2.morphologyEx(np.pad(ink, 6), cv2.MORPH_GRADIENT, kernel)
