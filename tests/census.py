"""A sample of what is random or a census: another one each day, and everything when asked to.

``@pytest.mark.census(keep=40)`` on a parametrized test keeps 40 of its cases; with ``by``, which is
called with the parameters by their names, at least one of each kind. A test that says nothing keeps
at most ``MOST`` of its cases. No test keeps more than what takes it ``SECONDS``, but for one case:
``seconds.json`` holds how long the slow ones take, and ``make test-all`` measures it anew. Of what
takes longer than ``LONG`` even so, a case or a test without cases, no more runs than ``TOGETHER``
seconds hold; a single file of tests seldom has as much, and runs all of it. A test that loops calls
``sample`` or ``count``. What is chosen follows from the seed, the test's name and that file alone,
so that every process chooses the same and anybody can repeat a day.
"""

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest

T = TypeVar("T")
# So many cases of a parametrized test run every day, unless it says how many.
MOST = 2
# So many seconds of a processor the cases of one test may take every day.
SECONDS = 0.3
# So many seconds of a processor is long for one case, and so many may those take together.
LONG = 1.0
TOGETHER = 150.0
# A test is slow if the cases that it may keep take longer than that together.
_SLOW = SECONDS / MOST
FILE = Path(__file__).with_name("seconds.json")


@dataclass
class Settings:
    """What this run is.

    Attributes:
        all: Whether everything runs.
        seed: Chooses the sample.
        left_out: How many cases were left out.
        measures: Whether it measures how long tests take, and writes that down.
        taken: The seconds of the cases of each test, where that is measured.
    """

    all: bool = True
    seed: int = 0
    left_out: int = 0
    measures: bool = False
    taken: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


settings = Settings()


def chosen(
    population: Sequence[T],
    keep: int,
    seed: int,
    key: str,
    by: Callable[[T], Hashable] | None = None,
    most: int | None = None,
) -> list[T]:
    """Return a sample, in the order of the population.

    Args:
        population: What there is.
        keep: How many to take; more if there are more kinds, or all if there are fewer in all.
        seed: Of the day.
        key: Whose sample it is, so that two tests do not always take the same places.
        by: What kind each is, of which at least one is taken.
        most: How many may be taken, even where there are more kinds.
    """
    # A text as the seed is hashed by SHA-512, which is the same in every process.
    order = list(range(len(population)))
    random.Random(f"{seed} {key}").shuffle(order)
    kinds: set[Hashable] = set()
    first: list[int] = []
    others: list[int] = []
    for place in order:
        kind = None if by is None else by(population[place])
        (others if by is None or kind in kinds else first).append(place)
        kinds.add(kind)
    taken = (first + others[: max(0, keep - len(first))])[:most]
    return [population[place] for place in sorted(taken)]


def sample(
    population: Sequence[T],
    keep: int,
    key: str,
    by: Callable[[T], Hashable] | None = None,
) -> list[T]:
    """Return the day's sample of what a test loops over; everything with ``--census all``."""
    if settings.all:
        return list(population)
    return chosen(population, keep, settings.seed, key, by)


def count(everything: int, keep: int) -> int:
    """Return how many of something that is random anyway: ``keep`` in a sample."""
    return everything if settings.all else keep


def most(rate: float, tries: int) -> float:
    """Return how many failures are allowed where at most a rate of everything may fail.

    In a sample more than by that rate, as many as chance brings about once in a million days.
    """
    if settings.all:
        return rate * tries
    from scipy.stats import binom  # slow to import, and seldom needed

    return float(binom.isf(1e-6, tries, rate))


