"""Measure what the rejecter turns down, and write its card: ``python -m tools.rejecter.measuring``.

Pictures that it was not trained on are asked about as ``scripts.whatami`` does: digits by hand,
drawn, printed and photographed, of which it shall lose few, and what is no digit (``held_out``).
Run it in the project's folder: some of the digits are those of ``tests.pictures``.
"""

import hashlib
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from digit_data.datasets import load_digits, load_mnist
from digit_data.pictures.examine import Examined, ImageError, examine, open_image
from digit_data.types import Array
from numpy_impl import serialization
from numpy_impl.layers import Conv2D, Dense, Layer
from scripts import calibration, model_files
from scripts.model_files import SHIPPED_MODEL, SHIPPED_REJECTER
from scripts.whatami.answers import LEAST_SCORE, Answer, answer
from scripts.whatami.looking import SeenPicture
from terminal_io import Parser, run, writable_directory, write_text
from tests.pictures import hard_kinds, scenes
from tests.pictures.rendered import WAYS, large

from . import held_out, validation

Shown = Iterable[tuple[Image.Image, int]]

NONE = -1
THRESHOLDS = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)

CARD = """\
# {name}

The network that `python -m scripts.whatami` asks whether a picture shows a digit at all: {layers}; ReLU, softmax;
{parameters:,} parameters in float32. A score for each digit, and the last for what is none; the score for any digit is
1 less the last. Trained by the functions of `tools.rejecter`; this card was written by
`python -m tools.rejecter.measuring --share {share:g}`.
SHA-256 of {name}.npz: `{sha256}`

It was trained on MNIST's first 55,000 digits, on digits drawn and printed, and on letters, signs, scribbles,
outlines, solid things, blots, pairs and fragments of digits, digits turned and mirrored, the letters of a hundred
scripts, textures, papers, pages and photographs, drawn anew or in the fonts of Debian's packages. All that is measured
here it has not seen: other digits, other fonts, other scripts, other things. Its layers and what it learns from were
chosen by yet other kinds, those of `tools.rejecter.validation`.

## Digits that are lost

Of digits that are read right, the share that is turned down as no digit. ECE is the expected calibration error
of the scores of those that are not turned down (15 bins).

{digits}

## What is no digit

The share that gets no verdict: no ink was found, the score for any digit or the best digit's is below {least},
or there are several things of which not all are digits.

{none}

## Loss against rejection

The verdict needs {least}. If it needed another score, so many of all digits above would be lost, and so many of
what is no digit turned down for it (the mean over the kinds):

{curve}
"""  # noqa: E501


@dataclass
class MeasuredKind:
    """What was answered of pictures of a kind.

    Attributes:
        labels: What they show; ``NONE`` for what is no digit.
        answers: Of each.
    """

    labels: list[int]
    answers: list[Answer]

    @property
    def scores(self) -> Array:
        """How surely each is a digit, in percent; 0 where there is no ink, or no best digit."""
        return np.array(
            [
                0.0
                if one.scores is None or max(one.scores) < LEAST_SCORE or one.separate > 1
                else one.digit_score
                for one in self.answers
            ]
        )

    @property
    def right(self) -> Array:
        """Whether the best digit is what is shown, and is said unless the rejecter forbids it."""
        return np.array(
            [
                one.scores is not None
                and one.separate == 1
                and one.winners == [label]
                and max(one.scores) >= LEAST_SCORE
                for one, label in zip(self.answers, self.labels, strict=True)
            ]
        )

    @property
    def lost(self) -> Array:
        """Whether a digit that is read right is turned down, for those that are."""
        own = np.array([one.digit for one in self.answers])
        return (own != np.array(self.labels))[self.right]

    @property
    def silent(self) -> Array:
        """Whether neither a digit nor a number is said."""
        return np.array([one.digit is None and one.number is None for one in self.answers])


def asked(model: model_files.Classifier, shown: Shown) -> MeasuredKind:
    """Ask about pictures."""
    labels: list[int] = []
    seen: list[SeenPicture] = []
    for image, label in shown:
        labels.append(label)
        try:
            seen.append(SeenPicture("", examine(image)))
        except ImageError as error:
            seen.append(SeenPicture("", error=str(error)))
    return MeasuredKind(labels, answer(model, seen))


def mnist(data: Path | None) -> tuple[list[SeenPicture], list[int]]:
    """Return MNIST's test pictures, given as they are, and their labels."""
    test = load_mnist(data)
    pixels = test.x_test / np.float32(255)
    seen = [SeenPicture("", Examined([picture], [(0, 0, 1, 1)], 1, [])) for picture in pixels]
    return seen, test.y_test.tolist()


def scikit_digits(count: int) -> Iterator[tuple[Image.Image, int]]:
    """Yield scikit-learn's digits, of 8x8 pixels, six times as large and dark on white."""
    x, y = load_digits()
    for pixels, label in islice(zip(x.reshape(-1, 8, 8), y, strict=True), count):
        large = np.kron(255 - pixels * 255 / 16, np.ones((6, 6)))
        yield Image.fromarray(large.astype(np.uint8)), int(label)


