"""From brightness to ink: what in a picture is a stroke, and how strong it is.

Light is uneven, paper is ruled, cameras are noisy. ``find_ink`` takes the paper away and leaves
1 where ink is strongest, 0 where there is none. Arrays in and out; files and colours are
in ``files`` and ``grey``, sizes and places in ``fitting``.
"""

from typing import NamedTuple

import cv2
import numpy as np

from digit_data.types import Array

__all__ = [
    "Ink",
    "NoInkError",
    "border_median",
    "connected",
    "find_ink",
    "greatest_width",
    "shrunk",
    "stroke_width",
]

# Contrast below this share of the paper's brightness is grain, JPEG noise or a shadow.
LEAST_CONTRAST = 0.1
# In a faint picture it is this share of the strongest ink: a stroke as thin as a pixel that lies
# between two has half of its strength in each, and less at its ends.
FAINT = 0.25
# Ink weaker than this many standard deviations of the paper's noise cannot be told from it; where
# that is more than QUIET, the picture is smoothed first.
NOISE_LEVELS = 5.0
QUIET = 0.12
MOST_NOISE = 0.8
# The median distance to the median is that of the paper while at least so much is paper.
MOST_PAPER = 0.75
# Standard deviations of the smoothing, as shares of the picture's shorter side.
SMOOTHING = (0.002, 0.004, 0.008, 0.016)
# Deep in a shadow or on a black margin the strength would magnify noise: light counts as this much.
LEAST_LIGHT = 0.25
# In a piece, weaker ink counts where it touches ink above the threshold, down to this share of it.
WEAK = 0.6
# What is strongest around a pixel is looked for so many stroke widths away.
FADING = 2.0
# A piece that spans more than this share of the picture may be a net of ruled lines, whose width is
# at most this share of the digit's strokes' greatest.
NET = 0.7
LINE_WIDTH = 0.4
# Pieces shorter than this share of the picture are specks, unless the largest is small too: the
# point of a small number is this share of its digits.
SPECK = 0.03
POINT = 0.1
# Grain is finer than half of so many pixels. Pieces of more than this share of the largest one's
# area may be the digit.
GRAIN = 5
LARGE = 0.2
# The paper is what is left when everything narrower than this many stroke widths is taken away;
# in the first of two rounds, when no stroke width is known, than this share of the picture.
STROKES = 3.0
FIRST_SHARE = 0.5
# The paper's brightness varies slowly: it is measured in a picture of at most this many pixels.
PAPER_SIDE = 128
# A median of more pixels than this is taken of every fourth.
ENOUGH = 20_000


class NoInkError(ValueError):
    """A picture without a stroke on it."""


class Ink(NamedTuple):
    """Ink found in a picture; every array is (H, W).

    Attributes:
        strength: float32 in 0..1, with 0 for paper.
        mask: bool, where the ink counts: above the threshold, or touching what is.
        paper: The paper's brightness, float32, also where there is ink on it.
    """

    strength: Array
    mask: Array
    paper: Array


