"""Random right programs of layers unknown to the check are called right, and wrong ones wrong."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import parity
from parity import CheckReport
from parity.checking.repairing import search
from tests import census
from tests.parity.random_layers.program import Program
from tests.parity.random_layers.wrong import planted

CHUNK = 10


def checked(make: Callable[[], Program]) -> CheckReport:
    """Check a program, made anew each time for its state; a warning is no answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return parity.check(lambda: make().candidate(), keras=False)


def sampled(chunk: int, keep: int, key: str) -> list[int]:
    return census.sample(range(CHUNK * chunk, CHUNK * (chunk + 1)), keep, f"{key} {chunk}")


@pytest.mark.census(keep=1)
@pytest.mark.parametrize("chunk", range(50))
def test_right_programs_are_called_right(chunk: int) -> None:
    unsure = list[str]()
    for seed in sampled(chunk, 4, "right"):
        report = checked(lambda seed=seed: Program(seed))
        if report.outcome is parity.Outcome.UNKNOWN:
            unsure.append(f"{Program(seed)}\n{report}")
            continue
        assert report.outcome is parity.Outcome.RIGHT, f"{Program(seed)}\n{report}"
    # Beside a kink a slope may be too rough to tell; of these 500 none is.
    assert len(unsure) <= 1, "\n\n".join(unsure)


@pytest.mark.census(keep=1)
@pytest.mark.parametrize("chunk", range(6))
def test_a_planted_mistake_is_seen(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SECONDS", 0.0)  # the line need not be found
    shown = 0
    for seed in sampled(chunk, 4, "wrong"):
        mistake = planted(seed)
        if mistake is not None:
            shown += 1
            report = checked(mistake[1])
            assert report.outcome is parity.Outcome.WRONG, f"{mistake[0]}\n{report}"
    assert shown or not census.settings.all


def test_two_exchanged_entries_are_seen_in_every_direction() -> None:
    """The error of a transposed 2 by 2 gradient cancels where two signs of a direction are equal.

    With seed 0 they were in each of this program's directions, while these were signs alone.
    """
    mistake = planted(93)
    assert mistake is not None
    assert mistake[0].startswith("transposed in embedding, gated, flatten, dense")
    report = checked(mistake[1])
    assert report.outcome is parity.Outcome.WRONG, str(report)
    assert [finding.code for finding in report.findings] == ["transposed"], str(report)


def test_a_rough_slope_beside_a_norm_of_few_digits_is_no_clipping() -> None:
    """The gradients' norm is 1.283 up to 2e-6 by chance, and a kink makes the slope rough."""
    report = checked(lambda: Program(265))
    assert report.outcome is parity.Outcome.RIGHT, str(report)
    assert not any(remark.startswith("Clipping") for remark in report.remarks), str(report)


def slopes(
    program: Program, k: int, along: np.ndarray, data: tuple[np.ndarray, np.ndarray]
) -> list[float]:
    """Return the loss's derivative along a direction in one array: central differences."""
    kept, found = program.arrays[k], list[float]()
    for h in (1e-6, 1e-7, 1e-8):
        values = list[float]()
        for sign in (1, -1):
            program.arrays[k] = kept + sign * h * along
            values.append(float(program.loss(*data)))
        found.append((values[0] - values[1]) / (2 * h))
    program.arrays[k] = kept
    return found


@pytest.mark.parametrize("seed", range(0, 500, 5))
def test_the_gradients_of_the_programs_are_derivatives(seed: int) -> None:
    program = Program(seed, exact=True)
    rng = np.random.default_rng(seed)
    data = program.data(rng)
    value = float(program.loss(*data))
    for k, gradient in enumerate(program.stored_gradients(*data)):
        along = rng.normal(size=gradient.shape)
        along /= np.linalg.norm(along)
        expected = float(np.sum(gradient * along))
        # At 1e-8 a loss's rounding, some units in its last place, is 1e-7 of it. A kink close by
        # spoils the wider differences alone, a wrong gradient all of them.
        bound = 1e-6 * (abs(value) + float(np.linalg.norm(gradient)))
        off = [abs(slope - expected) for slope in slopes(program, k, along, data)]
        assert min(off) < bound, f"{program}, {k}: {off}"
