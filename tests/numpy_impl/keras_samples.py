"""Small Keras models, and their files changed by hand, for the tests of ``keras_files``."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_impl import keras

Members = dict[str, bytes]


def sequential(*layers: Any, shape: tuple[Any, ...] = (4,)) -> keras.Sequential:
    """Return a Sequential model of ``layers``."""
    return keras.Sequential([keras.Input(shape), *layers])


def functional(*steps: Any, shape: tuple[int, ...] = (4,)) -> keras.Model:
    """Return a Functional model that applies ``steps`` one after the other."""
    x = entry = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(entry, x)


def edit_members(path: Path, change: Callable[[Members], Any]) -> Path:
    """Change the members of a ``.keras`` file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def edit_config(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change the model's JSON in a ``.keras`` file; what ``change`` returns, if not None, is it."""

    def edit(members: Members) -> None:
        config = json.loads(members["config.json"])
        changed = change(config)
        members["config.json"] = json.dumps(config if changed is None else changed).encode()

    return edit_members(path, edit)
