"""Which pixels decided: what a score loses where paper covers the ink, and its gradient.

Occlusion asks the network about the picture with a small square of paper over each place in turn;
the gradient asks what a little more ink at each pixel would change. The first tells what the answer
rests on. The second tells what it is sensitive to: where a score is near 100 it is small all over.
"""

from dataclasses import dataclass

import numpy as np

from numpy_impl.types import Array

from ..model_files import Classifier
from .answers import Answer

# The side of the square of paper: more than a stroke is wide, in 28x28 and in 8x8 pixels.
COVERS = {28: 5, 8: 3}
# How bright full ink is.
INK = {28: 1, 8: 16}
PERCENT = 100


@dataclass(frozen=True)
class DigitExplanation:
    """What decided about one digit.

    Attributes:
        digit: Whose score is explained; None: the score for any digit, of what looks like none.
        score: That score, a percentage.
        occlusion: (side, side): by how many percentage points the score is lower with paper over
            the square around each pixel; negative where it is higher.
        gradient: (side, side): percentage points for each pixel's change from paper to ink, as if
            it went on as it begins.
    """

    digit: int | None
    score: float
    occlusion: Array
    gradient: Array


def explain(model: Classifier, picture: Array, answer: Answer) -> DigitExplanation:
    """Return what decided about a picture.

    Args:
        model: Gives the scores.
        picture: What it was given, (side, side).
        answer: What was said of it. Of what looks like no digit the score for any digit is
            explained, as that decided; else the best score.

    Raises:
        CliError: The network cannot be differentiated.
    """
    digit = None if answer.is_foreign else answer.winners[0]
    covered = _covered(picture, COVERS[model.side])
    scores = PERCENT * _scores(model, np.concatenate([picture[None], covered]), digit)
    gradient = model.gradient(picture[None], digit)[0] * PERCENT * INK[model.side]
    occlusion = (scores[0] - scores[1:]).reshape(picture.shape)
    return DigitExplanation(digit, float(scores[0]), occlusion, gradient)


def _scores(model: Classifier, pictures: Array, digit: int | None) -> Array:
    if digit is not None:
        return model.scores(pictures)[:, digit]
    any_digit = model.digit_scores(pictures)
    assert any_digit is not None  # a rejecter has turned the picture down
    return any_digit


def _covered(picture: Array, cover: int) -> Array:
    """Return the picture once for each pixel, with paper over the square around it."""
    side, half = len(picture), cover // 2
    covered = np.repeat(picture[None], side * side, axis=0)
    for place in range(side * side):
        row, column = divmod(place, side)
        rows = slice(max(0, row - half), row + half + 1)
        covered[place, rows, max(0, column - half) : column + half + 1] = 0
    return covered
