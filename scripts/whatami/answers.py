"""What the network says about a picture: a digit, or a number of several, with its scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from numpy_impl.types import Array

from ..model_files import CLASSES, Classifier
from .looking import Seen

DECIMALS = 3
# D0 counts an answer only if its activation is within 0.5 of 1.
LEAST_SCORE = 50


@dataclass
class Answer:
    """What is known about one picture.

    Attributes:
        file: Its name.
        scores: Ten percentages, rounded to the three decimals that are shown.
        error: Why there are no scores.
        notes: What the user should know about the picture, a line each.
        separate: How many digits there are in the picture; of more than one nothing can be said.
    """

    file: str
    scores: list[float] | None = None
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    separate: int = 1

    @property
    def winners(self) -> list[int]:
        """The digits that share the highest score."""
        scores = self.scores or []
        highest = max(scores, default=0)
        return [digit for digit, score in enumerate(scores) if score == highest]

    @property
    def best(self) -> str:
        """The highest score."""
        return f"{max(self.scores or [0]):.{DECIMALS}f}"

    @property
    def digit(self) -> int | None:
        """The digit, or None: several digits, a tie, or less than half of what is possible."""
        # By the rounded scores, so that the verdict follows from what is shown.
        if self.scores is None or self.separate > 1 or len(self.winners) > 1:
            return None
        return self.winners[0] if max(self.scores) >= LEAST_SCORE else None

    @property
    def doubt(self) -> str:
        """What keeps the scores from saying a digit."""
        if len(self.winners) > 1:
            return f"{' and '.join(map(str, self.winners))} have the same score, {self.best}"
        return (
            f"the best score is {self.best}, for {self.winners[0]}; a verdict needs {LEAST_SCORE}"
        )

    def verdict(self) -> str:
        """Return the last line of the text form."""
        if self.digit is not None:
            return f"I am a {self.digit}."
        if self.separate > 1:
            return f"I see {self.separate} separate digits; --segment reads them."
        unknown = "undecided" if len(self.winners) > 1 else "not a digit I know"
        return f"I am {unknown}: {self.doubt}."

    def lines(self) -> list[str]:
        """Return the text form: ten lines and the verdict."""
        scored = enumerate(self.scores or [])
        return [f"Am I a {d} ? -- score: {s:.{DECIMALS}f}" for d, s in scored] + [self.verdict()]

    def record(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "file": self.file,
            "digit": self.digit,
            "scores": self.scores,
            "error": self.error,
            "notes": self.notes,
        }

    def rows(self) -> list[list[object]]:
        """Return the CSV form."""
        digit = "" if self.digit is None else self.digit
        return [[digit, *score_cells(self.scores)]]


@dataclass
class Number:
    """What is known about one picture of a number.

    Attributes:
        file: Its name.
        digits: Its digits from left to right.
        boxes: Where each is: left, top, right and bottom as shares of width and height.
        error: Why there are no digits.
        notes: What the user should know about the picture, a line each.
    """

    file: str
    digits: list[Answer] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    error: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def separate(self) -> int:
        """One number, whatever its digits."""
        return 1

    @property
    def shown(self) -> str:
        """The number, with a question mark for each digit that is undecided."""
        return "".join("?" if one.digit is None else str(one.digit) for one in self.digits)

    @property
    def number(self) -> str | None:
        """The number as text, which keeps leading zeros, or None if a digit is undecided."""
        return None if self.error is not None or "?" in self.shown else self.shown

    def verdict(self) -> str:
        """Return the last line of the text form."""
        if self.number is not None:
            return f"I am {self.number}."
        place, unknown = next((i, d) for i, d in enumerate(self.digits, 1) if d.digit is None)
        return f"I am undecided, {self.shown}: of digit {place}, {unknown.doubt}."

    def lines(self) -> list[str]:
        """Return the text form: a line for each digit and the verdict."""
        best = [
            f"Digit {place}: am I a {one.winners[0]} ? -- score: {one.best}"
            for place, one in enumerate(self.digits, 1)
        ]
        return [*best, self.verdict()]

    def record(self) -> dict[str, object]:
        """Return the JSON form."""
        digits = [
            {"digit": one.digit, "scores": one.scores, "box": [round(side, 4) for side in box]}
            for one, box in zip(self.digits, self.boxes, strict=True)
        ]
        return {
            "file": self.file,
            "number": self.number,
            "digits": None if self.error is not None else digits,
            "error": self.error,
            "notes": self.notes,
        }

    def rows(self) -> list[list[object]]:
        """Return the CSV form: a row for each digit."""
        number = self.number or ""
        if self.error is not None:
            return [[number, "", "", *score_cells(None)]]
        return [[number, place, *one.rows()[0]] for place, one in enumerate(self.digits, 1)]


def score_cells(scores: Sequence[float] | None) -> list[str]:
    """Return ten cells for a table, empty if there are no scores."""
    return [""] * CLASSES if scores is None else [f"{score:.{DECIMALS}f}" for score in scores]


def answer(model: Classifier, pictures: Sequence[Seen]) -> list[Answer]:
    """Return an answer for each picture.

    Args:
        model: Gives the scores, for all pictures in one batch.
        pictures: What was seen in them, or why nothing was.
    """
    outputs = _outputs(model, pictures)
    return [_digit(seen, outputs) for seen in pictures]


def read(model: Classifier, pictures: Sequence[Seen]) -> list[Number]:
    """Return the number in each picture, for pictures that were examined digit by digit."""
    outputs = _outputs(model, pictures)
    return [_number(seen, outputs) for seen in pictures]


def _outputs(model: Classifier, pictures: Sequence[Seen]) -> Iterator[Array]:
    """Return the scores for all that was found, computed in one batch."""
    arrays = [array for seen in pictures if seen.found for array in seen.found.pictures]
    return iter(model.scores(np.stack(arrays)) if arrays else [])


def _digit(seen: Seen, outputs: Iterator[Array]) -> Answer:
    if seen.found is None:
        return Answer(seen.name, error=seen.error)
    made = _scored(seen.name, next(outputs))
    made.notes, made.separate = seen.found.notes, seen.found.digits
    return made


def _number(seen: Seen, outputs: Iterator[Array]) -> Number:
    if seen.found is None:
        return Number(seen.name, error=seen.error)
    digits = [_scored(seen.name, next(outputs)) for _ in seen.found.pictures]
    error = next((one.error for one in digits if one.error), None)
    if error is not None:
        return Number(seen.name, error=error, notes=seen.found.notes)
    return Number(seen.name, digits, seen.found.boxes, notes=seen.found.notes)


def _scored(name: str, row: Array) -> Answer:
    """Turn a model's outputs into percentages, or into an error if they are none."""
    if not (np.isfinite(row).all() and row.min() >= 0 and row.max() <= 1):
        numbers = ", ".join(f"{value:.4g}" for value in row)
        error = f"expected scores in 0..1 from the model. Received: {numbers}"
        return Answer(name, error=error)
    # Adding 0.0 makes a negative zero, which would print as -0.000, a zero.
    return Answer(name, [round(100 * value, DECIMALS) + 0.0 for value in row.tolist()])
