"""The two engines behind ``scripts.draw``, and what they make of one picture."""

import threading
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np

from digit_data.pictures.examine import Examined, examine, open_image
from numpy_impl.types import Array
from terminal_io import one_line

from .. import model_files
from ..whatami import answers
from ..whatami.looking import SeenPicture
from ..whatami.reading import cut_apart

State = Literal["loading", "ready", "failed"]

PERCENT = 100


class LateKeras:
    """The Keras engine, which takes seconds to load and does so in a thread of its own.

    Args:
        path: The model file.

    Attributes:
        state: Whether it is "loading", "ready" or "failed".
        error: Why it failed, in one line.
        model: The network, once it is ready.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state: State = "loading"
        self.error: str | None = None
        self.model: model_files.Classifier | None = None

    def start(self) -> None:
        """Begin to load."""
        threading.Thread(target=self.load, name="draw-keras", daemon=True).start()

    def load(self) -> None:
        """Load, and compute once, since the first time is the slowest."""
        try:
            model = model_files.load(self.path, "keras")
            model.scores(np.zeros((1, model.side, model.side)))
        # No Keras, another Keras, a model it cannot read: the page does without and says why.
        except Exception as error:
            self.error = one_line(error) or type(error).__name__
            self.state = "failed"
        else:
            self.model = model
            self.state = "ready"


class Engines:
    """Both engines with one model.

    Args:
        model: The NumPy engine's.
        keras: The Keras engine's.
    """

    def __init__(self, model: model_files.Classifier, keras: LateKeras) -> None:
        self.keras = keras
        self._model = model
        # Keras is not made for several threads.
        self._lock = threading.Lock()

    def look(self, file: bytes) -> dict[str, object]:
        """Return what the page shows for a picture file, ready for JSON.

        Args:
            file: The content of the file.

        Returns:
            ``side`` and ``pixels`` (0..255, row by row) of what the networks were given; ``notes``;
            ``found``, of each digit in reading order digit (None if it is not sure), score and box
            (left, top, right, bottom as shares of the picture); a record for ``numpy`` and
            ``keras`` each (state, scores, digit, verdict, foreign, guess, error);
            ``difference``, the greatest between their scores before rounding, in percent, None
            as long as there is only one.

        Raises:
            ImageError: Not a picture, or none with a digit on it.
        """
        side: Literal[8, 28] = 28 if self._model.side == 28 else 8
        found = examine(open_image(BytesIO(file)), side)
        picture = found.pictures[0]
        records, rows = [], []
        with self._lock:  # not for the picture, which may take seconds
            for model in (self._model, self.keras.model):
                records.append(self._record(model, found))
                rows += [] if model is None else [model.scores(picture[None])[0]]
            places = self._places(found)
        shares = np.clip(picture / (1 if side == 28 else 16), 0, 1)
        pixels = np.rint(shares * model_files.BRIGHTEST).astype(int)
        return {
            "side": side,
            "pixels": pixels.ravel().tolist(),
            "notes": found.notes,
            "found": places,
            "numpy": records[0],
            "keras": records[1],
            "difference": _difference(*rows) if len(rows) == 2 else None,
        }

    def _record(self, model: model_files.Classifier | None, found: Examined) -> dict[str, object]:
        """Return one engine's answer, by the command's own rounding and verdict."""
        if model is None:
            return {"state": self.keras.state, "error": self.keras.error}
        (answer,) = answers.answer(model, [SeenPicture("the picture", found)])
        if answer.error:
            return {"state": "failed", "error": answer.error, "scores": None}
        return {
            "state": "ready",
            "scores": answer.scores,
            "digit": answer.digit,
            "verdict": str(answer),
            "foreign": answer.is_foreign,
            "guess": answer.winners[0],
            "error": None,
        }

    def _places(self, found: Examined) -> list[dict[str, object]]:
        """Return where which digit was found, by the NumPy engine."""
        seen = SeenPicture("the picture", found)
        (answer,) = answers.answer(self._model, [seen])
        digits = [answer]
        if answer.number is not None:
            digits = answer.number.digits
        elif answer.separate > 1:
            digits = answers.read(self._model, [cut_apart(self._model, seen)])[0].digits
        return [
            {"digit": one.digit, "score": float(one.best), "box": one.box}
            for one in digits
            if one.error is None
        ]


def _difference(one: Array, other: Array) -> float | None:
    """Return the greatest difference in percent; None if some score is not a number."""
    worst = float(np.abs(one - other).max()) * PERCENT
    return worst if np.isfinite(worst) else None
