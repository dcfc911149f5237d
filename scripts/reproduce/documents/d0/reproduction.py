"""D0 reproduced: 64-40-10 on scikit-learn's digits, as published and as it should be."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from numpy_impl.types import Array

from .... import browse, plots
from ...results import Context, Results, Target
from ...training import Training
from . import data, pictures, reading, tables
from .reading import UNDECIDED
from .tables import Runs
from .training import (
    LADDER,
    NAMES,
    PUBLISHED,
    SCALED,
    SOUND,
    D0Run,
    Protocol,
    held_out,
    last_359,
    random_split,
    set_up,
    trainings,
)

# By the published protocol the seeds differ so much that three say little.
TRAININGS_A_SEED = 3
# Beside the published 1.
RATES = (0.3, 3.0)
COLUMNS = [*map(str, range(10)), "undec."]


def reproduce(context: Context) -> Results:
    """Train by both protocols, read by every rule, and draw what it shows."""
    many = context.at_most(TRAININGS_A_SEED * context.seeds, 1)
    few = context.at_most(context.seeds, 1)
    runs = {p: trainings(p, last_359, many, context) for p in LADDER}
    chosen_on = {p: trainings(p, held_out, few, context) for p in LADDER}
    at_random = {
        p: trainings(p, lambda seed: random_split(seed, context), few, context) for p in NAMES
    }
    rates = _other_rates(context, few) | {SOUND.learning_rate: chosen_on[SOUND]}
    nudged = {p: trainings(p.nudge(), last_359, 1, context)[0] for p in NAMES}
    context.status("drawing")
    starts = _starts(context, few)
    _draw(runs, starts, context.out)
    return Results(
        {
            "ladder": tables.ladder(runs, chosen_on),
            "rates": tables.rates(rates),
            "splits": tables.splits(runs, at_random),
            "rules": tables.rules(runs),
            "seeds": tables.seeds(runs[PUBLISHED]),
            "nudges": tables.nudges(runs, nudged),
            "slopes": tables.slopes(starts),
            "example": tables.example(runs),
        },
        [
            Target("64-40-10, sound, last 359", None, 90, tables.argmax(runs[SOUND])),
            Target("64-40-10, sound, random splits", None, 95, tables.argmax(at_random[SOUND])),
        ],
        {"trainings": many, **_run_values(runs), **data.values()},
    )


def beginnings(context: Context) -> dict[str, Callable[[], Training]]:
    """Return the trainings by name, with seed 0."""
    on = {protocol.title: (protocol, last_359(0)) for protocol in LADDER}
    on |= {f"{name}, random split": (p, random_split(0, context)) for p, name in NAMES.items()}
    on["sound, held out"] = (SOUND, held_out(0))
    on |= {f"sound, rate {rate:g}": (SOUND.at(rate), held_out(0)) for rate in RATES}
    return {
        name: partial(set_up, protocol, data, 0, context) for name, (protocol, data) in on.items()
    }


def _other_rates(context: Context, seeds: int) -> dict[float, list[D0Run]]:
    rates = () if context.quick else RATES
    return {rate: trainings(SOUND.at(rate), held_out, seeds, context) for rate in rates}


def _starts(context: Context, seeds: int) -> dict[Protocol, list[Array]]:
    """Return the slopes a (1 - a) of both layers on the training pictures, before training."""
    pictures = last_359(0).x_train
    slopes: dict[Protocol, list[Array]] = {}
    for protocol in (PUBLISHED, SCALED, SOUND):
        x = protocol.inputs(pictures, context.dtype)
        networks = [protocol.network(context.generators(s)[0], "float64") for s in range(seeds)]
        layers = zip(*(network.layer_outputs(x) for network in networks), strict=True)
        slopes[protocol] = [np.concatenate(a) * (1 - np.concatenate(a)) for a in layers]
    return slopes


def _draw(runs: Runs, starts: Mapping[Protocol, Sequence[Array]], out: Path) -> None:
    test = last_359(0)
    first = browse.Examples("digits", "test", test.x_test, test.y_test)
    browse.grid(first, None, 0, out / "examples.png")
    # The first, and the first that is left undecided.
    undecided = reading.read(runs[PUBLISHED][0].outputs) == UNDECIDED
    shown = [0, int(np.argmax(undecided[1:])) + 1]
    outputs = {name: runs[protocol][0].outputs[shown] for protocol, name in NAMES.items()}
    labels = test.y_test[shown].tolist()
    pictures.examples(test.x_test[shown], labels, outputs, out / "outputs.png")
    named = {protocol.start: slopes for protocol, slopes in starts.items()}
    pictures.slopes(named, out / "slopes.png")
    for protocol, file in ((PUBLISHED, "confusion-published"), (SOUND, "confusion-sound")):
        counts = [reading.confusion(run.outputs, run.labels) for run in runs[protocol]]
        title = f"{NAMES[protocol]}, {len(counts)} trainings"
        plots.confusion(np.sum(counts, axis=0), out / f"{file}.png", title, COLUMNS)
    curves = {name: [run.curve for run in runs[protocol]] for protocol, name in NAMES.items()}
    pictures.curves(curves, out / "curves.png")


def _run_values(runs: Runs) -> dict[str, Any]:
    published, sound = tables.argmax(runs[PUBLISHED]), tables.argmax(runs[SOUND])
    readings = [run.reading for run in runs[PUBLISHED]]
    return {
        "published_worst": f"{min(published):.1f}",
        "published_best": f"{max(published):.1f}",
        "sound_worst": f"{min(sound):.1f}",
        "sound_best": f"{max(sound):.1f}",
        "gain": f"{statistics.fmean(sound) - statistics.fmean(published):.1f}",
        "lost_output": f"{max(map(_lost_output, runs[PUBLISHED])):.1g}",
        "losing": sum(bool(r.lost) for r in readings),
        "losing_zero": sum(0 in r.lost for r in readings),
        "rule_helps": sum(r.published > r.argmax for r in readings),
    }


def _lost_output(run: D0Run) -> float:
    """Return the largest, over the digits lost, of the median output for a digit's own pictures."""
    own = (np.median(run.outputs[run.labels == digit, digit]) for digit in run.reading.lost)
    return float(max(own, default=0))
