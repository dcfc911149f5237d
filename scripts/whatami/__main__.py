"""Ask a trained network which digit a picture shows: ``python -m scripts.whatami``."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from numpy_impl.types import Array
from terminal_io import USAGE_ERROR, CliError, Parser, Signals, run

from .. import model_files, starting
from . import answers, counting, formats, pictures
from .answers import Answer, Number
from .looking import SeenPicture, View, look_at_all
from .reading import cut_apart
from .seen_files import SeenFiles

# Scores are computed for so many pictures together, or for what there is after so many seconds.
BATCH = 256
SECONDS_A_BATCH = 0.25
MOST_PLOTTED = 20

EPILOG = f"""\
examples:
  python -m scripts.whatami three.png
  python -m scripts.whatami year.jpg --segment
  python -m scripts.whatami photos/ "scans/*.png" --csv > answers.csv
  python -m scripts.whatami three.png --explain why.png
  curl -s https://example.org/three.png | python -m scripts.whatami - --plot three-seen.png
  python -m scripts.whatami --index 1004 --data mnist.npz --engine keras

An IMAGE is a picture file of any size, grey or coloured, with dark ink on light paper or the other
way round; "-", standard input; a folder, for the pictures right in it; or a pattern.
The verdict is a digit if its score is the only highest one, at least {answers.LEAST_SCORE}, if it
looks like a digit at all (digit_score, at least {answers.LEAST_SCORE} too), and if there are no
other digits in the picture. A number is said if each of its digits is sure; --segment reads it in
any case, row by row.
The model is the one that comes with the project unless --model names another: .npz, .keras, or the
.weights.h5 of a documented network. MNIST is looked for in --data, then MNIST_PATH, then Keras's
cache.
--json prints one array with an object a picture: file, digit (null if undecided), scores (ten
percentages, null if there is an error), digit_score (a percentage), number (text, null if there is
none), error (null if there is none), notes (a list). With --segment: file, number (text, null if a
digit is undecided), rows (the text of each), digits (null if there is an error; of each digit,
scores, digit_score, box: left, top, right, bottom as shares), error, notes.
--csv prints a table with the same, with --segment in a row a digit.
Exit codes: 0 all answered, 1 failed on the way, 2 wrong options, model or pictures (the other
pictures are answered), 130 Ctrl-C.
"""


def parser() -> Parser:
    """Return the command's options."""
    p = starting.parser("whatami", __doc__, EPILOG)
    add = p.add_argument
    images = "a picture (PNG, JPEG, TIFF ...), -, a folder or a pattern"
    add("images", nargs="*", metavar="IMAGE", help=images)
    models = "a trained model; default: the one that comes with the project"
    add("--model", type=Path, default=model_files.SHIPPED_MODEL, metavar="FILE", help=models)
    add("--engine", choices=("numpy", "keras"), default="numpy", help="default: numpy")
    add("--segment", action="store_true", help="read several digits, row by row")
    add("--index", type=int, metavar="N", help="MNIST test image N, 0..9999, after the IMAGEs")
    add("--data", type=Path, metavar="PATH", help="where MNIST is, for --index")
    forms = p.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="one JSON array instead of text")
    forms.add_argument("--csv", action="store_true", help="a table instead of text")
    saved = "save what the network saw, as PNG files"
    add("--save-preprocessed", type=Path, metavar="DIR", help=saved)
    plot = "draw pictures, what the network saw, and scores"
    add("--plot", type=Path, metavar="FILE.png", help=plot)
    explain = "draw which pixels decided: with paper over them, and by the score's gradient"
    add("--explain", type=Path, metavar="FILE.png", help=explain)
    add(
        "--invert",
        choices=("auto", "yes", "no"),
        default="auto",
        help="yes: dark ink on light paper; no: opposite; default: auto, by what looks written",
    )
    return p


def check(args: Namespace) -> None:
    """Check the options as a whole.

    Raises:
        CliError: Nothing to look at, or nowhere to draw.
    """
    if not args.images and args.index is None:
        raise CliError("expected an IMAGE or --index. Received: neither (see --help)")
    if args.data is not None and args.index is None:
        raise CliError(f"--data: expected together with --index. Received: {args.data} alone")
    for option, path in figures(args):
        if path.is_dir() or not path.parent.is_dir():
            raise CliError(f"{option}: expected a file in a folder. Received: {path}")
    if args.plot is not None and args.explain is not None and args.plot == args.explain:
        raise CliError(f"--explain: expected another file than --plot. Received: {args.plot}")


def figures(args: Namespace) -> list[tuple[str, Path]]:
    """Return the options that ask for a figure, with its file."""
    asked = (("--plot", args.plot), ("--explain", args.explain))
    return [(option, path) for option, path in asked if path is not None]


