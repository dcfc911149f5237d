"""The sample of the census: the same from the same seed, of each kind one, and all if asked."""

import json
import random
import re
from pathlib import Path

import pytest

from tests import census, conftest

pytest_plugins = ["pytester"]

# Without the browser of tests/conftest.py, which takes a second to import.
CONFTEST = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from tests.census import *
"""
CASES = """
import pytest
from hypothesis import given, strategies as st
from tests import census

@pytest.mark.census(keep=8)
@pytest.mark.parametrize("case", range(100))
def test_many(case):
    pass

@pytest.mark.census(keep=8)
@pytest.mark.parametrize("case", range(100))
def test_others(case):
    pass

@pytest.mark.census(keep=2, by=lambda style, bug: bug)
@pytest.mark.parametrize("style", "ABCD")
@pytest.mark.parametrize("bug", range(9))
def test_bugs(style, bug):
    pass

def test_loop():
    print("seeds", *census.sample(range(50), 5, "loop"), census.count(40, 10))

@given(st.integers())
def test_drawn(number):
    print("drawn", number)
"""


Run = tuple[dict[str, list[str]], str]
DONE: dict[tuple[str, ...], Run] = {}


def ran(pytester: pytest.Pytester, *options: str) -> Run:
    """Return the cases of each test that have run, and what was printed; of each run once."""
    if options not in DONE:
        DONE[options] = run(pytester, *options)
    return DONE[options]


def run(pytester: pytest.Pytester, *options: str) -> Run:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_cases=CASES)
    done = pytester.runpytest_subprocess("-v", "-s", "-p", "no:cacheprovider", *options)
    assert done.ret == 0, done.outlines
    text = done.stdout.str()
    tests: dict[str, list[str]] = {}
    for name, case in re.findall(r"::(test_\w+)\[([^\]]+)\]", text):
        tests.setdefault(name, []).append(case)
    return tests, text


def test_a_sample_is_that_of_its_seed(pytester: pytest.Pytester):
    one, text = ran(pytester, "--census-seed=5")
    again, same = run(pytester, "--census-seed=5")
    other, different = ran(pytester, "--census-seed=6")
    assert one == again
    for name in ("test_many", "test_others", "test_bugs"):
        assert one[name] != other[name]
    assert one["test_many"] != one["test_others"]
    assert "census: a sample, seed 5; --census all runs everything" in text
    assert "census: 211 cases left out by the sample of seed 5" in text
    for printed in (r"seeds(?: \d+){5} 10\n", r"drawn .*"):
        found, repeated, changed = (re.findall(printed, shown) for shown in (text, same, different))
        assert found
        assert found == repeated != changed


def test_of_each_kind_there_is_one(pytester: pytest.Pytester):
    found, _ = ran(pytester, "--census-seed=5")
    assert [len(found[name]) for name in ("test_many", "test_others", "test_bugs")] == [8, 8, 9]
    bugs = [case.split("-") for case in found["test_bugs"]]
    assert sorted(bug for bug, _ in bugs) == list("012345678")
    assert len({style for _, style in bugs}) > 1


def test_all_is_all(pytester: pytest.Pytester):
    found, text = ran(pytester, "--census", "all")
    assert [len(found[name]) for name in ("test_many", "test_others", "test_bugs")] == [
        100,
        100,
        36,
    ]
    assert "census: everything" in text
    assert "left out" not in text
    assert re.search(r"seeds( \d+){51}", text)
    assert "49 40\n" in text


def test_two_processes_run_what_one_does(pytester: pytest.Pytester):
    alone, _ = ran(pytester, "--census-seed=5")
    both, text = ran(pytester, "--census-seed=5", "-n2")
    assert {name: sorted(set(cases)) for name, cases in both.items()} == {
        name: sorted(cases) for name, cases in alone.items()
    }
    assert "census: 211 cases left out by the sample of seed 5" in text


def test_without_a_seed_it_is_the_day_s(pytester: pytest.Pytester):
    _, text = ran(pytester)
    assert re.search(r"census: a sample, seed 20\d{6};", text)


def test_what_is_asked_for_by_name_runs(pytester: pytest.Pytester):
    pytester.makeconftest(CONFTEST)
    path = pytester.makepyfile(test_cases=CASES)
    asked = [f"{path.name}::test_many[{case}]" for case in range(0, 100, 17)]
    done = pytester.runpytest_subprocess("--collect-only", "-q", *asked)
    assert [line for line in done.outlines if "::" in line] == asked


def test_a_sample_keeps_the_order_and_the_kinds():
    population = [f"{kind}{number}" for number in range(20) for kind in "abc"]
    taken: set[str] = set()
    for seed in range(200):
        found = census.chosen(population, 10, seed, "key", by=lambda name: name[0])
        assert len(found) == 10
        assert sorted(found, key=population.index) == found
        assert {name[0] for name in found} == set("abc")
        taken.update(found)
    assert taken == set(population)  # every place has its day
    assert census.chosen(population, 100, 0, "key") == population
    assert len(census.chosen(population, 1, 0, "key", by=lambda name: name[0])) == 3


def test_of_many_kinds_there_are_no_more_than_time_allows():
    population = [f"{kind}{number}" for kind in "abc" for number in range(5)]
    found = [
        census.chosen(population, 2, seed, "key", by=lambda name: name[0], most=2)
        for seed in range(20)
    ]
    assert {len(one) for one in found} == {2}
    assert all(len({name[0] for name in one}) == 2 for one in found)
    assert {name[0] for one in found for name in one} == set("abc")


SLOW = """
import pytest, time

