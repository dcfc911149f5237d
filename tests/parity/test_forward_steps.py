"""Forward passes by hand beside Keras models: what is wrong is said, and is what is wrong."""

import pytest

from parity.reports.report import Outcome
from tests.parity.forwards.steps import PLANTED as STEPS
from tests.parity.forwards.steps import Planted
from tests.parity.forwards.wiring import PLANTED as WIRED


@pytest.mark.census(keep=4)
@pytest.mark.parametrize("case", [*STEPS, *WIRED], ids=lambda case: case.words or "right")
def test_a_forward_is_right_or_what_is_said_of_it_is_what_it_computes(case: Planted):
    report = case.report()
    if case.bug is None:
        assert report.outcome is Outcome.RIGHT, str(report)
        return
    assert report.outcome is Outcome.WRONG, str(report)
    assert [finding.bug for finding in report.findings] == [case.bug], str(report)
    assert case.words in report.findings[0].title
