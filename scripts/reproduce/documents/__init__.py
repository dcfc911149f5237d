"""The five write-ups reproduced: what each trains, measures, draws and finds wrong.

A package for each; its ``reproduction`` has ``reproduce(context)``, which does it all, and
``beginnings(context)``, its trainings by name, set up and not begun.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True)
class Document:
    """A write-up.

    Attributes:
        source: What is known of it.
        what: What it builds.
    """

    source: str
    what: str

    def __str__(self) -> str:
        return f"{self.source}: {self.what}"


DOCUMENTS = {
    "d0": Document(
        "a notebook of an unknown author, in M. Nielsen's notation, "
        'with a network called "Donnel" for scikit-learn\'s 8×8 digits',
        "64-40-10, sigmoid, on overlapping windows",
    ),
    "d1": Document(
        "a set of reading notes on chapter 1 of M. Nielsen, Neural Networks and Deep Learning "
        "(2015), with its program in Python 3",
        "perceptrons, NAND, 784-30-10, 784-100-10",
    ),
    "d2": Document(
        'a blog post of an unknown author, "identifying handwritten numbers with a three layer '
        'neural net"',
        "64-200-10 with dropout",
    ),
    "d3": Document(
        "a course exercise of an unknown author, with blanks to fill in: a two-layer network in "
        "NumPy on OpenML's MNIST",
        "784-64-10, softmax and cross-entropy",
    ),
    "d4": Document(
        "a course notebook in three parts, its solutions taken out",
        "perceptron, gradient descent, and 784-500-300-10 in Keras",
    ),
}


def reproduction(name: str) -> ModuleType:
    """Import what reproduces a document; it takes seconds."""
    return import_module(f".{name}.reproduction", __name__)
