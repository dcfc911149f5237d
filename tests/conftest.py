"""Settings for all tests."""

import gc
import os
import signal
import sys
from typing import Any

import pytest

from tests.census import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_report_header,
    pytest_runtest_protocol,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.scripts.browsing import address, browser, tab

# What a shell starts in the background ignores Ctrl-C, and so would all that tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Files whose tests share what is slow to make: a site, a wheel, pictures, answers.
IN_ONE_PROCESS = {
    "tests/digit_data/test_digits_pictures.py",
    "tests/keras_impl/test_keras_backends.py",
    "tests/parity/test_isolated.py",
    "tests/parity/test_planted_bugs.py",
    "tests/test_census.py",
    "tests/test_site.py",
    "tests/test_wheel.py",
    # These wait for others, and would be the last ones, with a processor idle.
    "tests/test_fuzzing.py",
    "tests/test_notebooks.py",
    "tests/tools/test_benchmark.py",
    "tests/tools/test_comparisons.py",
}
# These share a browser and the page's server.
WITH_A_BROWSER = {
    "tests/scripts/test_scripts_draw_access.py",
    "tests/scripts/test_scripts_draw_found.py",
    "tests/scripts/test_scripts_draw_page.py",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadscope`` begin with those files, and hand out all other tests one by one.

    The marker ``xdist_group`` would say so in the files, but has no effect with pytest 9.
    """
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file in WITH_A_BROWSER:
                return "draw"
            return file if file in IN_ONE_PROCESS else nodeid

    return Scheduling(config, log)


# Modules and tests, millions of objects, stay until the end: while they are made the garbage
# collector would look at them in vain, time and again.
gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector work, seldom, and keep from now on no compiled file."""
    gc.enable()
    gc.set_threshold(20_000, 20)
    # Of a program that a test changes within a second the compiled file would be the old one.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.fixture(autouse=True)
def searched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the search for a wrong line, which takes seconds, where it is not what is tried.

    Of what no bug explains these tests say that nothing explains it.
    """
    if request.node.get_closest_marker("search") is None:
        search = "parity.checking.repairing.search.Search"
        monkeypatch.setattr(f"{search}.run", lambda _: None)
        monkeypatch.setattr(f"{search}.wrong_values", lambda *_: [])
        monkeypatch.setattr("parity.checking.repairing.telling.of_a_factor", lambda *_: "")


__all__ = [
    "address",
    "browser",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_report_header",
    "pytest_runtest_protocol",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "tab",
]
