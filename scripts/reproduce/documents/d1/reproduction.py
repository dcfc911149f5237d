"""D1, Nielsen's chapter 1: perceptrons, NAND, and the networks 784-30-10 and 784-100-10."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ....samples import RecipeSamples
from ...results import Context, Results, Target
from ...training import Training
from . import columns, gates, pictures, tables, training
from .tables import BOOK
from .training import CURED, HALVES, KINDS, LARGE, SMALL, D1Run, Kind

EPOCHS = 30
# What more is trained, to see how often outputs die and why: more seeds, and for fewer epochs.
SURVEYED, FEWER_EPOCHS = 10, 10
STEPS_COMPARED = 200
ADDERS = (1, 4, 32)


def reproduce(context: Context) -> Results:
    """Draw the gate, train the networks, and show how outputs die and what prevents it."""
    pictures.perceptron(gates.NAND, context.out / "perceptron.png")
    context.status("reading MNIST")
    samples = training.load(context)
    train = _trainer(samples, context)
    seeds = range(context.seeds)
    runs = [train(kind, seed, EPOCHS) for kind in KINDS for seed in seeds]
    pictures.curves(runs, context.out / "curves.png")
    fewer = context.at_most(FEWER_EPOCHS, 2)
    halves = [train(kind, seed, fewer) for kind in HALVES for seed in seeds]
    further = range(context.seeds, context.at_most(SURVEYED, 2))
    survey = _of(LARGE, runs) + [train(LARGE, seed, fewer) for seed in further]
    values = {
        "gates": {str(bits): gates.gates(bits) for bits in ADDERS},
        "survey_dead": sum(bool(run.dead_after(fewer)) for run in survey),
        "survey_seeds": len(survey),
        "fewer_epochs": fewer,
        **_selection(runs),
        **_dying(runs, samples, context),
        **_columns(samples, context),
    }
    made = {
        "truth": tables.truth(),
        "accuracy": tables.accuracy(runs),
        "trainings": tables.trainings(runs),
        "survey": tables.survey(survey, fewer),
        "layers": tables.layers([*runs, *halves], fewer),
    }
    return Results(made, _targets(runs), values)


def beginnings(context: Context) -> dict[str, Callable[[], Training]]:
    """Return the trainings by name, with seed 0."""
    samples = training.load(context)
    lengths = dict.fromkeys(KINDS, EPOCHS) | dict.fromkeys(HALVES, FEWER_EPOCHS)
    return {
        str(kind): partial(training.set_up, kind, 0, samples, context, epochs)
        for kind, epochs in lengths.items()
    }


def _of(kind: Kind, runs: Iterable[D1Run]) -> list[D1Run]:
    return [run for run in runs if run.kind == kind]


def _trainer(samples: RecipeSamples, context: Context) -> Callable[[Kind, int, int], D1Run]:
    """Return what trains a network of a kind with a seed for some epochs, and tells how it goes."""

    def train(kind: Kind, seed: int, epochs: int) -> D1Run:
        # The document's own training prints its epochs as there.
        told = context.line if kind == SMALL and seed == 0 else None
        if told:
            told(f"{kind}, seed {seed}:")

        def on_epoch(epoch: int, right: int) -> None:
            line = f"Epoch {epoch}: {right} / {len(samples.x_test)}"
            context.status(f"{kind}, seed {seed}: {line}")
            if told:
                told(line)

        return training.train(kind, seed, samples, context, epochs, on_epoch)

    return train


def _selection(runs: Sequence[D1Run]) -> dict[str, float]:
    """Return what choosing the epoch on the test set adds, in points, where no output died."""
    sound = [run for run in runs if run.kind in (SMALL, CURED)]
    return {
        "gain_over_validation": max(run.best - run.chosen for run in sound),
        "gain_over_last": max(run.best - run.last for run in sound),
    }


def _dying(runs: Sequence[D1Run], samples: RecipeSamples, context: Context) -> dict[str, object]:
    """Draw what happens to the first seed that loses outputs, the cure beside it."""
    large = _of(LARGE, runs)
    died = next((run for run in large if run.dead), large[0])
    cured = _of(CURED, runs)[large.index(died)]
    pictures.outputs((died, cured), context.out / "outputs.png")
    context.status("looking at the first epoch, step by step")
    traces = [
        training.trace(kind, died.seed, samples, context, frozen)
        for kind, frozen in ((LARGE, False), (CURED, False), (CURED, True))
    ]
    pictures.dying(traces, context.out / "dying.png")
    z = traces[0].z
    return {
        "dead_trainings": sum(bool(run.dead) for run in large),
        "trainings": len(large),
        "shown_seed": died.seed,
        "shown_dead": died.dead,
        "shown_z": [float(z[-1, output]) for output in died.dead],
        "cured_lowest_z": float(traces[1].z.min()),
        "frozen_dead": len(traces[2].dead),
    }


def _columns(samples: RecipeSamples, context: Context) -> dict[str, float]:
    """Compare our steps with those of the document's own program."""
    context.status("comparing with the document's own program")
    steps = context.at_most(STEPS_COMPARED, 5)
    return {"columns_steps": steps, "columns_apart": columns.difference(samples, 0, steps)}


def _targets(runs: Sequence[D1Run]) -> list[Target]:
    small, cured = ([run.best for run in _of(kind, runs)] for kind in (SMALL, CURED))
    scaled = "784-100-10, best epoch, weights scaled (the author's are not)"
    return [
        Target("784-30-10, best epoch", BOOK["784-30-10"], 94.8, small),
        Target(scaled, BOOK["784-100-10"], 97.0, cured),
    ]
