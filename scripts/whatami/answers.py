"""What the network says about a picture: a digit, or a number of several, with its scores."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from digit_data.pictures.examine import Shares
from numpy_impl.types import Array

from ..model_files import CLASSES, Classifier
from .looking import SeenPicture
from .reading import cut_apart

DECIMALS = 3
# D0 counts an answer only if its activation is within 0.5 of 1. The rejecter's scores are shipped
# so that the same holds for them.
LEAST_SCORE = 50
# A number that nobody asked for is told only if each of its digits is at least so sure.
LEAST_OF_NUMBER = 80
# If the digits touch, so sure; and at least so many of them are no one: any straight stroke of a
# letter or a tick is a one too.
LEAST_OF_TOUCHING = 99
LEAST_NO_ONES = 2
# Where more than the first share of clutter is around it, each further one divides the odds that
# something is a digit by e to the power of the second: drawn and photographed digits have 0.11 at
# most, faces 0.2 on average.
CLUTTER, STEEPNESS = 0.12, 60
UNKNOWN, DIGIT = "?", "#"
# What the marks between digits make of a number; the first that fits is said.
FORMS = {
    "a date": r"\d{1,4}([-./])\d{1,2}\1\d{1,4}",
    "a time": r"\d{1,2}:\d\d(:\d\d)?",
    "with a minus and a decimal point": r"-\d+\.\d+",
    "with a minus": r"-\d+",
    "with a decimal point": r"\d+\.\d+",
    "with a decimal comma": r"-?\d+,\d+",
    "a percentage": r"-?\d+([.,]\d+)?%",
    "with separators": r"\d+([-./,:]\d+)+",
}


@dataclass
class Answer:
    """What is known about one picture.

    Attributes:
        file: Its name.
        scores: Ten percentages, rounded to the three decimals that are shown.
        error: Why there are no scores.
        notes: What the user should know about the picture, a line each.
        separate: How many digits there are in the picture; of more than one nothing can be said.
        digit_score: A percentage: how surely it is a digit at all; None if no network says so.
        number: The number that the picture plainly holds instead.
        box: Where it is in the picture: left, top, right and bottom as shares of width and height.
    """

    file: str
    scores: list[float] | None = None
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    separate: int = 1
    digit_score: float | None = None
    number: "Number | None" = None
    box: Shares | None = None

    def __str__(self) -> str:
        """Return the verdict for who did not use the command, or why there is none."""
        if self.error is not None:
            return self.error
        if self.number is not None:
            return self.number.verdict()
        if self.separate > 1:
            return f"I see {self.separate} separate signs, and am not sure that all are digits."
        return self.verdict()

    @property
    def digits(self) -> "list[Answer]":
        """What is said to be a digit, in reading order: itself, those of the number, or nothing."""
        if self.number is not None:
            return self.number.digits
        return [self] if self.digit is not None else []

    @property
    def text(self) -> str:
        """The digit or the number, with its marks; empty if nothing is sure."""
        if self.number is not None:
            return self.number.number or ""
        return "" if self.digit is None else str(self.digit)

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
        """The digit, or None: several, a tie, less than half of what is possible, or no digit."""
        # By the rounded scores, so that the verdict follows from what is shown.
        if self.scores is None or self.separate > 1 or len(self.winners) > 1:
            return None
        if self.is_foreign or self.number is not None:
            return None
        return self.winners[0] if max(self.scores) >= LEAST_SCORE else None

    @property
    def is_foreign(self) -> bool:
        """Whether it looks like no digit; several digits together are none, and are not foreign."""
        if self.number is not None or self.separate > 1:
            return False
        return self.digit_score is not None and self.digit_score < LEAST_SCORE

    @property
    def doubt(self) -> str:
        """What keeps the scores from saying a digit."""
        if self.is_foreign:
            best = f"my best guess would be {self.winners[0]}"
            shown = f"{self.digit_score:.{DECIMALS}f}"
            return f"the score for any digit is {shown}, and a verdict needs {LEAST_SCORE}; {best}"
        if len(self.winners) > 1:
            return f"{' and '.join(map(str, self.winners))} have the same score, {self.best}"
        return (
            f"the best score is {self.best}, for {self.winners[0]}; a verdict needs {LEAST_SCORE}"
        )

    def verdict(self) -> str:
        """Return the last line of the text form."""
        if self.digit is not None:
            return f"I am a {self.digit}."
        if self.number is not None:
            return f"I am a number, {self.number.told}; --segment shows its digits."
        if self.separate > 1:
            return (
                f"I see {self.separate} separate signs, and am not sure that all are digits; "
                f"--segment reads them."
            )
        tie = len(self.winners) > 1 and not self.is_foreign
        unknown = "undecided" if tie else "not a digit I know"
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
            "digit_score": self.digit_score,
            "number": self.number and self.number.number,
            "error": self.error,
            "notes": self.notes,
        }

    def rows(self) -> list[list[object]]:
        """Return the CSV form."""
        return [[*self.cells(), "" if self.number is None else self.number.number]]

    def cells(self) -> list[object]:
        """Return the digit, its scores, and that for any digit, for a table."""
        digit = "" if self.digit is None else self.digit
        any_digit = "" if self.digit_score is None else f"{self.digit_score:.{DECIMALS}f}"
        return [digit, *score_cells(self.scores), any_digit]


@dataclass
class Number:
    """What is known about one picture of a number.

    Attributes:
        file: Its name.
        digits: Its digits in reading order.
        error: Why there are no digits.
        notes: What the user should know about the picture, a line each.
        layout: For each row of writing its marks, and "#" for each digit; empty for one row of
            digits alone.
    """

    file: str
    digits: list[Answer] = field(default_factory=list)
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    layout: tuple[str, ...] = ()

    @property
    def separate(self) -> int:
        """One number, whatever its digits."""
        return 1

    @property
    def lines_of_writing(self) -> list[str]:
        """Each row, with a question mark for each digit that is undecided."""
        digits = iter(self.digits)
        layout = self.layout or (DIGIT * len(self.digits),)

        def shown(sign: str) -> str:
            if sign != DIGIT:
                return sign
            digit = next(digits).digit
            return UNKNOWN if digit is None else str(digit)

        return ["".join(map(shown, row)) for row in layout]

    @property
    def shown(self) -> str:
        """All rows as one number."""
        return "".join(self.lines_of_writing)

    @property
    def number(self) -> str | None:
        """The number as text, which keeps leading zeros, or None if a digit is undecided."""
        return None if self.error is not None or UNKNOWN in self.shown else self.shown

    @property
    def told(self) -> str:
        """The number in words: what its marks say of it, and in which rows it stands."""
        rows = self.lines_of_writing
        if len(rows) > 1:
            return f"{self.shown}, in {len(rows)} rows: {' / '.join(rows)}"
        form = next((f for f, sign in FORMS.items() if re.fullmatch(sign, self.shown)), None)
        return self.shown if form is None else f"{self.shown}, {form}"

    def is_sure(self, touching: bool = False) -> bool:
        """Return whether there are several digits, and both scores of each are high enough.

        Args:
            touching: Whether they were cut from one thing, which may be no number.
        """
        least = LEAST_OF_TOUCHING if touching else LEAST_OF_NUMBER
        if touching and sum(one.digit != 1 for one in self.digits) < LEAST_NO_ONES:
            return False
        return len(self.digits) > 1 and all(
            one.digit is not None and min(max(one.scores or [0]), one.digit_score or 0) >= least
            for one in self.digits
        )

    @property
    def digit_score(self) -> float | None:
        """The median of the scores for any digit; None if no network says so."""
        scores = [one.digit_score for one in self.digits if one.digit_score is not None]
        return float(np.median(scores)) if scores else None

    @property
    def is_foreign(self) -> bool:
        """Whether most of it looks like no digits."""
        return self.digit_score is not None and self.digit_score < LEAST_SCORE

    def verdict(self) -> str:
        """Return the last line of the text form."""
        if self.number is not None:
            return f"I am {self.told}."
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
            {
                "digit": one.digit,
                "scores": one.scores,
                "digit_score": one.digit_score,
                "box": one.box and [round(side, 4) for side in one.box],
            }
            for one in self.digits
        ]
        failed = self.error is not None
        return {
            "file": self.file,
            "number": self.number,
            "rows": None if failed else self.lines_of_writing,
            "digits": None if failed else digits,
            "error": self.error,
            "notes": self.notes,
        }

    def rows(self) -> list[list[object]]:
        """Return the CSV form: a row for each digit."""
        number = self.number or ""
        if self.error is not None:
            return [[number, "", "", *score_cells(None), ""]]
        return [[number, place, *one.cells()] for place, one in enumerate(self.digits, 1)]


def score_cells(scores: Sequence[float] | None) -> list[str]:
    """Return ten cells for a table, empty if there are no scores."""
    return [""] * CLASSES if scores is None else [f"{score:.{DECIMALS}f}" for score in scores]


def answer(model: Classifier, pictures: Sequence[SeenPicture]) -> list[Answer]:
    """Return an answer for each picture.

    Args:
        model: Gives the scores, for all pictures in one batch.
        pictures: What was seen in them, or why nothing was.
    """
    scored = _scored(model, pictures)
    return [_digit(model, seen, scored) for seen in pictures]


def read(model: Classifier, pictures: Sequence[SeenPicture]) -> list[Number]:
    """Return the number in each picture, for pictures that were cut apart digit by digit.

    Args:
        model: As for :func:`answer`.
        pictures: What ``reading.cut_apart`` returned.
    """
    scored = _scored(model, pictures)
    return [_number(seen, scored) for seen in pictures]


def _scored(model: Classifier, pictures: Sequence[SeenPicture]) -> Iterator[Answer]:
    """Yield what the network says of each array that was found, computed in one batch."""
    found = [(seen.name, seen.found) for seen in pictures if seen.found]
    names = [(name, one.clutter) for name, one in found for _ in one.pictures]
    arrays = [array for _, one in found for array in one.pictures]
    if not arrays:
        return
    stacked = np.stack(arrays)
    any_digit = model.digit_scores(stacked)
    for place, row in enumerate(model.scores(stacked)):
        name, clutter = names[place]
        made = _percentages(name, row)
        if any_digit is not None:
            surely = _among_clutter(float(any_digit[place]), clutter)
            made.digit_score = round(100 * surely, DECIMALS) + 0.0
        yield made


def _among_clutter(score: float, clutter: float) -> float:
    """Return how surely something is a digit, 0..1, with so much clutter around it."""
    odds = float(np.exp(-STEEPNESS * min(max(clutter - CLUTTER, 0), 1)))
    return score * odds / (score * odds + 1 - score)


def _digit(model: Classifier, seen: SeenPicture, scored: Iterator[Answer]) -> Answer:
    if seen.found is None:
        return Answer(seen.name, error=seen.error)
    made = next(scored)
    made.notes, made.separate = seen.found.notes, seen.found.digits
    made.box = seen.found.boxes[0]
    # One thing alone is cut only if it is no digit, and has to be more surely a number: a letter
    # has halves that look like digits. And one sure digit is no number by what shines through
    # beside it.
    several = sum(part.ink is not None for row in seen.found.rows for part in row) > 1
    if made.error is None and made.digit is None and (several or made.is_foreign):
        (number,) = read(model, [cut_apart(model, seen)])
        if number.is_sure(touching=not several):
            made.number = number
        elif made.separate > 1 and number.is_foreign:
            # A page of writing, say: it shall not be called a number of several digits.
            made.separate, made.digit_score = 1, number.digit_score
    return made


def _number(seen: SeenPicture, scored: Iterator[Answer]) -> Number:
    if seen.found is None:
        return Number(seen.name, error=seen.error)
    found = seen.found
    digits = [next(scored) for _ in found.pictures]
    for one, box in zip(digits, found.boxes, strict=True):
        one.box = box
    error = next((one.error for one in digits if one.error), None)
    if error is not None:
        return Number(seen.name, error=error, notes=found.notes)
    layout = tuple("".join(part.sign or DIGIT for part in row) for row in found.rows)
    return Number(seen.name, digits, notes=found.notes, layout=layout)


def _percentages(name: str, row: Array) -> Answer:
    """Turn a model's outputs into percentages, or into an error if they are none."""
    if not (np.isfinite(row).all() and row.min() >= 0 and row.max() <= 1):
        numbers = ", ".join(f"{value:.4g}" for value in row)
        error = f"expected scores in 0..1 from the model. Received: {numbers}"
        return Answer(name, error=error)
    # Adding 0.0 makes a negative zero, which would print as -0.000, a zero.
    return Answer(name, [round(100 * value, DECIMALS) + 0.0 for value in row.tolist()])
