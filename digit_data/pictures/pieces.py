"""From ink to its connected pieces: those of digits, without lines, frames and shadows."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from digit_data.pictures.ink import connected, stroke_width
from digit_data.types import Array

__all__ = ["GAP", "Box", "Group", "find_pieces", "find_points", "without_specks"]


# Pieces smaller than this share of the largest one, in height and width, are specks.
SPECK = 0.12
# Pieces this thin for their length, across most of the picture, are ruled lines or edges of the
# paper.
LINE_SHARE = 0.7
LINE_ASPECT = 12
# A piece that has more than this share of its length on the picture's border lies along it ...
ALONG = 0.3
# ... and is left out if another one is taller than this share of the picture.
TALL = 0.08
# A piece this much wider than the largest one, so many times as wide as high, and this much paler
# is what is left of a ruled line.
WIDER = 1.1
THIN = 4
PALER = 0.85
# A piece within another's box is a digit in a frame if it is this share of its height; or if the
# frame may be the edge of a sheet: as thin as this share of its shorter side, and around so much of
# the picture. If the frame has four sides and is so large, this share will do.
WITHIN = 0.4
OUTLINE = 0.05
SHEET = 0.25
BOXED = 0.2
# All ink of a circle, and of an ellipse, is at most this share of its box's side from the box.
ROUND = (1 - 1 / math.sqrt(2)) / 2
# The share that a piece's convex hull has in the smallest rectangle around it, however turned: 1 of
# a rectangle, pi / 4 of an ellipse, closed or not, and 1 / 2 of two sides that meet. The middles
# part them.
RECTANGLE = (1 + math.pi / 4) / 2
ANGLE = (1 / 2 + math.pi / 4) / 2
# Pieces of one digit are at most this share of its height, or of a wide one's width, apart.
GAP = 0.15
# Strokes of one pen differ in width by less than this factor.
SAME_PEN = 2.0
# A point has this share of the strength of the largest piece's ink, and of its pen's width; where
# there are more of them, they are grain.
POINT_STRENGTH = 0.5
POINT_WIDTH = 0.9
MOST_POINTS = 12


@dataclass(frozen=True)
class Box:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the ends not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def joined(self, other: "Box") -> "Box":
        """Return the smallest box around both."""
        return Box(
            min(self.left, other.left), min(self.top, other.top),
            max(self.right, other.right), max(self.bottom, other.bottom),
        )  # fmt: skip

    def distance(self, other: "Box") -> float:
        """Return how far apart the boxes are; 0 if they overlap or touch."""
        across = max(self.left - other.right, other.left - self.right, 0)
        down = max(self.top - other.bottom, other.top - self.bottom, 0)
        return float(np.hypot(across, down))

    def overlap(self, other: "Box") -> float:
        """Return which share of the narrower box's columns the other one covers too."""
        common = min(self.right, other.right) - max(self.left, other.left)
        return max(common, 0) / min(self.width, other.width)


# Each group is itself alone: of hundreds of pieces, which are left is asked again and again.
@dataclass(frozen=True, eq=False)
class Group:
    """Ink of one digit.

    Attributes:
        box: Around it.
        labels: The connected pieces it is made of, as numbered in ``find_pieces``.
        ink: Sum of its strength.
    """

    box: Box
    labels: tuple[int, ...]
    ink: float

    def joined(self, other: "Group") -> "Group":
        """Return both as one."""
        return Group(self.box.joined(other.box), self.labels + other.labels, self.ink + other.ink)


def find_pieces(strength: Array, mask: Array) -> tuple[list[Group], Array]:
    """Return the connected pieces of ink, ruled lines, borders and frames left out, specks not.

    Args:
        strength: Of the ink, (H, W) in 0..1.
        mask: Where it counts, (H, W) bool; somewhere it does.

    Returns:
        The pieces, at least one, and the number of its piece for each pixel, (H, W), 0 where there
        is none.
    """
    labels, stats = connected(mask)
    inked = labels > 0
    ink = np.bincount(labels[inked], strength[inked], len(stats))
    pieces = [
        Group(Box(left, top, left + width, top + height), (label,), float(ink[label]))
        for label, (left, top, width, height, _) in enumerate(stats.tolist())
        if label
    ]
    pieces = _without_junk(pieces, labels, stats)
    large = without_specks(pieces)
    kept = _without_remnants(_without_frames(large, labels, stats), stats)
    return kept + [piece for piece in pieces if piece not in large], labels


