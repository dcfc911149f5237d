"""From ``file.py:attribute`` or ``package.module:attribute`` to the Candidate or reference."""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from parity.candidate import Candidate
from parity.commands import sources, theirs
from terminal_io import CliError

_MOST_NAMES = 12
_DEFAULT = "make"
# One of these beside get_weights says that a module's functions are meant.
_ASKED = {"forward", "gradients", "step"}
_FIELDS = {field.name for field in fields(Candidate)} - {"name"}


def candidate(target: str) -> Candidate | Callable[[], Candidate]:
    """Return the Candidate that a target names, or what makes one, for :func:`parity.check`.

    What makes one is handed on as it is, since a step's state is at its beginning only in a
    candidate that is made anew; so the command and the function say the same.

    Args:
        target: ``where:attribute``. Without an attribute it is ``make``, or else the only thing in
            the module that is a Candidate or a function of its own called make..., or else the
            module itself, if its functions are called as a Candidate's fields are.

    Raises:
        CliError: There is no such thing, or the user's code raised something.
    """
    where, attribute = split(target)
    module = _load(where)
    attribute = attribute or _only_candidate(module, where)
    if attribute is None:
        given = {name: value for name, value in vars(module).items() if name in _FIELDS}
        return _run(where, lambda: Candidate(**given))
    value = _attribute(module, where, attribute)
    expected = f"{attribute} in {where} to be a Candidate, or a function that returns one"
    if isinstance(value, Candidate):
        return value
    return lambda: _made(value, where, attribute, _is_candidate, expected)


def _is_candidate(value: Any) -> bool:
    return isinstance(value, Candidate)


def reference(text: str) -> Any:
    """Return what to compare with: a documented network's name, a .keras file, or a target's.

    Raises:
        CliError: It is none of these.
    """
    # Loads NumPy, and nothing else that takes long.
    from numpy_impl import models

    if Path(text).suffix == ".keras":
        if not Path(text).is_file():
            raise CliError(f"--reference: expected a .keras file. Received: {text}, not there")
        return os.path.abspath(text)  # the user's code may change the folder
    where, attribute = split(text)
    if text not in models.ARCHITECTURES and (attribute or _is_file(where)):
        return _custom_reference(where, attribute)
    try:
        if text not in models.ARCHITECTURES:
            models.parse_sizes(text)
    except ValueError:
        names = ", ".join(models.ARCHITECTURES)
        raise CliError(
            f"--reference: expected one of {names}, or sigmoid:n0-n1-..., or file.py:attribute, or "
            f"model.keras. Received: {text!r}"
        ) from None
    return text


def _custom_reference(where: str, attribute: str | None) -> Any:
    if attribute is None:
        raise CliError(f"--reference: expected file.py:attribute. Received: {where}")
    value = _attribute(_load(where), where, attribute)
    return _made(
        value,
        where,
        attribute,
        _is_network,
        f"--reference {where}:{attribute} to be a Keras model, a list of layers, or a function "
        "that returns one of them",
    )


def _is_network(value: Any) -> bool:
    # By its attribute, since asking Keras for its class would import Keras.
    return isinstance(value, (list, tuple)) or (
        hasattr(value, "layers") and not isinstance(value, type)
    )


def split(target: str) -> tuple[str, str | None]:
    """Return the file or module of a target, and its attribute or None.

    Raises:
        CliError: A colon is followed by nothing.
    """
    where, colon, attribute = target.rpartition(":")
    if not colon or Path(target).exists():
        return target, None
    if not attribute:
        raise CliError(f"expected an attribute after the colon. Received: {target!r}")
    if all(part.isidentifier() for part in attribute.split(".")):
        return where, attribute
    return target, None  # C:\mynet.py, sigmoid:64-40-10


def _is_file(where: str) -> bool:
    separators = [os.sep, *filter(None, [os.altsep])]
    return Path(where).suffix in (".py", ".ipynb") or any(s in where for s in separators)


def _load(where: str) -> ModuleType:
    if _is_file(where) or Path(where).is_file():
        return _from_file(Path(where))
    return _from_name(where)


