"""What is drawn on: screens, papers, boards, and what lies on them before the pen comes."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from tests.pictures.strokes import spline
from tests.pictures.textures import Colour, Image, Size, blended, cloud, flat, inked, speckle

Paper = Callable[[Size, Generator], Image]
Effect = Callable[[Image, Generator], Image]

LINE_COLOURS: tuple[Colour, ...] = ((176, 200, 226), (190, 196, 204), (160, 186, 214))
MARGIN_RED: Colour = (228, 150, 150)


def screen(colour: Colour = (255, 255, 255)) -> Paper:
    """A screen or canvas of exactly one colour."""
    return lambda size, rng: flat(size, colour)


def transparent(size: Size, rng: Generator) -> Image:
    """Nothing, with an alpha channel."""
    del rng
    return np.zeros((*size, 4), np.uint8)


def coloured_screen(size: Size, rng: Generator) -> Image:
    """A canvas filled with a light colour."""
    colours = [(255, 242, 120), (190, 225, 255), (205, 245, 200), (255, 214, 214), (214, 214, 214)]
    return flat(size, colours[rng.integers(len(colours))])


def dark_screen(size: Size, rng: Generator) -> Image:
    """The canvas of an app in dark mode."""
    colours = [(0, 0, 0), (28, 28, 30), (18, 18, 18), (32, 36, 44)]
    return flat(size, colours[rng.integers(len(colours))])


def plain(size: Size, rng: Generator) -> Image:
    """White copy paper."""
    return textured((246, 246, 243), 4, size, rng)


def cream(size: Size, rng: Generator) -> Image:
    """Rough yellowish drawing paper with grain and fibres."""
    page = textured((238, 229, 207), 12, size, rng)
    fibres = np.zeros(size, np.uint8)
    height, width = size
    for x, y in rng.integers(0, (width, height), (60, 2)):
        turn, reach = rng.uniform(0, np.pi), 0.012 * min(size)
        axes = (max(int(reach), 2), max(int(reach / rng.uniform(2, 6)), 1))
        centre = (int(x), int(y))
        cv2.ellipse(fibres, centre, axes, np.degrees(turn), 0, 110, 60, 1, cv2.LINE_AA)
    return inked(page, fibres, (150, 130, 90))


def kraft(size: Size, rng: Generator) -> Image:
    """Brown wrapping paper or cardboard."""
    return textured((188, 152, 110), 20, size, rng)


def sticky_note(size: Size, rng: Generator) -> Image:
    """A yellow or pink note."""
    colours = [(250, 232, 120), (250, 232, 120), (248, 182, 190), (190, 232, 160)]
    return textured(colours[rng.integers(len(colours))], 4, size, rng)


def grey_paper(size: Size, rng: Generator) -> Image:
    """Recycled paper."""
    return textured((205, 203, 196), 10, size, rng)


def black_card(size: Size, rng: Generator) -> Image:
    """Black cardboard."""
    return textured((34, 34, 37), 8, size, rng)


def textured(colour: Colour, strength: float, size: Size, rng: Generator) -> Image:
    """Paper of a colour, uneven in the large and grainy in the small."""
    page = speckle(flat(size, colour), cloud(size, min(size) / 4, rng), strength / 2)
    return speckle(page, cloud(size, max(min(size) / 500, 1), rng), strength)


def ruled(size: Size, rng: Generator) -> Image:
    """A page of a school book with lines, often with a red margin."""
    page = plain(size, rng)
    pitch = min(size) * rng.uniform(0.13, 0.26)
    lines = np.zeros(size, np.uint8)
    rule(lines, pitch, int(rng.integers(110, 256)), rng)
    page = inked(page, lines, LINE_COLOURS[rng.integers(len(LINE_COLOURS))])
    if rng.random() < 0.5:
        x = round(size[1] * rng.uniform(0.03, 0.12))
        cv2.line(page, (x, 0), (x, size[0]), MARGIN_RED, max(min(size) // 350, 1), cv2.LINE_AA)
    return page


def squared(size: Size, rng: Generator) -> Image:
    """Squared paper."""
    page = plain(size, rng)
    pitch = min(size) * rng.uniform(0.07, 0.16)
    lines = np.zeros(size, np.uint8)
    strength = int(rng.integers(110, 256))
    rule(lines, pitch, strength, rng)
    rule(lines.T, pitch, strength, rng)
    return inked(page, lines, LINE_COLOURS[rng.integers(len(LINE_COLOURS))])


def rule(lines: np.ndarray, pitch: float, strength: int, rng: Generator) -> None:
    """Horizontal lines drawn into a mask."""
    thick = max(round(pitch / rng.uniform(28, 45)), 1)
    for y in np.arange(rng.uniform(0, pitch), lines.shape[0], pitch):
        lines[int(y) : int(y) + thick] = strength


def dotted(size: Size, rng: Generator) -> Image:
    """The dot grid of a notebook."""
    page = textured((247, 244, 234), 4, size, rng)
    pitch = min(size) * rng.uniform(0.08, 0.14)
    radius = max(round(pitch / 26), 1)
    for y in np.arange(pitch / 2, size[0], pitch):
        for x in np.arange(pitch / 2, size[1], pitch):
            cv2.circle(page, (int(x), int(y)), radius, (178, 178, 184), -1, cv2.LINE_AA)
    return page


def blackboard(size: Size, rng: Generator) -> Image:
    """A green or black board with the haze of wiped chalk."""
    colours = [(38, 62, 52), (44, 48, 50), (30, 44, 40)]
    board = textured(colours[rng.integers(len(colours))], 6, size, rng)
    height, width = size
    wiped = cv2.resize(
        rng.integers(0, 256, (rng.integers(4, 8), 14), np.uint8), (width, height),
        interpolation=cv2.INTER_CUBIC,
    )  # fmt: skip
    streaks = cv2.resize(
        rng.integers(0, 256, (max(height // 6, 2), 3), np.uint8), (width, height),
        interpolation=cv2.INTER_CUBIC,
    )  # fmt: skip
    haze = cv2.multiply(wiped, cv2.addWeighted(streaks, 0.4, wiped, 0.6, 0), scale=0.16 / 255)
    return blended(board, np.asarray(haze, np.uint8), (226, 226, 220))


def whiteboard(size: Size, rng: Generator) -> Image:
    """A glossy board with ghosts of what was wiped off."""
    board = flat(size, (236, 239, 241))
    ghosts = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        word = letters(int(rng.integers(3, 8)), rng) * min(size) * rng.uniform(0.06, 0.1)
        word = word + rng.uniform(0, 0.8, 2) * (size[1], size[0])
        points = [np.round(word).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(ghosts, points, False, 40, max(min(size) // 60, 1), cv2.LINE_AA)
    wiped = cv2.blur(ghosts, (max(size[1] // 25, 1), max(size[0] // 60, 1)))
    ghosts = cv2.addWeighted(wiped, 0.9, ghosts, 0.35, 0)
    return inked(board, np.asarray(ghosts, np.uint8), (90, 100, 150))


def phone_screen(size: Size, rng: Generator) -> Image:
    """A drawing app in a screenshot: status bar above, a row of colours below."""
    height, width = size
    shot = flat(size, (255, 255, 255))
    bar, tools = width // 14, width // 6
    cv2.putText(
        shot, f"{rng.integers(8, 22)}:{rng.integers(10, 60)}", (width // 20, bar),
        cv2.FONT_HERSHEY_SIMPLEX, width / 800, (20, 20, 20), max(width // 360, 1), cv2.LINE_AA,
    )  # fmt: skip
    right = width - width // 20
    cv2.rectangle(shot, (right - bar, bar // 2), (right, bar), (20, 20, 20), max(width // 400, 1))
    cv2.rectangle(shot, (right - bar, bar // 2), (right - bar // 3, bar), (20, 20, 20), -1)
    cv2.rectangle(shot, (0, height - tools), (width, height), (242, 242, 247), -1)
    colours = [
        (0, 0, 0),
        (0, 122, 255),
        (52, 199, 89),
        (255, 204, 0),
        (255, 59, 48),
        (175, 82, 222),
    ]
    for place, colour in enumerate(colours):
        centre = (round(width * (place + 0.5) / len(colours)), height - tools // 2)
        cv2.circle(shot, centre, tools // 4, colour, -1, cv2.LINE_AA)
    return shot


def punched(page: Image, rng: Generator) -> Image:
    """The page with two or more holes along its left border."""
    height = page.shape[0]
    radius = round(min(page.shape[:2]) * rng.uniform(0.022, 0.03))
    x = round(radius * rng.uniform(1.8, 2.4))
    count = int(rng.choice([2, 4]))
    for place in (np.arange(count) + 0.5) / count:
        centre = (x, round(height * place))
        cv2.circle(page, centre, radius, (120, 116, 110), -1, cv2.LINE_AA)
        cv2.circle(page, (x + radius // 6, centre[1] + radius // 6), round(radius * 0.9),
                   (70, 62, 56), -1, cv2.LINE_AA)  # fmt: skip
    return page


def dusty(page: Image, rng: Generator) -> Image:
    """The page with specks, crumbs and a hair or two."""
    height, width = page.shape[:2]
    short = min(height, width)
    for x, y in rng.integers(0, (width, height), (rng.integers(15, 50), 2)).tolist():
        radius = max(short * rng.uniform(0.001, 0.005), 0.6)
        axes = (max(round(radius), 1), max(round(radius * rng.uniform(0.4, 1)), 1))
        grey = int(rng.integers(60, 150))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(page, (x, y), axes, turn, 0, 360, (grey,) * 3, -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 3))):
        start = rng.uniform(0, 1, 2) * (width, height)
        hair = start + np.cumsum(rng.normal(0, 0.012 * short, (2, 6)).cumsum(1).T, 0)
        line = [np.round(hair).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(page, line, False, (120, 110, 100), max(short // 700, 1), cv2.LINE_AA)
    return page


def shone_through(page: Image, rng: Generator) -> Image:
    """The page with writing on its other side showing faintly and mirrored."""
    height, width = page.shape[:2]
    back = np.zeros((height, width), np.uint8)
    step = min(height, width) / rng.uniform(7, 11)
    for line in np.arange(step, height, step * 1.3):
        left = step * 0.5
        while left < width - step:
            count = int(rng.integers(3, 12))
            word = letters(count, rng) * step * 0.3 + (left, line)
            left += count * step * 0.3 + step * 0.4
            points = [np.round(word * 16).astype(np.int32).reshape(-1, 1, 2)]
            cv2.polylines(back, points, False, 255, max(round(step / 14), 1), cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(back[:, ::-1], (0, 0), max(step / 20, 0.6))
    faint = cv2.convertScaleAbs(soft, None, float(rng.uniform(0.12, 0.22)))
    return inked(page, np.asarray(faint, np.uint8), (60, 70, 110))


def letters(count: int, rng: Generator) -> np.ndarray:
    """A word of illegible joined letters, each about 1 wide."""
    points = np.zeros((3 * count, 2))
    points[:, 0] = np.linspace(0, count, len(points)) + rng.uniform(-0.35, 0.35, len(points))
    points[::3, 1] = rng.choice([-0.8, -0.8, -1.8], count)
    points[1::3, 1] = rng.choice([0, 0, 0, 0.9], count)
    points[2::3, 1] = rng.uniform(-0.7, -0.2, count)
    return spline(points, 0.15)


def folded(page: Image, rng: Generator) -> Image:
    """The page with one or two creases, one side of each a little darker."""
    height, width = page.shape[:2]
    shade = np.full((height, width), 255, np.uint8)
    for upright in rng.permutation([True, False])[: rng.integers(1, 3)]:
        at, drift = rng.uniform(0.3, 0.7), rng.uniform(-0.03, 0.03)
        ends = np.array([[at, 0], [at + drift, 1]]) if upright else np.array([[0, at], [1, at]])
        start, stop = (ends * (width, height)).astype(int).tolist()
        corner = [0, height] if upright else [width, 0]
        side = np.array([start, stop, corner, [0, 0]], np.int32)
        dark = np.full_like(shade, 255)
        cv2.fillPoly(dark, [side.reshape(-1, 1, 2)], 236)
        cv2.line(dark, start, stop, 190, max(min(height, width) // 300, 1), cv2.LINE_AA)
        shade = cv2.multiply(shade, dark, scale=1 / 255)
    shade = cv2.GaussianBlur(shade, (0, 0), min(height, width) / 500 + 0.4)
    return np.asarray(cv2.multiply(page, cv2.merge([shade] * 3), scale=1 / 255), np.uint8)
