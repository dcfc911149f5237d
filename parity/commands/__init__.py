"""The commands of ``python -m parity``; importing them loads neither Keras nor NumPy."""

from argparse import ArgumentParser
from typing import Protocol


class Commands(Protocol):
    """What a command adds itself to; argparse's own class for it has no public name."""

    def add_parser(
        self, name: str, *, help: str, description: str, epilog: str
    ) -> ArgumentParser: ...