def _without_junk(pieces: list[Group], labels: Array, stats: Array) -> list[Group]:
    """Leave out ruled lines, and what lies along the border, if anything else is left.

    A digit may touch the border; a shadow, or the table beside the paper, lies along it. What is
    left out comes back if it is a stroke of the digit: the stem of an open four, the foot of a two
    in a tight crop.
    """
    contact = _contact(labels)
    lines = [piece for piece in pieces if _is_line(piece.box, labels.shape)]
    others = [piece for piece in pieces if piece not in lines]
    if not others:
        others, lines = pieces, []
    tall = TALL * min(labels.shape)
    free = [
        piece
        for piece in others
        if contact[piece.labels[0]] <= ALONG * max(piece.box.width, piece.box.height)
    ]
    if not any(piece.box.height >= tall for piece in free):
        free = others
    # A ruled line, or a margin's, leaves the picture at both ends, and a scanner's stripe takes a
    # whole side of it; a stroke ends within.
    ends = [line for line in lines if not _leaves(line.box, labels.shape)]
    at_border = [piece for piece in others if piece not in free]
    left_out = ends + [p for p in at_border if contact[p.labels[0]] < min(labels.shape)]
    return _with_strokes(free, left_out, labels, stats)


def _leaves(box: Box, shape: tuple[int, ...]) -> bool:
    """Tell whether a box reaches from border to opposite border."""
    height, width = shape
    return (box.left == 0 and box.right == width) or (box.top == 0 and box.bottom == height)


def _with_strokes(
    pieces: list[Group], others: list[Group], labels: Array, stats: Array
) -> list[Group]:
    """Add those of the others that the same pen drew, near the pieces."""
    pen = max(pieces, key=lambda piece: piece.ink)

    def width(piece: Group) -> float:
        # A pixel more, which drawing a line of any width in whole pixels may take off or add.
        return stroke_width(_own(piece, labels)) + 1

    def is_alike(piece: Group) -> bool:
        ratio = width(piece) / width(pen)
        dark = _darkness(piece, stats) >= PALER * _darkness(pen, stats)
        return dark and 1 / SAME_PEN <= ratio <= SAME_PEN

    others = [piece for piece in others if is_alike(piece)]
    # Where a stroke breaks off, the gap may be as wide as the stroke.
    reach = max(GAP * max(pen.box.width, pen.box.height), SAME_PEN * width(pen))
    while others:
        own = np.isin(labels, [piece.labels[0] for piece in pieces])
        distance = cv2.distanceTransform((~own).astype(np.uint8), cv2.DIST_L2, 5)
        near = set(np.unique(labels[np.asarray(distance) <= reach]).tolist())
        found = [piece for piece in others if piece.labels[0] in near]
        if not found:
            break
        pieces = pieces + found
        others = [piece for piece in others if piece not in found]
    return pieces


def _own(piece: Group, labels: Array) -> Array:
    """Return where in its box a single piece has ink."""
    box = piece.box
    return labels[box.top : box.bottom, box.left : box.right] == piece.labels[0]


def _thickness(piece: Group, stats: Array) -> float:
    """Return a stroke's width: its area by its length, which is about that of its box's sides."""
    return float(stats[piece.labels[0], cv2.CC_STAT_AREA]) / (piece.box.width + piece.box.height)


def _darkness(piece: Group, stats: Array) -> float:
    """Return the mean strength of a piece's ink."""
    return piece.ink / float(stats[piece.labels[0], cv2.CC_STAT_AREA])


