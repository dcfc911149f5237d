"""Scenes in which people draw a digit and make a picture of it, and the collection of them all.

``python -m tests.pictures.scenes OUTDIR [--seed N] [--count K]`` writes the collection as files.
"""

import argparse
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple
from zlib import crc32

import numpy as np
from numpy.random import Generator

from tests.pictures import cameras as cam
from tests.pictures import files, pens
from tests.pictures import papers as pap
from tests.pictures.contact_sheet import contact_sheet
from tests.pictures.pens import Pen
from tests.pictures.strokes import Strokes, bounds, centred, write
from tests.pictures.textures import Colour

Place = Literal["middle", "anywhere", "border"]

ON_PAPER = (pens.BLACK, pens.BLUE, pens.RED, pens.GREEN)
BRIGHT = (pens.WHITE, (255, 214, 10), (100, 210, 255), (255, 105, 97))
APP = (pens.PURE_BLACK, (0, 122, 255), (255, 59, 48), (36, 138, 61), (175, 82, 222))
LANDSCAPE, PORTRAIT = (4 / 3,), (3 / 4,)
ANY_WAY = (4 / 3, 3 / 4, 1.0)


@dataclass(frozen=True)
class Scene:
    """A way in which a picture of a digit comes to be; called with a digit it makes one.

    Attributes:
        name: What is drawn on what with what, and how the picture is taken.
        paper: Makes what is drawn on.
        pen: What is drawn with.
        colours: Of the pen; one is chosen.
        pixels: Least and greatest length of the picture's longer side.
        height: Least and greatest height of the digit as a share of the shorter side.
        before: What happens to the paper before the drawing.
        after: What happens to it afterwards, up to the picture.
        file: What the picture is saved as.
        shapes: Widths divided by heights; one is chosen.
        place: Where on the paper the digit stands.
    """

    name: str
    paper: pap.Paper
    pen: Pen
    colours: tuple[Colour, ...]
    pixels: tuple[int, int]
    height: tuple[float, float] = (0.38, 0.62)
    before: tuple[pap.Effect, ...] = ()
    after: tuple[pap.Effect, ...] = ()
    file: files.File = files.GOOD_JPEG
    shapes: tuple[float, ...] = ANY_WAY
    place: Place = "middle"

    def __call__(self, digit: int, rng: Generator) -> bytes:
        """A picture of a digit."""
        return self.draw(write(digit, rng), rng)

    def draw(self, strokes: Strokes, rng: Generator) -> bytes:
        """A picture of strokes that are centred at 0 and 1 high, or of the empty paper."""
        longer = int(rng.integers(self.pixels[0], self.pixels[1] + 1))
        shape = self.shapes[rng.integers(len(self.shapes))]
        size = (round(longer / max(shape, 1)), round(longer * min(shape, 1)))
        image = self.paper(size, rng)
        for effect in self.before:
            image = effect(image, rng)
        if strokes:
            height = fitting_height(strokes, size, rng.uniform(*self.height))
            width = self.pen.some_width(height, rng)
            here = placed(strokes, size, height, self.place, width, rng)
            colour = self.colours[rng.integers(len(self.colours))]
            image = self.pen.mark(image, here, width, colour, rng)
        for effect in self.after:
            image = effect(image, rng)
        return self.file.write(image, rng)


class Sample(NamedTuple):
    """A picture of the collection.

    Attributes:
        name: Of its scene.
        digit: What it shows.
        data: The bytes of its file.
    """

    name: str
    digit: int
    data: bytes


def fitting_height(strokes: Strokes, size: tuple[int, int], share: float) -> float:
    """The height in pixels, less if the drawing would become too wide."""
    low, high = bounds(strokes)
    return min(share * min(size), 0.62 * size[1] / max(high[0] - low[0], 0.1))