def check_figure(option: str, plot: Path, sources: Sequence[pictures.Source]) -> None:
    """Check what is to be drawn.

    Raises:
        CliError: Too many pictures, or the figure would replace one of them.
    """
    if len(sources) > MOST_PLOTTED:
        raise CliError(
            f"{option}: expected at most {MOST_PLOTTED} pictures. Received: {len(sources)}"
        )
    names = [source.name for source in sources if source.content is None]
    if plot.exists() and any(Path(n).exists() and plot.samefile(n) for n in names):
        raise CliError(f"{option}: expected a file to write. Received: {plot}, an IMAGE")


def check_gradient(model: model_files.Classifier) -> None:
    """Check that a model can be differentiated, before anything is answered.

    Raises:
        CliError: It cannot.
    """
    try:
        model.gradient(np.zeros((1, model.side, model.side)), 0)
    except CliError as error:
        raise CliError(f"--explain: {error}") from error


def batches(seen: Iterator[SeenPicture]) -> Iterator[list[SeenPicture]]:
    """Yield pictures in batches, so that many are fast and the first are answered soon."""
    batch: list[SeenPicture] = []
    due = time.monotonic() + SECONDS_A_BATCH
    for one in seen:
        batch.append(one)
        if len(batch) == BATCH or time.monotonic() >= due:
            yield batch
            batch, due = [], time.monotonic() + SECONDS_A_BATCH
    if batch:
        yield batch


class Invocation:
    """One run of the command: its model, its pictures, and what is to be done with the answers.

    Args:
        args: The options.

    Raises:
        CliError: They cannot be followed.
    """

    def __init__(self, args: Namespace) -> None:
        self.args = args
        self.model = model_files.load(args.model, args.engine)
        self.sources = pictures.sources(args.images)
        if args.index is not None:
            self.sources.append(pictures.mnist_source(args.index, args.data))
        self.figures = figures(args)
        for option, path in self.figures:
            check_figure(option, path, self.sources)
        if args.explain is not None:
            check_gradient(self.model)
        self.files: SeenFiles | None = None
        if args.save_preprocessed is not None:
            names = [source.name for source in self.sources if source.content is None]
            self.files = SeenFiles(args.save_preprocessed, names)
        self._drawn: list[tuple[SeenPicture, Answer | Number]] = []

    def run(self, stop: Callable[[], None]) -> bool:
        """Answer, print and save.

        Args:
            stop: Called where the work can stop; raises if it shall.

        Returns:
            Whether there were errors.
        """
        args = self.args
        view = View(
            28 if self.model.side == 28 else 8, args.invert, args.segment, bool(self.figures)
        )
        form = "json" if args.json else "csv" if args.csv else "text"
        alone = [source.name for source in self.sources] == args.images
        alone = alone and len(self.sources) == 1
        failed = False
        with (
            closing(formats.writer(form, args.segment, alone)) as writer,
            counting.counting(len(self.sources), "pictures") as count,
            closing(look_at_all(self.sources, view, stop)) as seen,
        ):
            for batch in batches(seen):
                for answer in self._answered(batch):
                    writer.write(answer)
                    failed = failed or answer.error is not None
                print(end="", flush=True)
                count(len(batch))
        if self._drawn:
            self._draw()
        return failed

    def _answered(self, batch: list[SeenPicture]) -> Iterator[Answer | Number]:
        """Yield the answers for a batch, after what is to be saved of each picture."""
        ask = answers.answer
        if self.args.segment:
            ask, batch = answers.read, [cut_apart(self.model, seen) for seen in batch]
        found = ask(self.model, batch)
        for one, answer in zip(batch, found, strict=True):
            if self.files is not None:
                self.files.save(one)
            if self.figures and answer.error is None:
                self._drawn.append((one, answer))
            yield answer

    def _draw(self) -> None:
        from . import explaining, plots  # late: matplotlib

        def explain(picture: Array, answer: Answer) -> explaining.DigitExplanation:
            return explaining.explain(self.model, picture, answer)

        for option, path in self.figures:
            if option == "--plot":
                left_out = plots.save(path, self._drawn)
            else:
                shown = [self._by_digits(*drawn) for drawn in self._drawn]
                left_out = plots.save_explained(path, shown, explain)
            if left_out:
                print(f"whatami: {option}: {left_out} digits were left out", file=sys.stderr)

    def _by_digits(
        self, seen: SeenPicture, answer: Answer | Number
    ) -> tuple[SeenPicture, Answer | Number]:
        """Return what was said digit by digit, where a number was told."""
        if isinstance(answer, Number) or answer.number is None:
            return seen, answer
        return cut_apart(self.model, seen), answer.number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    Args:
        argv: The arguments; None takes the process's own.
    """

    def body() -> int:
        args = parser().parse_args(argv)
        check(args)
        with Signals() as signals:
            session = Invocation(args)
            signals.defer()  # answers are printed whole, and JSON ends well
            failed = session.run(signals.check)
        return USAGE_ERROR if failed else 0

    return run("whatami", body)


if __name__ == "__main__":
    sys.exit(main())