def _without_frames(pieces: list[Group], labels: Array, stats: Array) -> list[Group]:
    """Leave out what is drawn around another piece: a box, a circle, the outline of a sheet.

    A digit's own pieces lie beside each other or overlap; none has another within its box, but for
    dots, a stroke that is broken off, and what shines through. No digit is hollow but a zero, which
    is round, and a seven, on whose sheet nothing else is as dark.
    """

    def is_around(piece: Group, other: Group) -> bool:
        box, inner = piece.box, other.box
        if not (inner.left > box.left and inner.right < box.right):
            return False
        if not (inner.top > box.top and inner.bottom < box.bottom):
            return False
        sheet = box.width * box.height >= SHEET * labels.size
        outline = sheet and _thickness(piece, stats) <= OUTLINE * min(box.width, box.height)
        large = inner.height >= WITHIN * box.height
        boxed = sheet and inner.height >= BOXED * box.height
        own = _own(piece, labels)
        if not (large or outline or boxed) or not _is_hollow(own, _thickness(piece, stats)):
            return False
        share = _share_of_rectangle(own)
        if share >= RECTANGLE:
            return True
        if share > ANGLE:
            return large
        # A seven has two sides that meet as well.
        dark = _darkness(other, stats) >= PALER * _darkness(piece, stats)
        return dark and (large or outline)

    frames = [p for p in pieces if any(is_around(p, q) for q in pieces if q is not p)]
    return [piece for piece in pieces if piece not in frames]


def _is_hollow(own: Array, thickness: float) -> bool:
    """Tell whether ink lies along the sides of its box only, at most as far in as a circle's."""
    height, width = own.shape
    down, across = (math.ceil(ROUND * side + thickness) for side in (height, width))
    return not own[down : height - down, across : width - across].any()


def _share_of_rectangle(own: Array) -> float:
    """Return which share a piece's convex hull has of the smallest rectangle around it, turned."""
    points = cv2.convexHull(cv2.findNonZero(own.astype(np.uint8)))
    width, height = cv2.minAreaRect(points)[1]
    return cv2.contourArea(points) / max(width * height, 1.0)


def _contact(labels: Array) -> Array:
    """Return how many pixels each piece has on the picture's border."""
    frame = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    return np.bincount(frame, minlength=int(labels.max()) + 1)


def _is_line(box: Box, shape: tuple[int, ...]) -> bool:
    height, width = shape
    across = box.width > LINE_SHARE * width and box.width > LINE_ASPECT * box.height
    down = box.height > LINE_SHARE * height and box.height > 3 * LINE_ASPECT * box.width
    return across or down


def without_specks(pieces: list[Group]) -> list[Group]:
    """Leave out what is much smaller than the largest piece."""
    largest = max(max(piece.box.height, piece.box.width) for piece in pieces)
    return [piece for piece in pieces if max(piece.box.height, piece.box.width) >= SPECK * largest]


def _without_remnants(pieces: list[Group], stats: Array) -> list[Group]:
    """Leave out what is left of ruled lines: wider than the largest piece, thin, and paler."""
    largest = max(pieces, key=lambda piece: piece.ink)

    def is_remnant(piece: Group) -> bool:
        wide = piece.box.width > max(WIDER * largest.box.width, largest.box.height / 2)
        thin = piece.box.width > THIN * piece.box.height
        return wide and thin and _darkness(piece, stats) < PALER * _darkness(largest, stats)

    return [piece for piece in pieces if piece is largest or not is_remnant(piece)]


def find_points(pieces: list[Group], labels: Array, strength: Array) -> tuple[list[Group], Array]:
    """Return what is as small as a point of a thin pen, which among single strokes is a speck.

    Args:
        pieces: What :func:`find_pieces` returned.
        labels: What it returned too.
        strength: As for it.

    Returns:
        What lies apart from all ink, and the labels with a number for each.
    """
    largest = max(pieces, key=lambda piece: piece.ink)
    own = _own(largest, labels)
    dark = largest.ink / float(np.count_nonzero(own))
    found, stats = connected(strength > POINT_STRENGTH * dark)
    sizes = stats[:, cv2.CC_STAT_WIDTH : cv2.CC_STAT_HEIGHT + 1].max(axis=1)
    small = (sizes >= POINT_WIDTH * stroke_width(own)) & (sizes < SPECK * largest.box.height)
    small[0] = False
    small[np.unique(found[labels > 0])] = False
    if np.count_nonzero(small) > MOST_POINTS:
        return [], labels
    labels, points = labels.copy(), list[Group]()
    for label in np.flatnonzero(small).tolist():
        left, top, width, height, _ = stats[label].tolist()
        where = np.s_[top : top + height, left : left + width]
        point = found[where] == label
        number = int(labels.max()) + 1
        labels[where][point] = number
        box = Box(left, top, left + width, top + height)
        points.append(Group(box, (number,), float(strength[where][point].sum())))
    return points, labels
