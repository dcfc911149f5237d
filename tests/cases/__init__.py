"""Programs from the field, kept as they are, and how to load one."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    """Return a program, such as "wrong/repro_optimizers", run anew; neighbours can be imported."""
    folder, _, stem = name.rpartition("/")
    path = str(HERE / folder)
    sys.path.insert(0, path)
    try:
        for module in [m for m in list(sys.modules) if (HERE / folder / f"{m}.py").exists()]:
            del sys.modules[module]
        return importlib.import_module(stem)
    finally:
        sys.path.remove(path)
