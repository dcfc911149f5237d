"""Random right networks, in every combination of conventions, are called right; wrong ones not."""

from collections.abc import Callable
from typing import Any

import pytest

from tests import census
from tests.parity.random_correct.answers import false_alarm, overlooked_bias, overlooked_entry


def ask(question: Callable[[int], Any], chunk: int, size: int) -> list[Any]:
    """Return the answers for one chunk of seeds; in a sample for two fifths of it."""
    seeds, key = range(size * chunk, size * (chunk + 1)), f"{question.__name__} {chunk}"
    return [question(seed) for seed in census.sample(seeds, 2 * size // 5, key)]


def joined(answers: list[str]) -> str:
    return "\n\n".join([f"{len(answers)} of them", *answers])


@pytest.mark.census(keep=1)
@pytest.mark.parametrize("chunk", range(80))
def test_right_networks_are_called_right(chunk):
    answers = ask(false_alarm, chunk, 25)
    alarms = [shown for outcome, shown in answers if outcome not in ("right", "cannot tell")]
    assert not alarms, joined(alarms)
    # In float32 with a state inside the step some cannot be told: some of these 2,000, two of
    # them neighbours.
    unsure = [shown for outcome, shown in answers if outcome == "cannot tell"]
    assert len(unsure) <= 2, joined(unsure)


@pytest.mark.parametrize("seed", [5, 15, 77, 315, 667, 707, 957])
def test_right_networks_that_were_accused_are_called_right(seed):
    outcome, shown = false_alarm(seed)
    assert outcome == "right", shown


@pytest.mark.census(keep=2)
@pytest.mark.parametrize("seed", range(2000, 2020))
def test_right_networks_are_called_right_with_keras(seed):
    outcome, shown = false_alarm(seed, keras=True)
    assert outcome == "right", shown


@pytest.mark.census(keep=2, by=lambda question, chunk: question)
@pytest.mark.parametrize("chunk", range(20))
@pytest.mark.parametrize("question", [overlooked_entry, overlooked_bias])
def test_the_smallest_mistake_is_seen(question, chunk):
    answers = ask(question, chunk, 5)
    overlooked = [answer for answer in answers if answer]
    assert not overlooked, joined(overlooked)
    # In some the mistake shows.
    assert any(answer is not None for answer in answers) or not census.settings.all
