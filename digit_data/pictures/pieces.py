"""From ink to digits: which connected pieces of ink belong to which digit, left to right."""

from dataclasses import dataclass

import cv2
import numpy as np

from digit_data.pictures.ink import connected
from digit_data.types import Array

__all__ = ["Box", "Group", "find_digits", "main_digit", "separate_digits"]


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
# the picture.
WITHIN = 0.4
OUTLINE = 0.05
SHEET = 0.25
# Pieces of one digit are at most this share of its height apart.
GAP = 0.15
# No line of digits has more pieces; a page of text, or a pattern, may.
MOST_PIECES = 100
# Two digits side by side overlap in at most this share of the narrower one's width, and the smaller
# is at least this share of the larger one's height.
OVERLAP = 0.25
SMALLEST_DIGIT = 0.5
LEAST_INK = 0.2
# Ink this far from the middle, as a share of the picture's side, weighs a third (1 / e).
CENTRAL = 0.5


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


@dataclass(frozen=True)
class Group:
    """Ink of one digit.

    Attributes:
        box: Around it.
        labels: The connected pieces it is made of, as numbered in ``find_digits``.
        ink: Sum of its strength.
    """

    box: Box
    labels: tuple[int, ...]
    ink: float

    def joined(self, other: "Group") -> "Group":
        """Return both as one."""
        return Group(self.box.joined(other.box), self.labels + other.labels, self.ink + other.ink)


def find_digits(strength: Array, mask: Array) -> tuple[list[Group], Array]:
    """Group the connected pieces of ink to digits, specks and lines left out.

    Args:
        strength: Of the ink, (H, W) in 0..1.
        mask: Where it counts, (H, W) bool; somewhere it does.

    Returns:
        The groups from left to right, at least one, and the number of its piece for each pixel,
        (H, W), 0 where there is none.
    """
    labels, stats = connected(mask)
    ink = np.bincount(labels.ravel(), strength.ravel(), len(stats))
    pieces = [
        Group(Box(left, top, left + width, top + height), (label,), float(ink[label]))
        for label, (left, top, width, height, _) in enumerate(stats.tolist())
        if label
    ]
    pieces = _without_specks(_without_junk(pieces, labels))
    pieces = _without_frames(pieces, stats, labels.size)
    groups = _joined(_without_remnants(pieces, stats))
    return sorted(groups, key=lambda group: group.box.left), labels


def _without_junk(pieces: list[Group], labels: Array) -> list[Group]:
    """Leave out ruled lines, and what lies along the border, if anything else is left.

    A digit may touch the border; a shadow, or the table beside the paper, lies along it.
    """
    pieces = [piece for piece in pieces if not _is_line(piece.box, labels.shape)] or pieces
    contact = _contact(labels)
    tall = TALL * min(labels.shape)
    free = [
        piece
        for piece in pieces
        if contact[piece.labels[0]] <= ALONG * max(piece.box.width, piece.box.height)
    ]
    return free if any(piece.box.height >= tall for piece in free) else pieces


def _without_frames(pieces: list[Group], stats: Array, pixels: int) -> list[Group]:
    """Leave out what is drawn around another piece: a box, a circle, the outline of a sheet.

    A digit's own pieces lie beside each other or overlap; none has another within its box, but for
    dots, and a stroke that is broken off.
    """
    area = stats[:, cv2.CC_STAT_AREA]

    def thickness(piece: Group) -> float:
        return float(area[piece.labels[0]]) / (piece.box.width + piece.box.height)

    def is_around(piece: Group, other: Group) -> bool:
        box, inner = piece.box, other.box
        within = inner.left > box.left and inner.right < box.right
        within = within and inner.top > box.top and inner.bottom < box.bottom
        outline = thickness(piece) <= OUTLINE * min(box.width, box.height)
        outline = outline and box.width * box.height >= SHEET * pixels
        return within and (inner.height >= WITHIN * box.height or outline)

    frames = [p for p in pieces if any(is_around(p, q) for q in pieces if q is not p)]
    return [piece for piece in pieces if piece not in frames]


def _contact(labels: Array) -> Array:
    """Return how many pixels each piece has on the picture's border."""
    frame = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    return np.bincount(frame, minlength=int(labels.max()) + 1)


def _is_line(box: Box, shape: tuple[int, ...]) -> bool:
    height, width = shape
    across = box.width > LINE_SHARE * width and box.width > LINE_ASPECT * box.height
    down = box.height > LINE_SHARE * height and box.height > 3 * LINE_ASPECT * box.width
    return across or down


def _without_specks(pieces: list[Group]) -> list[Group]:
    largest = max(max(piece.box.height, piece.box.width) for piece in pieces)
    return [piece for piece in pieces if max(piece.box.height, piece.box.width) >= SPECK * largest]


def _without_remnants(pieces: list[Group], stats: Array) -> list[Group]:
    """Leave out what is left of ruled lines: wider than the largest piece, thin, and paler."""
    largest = max(pieces, key=lambda piece: piece.ink)
    area = stats[:, cv2.CC_STAT_AREA]

    def darkness(piece: Group) -> float:
        return piece.ink / float(area[piece.labels[0]])

    def is_remnant(piece: Group) -> bool:
        wide = piece.box.width > max(WIDER * largest.box.width, largest.box.height / 2)
        thin = piece.box.width > THIN * piece.box.height
        return wide and thin and darkness(piece) < PALER * darkness(largest)

    return [piece for piece in pieces if piece is largest or not is_remnant(piece)]


def _joined(groups: list[Group]) -> list[Group]:
    """Join pieces that overlap in their columns, or nearly touch, until none do."""
    groups = sorted(groups, key=lambda group: -group.ink)[:MOST_PIECES]
    done = False
    while not done:
        done = True
        for i, one in enumerate(groups):
            j = next(
                (j for j in range(i + 1, len(groups)) if _belong(one.box, groups[j].box)), None
            )
            if j is not None:
                groups[i] = one.joined(groups.pop(j))
                done = False
                break
    return groups


def _belong(one: Box, other: Box) -> bool:
    height = max(one.height, other.height)
    near = one.distance(other) <= GAP * height
    alike = min(one.height, other.height) >= SMALLEST_DIGIT * height
    if alike and one.overlap(other) <= OVERLAP:
        return False  # side by side: two digits, however near
    return near or (one.overlap(other) > OVERLAP and one.distance(other) <= 2 * GAP * height)


def main_digit(groups: list[Group], shape: tuple[int, ...]) -> Group:
    """Return the group that is the picture's subject: much ink, not far from the middle.

    Args:
        groups: At least one.
        shape: The picture's height and width.
    """
    height, width = shape

    def weight(group: Group) -> float:
        box = group.box
        down = (box.top + box.bottom) / (2 * height) - 0.5
        across = (box.left + box.right) / (2 * width) - 0.5
        return group.ink * float(np.exp(-((down**2 + across**2) / CENTRAL**2)))

    return max(groups, key=weight)


def separate_digits(groups: list[Group], main: Group) -> list[Group]:
    """Return the main digit and the groups that look like digits beside it, from left to right.

    They are as tall, within a factor, have not much less ink and stand in one line with it.
    """

    def is_beside(group: Group) -> bool:
        ratio = group.box.height / main.box.height
        common = min(group.box.bottom, main.box.bottom) - max(group.box.top, main.box.top)
        return (
            SMALLEST_DIGIT <= ratio <= 1 / SMALLEST_DIGIT
            and common > 0
            and group.ink >= LEAST_INK * main.ink
        )

    return [group for group in groups if group is main or is_beside(group)]