def _from_file(path: Path) -> ModuleType:
    """Import a file as Python does a script, but for its name, which is not "__main__"."""
    code, full = sources.compiled(path), str(path.resolve())
    # A module of this name that is not this file (parity itself, say) must not be replaced.
    for name in (path.stem, f"{path.stem}_to_check"):
        loaded = sys.modules.get(name)
        if loaded is None:
            break
        if getattr(loaded, "__file__", None) == full:
            return loaded
    spec = importlib.util.spec_from_file_location(name, full)
    assert spec is not None  # only a suffix that is unknown gives None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[name] = module
    try:
        _run(str(path), lambda: exec(code, module.__dict__))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_name(name: str) -> ModuleType:
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())

    def load() -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Else it was found, and misses something itself.
            if error.name and f"{name}.".startswith(f"{error.name}."):
                raise _no_module(name) from None
            raise

    if not all(part.isidentifier() for part in name.split(".")):
        raise _no_module(name)
    return _run(name, load)


def _no_module(name: str) -> CliError:
    hint = f"; did you mean {name}.py?" if Path(f"{name}.py").exists() else ""
    return CliError(f"expected a file.py, or a module on Python's path. Received: {name!r}{hint}")


def _run(what: str, load: Callable[[], Any]) -> Any:
    """Run the import of the user's module, which shall not see our own arguments."""
    arguments = sys.argv
    sys.argv = [what]
    try:
        with theirs.running(f"{what} to run when it is imported"):
            return load()
    finally:
        sys.argv = arguments


def _attribute(module: ModuleType, where: str, attribute: str) -> Any:
    value: Any = module
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise CliError(
                f"expected {attribute} in {where}. Received: a module with {_contents(module)}"
            ) from None
    return value


def _made(
    value: Any, where: str, attribute: str, fits: Callable[[Any], bool], expected: str
) -> Any:
    """Return what an attribute is, or what it returns when it is called."""
    if fits(value):
        return value
    if not callable(value):
        raise CliError(f"expected {expected}. Received: {_kind(value)}")
    needed = _needed(value)
    if needed:
        raise CliError(
            f"expected {attribute} in {where} to need no arguments. Received: "
            f"{attribute}({', '.join(needed)})"
        )
    with theirs.running(f"{attribute}() in {where} to return"):
        made = value()
    if not fits(made):
        raise CliError(f"expected {expected}. Received: {attribute}() returned {_kind(made)}")
    return made


def _needed(function: Any) -> list[str]:
    """Return the parameters without which a callable cannot be called."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a built-in without a signature
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional]


def _only_candidate(module: ModuleType, where: str) -> str | None:
    """Return the name of the Candidate in a module; None if the module's functions are one."""
    if hasattr(module, _DEFAULT):
        return _DEFAULT
    found: dict[int, str] = {}  # by identity: a second name for the same thing is no second thing
    for name, value in vars(module).items():
        makes = name.startswith(_DEFAULT) and _is_own(value, module) and not _needed(value)
        if isinstance(value, Candidate) or makes:
            found.setdefault(id(value), name)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        names = ", ".join(f"{where}:{name}" for name in found.values())
        raise CliError(f"expected one Candidate in {where}. Received: {len(found)}; say {names}")
    if callable(vars(module).get("get_weights")) and _ASKED & vars(module).keys():
        return None
    hint = f'; "python -m parity init {where}" writes a first one' if _is_file(where) else ""
    raise CliError(
        f"expected a Candidate in {where}, or a function make() that returns one. Received: a "
        f"module with {_contents(module)}{hint}"
    )


def _is_own(value: Any, module: ModuleType) -> bool:
    """Whether it is a function that this module defines: sklearn's make_moons is not."""
    return inspect.isfunction(value) and value.__module__ == module.__name__


def _contents(module: ModuleType) -> str:
    """Return the names that a module defines itself, Candidates first."""
    public = {k: v for k, v in vars(module).items() if not k.startswith("_")}
    imported = [
        k
        for k, v in public.items()
        if isinstance(v, ModuleType) or getattr(v, "__module__", module.__name__) != module.__name__
    ]
    first = [k for k, v in public.items() if isinstance(v, Candidate)]
    names = first + [k for k in public if k not in imported and k not in first]
    shown = names[:_MOST_NAMES] + ["..."] * (len(names) > _MOST_NAMES)
    return ", ".join(shown) or "nothing in it"


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return name if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
