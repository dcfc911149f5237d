"""Count the numbers that are read whole: ``python -m tools.rejecter.numbers touching``."""

import sys
from argparse import Namespace
from collections.abc import Sequence

from scripts import model_files
from scripts.model_files import SHIPPED_MODEL
from scripts.whatami.answers import read
from scripts.whatami.looking import View, look
from scripts.whatami.pictures import Source
from scripts.whatami.reading import cut_apart
from terminal_io import Parser, run
from tests.pictures import writing


def parser() -> Parser:
    """Return the command's options."""
    p = Parser(prog="python -m tools.rejecter.numbers", description=__doc__)
    p.add_argument("kind", choices=tuple(writing.KINDS), help="how they are written")
    p.add_argument("--seed", type=int, default=21, metavar="N", help="default: 21")
    p.add_argument("--count", type=int, default=264, metavar="N", help="default: 264")
    return p


def _run(args: Namespace) -> int:
    model = model_files.load(SHIPPED_MODEL)
    right = 0
    for number in writing.numbers(args.kind, args.seed, args.count):
        seen = look(Source("x", number.data), View(28, segment=True))
        (said,) = read(model, [cut_apart(model, seen)])
        right += said.number == number.digits
    print(f"{args.kind}, seed {args.seed}: {right} of {args.count} read whole")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run("numbers", lambda: _run(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