# ---- Hooks, which conftest.py takes over ----


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("census")
    group.addoption(
        "--census", choices=["sample", "all"], default="sample",
        help="of what is random or a census run a sample (the default) or everything",
    )  # fmt: skip
    group.addoption(
        "--census-times", action="store_true",
        help=f"measure how long tests take, and write the slow ones' seconds into {FILE.name}",
    )  # fmt: skip
    group.addoption(
        "--census-seed", type=int, metavar="N", help="the sample's seed (default: today's date)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "census(keep, by=None): a sample of the cases, at least one of each kind (tests/census.py)",
    )
    if config.option.census_seed is None:
        # Kept as the option, which the processes of pytest-xdist are given: midnight may pass.
        config.option.census_seed = int(f"{date.today():%Y%m%d}")
    settings.all = config.option.census == "all"
    settings.seed = config.option.census_seed
    settings.left_out = 0
    settings.measures, settings.taken = config.option.census_times, {}
    # Hypothesis draws from the same seed, in CI too, and never judges by the clock.
    hypothesis.settings.register_profile(
        "suite",
        derandomize=False,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("suite")
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(settings.seed)  # read by its own plugin, later


def pytest_report_header() -> str:
    what = "everything" if settings.all else "a sample"
    return (
        f"census: {what}, seed {settings.seed}; "
        "--census all runs everything, --census-seed N repeats a day"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # After -k and --last-failed: of what is asked for by name nothing is left out.
    if settings.all:
        return
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("census") or hasattr(item, "callspec"):
            tests.setdefault(_name(item), []).append(item)
    slow: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))
    kept = {item for name, cases in tests.items() for item in _kept(name, cases, slow)}
    left_out = [item for cases in tests.values() for item in cases if item not in kept]
    every = set(left_out)
    left_out += _too_long([item for item in items if item not in every], slow)
    if left_out:
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        settings.left_out = len(left_out)
        config.hook.pytest_deselected(items=left_out)


def _name(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _too_long(items: Sequence[pytest.Item], slow: Mapping[str, float]) -> list[pytest.Item]:
    """Return those for which the day has no time beside the others that take long."""
    long = [item for item in items if slow.get(_name(item), 0.0) > LONG]
    random.Random(f"{settings.seed} long").shuffle(long)
    left, gone = TOGETHER, list[pytest.Item]()
    for item in long:
        seconds = slow[_name(item)]
        if seconds > left:
            gone.append(item)
        else:
            left -= seconds
    return gone


def _kept(name: str, cases: list[pytest.Item], slow: Mapping[str, float]) -> list[pytest.Item]:
    marker = cases[0].get_closest_marker("census")
    most = max(1, int(SECONDS / slow[name])) if name in slow else None
    if marker is None:
        return chosen(cases, MOST, settings.seed, name, most=most)

    def options(keep: int, by: Callable[..., Hashable] | None = None) -> tuple[int, Any]:
        return keep, by

    keep, by = options(*marker.args, **marker.kwargs)
    kind = None if by is None else lambda item: by(**item.callspec.params)
    return chosen(cases, keep, settings.seed, name, kind, most)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    if not settings.measures:
        return (yield)
    before = _processor()
    done = yield
    seconds = settings.taken.setdefault(_name(item), [])
    seconds.append(_processor() - before)
    return done


def _processor() -> float:
    """Return what this process has taken, and those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _write_seconds() -> None:
    # A middle value: what cases share is made for the first one.
    middle = {name: statistics.median(cases) for name, cases in sorted(settings.taken.items())}
    slow = {
        name: round(seconds, 2)
        for name, seconds in middle.items()
        if seconds > (_SLOW if len(settings.taken[name]) > 1 else LONG)
    }
    before: dict[str, float] = json.loads(FILE.read_text(encoding="utf-8"))
    others = {name: seconds for name, seconds in before.items() if name not in middle}
    text = json.dumps(dict(sorted((others | slow).items())), indent=1)
    FILE.write_text(text + "\n", encoding="utf-8")


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["census_left_out"] = settings.left_out
        output["census_taken"] = settings.taken
    elif settings.measures:
        _write_seconds()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # Each process of pytest-xdist collects, and leaves out, the same.
    output = getattr(node, "workeroutput", {})
    settings.left_out = output.get("census_left_out", 0)
    for name, seconds in output.get("census_taken", {}).items():
        settings.taken.setdefault(name, []).extend(seconds)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if settings.left_out:
        terminalreporter.write_line(
            f"census: {settings.left_out} cases left out by the sample of seed {settings.seed}"
        )