@pytest.mark.parametrize("case", range(6))
def test_slow(case):
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass

@pytest.mark.parametrize("case", range(6))
def test_quick(case):
    pass

def test_long_alone():
    test_slow(0)

def test_long_too():
    test_slow(0)
"""


def test_what_takes_long_is_measured_and_then_runs_seldom(pytester: pytest.Pytester):
    file = pytester.path / "seconds.json"
    file.write_text('{"test_another.py::test_slow": 7.5}')
    pytester.makeconftest(
        f"{CONFTEST}\nfrom pathlib import Path\nfrom tests import census\n"
        f"census.FILE, census.LONG, census.TOGETHER = Path({str(file)!r}), 0.1, 0.5\n"
    )
    pytester.makepyfile(test_cases=SLOW)
    options = ("-q", "-p", "no:cacheprovider", "--census-seed=5")
    done = pytester.runpytest_subprocess(*options, "--census", "all", "--census-times", "-n2")
    done.assert_outcomes(passed=14)
    seconds = json.loads(file.read_text())
    slow = {f"test_cases.py::test_{name}" for name in ("slow", "long_alone", "long_too")}
    assert set(seconds) == {"test_another.py::test_slow", *slow}
    assert all(0.2 <= seconds[name] < 0.4 for name in slow)
    file.write_text(json.dumps(dict.fromkeys(slow, 0.2)))
    # One of six cases may run, and two others as long: for the last there is no time that day.
    for seed in range(3):
        done = pytester.runpytest_subprocess(*options, f"--census-seed={seed}")
        done.assert_outcomes(passed=census.MOST + 2, deselected=10)
        assert (
            done.stdout.re_match_lines([f".*10 cases left out by the sample of seed {seed}"])
            is None
        )


def test_all_of_it_is_at_work_here():
    hooks = {name for name in vars(census) if name.startswith("pytest_")}
    assert len(hooks) == 8
    assert all(getattr(conftest, name) is getattr(census, name) for name in hooks)


def test_drawing_leaves_python_s_own_generator_alone():
    before = random.getstate()
    census.chosen(range(10), 3, 0, "key")
    assert random.getstate() == before
