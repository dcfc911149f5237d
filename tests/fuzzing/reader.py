"""What is known of one way in for files from others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzzing.mutations import Mutation


@dataclass(frozen=True)
class Reader:
    """One way in.

    Attributes:
        name: What to call it.
        bases: Good files.
        mutations: How they are damaged; one is chosen for each case.
        read: Reads the file at a path.
        documented: The exceptions that it may raise.
        file: What the file is called; a suffix may decide what reads it.
        share: It gets one of so many cases that others get, as its own take so much longer.
        longest: Seconds of the processor that are promised for a case.
    """

    name: str
    bases: Callable[[Path], Sequence[bytes]]
    mutations: Sequence[Mutation]
    read: Callable[[Path], object]
    documented: type[Exception]
    file: str
    share: int = 1
    longest: float = 5.0
