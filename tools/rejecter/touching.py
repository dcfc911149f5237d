"""Digits that touch, cut apart as ``scripts.whatami.reading`` does: whole ones and fragments."""

from collections.abc import Iterator

import cv2
import numpy as np

from digit_data.pictures.cuts import segments
from digit_data.types import Array

from .inks import Generator, cut, seen

# MNIST's digits are put side by side so many times as large.
FACTOR = 3
INK = 96
# A part of two digits is one of them if it has so much of its ink and hardly any of the other's; it
# is none if it has a good part of both, or too little of either.
WHOLE = 0.9
STUB = 0.12
BOTH = 0.5
FRAGMENT = 0.7
# At most so many of each of a pair.
MOST = 4


def touching(left: Array, right: Array, rng: Generator) -> tuple[Array, Array]:
    """Return the ink of two digits, (28, 28) uint8, that are pushed together: (H, W) float32."""
    one, other = (_large(digit, rng) for digit in (left, right))
    rows = max(len(one), len(other)) + 12
    drop = [int(rng.integers(0, rows - len(ink) + 1)) for ink in (one, other)]
    first, second = (
        np.pad(ink, ((top, rows - top - len(ink)), (0, 0)))
        for ink, top in zip((one, other), drop, strict=True)
    )
    # In each row so much is free between them; they overlap a little where it is least.
    width = first.shape[1]
    gaps = np.argmax(first[:, ::-1] > INK, axis=1) + np.argmax(second > INK, axis=1)
    both = (first > INK).any(axis=1) & (second > INK).any(axis=1)
    gap = int(gaps[both].min()) if both.any() else 0
    start = max(width - gap - int(rng.integers(1, 2 * FACTOR)), 0)
    columns = max(start + second.shape[1], width)
    sheets = np.zeros((2, rows, columns), np.float32)
    sheets[0, :, :width] = first
    sheets[1, :, start : start + second.shape[1]] = second
    kept = (sheets.max(axis=0) > INK).any(axis=1)
    return sheets[0][kept] / 255, sheets[1][kept] / 255


def _large(digit: Array, rng: Generator) -> Array:
    ink = cut(np.where(digit > 40, digit, 0).astype(np.uint8))
    scale = FACTOR * rng.uniform(0.85, 1.15)
    return cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def parts(
    digits: Array, labels: Array, count: int, rng: Generator
) -> tuple[list[tuple[Array, int]], list[Array], list[Array]]:
    """Push so many pairs of digits together, and cut them.

    Args:
        digits: (N, 28, 28) uint8.
        labels: What they are, (N,).
        count: Of pairs.
        rng: Chooses them.

    Returns:
        As a network sees them: whole digits, with some of the neighbour or without an end, and
        their labels; what is more than one digit; and what is less.
    """
    whole: list[tuple[Array, int]] = []
    more: list[Array] = []
    less: list[Array] = []
    for left, right in rng.integers(len(digits), size=(count, 2)).tolist():
        inks = touching(digits[left], digits[right], rng)
        found = [(ink, shares) for ink, shares in _shares(*inks) if ink.any()]
        good = [
            (ink, labels[(left, right)[int(np.argmax(shares))]])
            for ink, shares in found
            if max(shares) >= WHOLE and min(shares) <= STUB
        ]
        both = [ink for ink, shares in found if min(shares) >= BOTH]
        rest = [ink for ink, shares in found if max(shares) < FRAGMENT]
        for place in rng.permutation(len(good))[:MOST].tolist():
            whole.append((seen(_box(good[place][0])), int(good[place][1])))
        more += [seen(_box(both[place])) for place in rng.permutation(len(both))[:MOST].tolist()]
        less += [seen(_box(rest[place])) for place in rng.permutation(len(rest))[:MOST].tolist()]
    return whole, more, less


def _shares(one: Array, other: Array) -> Iterator[tuple[Array, tuple[float, float]]]:
    """Yield all parts of two digits, and which share of the ink of each it has."""
    for segment in segments(np.maximum(one, other)):
        ink = segment.ink
        shares = (float(np.minimum(ink, own).sum() / own.sum()) for own in (one, other))
        yield ink, (next(shares), next(shares))


def _box(ink: Array) -> Array:
    return cut((255 * (ink / ink.max())).astype(np.uint8))