def border_median(picture: Array) -> float:
    """Return the median of a frame 2 % wide, at least one pixel."""
    width = max(1, min(picture.shape) // 50)
    inner = picture[width:-width]
    frame = (picture[:width], picture[-width:], inner[:, :width], inner[:, -width:])
    return _median(np.concatenate([side.ravel() for side in frame]))


def find_ink(picture: Array) -> Ink:
    """Tell ink from paper.

    Against the local brightness ``p`` of the paper, a pixel ``x`` has the strength
    ``(x - p) / (1 - p)``: for dark ink on light paper, negated, one minus the share of the light
    that it leaves.

    Args:
        picture: Bright ink on dark paper, (H, W) float32 in 0..1.

    Raises:
        NoInkError: Nothing stands out from the paper.
    """
    picture = _quiet(picture)
    # A tall stroke may fill most of a narrow picture's width, so its shorter side says too little.
    side = float(np.sqrt(picture.size))
    ink = _threshold(picture, FIRST_SHARE * side)
    width = STROKES * _pen(ink.mask)
    if width < FIRST_SHARE * side:
        ink = _threshold(picture, max(width, side / 20))
    return ink


def _pen(mask: Array) -> float:
    """Return the width of the strokes in a first, rough mask of ink.

    Neither a shadow along the border, whose ragged edge is many thin pieces, nor a printed box, nor
    grain within the strokes shall make the pen seem thin, or what is wider, as where two strokes
    meet, would be taken for paper. So it is at least that of each large piece within the picture,
    smoothed.
    """
    width = stroke_width(mask)
    labels, stats = connected(mask)
    rows, columns = mask.shape
    left, top, wide, high, area = stats.T
    within = (left > 0) & (top > 0) & (left + wide < columns) & (top + high < rows)
    within[0] = False
    areas = np.where(within, area, 0)
    for label in np.flatnonzero(areas > LARGE * areas.max()).tolist():
        x, y, w, h, _ = stats[label].tolist()
        own = (labels[y : y + h, x : x + w] == label).astype(np.uint8)
        framed = cv2.copyMakeBorder(own, GRAIN, GRAIN, GRAIN, GRAIN, cv2.BORDER_CONSTANT, value=0)
        smooth = cv2.medianBlur(framed, GRAIN) > 0
        if smooth.any():
            width = max(width, stroke_width(smooth))
    return width


def _quiet(picture: Array) -> Array:
    """Smooth a picture as much as its noise asks for, and not at all if there is little."""
    side = min(picture.shape)
    smooth, sigma = picture, 0.0
    for share in SMOOTHING:
        if NOISE_LEVELS * _noise(smooth, max(3 * sigma, 2.0)) <= QUIET:
            break
        sigma = share * side
        smooth = cv2.GaussianBlur(picture, (0, 0), sigma)
    return smooth


def _noise(picture: Array, scale: float) -> float:
    """Return the standard deviation of what is finer than a scale, in units of ink's strength."""
    residue = (picture - cv2.GaussianBlur(picture, (0, 0), scale))[::2, ::2]
    _, deviation = _median_deviation(residue)
    return deviation / max(1 - _median(picture[::2, ::2]), LEAST_LIGHT)


def _threshold(picture: Array, width: float) -> Ink:
    """Tell ink from paper, the paper being what is left without structures of a width."""
    paper = _paper(picture, width)
    strength = (picture - paper) / np.maximum(1 - paper, LEAST_LIGHT)
    base, noise = _level(strength[::2, ::2] if strength.size > ENOUGH else strength)
    strength = np.clip((strength - base) / max(1 - base, LEAST_LIGHT), 0, 1)
    faint = min(LEAST_CONTRAST, FAINT * float(strength.max()))
    least = min(max(faint, NOISE_LEVELS * noise), MOST_NOISE)
    mask = _pieces(strength, least)
    if least < LEAST_CONTRAST and not _stands_out(strength, mask):
        mask[:] = False
    if not mask.any():
        raise NoInkError(
            f"no ink found: expected strokes that stand out from the paper, "
            f"received a contrast of at most {float(strength.max()):.3f} or only specks"
        )
    return Ink(strength, mask, paper)


def _level(strength: Array) -> tuple[float, float]:
    """Return the paper's level and the standard deviation of its noise, from robust estimates.

    The median, and 1.4826 times the median distance to it, are those of the paper as long as most
    of the picture is paper. Where ink is a good part of it, the two have to be told apart first:
    two kinds are parted by Otsu's level, and are two if their medians are ``NOISE_LEVELS`` of the
    paper's deviations apart.
    """
    level, noise = _median_deviation(strength)
    paper = strength <= _otsu(np.clip(strength, 0, 1))
    if paper.mean() < MOST_PAPER and not paper.all():
        own_level, own_noise = _median_deviation(strength[paper])
        if _median(strength[~paper]) - own_level >= NOISE_LEVELS * own_noise:
            return own_level, own_noise
    return level, noise


def _median_deviation(values: Array) -> tuple[float, float]:
    """Return the median, and the standard deviation if the values are normally distributed."""
    median = _median(values)
    return median, 1.4826 * _median(np.abs(values - median))


def _median(values: Array) -> float:
    """Return the median of numbers, of which there is at least one.

    ``np.median`` parts them at two places at once, for which NumPy has no vector instructions:
    sorting them all is five times as fast.
    """
    in_order = np.sort(values, axis=None)
    middle = values.size // 2
    if values.size % 2:
        return float(in_order[middle])
    return float((in_order[middle - 1] + in_order[middle]) / 2)


def _stands_out(strength: Array, mask: Array) -> bool:
    """Tell whether ink is ``NOISE_LEVELS`` times as strong as what else there is (its RMS)."""
    if not mask.any():
        return False
    rest = strength[cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0]
    deviation = float(np.sqrt(np.mean(rest**2))) if rest.size else 0.0
    return float(strength[mask].mean()) >= NOISE_LEVELS * deviation


def _pieces(strength: Array, least: float) -> Array:
    """Return where ink counts: each piece above ``least`` has a threshold of its own.

    A faint pencil digit beside a black blot, and a black digit on faint ruled lines, are both seen.
    """
    labels, stats = connected(strength > least)
    mask = np.zeros(strength.shape, bool)
    rows, columns = strength.shape
    sizes = stats[:, cv2.CC_STAT_WIDTH : cv2.CC_STAT_HEIGHT + 1].max(axis=1)
    # The first is what is no piece.
    speck, largest = SPECK * min(rows, columns), float(sizes[1:].max(initial=0))
    size = min(speck, POINT * largest) if largest >= speck else speck
    large = np.flatnonzero(sizes >= max(size, 2))
    for label in large[large > 0].tolist():
        left, top, width, height, _ = stats[label].tolist()
        where = np.s_[top : top + height, left : left + width]
        own = np.where(labels[where] == label, strength[where], np.float32(0))
        if max(width / columns, height / rows) > NET:
            own = _without_lines(own, least)
        strong = max(_otsu(own[own > 0]), least)
        mask[where] |= _hysteresis(own, _weakest(own, least, strong), strong)
    return mask


def _weakest(own: Array, least: float, strong: float) -> Array:
    """Return, for each pixel of a piece, below which strength it is no ink.

    A pen that runs dry fades slowly: there, ink counts that has ``WEAK`` of the strength of what is
    strongest around it, as far as two strokes are wide. A shadow or a ruled line that the digit
    lies on is weaker at once, and is parted from it by what is too weak beside a stroke.
    """
    usual = max(WEAK * strong, least)
    pen = own > strong
    if usual <= least or not pen.any():
        return np.full(own.shape, usual, np.float32)
    size = 2 * round(FADING * stroke_width(pen)) + 1
    around = cv2.dilate(own, np.ones((size, size), np.uint8))
    return np.clip(np.float32(WEAK) * around, np.float32(least), np.float32(usual))


def connected(mask: Array) -> tuple[Array, Array]:
    """Number the connected pieces of a mask.

    Returns:
        The number of its piece for each pixel, (H, W), 0 outside the mask; and for each number a
        row of left, top, width, height and area.
    """
    # The same labels as by default; this way takes less memory at once, and a tenth of the time.
    _, labels, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        mask.astype(np.uint8), 8, cv2.CV_32S, cv2.CCL_GRANA
    )
    return np.asarray(labels), np.asarray(stats)