def rendered(data: Path | None, count: int) -> Iterator[tuple[Image.Image, int]]:
    """Yield so many of MNIST's test digits, rendered in seven ways in turn."""
    test = load_mnist(data)
    ways = list(WAYS.values())
    for number, place in enumerate(np.random.default_rng(1).permutation(len(test.x_test))[:count]):
        way = ways[number % len(ways)]
        image = way(large(test.x_test[place]), np.random.default_rng(number))
        yield image, int(test.y_test[place])


def digits(
    model: model_files.Classifier, data: Path | None, share: float
) -> dict[str, MeasuredKind]:
    """Ask about digits of every kind."""
    seen, labels = mnist(data)
    each = max(round(12 * share), 1)
    return {
        "MNIST's test set": MeasuredKind(labels, answer(model, seen)),
        "MNIST's test set, rendered in seven ways": asked(
            model, rendered(data, round(7_000 * share))
        ),
        "scikit-learn's digits, six times as large": asked(
            model, scikit_digits(round(900 * share))
        ),
        "printed, in fonts not trained on": asked(
            model, ((Image.fromarray(p), d) for p, d in held_out.digits(round(900 * share)))
        ),
        "drawn and photographed, `tests.pictures.scenes`": asked(
            model,
            ((open_image(BytesIO(s.data)), s.digit) for s in scenes.collection(2026, each)),
        ),
        "hard kinds, `tests.pictures.hard_kinds`": asked(
            model,
            (
                (image, digit)
                for kind in hard_kinds.KINDS
                for digit, image in hard_kinds.samples(kind, 1, max(round(4 * share), 1))
            ),
        ),
    }


def _layers(layers: Sequence[Layer]) -> str:
    """Say which layers compute something from weights, in order."""
    convolutions = [
        f"{layer.filters} filters of {'x'.join(map(str, layer.kernel_size))}, stride "
        f"{layer.strides[0]}"
        for layer in layers
        if isinstance(layer, Conv2D)
    ]
    units = [str(layer.units) for layer in layers if isinstance(layer, Dense)]
    return (
        f"convolutions with {' and '.join(convolutions)}, and dense layers of {' and '.join(units)}"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _digits_table(found: dict[str, MeasuredKind]) -> str:
    rows: list[list[object]] = []
    for name, one in found.items():
        kept = [(a, label) for a, label in zip(one.answers, one.labels, strict=True)
                if a.digit is not None]  # fmt: skip
        scores = np.array([a.scores for a, _ in kept]) / 100
        ece = calibration.expected_calibration_error(scores, np.array([d for _, d in kept]))
        lost = f"{one.lost.mean():.2%} ({np.count_nonzero(one.lost)} of {len(one.lost):,})"
        rows.append([name, f"{len(one.labels):,}", f"{one.right.mean():.2%}", lost, f"{ece:.2%}"])
    return _table(["digits", "pictures", "read right", "of these lost", "ECE"], rows)


def _none_table(found: dict[str, MeasuredKind]) -> str:
    rows = [
        [name, len(one.labels), f"{one.silent.mean():.1%}"] for name, one in found.items()
    ]  # fmt: skip
    mean = np.mean([one.silent.mean() for one in found.values()])
    return _table(["kind", "pictures", "turned down"], [*rows, ["mean", "", f"{mean:.1%}"]])


def _curve(digits: dict[str, MeasuredKind], none: dict[str, MeasuredKind]) -> str:
    known = np.concatenate([one.scores[one.right] for one in digits.values()])
    rows = [
        [
            threshold,
            f"{np.mean(known < threshold):.2%}",
            f"{np.mean([np.mean(one.scores < threshold) for one in none.values()]):.1%}",
        ]
        for threshold in THRESHOLDS
    ]
    return _table(["score", "digits lost", "no digits turned down"], rows)


def _run(args: Namespace) -> int:
    model = model_files.load(SHIPPED_MODEL)
    kinds = validation.KINDS if args.validation else held_out.KINDS
    none = {
        kind: asked(
            model,
            (
                (Image.fromarray(p), NONE)
                for p in held_out.pictures(kind, draw, round(200 * args.share))
            ),
        )
        for kind, draw in kinds.items()
    }
    if args.validation:
        print(_none_table(none))
        return 0
    known = digits(model, args.data, args.share)
    network = serialization.load(SHIPPED_REJECTER)
    card = CARD.format(
        name=SHIPPED_REJECTER.stem,
        layers=_layers(network.layers),
        parameters=network.parameters.size,
        sha256=hashlib.sha256(SHIPPED_REJECTER.read_bytes()).hexdigest(),
        least=LEAST_SCORE,
        share=args.share,
        digits=_digits_table(known),
        none=_none_table(none),
        curve=_curve(known, none),
    )
    print(card)
    if args.out is not None:
        name = f"{SHIPPED_REJECTER.stem}.md"
        write_text(writable_directory(args.out, (name,)) / name, card)
    return 0


def parser() -> Parser:
    """Return the command's options."""
    p = Parser(prog="python -m tools.rejecter.measuring", description=__doc__)
    p.add_argument("--data", type=Path, metavar="PATH", help="where MNIST is")
    p.add_argument("--share", type=float, default=1.0, metavar="S", help="of the pictures; 1")
    p.add_argument(
        "--validation", action="store_true",
        help="only what is no digit, of the kinds by which choices were made",
    )  # fmt: skip
    p.add_argument("--out", type=Path, metavar="DIR", help="where to write the card; default: not")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("rejecter", lambda: _run(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
