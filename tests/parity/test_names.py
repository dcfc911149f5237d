"""The names that ``parity`` offers stay what they are; a class's name says which class is meant."""

import ast
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import parity

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize(
    "package",
    ["parity", "numpy_impl", "keras_impl", "digit_data", "terminal_io", "scripts", "tools"],
)
def test_no_two_classes_of_a_package_share_a_name(package: str) -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(path.name)
    assert places
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