def _paper(picture: Array, width: float) -> Array:
    """Return the brightness that the paper has, or would have, everywhere.

    The morphological opening: of all windows of this width around a pixel, the one whose darkest
    pixel is brightest. Slopes of any steepness survive it; strokes narrower than the window do not.
    """
    small = shrunk(picture, PAPER_SIDE)
    scale = small.shape[0] / picture.shape[0]
    # Noise would pull the minimum down.
    smooth = cv2.medianBlur(small, 3)
    window = 2 * round(max(width * scale, 3) / 2) + 1
    # A square, which OpenCV takes apart into rows and columns; a disc is twenty times slower.
    kernel = np.ones((window, window), np.uint8)
    opened = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, kernel)
    opened = cv2.GaussianBlur(opened, (0, 0), max(window / 8, 0.5))
    return cv2.resize(opened, picture.shape[::-1], interpolation=cv2.INTER_LINEAR)


def shrunk(picture: Array, side: int) -> Array:
    """Return a picture with its longest side brought to at most so many pixels, by area means."""
    scale = side / max(picture.shape)
    if scale >= 1:
        return picture
    height, width = (max(1, round(n * scale)) for n in picture.shape)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _without_lines(own: Array, least: float) -> Array:
    """Take the lines of ruled or squared paper away from the digit that they run through.

    They are thinner than its strokes. What is left of the piece after an opening by a part of its
    greatest width is grown back a little, so that the ends of strokes are not cut.

    Args:
        own: Strength of one piece's ink, 0 outside it, (H, W).
        least: Weaker is none.
    """
    mask = (own > least).astype(np.uint8)
    widest = 2 * float(_distance(mask).max())
    size = round(LINE_WIDTH * widest)
    if size < 2:
        return own
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    left = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    if not left.any():
        return own
    around = cv2.dilate(left, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size + 2, size + 2)))
    return np.where(around > 0, own, np.float32(0))


def _distance(mask: Array) -> Array:
    """Return each pixel's distance to the nearest one that is not in the mask, as float32."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.distanceTransform(framed, cv2.DIST_L2, 5))[1:-1, 1:-1]


def _otsu(values: Array) -> float:
    """Return the level that parts values in 0..1 best into two kinds (Otsu, 1979)."""
    levels = np.round(values * 255).astype(np.uint8).reshape(-1, 1)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return (level + 0.5) / 255


def _hysteresis(strength: Array, weak: Array, strong: float) -> Array:
    """Return the connected pieces of what is above ``weak`` that reach ``strong`` somewhere."""
    count, found = cv2.connectedComponents((strength > weak).astype(np.uint8))
    labels, kept = np.asarray(found, np.int32), np.zeros(count, bool)
    kept[labels[strength > strong]] = True
    kept[0] = False
    return kept[labels]


def stroke_width(mask: Array) -> float:
    """Return the typical width of strokes, in pixels.

    Twice the distance to the nearest paper, as it is on the middle line of the strokes; the upper
    quartile, since noise only makes thin pieces.

    Args:
        mask: Where ink is, (H, W) bool; some is.
    """
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    distance = _distance(mask[top : top + height, left : left + width].astype(np.uint8))
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))) & (distance > 0)
    # The distance is counted to the nearest paper pixel's centre, half a pixel off the edge.
    return float(2 * np.quantile(distance[ridge], 0.75) - 1)


def greatest_width(mask: Array) -> float:
    """Return the greatest width of strokes, in pixels: that of the largest disc within them."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    inner = mask[top : top + height, left : left + width]
    return 2 * float(_distance(inner.astype(np.uint8)).max()) - 1
