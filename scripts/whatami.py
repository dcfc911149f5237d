"""Ask a trained network which digit a picture shows: ``python -m scripts.whatami``."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from digits.images import ImageError, open_image, prepare
from scripts import cli, model_files

Array = NDArray[Any]

DEFAULT_NETWORK = "784-500-300-10"
DEFAULT_MODEL = Path("runs") / DEFAULT_NETWORK / "model.npz"
DECIMALS = 3
# D0 counts an answer only if its activation is within 0.5 of 1.
LEAST_SCORE = 50

EPILOG = f"""\
examples:
  python -m scripts.whatami three.png
  python -m scripts.whatami *.png --json
  python -m scripts.whatami --index 1004 --data mnist.npz --engine keras

A picture may be of any size, grey or coloured, with dark ink on light paper or the other way round.
The verdict is a digit if its score is the only highest one and at least {LEAST_SCORE}.
The model is {DEFAULT_MODEL} unless --model names another; "python -m scripts.train
{DEFAULT_NETWORK}" makes it. MNIST is looked for in --data, then MNIST_PATH, then Keras's cache.
--json prints one array with an object a picture: file, digit (null if undecided), scores (ten
percentages, null if there is an error), error (null if there is none).
Exit codes: 0 all answered, 1 failed on the way, 2 wrong options, model or pictures (the other
pictures are answered), 130 Ctrl-C.
"""


@dataclass
class Answer:
    """What is known about one picture.

    Attributes:
        file: Its name.
        scores: Ten percentages, rounded to the three decimals that are shown.
        error: Why there are no scores.
    """

    file: str
    scores: list[float] | None = None
    error: str | None = None

    @property
    def winners(self) -> list[int]:
        """The digits that share the highest score."""
        scores = self.scores or []
        return [digit for digit, score in enumerate(scores) if score == max(scores)]

    @property
    def digit(self) -> int | None:
        """The digit, or None where undecided: a tie, or less than half of what is possible."""
        # By the rounded scores, so that the verdict follows from what is shown.
        if self.scores is None or len(self.winners) > 1 or max(self.scores) < LEAST_SCORE:
            return None
        return self.winners[0]

    def verdict(self) -> str:
        """Return the last line of the text form."""
        if self.digit is not None:
            return f"I am a {self.digit}."
        best = f"{max(self.scores or [0]):.{DECIMALS}f}"
        if len(self.winners) > 1:
            tied = " and ".join(map(str, self.winners))
            return f"I am undecided: {tied} have the same score, {best}."
        return (
            f"I am undecided: the best score is {best}, for {self.winners[0]}; a verdict needs "
            f"{LEAST_SCORE}."
        )

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
        }


def parser() -> cli.Parser:
    """Return the command's options."""
    p = cli.Parser(prog="python -m scripts.whatami", description=__doc__, epilog=EPILOG)
    add = p.add_argument
    add("images", nargs="*", metavar="IMAGE", help="a picture of one digit: PNG, JPEG, TIFF ...")
    add("--model", type=Path, metavar="FILE", help=f".npz or .keras; default: {DEFAULT_MODEL}")
    add("--engine", choices=("numpy", "keras"), default="numpy", help="default: numpy")
    add("--index", type=int, metavar="N", help="MNIST test image N, 0..9999, after the IMAGEs")
    add("--data", type=Path, metavar="PATH", help="where MNIST is, for --index")
    add("--json", action="store_true", help="one JSON array instead of text")
    add(
        "--invert",
        choices=("auto", "yes", "no"),
        default="auto",
        help="yes: dark ink on light paper; no: the opposite; default: auto, by the border",
    )
    return p


def check(args: Namespace) -> None:
    """Check the options as a whole.

    Raises:
        CliError: Nothing to look at, or no model.
    """
    if not args.images and args.index is None:
        raise cli.CliError("expected an IMAGE or --index. Received: neither (see --help)")
    if args.data is not None and args.index is None:
        raise cli.CliError(f"--data: expected together with --index. Received: {args.data} alone")
    if args.model is None:
        args.model = DEFAULT_MODEL
        if not DEFAULT_MODEL.exists():
            raise cli.CliError(
                f"expected --model FILE, or a model at {DEFAULT_MODEL}; this makes it: "
                f"python -m scripts.train {DEFAULT_NETWORK}"
            )


