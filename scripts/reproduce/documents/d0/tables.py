"""D0's tables: how each way to train it fares, on which pictures, and read by which rule."""

from collections.abc import Mapping, Sequence

import numpy as np

from numpy_impl.types import Array

from ...results import Table, spread
from .training import NAMES, PUBLISHED, D0Run, Protocol

Runs = Mapping[Protocol, Sequence[D0Run]]

# A sigmoid's slope is at most 1/4.
FLAT = 0.01


def argmax(runs: Sequence[D0Run]) -> list[float]:
    """Return the percents right by argmax, one for each training."""
    return [run.reading.argmax for run in runs]


def _spread_of(runs: Sequence[D0Run], name: str, digits: int = 2) -> str:
    return spread([float(getattr(run.reading, name)) for run in runs], digits)


def ladder(runs: Runs, chosen_on: Runs) -> Table:
    """Return what each change on the way from the published protocol to the sound one brings."""
    rows = []
    for protocol, trained in runs.items():
        right = argmax(trained)
        rows.append(
            [
                protocol.title,
                spread(argmax(chosen_on[protocol])),
                spread(right),
                f"{min(right):.2f} to {max(right):.2f}",
                f"{sum(len(run.reading.lost) for run in trained)}",
            ]
        )
    few, many = len(chosen_on[PUBLISHED]), len(runs[PUBLISHED])
    title = (
        f"Percent right by argmax, one change after the other, {few} trainings on the held-out "
        f"fifth and {many} on the last 359"
    )
    return Table(title, ["trained", "held out", "last 359", "from, to", "digits lost"], rows)


def rates(rates: Mapping[float, Sequence[D0Run]]) -> Table:
    """Return how well the sound protocol fares with other learning rates."""
    rows = [[f"{rate:g}", spread(argmax(rates[rate]))] for rate in sorted(rates)]
    title = "Percent right of the held-out fifth by argmax, trained soundly"
    return Table(title, ["learning rate", "held out"], rows)


def splits(runs: Runs, at_random: Runs) -> Table:
    """Return how both protocols fare on both kinds of split, read by each rule."""
    rows = []
    for split, by_protocol in (("last 359", runs), ("random 450", at_random)):
        for protocol, name in NAMES.items():
            trained = by_protocol[protocol]
            rules = [_spread_of(trained, rule) for rule in ("published", "argmax", "decided")]
            rows.append([name, split, str(len(trained)), *rules])
    columns = ["trained", "tested on", "trainings", "published rule", "argmax", "undecided wrong"]
    return Table("Percent right", columns, rows)


def rules(runs: Runs) -> Table:
    """Return what becomes of the undecided answers."""
    counts = ("undecided", "real_zeros", "invented_zeros", "zeros")
    rows = [
        [name, *(_spread_of(runs[protocol], count, 1) for count in counts)]
        for protocol, name in NAMES.items()
    ]
    columns = [
        "trained",
        "undecided of 359",
        "of these 0s",
        "others, reported as 0",
        "reported 0s that are 0s, percent",
    ]
    return Table("What the published rule does with undecided answers", columns, rows)


def seeds(published: Sequence[D0Run]) -> Table:
    """Return every training by the published protocol."""
    rows = []
    for seed, run in enumerate(published):
        r = run.reading
        rows.append(
            [
                str(seed),
                f"{r.published:.2f}",
                f"{r.argmax:.2f}",
                str(r.undecided),
                str(r.real_zeros),
                str(r.invented_zeros),
                ", ".join(map(str, r.lost)) or "none",
            ]
        )
    columns = [
        "seed", "published rule", "argmax", "undecided", "of these 0s", "others", "digits lost",
    ]  # fmt: skip
    return Table("Each training as published, tested on the last 359", columns, rows)


def nudges(runs: Runs, nudged: Mapping[Protocol, D0Run]) -> Table:
    """Return what one unit in the last place of every initial weight changes, with seed 0."""
    rows = []
    for protocol, after in nudged.items():
        before = runs[protocol][0]
        same = np.count_nonzero(before.outputs.argmax(axis=1) == after.outputs.argmax(axis=1))
        right = (before.reading.argmax, after.reading.argmax)
        rows.append([NAMES[protocol], *(f"{percent:.2f}" for percent in right), f"{same} of 359"])
    columns = ["trained", "seed 0", "seed 0, nudged", "same answers"]
    return Table("Percent right of the last 359 by argmax", columns, rows)


def slopes(starts: Mapping[Protocol, Sequence[Array]]) -> Table:
    """Return how many sigmoids are flat before training."""
    rows = [
        [protocol.start, *(f"{100 * float(np.mean(layer < FLAT)):.1f}" for layer in both)]
        for protocol, both in starts.items()
    ]
    title = f"Percent of the slopes a (1 - a) below {FLAT} before training"
    return Table(title, ["start", "hidden units", "outputs"], rows)


def example(runs: Runs) -> Table:
    """Return the ten outputs for one picture."""
    label = int(runs[PUBLISHED][0].labels[0])
    rows = [
        [name, *(f"{output:.3f}" for output in runs[protocol][0].outputs[0])]
        for protocol, name in NAMES.items()
    ]
    title = f"The ten outputs for the first test picture, a {label} (seed 0)"
    return Table(title, ["trained", *map(str, range(10))], rows)
