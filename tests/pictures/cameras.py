"""How a drawing becomes a photo: light, where the page lies, and what lens and sensor do to it."""

import cv2
import numpy as np
from numpy.random import Generator

from tests.pictures.papers import Effect
from tests.pictures.textures import Colour, Image, cloud, flat, shaded, speckle

COARSE = 160  # The resolution in which light is computed.


def places(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Coarse x and y of an image, from 0 to 1 along its longer side."""
    height, width = image.shape[:2]
    longer = max(height, width)
    rows, columns = max(COARSE * height // longer, 2), max(COARSE * width // longer, 2)
    y, x = np.mgrid[:rows, :columns] / COARSE
    return x, y


def gradient(least: float, most: float) -> Effect:
    """Light from one side, so that the other side has a share between least and most of it."""

    def apply(image: Image, rng: Generator) -> Image:
        x, y = places(image)
        turn = rng.uniform(0, 2 * np.pi)
        ramp = x * np.cos(turn) + y * np.sin(turn)
        ramp = (ramp - ramp.min()) / np.ptp(ramp)
        return shaded(image, 1 - (1 - rng.uniform(least, most)) * ramp)

    return apply


def vignette(image: Image, rng: Generator) -> Image:
    """Darker corners."""
    x, y = places(image)
    away = np.hypot(x - x.mean(), y - y.mean()) / np.hypot(x.mean(), y.mean())
    return shaded(image, 1 - rng.uniform(0.2, 0.45) * away**2)


def lamp(image: Image, rng: Generator) -> Image:
    """The warm spot of a desk lamp."""
    x, y = places(image)
    middle = rng.uniform(0.2, 0.8, 2) * (x.max(), y.max())
    away = np.hypot(x - middle[0], (y - middle[1]) * rng.uniform(0.8, 1.3))
    spot = 1 / (1 + (away / rng.uniform(0.45, 0.7)) ** 2)
    level = rng.uniform(0.35, 0.5) + 0.62 * spot
    return shaded(image, np.stack([level * 1.02, level * 0.95, level * 0.82], 2))


def tinted(image: Image, rng: Generator) -> Image:
    """A colour cast: too warm, too cold or greenish, and a camera's exposure."""
    casts = np.array([[1.02, 0.96, 0.88], [0.94, 0.98, 1.02], [0.98, 1, 0.95], [1, 0.99, 0.97]])
    cast = casts[rng.integers(len(casts))] * rng.uniform(0.78, 0.98)
    return shaded(image, np.broadcast_to(cast, (2, 2, 3)))


def hand_shadow(image: Image, rng: Generator) -> Image:
    """The soft shadow of an arm and a hand, coming in over the lower border."""
    x = places(image)[0]
    rows, columns = len(x), len(x[0])
    shadow = np.zeros((rows, columns), np.uint8)
    palm = np.array([columns * rng.uniform(0.35, 0.9), rows * rng.uniform(0.6, 0.95)])
    lean = rng.uniform(-2.3, -1.7)
    ahead = np.array([np.cos(lean), np.sin(lean)])
    joint, elbow = palm.astype(int).tolist(), (palm - ahead * 150).astype(int).tolist()
    cv2.line(shadow, joint, elbow, 255, 36)
    cv2.ellipse(shadow, joint, (30, 24), np.degrees(lean), 0, 360, 255, -1)
    for turn in lean + np.array([-0.45, -0.15, 0.15, 0.4]):
        tip = palm + np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(40, 62)
        cv2.line(shadow, joint, tip.astype(int).tolist(), 255, 12)
    soft = cv2.GaussianBlur(shadow, (0, 0), float(rng.uniform(4, 9))) / 255
    flipped = soft[:, ::-1] if rng.random() < 0.3 else soft
    return shaded(image, 1 - rng.uniform(0.25, 0.5) * flipped)


def window_shadow(image: Image, rng: Generator) -> Image:
    """A fairly sharp edge between light and shade across the picture."""
    x, y = places(image)
    turn = rng.uniform(0, 2 * np.pi)
    side = (x - x.mean()) * np.cos(turn) + (y - y.mean()) * np.sin(turn) + rng.uniform(-0.15, 0.15)
    edge = 1 / (1 + np.exp(-side / rng.uniform(0.008, 0.04)))
    return shaded(image, 1 - rng.uniform(0.3, 0.5) * edge)


def glare(image: Image, rng: Generator) -> Image:
    """The reflection of a lamp or window on something glossy."""
    x, y = places(image)
    middle = rng.choice([0.05, 0.95], 2) * (x.max(), y.max())
    spot = np.exp(-(((x - middle[0]) / 0.12) ** 2 + ((y - middle[1]) / 0.2) ** 2))
    height, width = image.shape[:2]
    plus = cv2.resize((spot * 90).astype(np.uint8), (width, height))
    return np.asarray(cv2.add(image, cv2.merge([plus] * 3)), np.uint8)


def tilted(degrees: float = 5, perspective: float = 0.05) -> Effect:
    """Seen by a camera held not quite straight, the page filling the frame."""

    def apply(image: Image, rng: Generator) -> Image:
        corners = seen_corners(image, rng, degrees, perspective)
        middle = corners.mean(0)
        height, width = image.shape[:2]
        frame = np.array([[0, 0], [width, 0], [width, height], [0, height]])
        for _ in range(40):  # The page grows until it covers the frame.
            if all(cv2.pointPolygonTest(corners, point, False) >= 0 for point in frame.tolist()):
                break
            corners = np.asarray(middle + (corners - middle) * 1.01, np.float32)
        return warped(image, corners, None)

    return apply


def on_table(sides: tuple[int, int], inset: float, colour: Colour | None = None) -> Effect:
    """Seen by a camera, the table visible on some sides of the page, by a share of the picture."""

    def apply(image: Image, rng: Generator) -> Image:
        height, width = image.shape[:2]
        corners = seen_corners(image, rng, 4, 0.04)
        middle = corners.mean(0)
        corners = middle + (corners - middle) * 1.12
        first = int(rng.integers(4))
        for side in range(int(rng.integers(sides[0], sides[1] + 1))):
            both = [(first + side) % 4, (first + side + 1) % 4]
            axis = 1 - (first + side) % 2
            size = (width, height)[axis]
            edge = size * rng.uniform(inset / 2, inset)
            goal = edge if (first + side) % 4 in (0, 3) else size - edge
            corners[both, axis] += goal - corners[both, axis].mean()
        table = wooden((height, width), rng, colour)
        return warped(image, np.asarray(corners, np.float32), table)

    return apply


def seen_corners(image: Image, rng: Generator, degrees: float, perspective: float) -> np.ndarray:
    """Where the four corners of a page come to lie, from the upper left one clockwise."""
    height, width = image.shape[:2]
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (width / 2, height / 2)
    turn = np.radians(rng.uniform(-degrees, degrees))
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    pushed = turned + rng.uniform(-perspective, perspective, (4, 2)) * min(height, width)
    return np.asarray(pushed + np.array([width / 2, height / 2]), np.float32)


def warped(image: Image, corners: np.ndarray, table: Image | None) -> Image:
    """The page laid into four corners, on a table if one is given, with its shadow there."""
    height, width = image.shape[:2]
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(frame, np.asarray(corners, np.float32))
    seen = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    if table is None:
        return np.asarray(seen, np.uint8)
    page = np.zeros((height, width), np.uint8)
    cv2.fillPoly(page, [np.round(corners * 16).astype(np.int32).reshape(-1, 1, 2)], 255,
                 cv2.LINE_AA, 4)  # fmt: skip
    reach = max(width // 60, 1)
    shade = cv2.convertScaleAbs(cv2.blur(page, (reach, reach)), None, 0.7)
    darker = cv2.multiply(table, cv2.merge([cv2.bitwise_not(shade)] * 3), scale=1 / 255)
    mask = cv2.merge([page] * 3)
    front = cv2.multiply(seen, mask, scale=1 / 255)
    back = cv2.multiply(darker, cv2.bitwise_not(mask), scale=1 / 255)
    return np.asarray(cv2.add(front, back), np.uint8)


def wooden(size: tuple[int, int], rng: Generator, colour: Colour | None) -> Image:
    """A table, usually dark, with the grain of wood."""
    colours = [(74, 50, 34), (52, 38, 30), (96, 66, 44), (40, 40, 44), (66, 60, 58)]
    table = flat(size, colour or colours[rng.integers(len(colours))])
    grain = cv2.resize(
        cloud((max(size[0] // 4, 2), 8), 1, rng), size[::-1], interpolation=cv2.INTER_CUBIC
    )
    return speckle(table, np.asarray(grain, np.uint8), 14)


def defocused(least: float, most: float) -> Effect:
    """Out of focus, by a radius as a share of the shorter side."""

    def apply(image: Image, rng: Generator) -> Image:
        radius = max(rng.uniform(least, most) * min(image.shape[:2]), 0.6)
        reach = int(np.ceil(radius))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
        return np.asarray(cv2.filter2D(image, -1, disc / disc.sum()), np.uint8)

    return apply


def moved(least: float, most: float) -> Effect:
    """Blurred by a movement, by a length as a share of the shorter side."""

    def apply(image: Image, rng: Generator) -> Image:
        length = max(rng.uniform(least, most) * min(image.shape[:2]), 2)
        reach = int(np.ceil(length / 2)) + 1
        way = np.array([np.cos(turn := rng.uniform(0, np.pi)), np.sin(turn)]) * length / 2
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        ends = [np.round((sign * way + reach) * 16).astype(int).tolist() for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1, 1, cv2.LINE_8, 4)
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)

    return apply


def noisy(strength: float) -> Effect:
    """A sensor's noise: fine in brightness, blotchy in colour."""

    def apply(image: Image, rng: Generator) -> Image:
        size = (image.shape[0], image.shape[1])
        level = strength * rng.uniform(0.7, 1.3)
        image = speckle(image, cloud(size, 1, rng), level)
        blotches = cv2.merge([cloud(size, 3, rng) for _ in range(3)])
        return speckle(image, np.asarray(blotches, np.uint8), level * 0.5)

    return apply


def exposed(least: float, most: float) -> Effect:
    """Under-exposed to a share of the light."""
    return lambda image, rng: shaded(image, np.full((2, 2), rng.uniform(least, most)))


def faded(image: Image, rng: Generator) -> Image:
    """Low contrast: everything drawn towards a light grey."""
    share, grey = rng.uniform(0.25, 0.45), rng.uniform(170, 215)
    return cv2.convertScaleAbs(image, None, float(share), float(grey * (1 - share))).astype(
        np.uint8
    )
