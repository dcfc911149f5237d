"""From pieces of ink to digits: which belong together, and which digit is the picture's subject."""

import numpy as np

from digit_data.pictures.pieces import GAP, Box, Group, find_pieces, without_specks
from digit_data.types import Array

__all__ = ["find_digits", "joined", "main_digit", "separate_digits"]

# No line of digits has more pieces; a page of text, or a pattern, may.
MOST_PIECES = 100
# Two digits side by side overlap in at most this share of the narrower one's width, and the smaller
# is at least this share of the larger one's height.
OVERLAP = 0.25
# Two digits stand on one line: their feet differ by at most this share of the taller one's height.
OFF_LINE = 0.25
SMALLEST_DIGIT = 0.5
LEAST_INK = 0.2
# Ink this far from the middle, as a share of the picture's side, weighs a third (1 / e).
CENTRAL = 0.5


def find_digits(strength: Array, mask: Array) -> tuple[list[Group], Array]:
    """Group the connected pieces of ink to digits, specks left out too.

    Args:
        strength: As for :func:`find_pieces`.
        mask: As for :func:`find_pieces`.

    Returns:
        The groups from left to right, at least one, and the number of its piece for each pixel.
    """
    pieces, labels = find_pieces(strength, mask)
    return joined(without_specks(pieces)), labels


def joined(groups: list[Group]) -> list[Group]:
    """Join pieces that overlap in their columns, or nearly touch, until none do.

    Returns:
        The groups from left to right.
    """
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
    return sorted(groups, key=lambda group: group.box.left)


def _belong(one: Box, other: Box) -> bool:
    height = max(one.height, other.height)
    near = one.distance(other) <= GAP * max(height, one.width, other.width)
    alike = min(one.height, other.height) >= SMALLEST_DIGIT * height
    in_line = abs(one.bottom - other.bottom) <= OFF_LINE * height
    if alike and in_line and one.overlap(other) <= OVERLAP:
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
