"""Write a set of made-up pictures to the disk, of any size: ``python -m tools.synthetic``.

A picture is its digit's pattern, which is drawn once, with noise on it, so that there is something
to learn. It is written piece by piece, and needs little memory itself.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digit_data.on_disk import ARRAYS, CLASSES
from terminal_io import CliError, Parser, printable, run

SIDE = 28
# Samples that are made at once; of the test part there are a hundredth of all, and at most so many.
PIECE, MOST_TESTED = 20_000, 10_000


def write(folder: Path, samples: int, seed: int) -> None:
    """Write a training part of so many samples and a test part, ``digit_data.on_disk`` reads them.

    Raises:
        CliError: There are files of such a name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name in ARRAYS if (folder / name).exists()]
    if there:
        raise CliError(f"--out: expected a new folder. Received: {printable(folder / there[0])}")
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 128, (CLASSES, SIDE, SIDE), np.uint8)
    for part, count in (("train", samples), ("test", min(MOST_TESTED, -(-samples // 100)))):
        labels = rng.integers(0, CLASSES, count, np.uint8)
        np.save(folder / f"y_{part}.npy", labels)
        shape = (count, SIDE, SIDE)
        with (folder / f"x_{part}.npy").open("wb") as file:
            facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, facts)
            for start in range(0, count, PIECE):
                some = labels[start : start + PIECE]
                noise = rng.integers(0, 128, (len(some), SIDE, SIDE), np.uint8)
                noise += patterns[some]
                noise.tofile(file)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""

    def body() -> int:
        parser = Parser(prog="python -m tools.synthetic", description=__doc__)
        add = parser.add_argument
        add("--samples", type=int, default=10_000_000, help="of the training part; default: 10^7")
        add("--seed", type=int, default=0, help="default: 0")
        add("--out", type=Path, required=True, help="the folder")
        args = parser.parse_args(argv)
        for name, least in (("samples", 1), ("seed", 0)):
            if getattr(args, name) < least:
                raise CliError(
                    f"--{name}: expected {least} or more. Received: {getattr(args, name)}"
                )
        write(args.out, args.samples, args.seed)
        return 0

    return run("synthetic", body)


if __name__ == "__main__":
    sys.exit(main())
