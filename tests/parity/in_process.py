"""What stands for ``parity.commands.isolation.asked`` where a test looks into the command."""

import json
from argparse import Namespace
from importlib import import_module
from typing import Any


def asked(function: str, args: Namespace, **arguments: Any) -> dict[str, Any]:
    """Return what the function returns in this process, as far as JSON can say it."""
    module, _, name = function.partition(":")
    given = json.loads(json.dumps(arguments))
    return json.loads(json.dumps(getattr(import_module(module), name)(**given)))
