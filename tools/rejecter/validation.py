"""What the training set and the network were chosen by: kinds that neither is trained on.

They are others than those of ``held_out``, which nothing is chosen by.
"""

from . import glyphs
from .held_out import Kind, by_stroke, of_font

# Debian's packages and their folders, as in ``glyphs``.
TEXT = {
    "cabin": "cabin", "dosis": "dosis", "courier-prime": "courier-prime",
    "essays1743": "essays1743", "comfortaa": "comfortaa",
}  # fmt: skip
BY_HAND = {"bwht": "bwht", "femkeklaver": "femkeklaver", "tomsontalks": "tomsontalks"}
YI = {"sil-nuosusil": "nuosusil"}
SYLLABLES = {"lg-aboriginal": "aboriginal"}
HANGUL = {"alee": "alee"}
ICONS = {"elusive-icons": "elusive-icons"}
OFFICE = {"opensymbol": "libreoffice"}

HANGUL_TEXT = (
    "ㄱㄴㄷㄹㅂㅅㅈㅊㅋㅌㅍㅎㅏㅓㅗㅜㅐㅔ"
    "가나다라마바사자차카타파하거너더러머버서저고노도로모보소조구누두루"
)
THINGS = (
    # A duck, a cat, a whale, a horse's head, a butterfly, a hand.
    "10,30 20,14 36,16 40,34 36,50 60,46 92,36 86,70 60,86 30,80 22,60 28,40 10,30 / 26,24 28,26",
    "20,40 20,8! 38,26! 62,26 80,8! 80,40 84,64 50,92 16,64 20,40 / 36,48 38,50 / 62,48 64,50",
    "6,60 20,34 56,32 78,56 94,30! 96,22 84,24 / 6,60 26,80 60,78 78,56 / 24,50 26,52",
    "40,96 44,60 24,66 10,58 34,30 44,8! 54,22 76,40 86,96",
    "50,50 24,14 8,30 20,50 50,50 18,62 22,86 50,50 76,14 92,30 80,50 50,50 82,62 78,86 50,50",
    "30,94 26,60 10,44! 18,38 32,50 30,12 40,10 44,44 48,6 58,6 58,44 66,12 74,14 70,50 72,94",
    # A car, a chair, a lamp, a hat, a bottle, a sock, a guitar, a sword.
    "6,70 10,50 30,46 42,26 70,26 80,48 94,54 94,70! 6,70 / 20,70 28,82 36,70 / 66,70 74,82 82,70",
    "26,6 26,94 / 26,52! 74,52! 74,94",
    "50,94 50,44 / 30,94 70,94 / 34,6! 66,6! 82,44! 18,44! 34,6",
    "4,76 30,70 32,28 66,26 70,70 96,76 60,88 30,86 4,76",
    "42,4! 58,4! 58,28 74,44 74,94! 26,94! 26,44 42,28 42,4",
    "34,6! 64,6! 62,52 88,74 84,90 56,88 36,62 34,6",
    "50,4 50,46 / 50,46 34,50 40,62 26,78 50,96 74,78 60,62 66,50 50,46 / 46,76 54,76",
    "50,4 42,66! 58,66! 50,4 / 28,66 72,66 / 50,66 50,92",
    # A ladder, a crown, a bell, a mushroom, a pear, a kite, a cactus, a banana, a chain, a comb.
    "32,4 32,96 / 68,4 68,96 / 32,24 68,24 / 32,48 68,48 / 32,72 68,72",
    "10,80 8,24! 32,54! 50,16! 68,54! 92,24! 90,80! 10,80",
    "50,8 30,24 26,60 12,78! 88,78! 74,60 70,24 50,8 / 44,80 50,90 56,80",
    "10,48 26,18 74,18 90,48! 10,48 / 40,48 38,90 62,90 60,48",
    "50,16 38,30 24,60 34,90 66,90 76,60 62,30 50,16 / 50,16 56,2",
    "50,4! 78,34! 50,70! 22,34! 50,4 / 50,70 40,80 56,88 44,98",
    "42,96 42,10 58,10 58,96 / 42,60 22,60 20,36 / 58,50 80,50 80,28",
    "12,20 20,56 50,80 88,82 92,92 50,96 14,70 4,24 12,20",
    "10,40 34,40 34,60 10,60 10,40 / 28,50 60,50 / 54,40 86,40 86,60 54,60 54,40",
    "6,20 94,20 / 12,20 12,80 / 30,20 30,80 / 48,20 48,80 / 66,20 66,80 / 84,20 84,80",
)
SIGNS = (
    "80,10! 20,50! 80,90", "10,34 90,34 / 10,66 90,66 / 70,8 30,92", "14,80 50,16! 86,80",
    "6,58 26,36 50,52 72,66 94,42", "34,92 50,8 / 56,92 72,8", "4,56 24,50! 44,92! 60,8! 96,8",
    "8,22 92,18 / 32,20 28,92 / 68,20 70,92", "50,10 52,12 / 14,80 16,82 / 84,80 86,82",
    "12,30 78,10! / 12,30 78,54 / 12,84 78,84",
    "8,50 92,50 / 30,30 8,50! 30,70 / 70,30 92,50! 70,70",
    "50,6 50,94 / 20,60 50,94! 80,60", "20,10 20,90 / 20,50 80,50 / 80,10 80,90",
    "84,8! 16,8! 56,50! 16,92! 84,92", "50,92 50,8 / 10,8 90,8 / 10,92 90,92",
)  # fmt: skip
KINDS: dict[str, Kind] = {
    "letters, fonts of validation": of_font(TEXT, glyphs.LATIN),
    "letters, hands of validation": of_font(
        BY_HAND, "".join(c for c in glyphs.LATIN if c.isalpha())
    ),
    "Yi": of_font(YI, "".join(map(chr, range(0xA000, 0xA48C, 3)))),
    "syllables of Canada": of_font(SYLLABLES, "".join(map(chr, range(0x1401, 0x1676)))),
    "Hangul": of_font(HANGUL, HANGUL_TEXT),
    "things of validation, drawn": by_stroke(THINGS),
    "signs of validation, drawn": by_stroke(SIGNS),
    "icons of validation": of_font(ICONS, "".join(map(chr, range(0xF101, 0xF230)))),
    "signs of an office": of_font(OFFICE, "".join(map(chr, range(0xE000, 0xE400)))),
}
