"""Glyphs of fonts, of Debian's packages: digits, letters of several scripts, signs and icons."""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from matplotlib.ft2font import FT2Font
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
# The letters of a hundred scripts, a font each, and a hand's Chinese characters.
PEOPLES = {"noto-core": "noto", "seto": "seto"}
# Of these the fonts that have Latin letters, signs for words, or many styles of one script; and the
# scripts that ``validation`` keeps.
LEFT_OUT = (
    "Math", "Symbols", "SignWriting", "Music", "Display", "Hieroglyphs", "Cuneiform", "Siyaq",
    "Mayan", "NotoSans-", "NotoSerif-", "TifinaghA", "TifinaghG", "TifinaghH", "TifinaghR",
    "TifinaghS", "TifinaghT", "SansYi", "Gujarati", "CanadianAboriginal", "Cherokee",
)  # fmt: skip
# Chinese characters that are written as kana are, which ``held_out`` keeps.
LIKE_KANA = frozenset("一丨丿亅乙二八力夕口工卜千匕三川才又入人ノ")
# Letters of every script but these, whose names begin so.
KNOWN_NAMES = ("LATIN", "HIRAGANA", "KATAKANA", "MODIFIER", "HALFWIDTH", "FULLWIDTH")
# At most so many characters of a script's font, so that no script is most of them.
OF_SCRIPT, OF_CHINESE = 70, 1_500
ICONS = {"materialdesignicons-webfont": "materialdesignicons-webfont"}
# What ``held_out`` keeps, or what has a digit in it, by words in the names of icons.
NO_ICONS = (
    "numeric", "emoticon", "face", "robot", "alpha", "number", "format-list", "circle-outline",
    "minus", "cat", "cow", "duck", "fish", "dog", "pig", "owl", "linux", "bug", "paw", "home",
    "tree", "umbrella", "key", "apple", "weather-night", "music", "cup", "currency", "clock",
    "bird", "clippy", "ninja", "odnoklassniki", "snapchat", "baby", "record", "dice", "counter",
    "calendar", "filter-", "looks", "flash", "plus", "equal", "code-", "bracket",
)  # fmt: skip
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


def letters(path: Path) -> str:
    """Return the letters of a script's font, evenly few of them."""
    chosen = [
        character
        for character in sorted(map(chr, FT2Font(str(path)).get_charmap()))
        if unicodedata.category(character) in ("Lo", "Lu", "Ll")
        and not unicodedata.name(character, KNOWN_NAMES[0]).startswith(KNOWN_NAMES)
        and character not in LIKE_KANA
    ]
    most = OF_CHINESE if "\N{CJK UNIFIED IDEOGRAPH-6C34}" in chosen else OF_SCRIPT
    return "".join(chosen[:: max(-(-len(chosen) // most), 1)])


def is_nought(ink: Array) -> bool:
    """Return whether ink, (H, W) uint8, is an upright ring, round or narrow, and nothing else."""
    contours, tree = cv2.findContours(
        np.pad(cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY)[1], 1), cv2.RETR_CCOMP,
        cv2.CHAIN_APPROX_NONE,
    )  # fmt: skip
    if len(contours) != 2 or tree is None:  # its border, and that of the one hole
        return False
    border = max(contours, key=cv2.contourArea)
    _, _, width, height = cv2.boundingRect(border)
    area, hull = cv2.contourArea(border), cv2.contourArea(cv2.convexHull(border))
    ellipse = np.pi / 4 * width * height
    return bool(area > 0.95 * hull and abs(area / ellipse - 1) < 0.07)


def of_peoples() -> list[tuple[str, Array]]:
    """Return letters of scripts that are neither Latin nor ``held_out``'s, and are no rings."""
    fonts = [
        path
        for path in files(PEOPLES)
        if not any(part in path.name for part in LEFT_OUT)
        and ("Regular" in path.name or "seto" in path.name)
    ]
    found = (drawn for path in fonts for drawn in glyphs([path], letters(path)))
    return [(character, ink) for character, ink in found if not is_nought(ink)]


def icons() -> list[tuple[str, Array]]:
    """Return icons that show neither digits nor what ``held_out`` keeps."""
    found: list[tuple[str, Array]] = []
    for path in files(ICONS):
        font = FT2Font(str(path))
        named = {chr(code): font.get_glyph_name(i) for code, i in font.get_charmap().items()}
        kept = [c for c, name in named.items() if not any(part in name for part in NO_ICONS)]
        found += glyphs([path], "".join(kept))
    return [(character, ink) for character, ink in found if not is_nought(ink)]


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
