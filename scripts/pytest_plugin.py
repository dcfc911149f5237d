"""For pytest: the fixture ``parity_check``, there wherever this project is installed.

>>> def test_my_network(parity_check):
...     parity_check(parity.Candidate(get_weights=..., forward=..., gradients=...))

A network that is not right fails the test, and the report stands where pytest shows the reason.
pytest imports this module at every start, so nothing that takes time may be imported by it; and
nothing of ``parity``, since a project may have a module of that name.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from parity import CheckReport


@pytest.fixture(scope="session")
def parity_check() -> "Callable[..., CheckReport]":
    """``parity_check(candidate, reference=None, **options)`` is :func:`parity.assert_parity`."""
    import parity

    if not hasattr(parity, "assert_parity"):
        pytest.fail(
            "expected the package parity of digits-parity. Received: another one of that name, "
            f"which Python finds first, {parity.__file__}",
            pytrace=False,
        )
    return parity.assert_parity
