"""Networks that strangers could have written get the right answer, and the wrong ones a reason."""

import pytest

import parity
from tests.parity.strangers import CASES, Case

RIGHT = [case for case in CASES if case.right]
WRONG = [case for case in CASES if not case.right]


def explains(finding: parity.Finding, case: Case) -> bool:
    """Whether the finding names the planted mistake, and its place where one is expected."""
    text = f"{finding.code} {finding.title}".lower()
    return any(word in text for word in case.words) and case.where in finding.where.lower()


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.name)
def test_a_right_network_passes(case: Case):
    report = parity.check(case.make(), reference=case.reference)
    assert report.passed, str(report)


@pytest.mark.census(keep=9)
@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_a_wrong_network_is_explained(case: Case):
    report = parity.check(case.make(), reference=case.reference)
    assert not report.passed, str(report)
    assert any(explains(finding, case) for finding in report.findings), (
        f"expected one of {case.words} at {case.where!r}\n{report}"
    )


def test_every_case_has_its_own_name_and_wrong_ones_have_words():
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(bool(case.words) != case.right for case in CASES)