Loader = Callable[[Literal[8, 28]], Array]


def sources(args: Namespace) -> list[tuple[str, Loader]]:
    """Return, for each picture asked for, its name and the function that brings it to a size."""
    found: list[tuple[str, Loader]] = [
        (name, lambda side, name=name: _picture(name, side, args.invert)) for name in args.images
    ]
    if args.index is not None:
        index, data = args.index, args.data
        found.append((f"MNIST test image {index}", lambda side: _mnist(index, data, side)))
    return found


def _picture(name: str, side: Literal[8, 28], invert: Literal["auto", "yes", "no"]) -> Array:
    return prepare(open_image(name), side, invert)


def _mnist(index: int, data: Path | None, side: Literal[8, 28]) -> Array:
    # Late, since pictures from files need none of it.
    from PIL import Image

    from digits.datasets import load_mnist

    x_test = load_mnist(data, notice=lambda line: print(line, file=sys.stderr)).x_test
    if not 0 <= index < len(x_test):
        raise ImageError(f"expected an index in 0..{len(x_test) - 1}. Received: {index}")
    if side == 28:
        return x_test[index] / model_files.BRIGHTEST
    return prepare(Image.fromarray(x_test[index]), side, "no")


def ask(model: model_files.Classifier, pictures: Sequence[tuple[str, Loader]]) -> list[Answer]:
    """Return an answer for each picture; those that cannot be read do not stop the others.

    Args:
        model: Gives the scores, for all pictures in one batch.
        pictures: Names, and functions that return the picture in the model's size.
    """
    side: Literal[8, 28] = 28 if model.side == 28 else 8
    answers, readable, arrays = [], [], []
    for name, load in pictures:
        answer = Answer(name)
        answers.append(answer)
        try:
            arrays.append(load(side))
            readable.append(answer)
        except (ValueError, MemoryError) as error:  # ImageError, DatasetError
            answer.error = _reason(error, name)
    scores = model.scores(np.stack(arrays)) if arrays else []
    for answer, row in zip(readable, scores, strict=True):
        _fill(answer, row)
    return answers


def _reason(error: Exception, name: str) -> str:
    """Return an error's message without the picture's name, which is said anyway."""
    message = str(error) or type(error).__name__
    for prefix in (f"{name}: ", f"{Path(name).expanduser()}: "):
        message = message.removeprefix(prefix)
    return cli.one_line(message)


def _fill(answer: Answer, row: Array) -> None:
    """Turn a model's outputs into percentages, or into an error if they are none."""
    if not (np.isfinite(row).all() and row.min() >= 0 and row.max() <= 1):
        numbers = ", ".join(f"{value:.4g}" for value in row)
        answer.error = f"expected scores in 0..1 from the model. Received: {numbers}"
        return
    # Adding 0.0 makes a negative zero, which would print as -0.000, a zero.
    answer.scores = [round(100 * value, DECIMALS) + 0.0 for value in row.tolist()]


def show(answers: Sequence[Answer], as_json: bool) -> None:
    """Print the answers to stdout and, in the text form, the errors to stderr."""
    if as_json:
        print(json.dumps([answer.record() for answer in answers], indent=2))
        return
    first = True
    for answer in answers:
        if answer.error is not None:
            sys.stdout.flush()
            print(f"whatami: {cli.printable(answer.file)}: {answer.error}", file=sys.stderr)
            continue
        # One picture from a file is known by its name; among several each needs a heading.
        heading = [f"{cli.printable(answer.file)}:"]
        alone = len(answers) == 1 and not answer.file.startswith("MNIST test image ")
        print("\n".join(([] if first else [""]) + ([] if alone else heading) + answer.lines()))
        first = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        argv: The arguments; None takes the process's own.
    """

    def body() -> int:
        args = parser().parse_args(argv)
        check(args)
        answers = ask(model_files.load(args.model, args.engine), sources(args))
        show(answers, args.json)
        return cli.USAGE_ERROR if any(answer.error is not None for answer in answers) else 0

    return cli.run("whatami", body)


if __name__ == "__main__":
    sys.exit(main())
