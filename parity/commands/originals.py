"""What the check computes with, and whether the user's code has put something else in its place."""

import builtins
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from terminal_io import CliError

_PACKAGES = ("numpy", "numpy_impl", "parity", "terminal_io")
_MODULES = ("builtins", "math")
# Here numbers count as well: numpy.pi.
_CONSTANT = ("numpy", "math")
# To replace these is common, and no number depends on them.
_HARMLESS = {f"builtins.{name}" for name in ("print", "input", "open", "__import__", "breakpoint")}
_MOST_NAMES = 4


class Originals:
    """The functions and classes of NumPy, Python and parity as they are now."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Any, dict[str, Any]]] = {
            name: (holder, dict(holder.__dict__)) for name, holder in _holders()
        }
        # Methods that are bound now: even "dict" may be gone when they are called.
        self._theirs = builtins.__dict__.copy
        self._put_back = builtins.__dict__.update
        harmless = {name.removeprefix("builtins.") for name in _HARMLESS}
        self._builtins = {k: v for k, v in vars(builtins).items() if k not in harmless}

    def hold(self) -> None:
        """Show that they are still there, and put Python's own back, without which nothing works.

        Raises:
            CliError: One of them is another.
        """
        theirs = self._theirs()
        self._put_back(self._builtins)
        replaced = [
            f"{name}.{key}"
            for name, (holder, before) in self._before.items()
            for key, value in before.items()
            if (theirs if holder is builtins else holder.__dict__).get(key) is not value
            and (callable(value) or isinstance(value, property) or name in _CONSTANT)
            # A class's are its operators, a module's nobody's affair.
            and (isinstance(holder, type) or not key.startswith("__"))
            and f"{name}.{key}" not in _HARMLESS
        ]
        replaced += [
            name
            for name, (holder, _) in self._before.items()
            if isinstance(holder, ModuleType) and sys.modules.get(name) is not holder
        ]
        if replaced:
            shown = ", ".join(replaced[:_MOST_NAMES])
            more = f" and {len(replaced) - _MOST_NAMES} more" * (len(replaced) > _MOST_NAMES)
            raise CliError(
                "cannot tell: expected a module that leaves alone what the check computes with. "
                f"Received: your code replaces {shown}{more}"
            )


def _holders() -> Iterator[tuple[str, Any]]:
    """Yield the modules that are loaded, and our own classes, each by name, the public first."""
    for name in sorted(sys.modules, key=lambda name: (name.count("."), name)):
        package = name.partition(".")[0]
        if name in _MODULES or package in _PACKAGES:
            module = sys.modules[name]
            yield name, module
            if package in _PACKAGES[1:]:
                for key, value in vars(module).items():
                    if isinstance(value, type) and value.__module__ == name:
                        yield f"{name}.{key}", value
