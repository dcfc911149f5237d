"""The names that ``parity`` offers stay what they are, whatever else has been imported."""

import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

import parity


@pytest.fixture(scope="module", autouse=True)
def _everything_imported() -> None:
    # A submodule takes its name in the package when it is imported, also from a function there.
    for module in pkgutil.walk_packages(parity.__path__, "parity."):
        import_module(module.name)


@pytest.mark.parametrize("name", parity.__all__)
def test_a_name_is_no_module(name: str) -> None:
    found = getattr(parity, name)
    assert not isinstance(found, ModuleType)
    assert found.__name__ == name
    assert found.__module__.startswith("parity.")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'parity' has no attribute 'comparison'"):
        _ = parity.comparison  # pyright: ignore[reportAttributeAccessIssue]
