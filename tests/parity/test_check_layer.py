"""One layer alone: planted bugs are named at their places, and right layers are not accused."""

import pytest

import parity
from parity import Outcome
from parity.checking.bugs.layers import OTHER_FUNCTION
from tests.parity.layers import functions
from tests.parity.layers.planted import PLANTED, Planted
from tests.parity.layers.random_right import KINDS, right


@pytest.mark.census(keep=24, by=lambda case: case.kind)
@pytest.mark.parametrize(
    "case", PLANTED, ids=lambda c: f"{c.kind}: {c.bug.code if c.bug else 'right'} {c.where}"
)
def test_a_layer_is_right_or_its_bug_is_named(case: Planted):
    report = case.report()
    found = [(finding.bug, finding.where) for finding in report.findings]
    if case.bug is None:
        assert report.outcome is Outcome.RIGHT, report
        assert not found
        return
    assert report.outcome is (Outcome.UNKNOWN if case.bug is OTHER_FUNCTION else Outcome.WRONG)
    assert found[0][0] == case.bug, report
    if case.bug is not OTHER_FUNCTION:
        assert found[0][1] == case.where, report


def test_without_a_reference_the_own_forward_decides_and_nothing_is_said_of_keras():
    for bug, outcome in (("", Outcome.RIGHT), ("dw nonsense", Outcome.WRONG)):
        report = parity.check_layer(*functions.affine(bug), inputs=(5, 3), weights=[(3, 4), (4,)])
        assert report.outcome is outcome
        assert "Keras's" not in str(report)
        assert report.reference == "the derivative of your own forward"
    assert report.findings[0].code == "not-the-derivative"
    assert report.findings[0].where == "dw"
    assert "dx and db" in report.findings[0].evidence


@pytest.mark.census(keep=12, by=lambda number: number % len(KINDS))
@pytest.mark.parametrize("number", range(120))
def test_a_right_layer_of_chance_is_not_accused(number: int):
    report = right(number)
    assert report.outcome is Outcome.RIGHT, report
    assert not report.findings
