"""The fixture ``parity_check``, and what pytest shows of a network that is not right."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

STUB = """
import sys
from types import ModuleType
from parity.checking.bugs.table import Bug
from parity.checking.bugs.findings import Finding
from parity.reports.report import CheckReport

def assert_parity(candidate, reference=None, **options):
    __tracebackhide__ = True
    finding = Finding(Bug("code", "the bug in words", "x @ W"), "layer 1 kernel")
    findings = [] if candidate == "right" else [finding]
    report = CheckReport(candidate, f"{reference} {options}", findings=findings, tested=["x"])
    report.raise_for_failure()
    return report

sys.modules["parity.checking.checker"] = module = ModuleType("parity.checking.checker")
module.assert_parity = assert_parity
"""
NETWORK = """
import numpy as np
import parity

W, b = np.random.default_rng(0).normal(size=(5, 3)), np.zeros(3)

def forward(x):
    return np.tanh(x @ W + b)

def gradients(x, y):
    delta = (forward(x) - y) * (1 - forward(x) ** 2)
    return [x.T @ delta, 1.001 * delta.sum(axis=0)]

CANDIDATE = parity.Candidate(get_weights=lambda: [W, b], forward=forward, gradients=gradients)

def test_by_the_fixture(parity_check):
    parity_check(CANDIDATE, keras=False)

def test_by_the_function():
    parity.assert_parity(CANDIDATE, keras=False)
"""


def test_the_fixture_hands_everything_on(pytester: pytest.Pytester):
    pytester.makeconftest(STUB)
    pytester.makepyfile(
        """
        def test_right(parity_check):
            report = parity_check("right", "a reference", seed=3)
            assert report.reference == "a reference {'seed': 3}"

        def test_wrong(parity_check):
            parity_check("wrong")
        """
    )
    result = pytester.runpytest_subprocess("-Werror")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ['> *parity_check("wrong")', "E *ParityError:*", "E *bug in words*"]
    )
    assert "raise_for_failure" not in result.stdout.str()
    assert "pytest_plugin" not in result.stdout.str()


def test_what_pytest_shows_of_a_wrong_network(pytester: pytest.Pytester):
    """The only test here that runs the real check."""
    pytester.makepyfile(NETWORK)
    result = pytester.runpytest_subprocess("-Werror")
    result.assert_outcomes(failed=2)
    shown = result.stdout.str()
    result.stdout.fnmatch_lines(["> *parity_check(CANDIDATE, keras=False)", "E *ParityError:*"])
    result.stdout.fnmatch_lines(["> *assert_parity(CANDIDATE, keras=False)", "E *ParityError:*"])
    # Where CI is set, pytest repeats whole messages in its summary.
    failures = shown.partition("short test summary")[0]
    assert failures.count("WRONG") == 2
    # Of our own code nothing: no frame, no source line.
    for ours in ("checking/", "reports/", "pytest_plugin.py", "raise ParityError"):
        assert ours not in failures


def test_pytest_finds_the_plugin_and_starts_without_anything_heavy():
    (plugin,) = entry_points(group="pytest11", name="parity")
    code = (
        f"import sys, pytest\nimport {plugin.value}\n"
        "heavy = {'keras', 'tensorflow', 'numpy', 'rich', 'numpy_impl', 'keras_impl'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-Werror", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)
