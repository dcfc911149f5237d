"""The first steps of every training are those that are kept, and another recipe is noticed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numpy_impl import optimizers, training
from scripts import recipes
from scripts.reproduce import first_steps, pages
from scripts.reproduce.documents import DOCUMENTS, reproduction
from scripts.reproduce.results import Context
from scripts.reproduce.training import FirstSteps, Training

Patch = pytest.MonkeyPatch


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_trainings_of_a_page_go_as_they_went(document: str):
    with first_steps.context() as context:
        said = first_steps.changes(
            document, reproduction(document).beginnings(context), first_steps.read(document)
        )
    assert said == [], f"if it is meant: make pages DOCUMENTS={document}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_kept_says_something(document: str):
    for kept in first_steps.read(document).values():
        # Two losses at least: the second one knows the learning rate.
        assert len(kept["values"]) >= 3
        assert max(kept["rounding"]) < first_steps.MOST


def _another_rate(monkeypatch: Patch) -> None:
    build, rate = optimizers.Optimizer.__init__, recipes.Recipe.learning_rate

    def init(self: optimizers.Optimizer, learning_rate: float, *rest: Any) -> None:
        build(self, learning_rate * (1 + 1e-6), *rest)

    monkeypatch.setattr(optimizers.Optimizer, "__init__", init)
    monkeypatch.setattr(
        recipes.Recipe, "learning_rate", lambda self, epoch: rate(self, epoch) * (1 + 1e-6)
    )


def _another_seed(monkeypatch: Patch) -> None:
    generators = Context.generators
    monkeypatch.setattr(Context, "generators", lambda self, seed: generators(self, seed + 1))


def _other_weights(monkeypatch: Patch) -> None:
    _drawn_by_another(monkeypatch, 0)


def _another_order(monkeypatch: Patch) -> None:
    _drawn_by_another(monkeypatch, 1)
    # D2's is that of the file.
    backwards = replace(
        recipes.get("64-200-10"), order=lambda n, size, rng: lambda epoch: list(
            np.arange(n)[::-1, None]
        ),
    )  # fmt: skip
    monkeypatch.setitem(recipes.RECIPES, "64-200-10", backwards)


def _drawn_by_another(monkeypatch: Patch, which: int) -> None:
    generators = Context.generators

    def changed(self: Context, seed: int) -> list[np.random.Generator]:
        own = generators(self, seed)
        own[which] = np.random.default_rng(99)
        return own

    monkeypatch.setattr(Context, "generators", changed)


PLANTS: list[Callable[[Patch], None]] = [
    _another_rate, _another_seed, _other_weights, _another_order,
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("plant", PLANTS)
def test_a_changed_recipe_is_noticed(plant: Callable[[Patch], None], document: str, monkeypatch):
    kept = first_steps.read(document)
    plant(monkeypatch)
    with first_steps.context() as context:
        said = first_steps.changes(document, reproduction(document).beginnings(context), kept)
    noticed = {line.removeprefix(f"{document}, ").rpartition(": after")[0] for line in said}
    # No network: these draw nothing, and have rates of their own.
    none = {name for name in kept if name.startswith(("descent", "perceptron"))}
    if plant is _another_order:
        # All samples in one batch have no order.
        none |= {name for name in kept if name.endswith("gradient descent")}
    assert noticed == kept.keys() - none


def test_another_step_of_a_descent_and_other_points_are_noticed(monkeypatch: Patch):
    d4, kept = reproduction("d4"), first_steps.read("d4")
    cases = [
        replace(case, learning_rate=case.learning_rate * (1 + 1e-6)) for case in d4.descent.CASES
    ]
    monkeypatch.setattr(d4.descent, "CASES", cases)
    monkeypatch.setattr(d4.perceptron, "SEED", 11)
    with first_steps.context() as context:
        said = first_steps.changes("d4", d4.beginnings(context), kept)
    assert [line.partition(":")[0] for line in said] == sorted(
        f"d4, {name}" for name in kept if name.startswith(("descent", "perceptron"))
    )


def test_a_training_that_is_new_gone_longer_or_on_other_samples_is_noticed():
    kept = first_steps.read("d0")
    kept["gone"] = kept.pop("sound, held out")
    with first_steps.context() as context:
        named = dict(reproduction("d0").beginnings(context))
        own = named["as published"]()
        named["as published"] = lambda: replace(own, epochs=21)
        scaled = named["and pixels in 0..1"]()
        fewer = replace(scaled.data, x_test=scaled.data.x_test[:9], y_test=scaled.data.y_test[:9])
        named["and pixels in 0..1"] = lambda: replace(scaled, data=fewer)
        said = first_steps.changes("d0", named, kept)
    assert said[:3] == [
        "d0, and pixels in 0..1: after 10 steps: expected "
        + said[0].partition("expected ")[2],
        "d0, and pixels in 0..1: tested on: expected 359. Received: 9",
        "d0, as published: epochs: expected 20. Received: 21",
    ]  # fmt: skip
    assert said[3:] == ["d0, gone: no such training", "d0, sound, held out: not kept"]


@pytest.mark.parametrize("document", ["d0", "d1", "d3", "d4"])
def test_rounding_alone_is_not_noticed(document: str):
    """Each batch back to front: the same sums in another order."""

    def turned(own: Training) -> Training:
        schedule = own.schedule
        return replace(own, schedule=lambda epoch: [batch[::-1] for batch in schedule(epoch)])

    kept, same = first_steps.read(document), 0
    with first_steps.context() as context:
        for name, begin in reproduction(document).beginnings(context).items():
            if isinstance(own := begin(), Training):
                count = len(kept[name]["values"]) - 1
                found, plain = turned(own).first_steps(count), begin().first_steps(count)
                assert first_steps.differences(name, found, kept[name]) == []
                same += found.values == plain.values
    assert same < len(kept) / 2


class _Chaos:
    """x <- 4 x (1 - x), which doubles a difference at each step, one with another."""

    def __init__(self) -> None:
        self.weights = [np.array([0.3])]

    def first_steps(self, count: int) -> FirstSteps:
        values = [float(self.weights[0][0])]
        for _ in range(count):
            values.append(4 * values[-1] * (1 - values[-1]))
        return FirstSteps({}, values)


def test_what_rounding_decides_is_not_kept():
    kept = first_steps.measure(_Chaos, 60)
    # 2^-40 2^k passes 1e-6 after twenty steps.
    assert 15 <= len(kept["values"]) <= 25
    assert kept["rounding"] == sorted(kept["rounding"])
    assert kept["rounding"][0] == pytest.approx(2.0**-40, rel=0.05)
    assert 1e-8 < kept["rounding"][-1] < first_steps.MOST


class _Overflow:
    weights = (np.ones(1),)

    def first_steps(self, count: int) -> FirstSteps:
        return FirstSteps({}, [1.0, 2.0, np.nan, np.nan][: count + 1])


def test_what_is_no_number_is_not_kept_and_not_taken_for_one():
    kept = first_steps.measure(_Overflow, 3)
    assert kept["values"] == [1.0, 2.0]
    assert "Received: nan" in first_steps.differences("x", FirstSteps({}, [1.0, np.nan]), kept)[0]
    assert "Received: [1.0]" in first_steps.differences("x", FirstSteps({}, [1.0]), kept)[0]


def test_what_is_written_is_what_is_kept(tmp_path: Path):
    first_steps.write("d1", tmp_path)
    written = json.loads((tmp_path / first_steps.FILE).read_text(encoding="utf-8"))
    kept = first_steps.read("d1")
    assert written.keys() == kept.keys()
    for name, own in written.items():
        found = FirstSteps(own["sizes"], own["values"])
        assert first_steps.differences(name, found, kept[name]) == []


def test_steps_are_taken_over_the_end_of_an_epoch(tmp_path: Path):
    """Six batches of two epochs of four: as two whole epochs begin."""
    d0 = reproduction("d0")
    context = Context(1, tmp_path, status=lambda text: None, dtype="float64")
    own, other = (d0.beginnings(context)["sound, held out"]() for _ in range(2))
    few = replace(own.data, x_train=own.data.x_train[:40], y_train=own.data.y_train[:40])
    rng = np.random.default_rng
    steps = replace(own, data=few, schedule=training.shuffled(40, 10, rng(5))).first_steps(6)
    assert steps.sizes["batches an epoch"] == 4
    logs: list[dict[str, float]] = []
    other.fit(
        few.x_train, few.y_train, epochs=1, schedule=training.shuffled(40, 10, rng(5)),
        on_epoch=lambda epoch, measured: logs.append(measured),
    )  # fmt: skip
    assert np.mean(steps.values[:4]) == pytest.approx(logs[0]["loss"], rel=1e-12)


def test_how_long_and_how_often_is_what_the_pages_state():
    """What the first steps of a training do not show."""
    d0, d2, d3 = (reproduction(document) for document in ("d0", "d2", "d3"))
    assert pages.value("d0", "trainings") == d0.TRAININGS_A_SEED * pages.results("d0")["seeds"]
    assert pages.value("d2", "seeds") == d2.LEAST_SEEDS[d2.CROSSENTROPY, True, None]
    assert pages.value("d3", "patience") == d3.PATIENCE
    assert pages.value("d3", "tried_epochs") == d3.training.TRIED_EPOCHS
    assert recipes.get("64-200-10").stop_below == 0.01