def placed(
    strokes: Strokes,
    size: tuple[int, int],
    height: float,
    place: Place,
    width: float,
    rng: Generator,
) -> Strokes:
    """The strokes in pixels, somewhere on a paper."""
    low, high = bounds(strokes)
    half = (high - low) / 2 * height
    page = np.array([size[1], size[0]])
    if place == "border":
        edges = np.array([half + width * 0.4, page - half - width * 0.4])
        middle = rng.uniform(*edges) if (edges[1] > edges[0]).all() else page / 2
        axis = int(rng.integers(2))
        middle[axis] = edges[rng.integers(2), axis]
    else:
        room = np.maximum(page / 2 - half - width - 0.06 * min(size), 0)
        middle = page / 2 + rng.uniform(-1, 1, 2) * room * (0.95 if place == "anywhere" else 0.35)
    return [stroke * height + middle for stroke in centred(strokes)]


SCENES: tuple[Scene, ...] = (
    # Drawn on a screen.
    Scene("paint_1px_black_on_white", pap.screen(), pens.HARD_1, (pens.PURE_BLACK,), (60, 300),
          (0.5, 0.85), file=files.png()),
    Scene("paint_8px_coloured_on_white", pap.screen(), pens.HARD_8, APP, (120, 500),
          (0.5, 0.85), file=files.other("BMP", "bmp")),
    Scene("paint_40px_black_on_white", pap.screen(), pens.HARD_40, (pens.PURE_BLACK,), (520, 900),
          (0.6, 0.8), file=files.png("1")),
    Scene("paint_white_on_black", pap.screen((0, 0, 0)), pens.HARD, (pens.WHITE,), (100, 600),
          (0.5, 0.85), file=files.png()),
    Scene("paint_on_coloured_canvas", pap.coloured_screen, pens.HARD,
          (pens.PURE_BLACK, (0, 0, 180), (160, 0, 0)), (200, 640), file=files.other("GIF", "gif")),
    Scene("tiny_icon", pap.screen(), pens.FINGER, (pens.PURE_BLACK, (60, 60, 60)), (20, 36),
          (0.7, 0.85), file=files.png("L"), shapes=(1,)),
    Scene("finger_on_tablet", pap.screen(), pens.FINGER, APP, (700, 1400), file=files.png()),
    Scene("stylus_in_dark_mode", pap.dark_screen, pens.STYLUS, BRIGHT, (700, 1400),
          file=files.other("WEBP", "webp", quality=80, method=0)),
    Scene("phone_screenshot", pap.phone_screen, pens.FINGER, APP, (1170, 1800), (0.55, 0.8),
          file=files.png(), shapes=(9 / 19.5, 9 / 16)),
    Scene("transparent_black", pap.transparent, pens.FINGER, (pens.PURE_BLACK,), (128, 700),
          (0.5, 0.85), file=files.png()),
    Scene("transparent_coloured", pap.transparent, pens.STYLUS, APP[1:], (128, 700), (0.5, 0.85),
          file=files.png()),
    Scene("touching_the_border", pap.screen(), pens.FINGER, APP, (80, 400), (0.75, 0.92),
          file=files.png(), shapes=(1, 0.8), place="border"),
    # Scanned.
    Scene("scan_ballpoint", pap.plain, pens.BALLPOINT, pens.INKS, (500, 1200),
          after=(cam.tilted(1.5, 0), files.scanned, files.salted(0.0006)), file=files.jpeg(70, 90)),
    Scene("scan_grey_pencil_squared", pap.squared, pens.PENCIL, (pens.LEAD,), (500, 1200),
          after=(cam.tilted(1.5, 0), files.scanned), file=files.png("L")),
    Scene("fax_one_bit", pap.plain, pens.FELT_TIP, (pens.BLACK,), (400, 900),
          after=(cam.tilted(2, 0), files.scanned, files.salted(0.001)),
          file=files.one_bit("TIFF", "tif")),
    Scene("scan_shine_through", pap.cream, pens.FELT_TIP, ON_PAPER, (600, 1200),
          before=(pap.shone_through,), after=(files.scanned,), file=files.jpeg(75, 90)),
    Scene("photocopy_with_dust", pap.grey_paper, pens.MARKER, (pens.BLACK,), (400, 1000),
          before=(pap.dusty,), after=(cam.tilted(2, 0), files.grey, files.salted(0.002)),
          file=files.jpeg(60, 85, grey=True)),
    # Photographed.
    Scene("ballpoint_squared_lamp", pap.squared, pens.BALLPOINT, pens.INKS, (900, 1600),
          after=(cam.tilted(), cam.lamp, cam.noisy(7))),
    Scene("ballpoint_ruled_daylight", pap.ruled, pens.BALLPOINT, pens.INKS, (900, 1600),
          after=(cam.tilted(), cam.gradient(0.55, 0.85), cam.noisy(5))),
    Scene("ballpoint_cream_hand_shadow", pap.cream, pens.BALLPOINT, pens.INKS, (900, 1600),
          after=(cam.tilted(), cam.tinted, cam.hand_shadow, cam.noisy(6))),
    Scene("pencil_ruled_vignette", pap.ruled, pens.PENCIL, (pens.LEAD,), (800, 1400),
          after=(cam.tilted(), cam.tinted, cam.vignette, cam.noisy(5))),
    Scene("pencil_faint_low_contrast", pap.grey_paper, pens.PENCIL, (pens.LEAD,), (700, 1200),
          after=(cam.tilted(), files.scanned, cam.faded, cam.noisy(3))),
    Scene("felt_tip_table_edge", pap.plain, pens.FELT_TIP, ON_PAPER, (900, 1600),
          (0.35, 0.55), after=(cam.on_table((1, 1), 0.14), cam.gradient(0.6, 0.9), cam.noisy(6))),
    Scene("felt_tip_table_corner", pap.dotted, pens.FELT_TIP, ON_PAPER, (900, 1600),
          (0.35, 0.5), after=(cam.on_table((2, 2), 0.16), cam.tinted, cam.noisy(6))),
    Scene("felt_tip_punched_holes", pap.ruled, pens.FELT_TIP, ON_PAPER, (900, 1500), (0.35, 0.55),
          before=(pap.punched,), after=(cam.tilted(2, 0.01), cam.gradient(0.7, 0.95), cam.noisy(5)),
          shapes=PORTRAIT),
    Scene("marker_paper_large_photo", pap.plain, pens.MARKER, pens.MARKERS, (2600, 3000),
          after=(cam.gradient(0.6, 0.85), cam.noisy(5)), file=files.jpeg(85, 92)),
    Scene("marker_whiteboard_glare", pap.whiteboard, pens.MARKER, pens.MARKERS, (900, 1600),
          (0.35, 0.6), after=(cam.tilted(4, 0.06), cam.tinted, cam.glare, cam.noisy(5))),
    Scene("marker_cardboard", pap.kraft, pens.MARKER, (pens.BLACK, pens.NAVY), (700, 1400),
          after=(cam.tilted(6), cam.gradient(0.6, 0.9), cam.noisy(5))),
    Scene("brush_drawing_paper", pap.cream, pens.BRUSH, (pens.BLACK, pens.NAVY), (800, 1500),
          after=(cam.tilted(), cam.gradient(0.7, 0.95), cam.noisy(4))),
    Scene("watercolour_brush", pap.plain, pens.BRUSH, ((190, 60, 70), (40, 90, 170), (50, 130, 80)),
          (600, 1200), after=(cam.tilted(), cam.tinted, cam.noisy(4))),
    Scene("crayon_child", pap.cream, pens.CRAYON, ((200, 40, 50), (30, 80, 180), (20, 120, 60),
          (120, 50, 140)), (700, 1300), (0.48, 0.62), after=(cam.tilted(), cam.gradient(0.65, 0.9),
          cam.noisy(5))),
    Scene("chalk_blackboard", pap.blackboard, pens.CHALK_STICK, (pens.CHALK, pens.CHALK,
          pens.YELLOW_CHALK), (800, 1500), after=(cam.tilted(4), cam.gradient(0.6, 0.9),
          cam.noisy(6))),
    Scene("gel_pen_black_card", pap.black_card, pens.GEL_PEN, (pens.WHITE, (240, 210, 120)),
          (600, 1200), after=(cam.tilted(), cam.gradient(0.6, 0.9), cam.noisy(7))),
    Scene("sticky_note_on_table", pap.sticky_note, pens.FELT_TIP, (pens.BLACK, pens.BLUE),
          (700, 1300), (0.4, 0.55), after=(cam.on_table((4, 4), 0.16), cam.gradient(0.65, 0.95),
          cam.noisy(6)), shapes=(1,)),
    Scene("folded_paper", pap.plain, pens.FELT_TIP, ON_PAPER, (800, 1500), after=(pap.folded,
          cam.tilted(), cam.gradient(0.6, 0.85), cam.noisy(6))),
    Scene("small_off_centre", pap.plain, pens.FELT_TIP, ON_PAPER, (900, 1600), (0.1, 0.18),
          after=(cam.tilted(3, 0.02), cam.gradient(0.75, 0.95), cam.noisy(4)), place="anywhere"),
    Scene("half_in_shade", pap.squared, pens.FELT_TIP, ON_PAPER, (800, 1500),
          after=(cam.tilted(), cam.window_shadow, cam.noisy(5))),
    Scene("out_of_focus", pap.plain, pens.BALLPOINT, pens.INKS, (600, 1200),
          after=(cam.tilted(), cam.defocused(0.006, 0.014), cam.gradient(0.6, 0.9), cam.noisy(5))),
    Scene("motion_blur", pap.ruled, pens.FELT_TIP, ON_PAPER, (600, 1200),
          after=(cam.tilted(), cam.moved(0.015, 0.035), cam.tinted, cam.noisy(6))),
    Scene("dark_room_noise", pap.plain, pens.FELT_TIP, ON_PAPER, (700, 1400),
          after=(cam.tilted(), cam.lamp, cam.exposed(0.35, 0.55), cam.noisy(26)),
          file=files.jpeg(60, 80)),
    Scene("messenger_recompressed", pap.squared, pens.BALLPOINT, pens.INKS, (900, 1200),
          after=(cam.tilted(), cam.gradient(0.6, 0.9), cam.noisy(5), files.shrunk(240, 480)),
          file=files.jpeg(12, 30)),
    Scene("sideways_photo_exif", pap.ruled, pens.FELT_TIP, ON_PAPER, (800, 1500),
          after=(cam.tilted(), cam.gradient(0.6, 0.9), cam.noisy(5)), file=files.TURNED_JPEG),
)  # fmt: skip
BY_NAME = {scene.name: scene for scene in SCENES}


def own_rng(seed: int, name: str, number: int) -> Generator:
    """The random numbers of one picture, which no other picture changes."""
    return np.random.default_rng([seed, crc32(name.encode()), number])


def collection(seed: int, per_scene: int, left_out: Collection[str] = ()) -> Iterator[Sample]:
    """So many pictures of every scene, the digits in turn; always the same for a seed."""
    for place, scene in enumerate(SCENES):
        for number in range(0 if scene.name in left_out else per_scene):
            digit = (3 * place + number) % 10
            yield Sample(scene.name, digit, scene(digit, own_rng(seed, scene.name, number)))


def main() -> None:
    """Write the collection and a contact sheet of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, metavar="OUTDIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10, help="pictures of every scene")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    samples = list(collection(options.seed, options.count))
    for number, sample in enumerate(samples):
        name = f"{sample.name}-{number % options.count}-{sample.digit}"
        suffix = BY_NAME[sample.name].file.suffix
        (options.folder / f"{name}.{suffix}").write_bytes(sample.data)
    rows = [
        (scene.name, [sample.data for sample in samples if sample.name == scene.name])
        for scene in SCENES
    ]
    (options.folder / "contact_sheet.png").write_bytes(contact_sheet(rows))


if __name__ == "__main__":
    main()
